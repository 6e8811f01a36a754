//! `photonctl bench`: a load on the driver port, as drivers make it: so many connections, each with one query at a time.

mod connection;
mod histogram;
mod workload;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::limits::{BENCH_CLIENTS_MAX, BENCH_DOCUMENT_BYTES_MAX, BENCH_DOCUMENTS_MAX, BENCH_SECS_MAX};
use crate::output::{Columns, Format, pairs};
use crate::term::TableName;
use connection::Connection;
use histogram::Histogram;
use workload::{Load, Operation, Plan, Workload};

#[derive(Clone, Debug, Args)]
pub struct Bench {
    /// What is done.
    #[arg(value_enum, default_value_t = Workload::Mixed)]
    workload: Workload,
    /// Connections, each with one query at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=BENCH_CLIENTS_MAX))]
    clients: u32,
    /// How long.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=BENCH_SECS_MAX))]
    seconds: u64,
    /// Documents that are there from the start, which `get` and `mixed` choose from.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=BENCH_DOCUMENTS_MAX)
    )]
    documents: u64,
    /// The size of a document's text.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(0..=BENCH_DOCUMENT_BYTES_MAX)
    )]
    document_bytes: u32,
    /// The table that is made for it, and dropped at the end.
    #[arg(long, value_name = "[DATABASE.]TABLE", default_value = "photonctl_bench")]
    table: TableName,
    /// Use the table of an earlier bench if there is one, and leave the table there.
    #[arg(long)]
    keep: bool,
    /// The driver port, on the host of `--address`; without it the node is asked, which `admin` alone may.
    #[arg(long, value_name = "PORT")]
    driver_port: Option<u16>,
}

/// What all connections did.
struct Measured {
    seconds: f64,
    load: Load<Histogram>,
    /// How many operations failed, and how the first did.
    failed: u64,
    first_failure: Option<String>,
}

pub fn run(bench: &Bench, client: &Client, format: Format) -> Result<String, Failure> {
    let port = match bench.driver_port {
        Some(port) => port,
        None => client.node_info()?.checked_ports().map_err(|source| client.malformed(source))?.driver,
    };
    let plan = Plan { table: bench.table.clone(), documents: bench.documents, document_bytes: bench.document_bytes };
    let was_there = workload::make_table(&plan, bench.keep, client)?;
    let measured = workload::fill(&plan, client).and_then(|()| measure(bench, &plan, client, port));
    let cleaned = if bench.keep || was_there { Ok(()) } else { workload::clean_up(&plan, client) };
    // Why there is no result says more than that the table is still there.
    let measured = measured?;
    cleaned?;
    Ok(report(bench, &measured, format))
}

fn measure(bench: &Bench, plan: &Plan, client: &Client, port: u16) -> Result<Measured, Failure> {
    let connect = |_| Connection::open(client, port);
    let connections = (0..bench.clients).map(connect).collect::<Result<Vec<Connection>, Failure>>()?;
    let is_over = AtomicBool::new(false);
    let (failed, first_failure) = (AtomicU64::new(0), Mutex::new(None));
    let began = Instant::now();
    let loads = std::thread::scope(|threads| {
        let mut running = Vec::new();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let (is_over, failed, first_failure) = (&is_over, &failed, &first_failure);
            running.push(threads.spawn(move || {
                let mut load: Load<Histogram> = Load::default();
                let mut operations = plan.operations(bench.workload, number as u64);
                while !is_over.load(Ordering::Relaxed) {
                    let (kind, message) = operations.next_message();
                    let asked = Instant::now();
                    match connection.run(&message) {
                        Ok(()) => load.of(kind).add(asked.elapsed()),
                        Err(error) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            first_failure.lock().expect("no holder panics").get_or_insert(error.to_string());
                            if error.is_end() {
                                break;
                            }
                        }
                    }
                }
                load
            }));
        }
        std::thread::sleep(Duration::from_secs(bench.seconds));
        is_over.store(true, Ordering::Relaxed);
        running.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect::<Vec<_>>()
    });
    let seconds = began.elapsed().as_secs_f64();
    let mut all: Load<Histogram> = Load::default();
    for load in loads {
        for kind in Operation::ALL {
            all.of(kind).merge(load.get(kind));
        }
    }
    let first_failure = first_failure.into_inner().expect("no holder panics");
    let done: u64 = Operation::ALL.into_iter().map(|kind| all.of(kind).count()).sum();
    if let (0, Some(message)) = (done, &first_failure) {
        return Err(Failure::Bench { message: message.clone() });
    }
    Ok(Measured { seconds, load: all, failed: failed.into_inner(), first_failure })
}

fn report(bench: &Bench, measured: &Measured, format: Format) -> String {
    let kinds = || {
        Operation::ALL.into_iter().map(|kind| (kind, measured.load.get(kind))).filter(|(_, times)| times.count() > 0)
    };
    let per_second = |count: u64| count as f64 / measured.seconds;
    let total: u64 = kinds().map(|(_, times)| times.count()).sum();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let operation = |(kind, times): (Operation, &Histogram)| {
        json!({
            "operation": kind.name(),
            "count": times.count(),
            "per_second": per_second(times.count()),
            "p50_ms": milliseconds(times.quantile(0.5)),
            "p99_ms": milliseconds(times.quantile(0.99)),
            "max_ms": milliseconds(times.max()),
        })
    };
    let value = json!({
        "workload": bench.workload.name(),
        "clients": bench.clients,
        "seconds": measured.seconds,
        "count": total,
        "per_second": per_second(total),
        "failed": measured.failed,
        "first_failure": measured.first_failure,
        "operations": kinds().map(operation).collect::<Vec<Value>>(),
    });
    format.write(&value, || {
        let failed = match &measured.first_failure {
            Some(first) => format!("{}, the first: {first}", measured.failed),
            None => "none".to_owned(),
        };
        let head = pairs(&[
            ("Workload", format!("{}, {} clients, {:.1} s", bench.workload.name(), bench.clients, measured.seconds)),
            ("Operations", format!("{total}, {:.0} per second", per_second(total))),
            ("Failed", failed),
        ]);
        let mut columns = Columns::new(["OPERATION", "COUNT", "PER SECOND", "P50 MS", "P99 MS", "MAX MS"]);
        for (kind, times) in kinds() {
            columns.row([
                kind.name().to_owned(),
                times.count().to_string(),
                format!("{:.0}", per_second(times.count())),
                format!("{:.2}", milliseconds(times.quantile(0.5))),
                format!("{:.2}", milliseconds(times.quantile(0.99))),
                format!("{:.2}", milliseconds(times.max())),
            ]);
        }
        format!("{head}\n{}", columns.finish())
    })
}
