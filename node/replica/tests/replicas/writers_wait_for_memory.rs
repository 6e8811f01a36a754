//! When changes have taken the memory they may, writers and index builders wait until pages were written; readers do not. When
//! pages cannot be written, writers are told so.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use crate::parts::{Parts, TABLE, on_fiber, open, start_with};
use photondb_cluster_state::{Command, apply};
use photondb_query::table::{Conflict, Table, Transition, Write, WriteOptions};
use photondb_reql::datum::Datum;
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::term;
use photondb_runtime::fiber::{self, StackSize};
use photondb_storage::EngineOptions;
use photondb_storage::disk::simulated::SimulatedDisk;

/// Long enough for whoever does not wait.
const A_WHILE: Duration = Duration::from_millis(300);

fn small_options() -> EngineOptions {
    EngineOptions { cache_bytes: 2 << 20, dirty_bytes: 512 << 10, ..crate::parts::options() }
}

/// An index on the field `id`.
fn index_definition() -> Vec<u8> {
    let Ok(term::Message::Start(start)) = term::parse(br#"[1,[69,[[2,[1]],[170,[[10,[1]],"id"]]]]]"#) else {
        panic!("a function parses");
    };
    encode_function(&compile_term(&start.term).expect("compiles"), &Cx::pure()).expect("encodes")
}

/// Writes until memory is short; nobody writes pages.
fn fill(parts: &Parts) -> u64 {
    let mut written = 0;
    while !parts.engine.is_memory_short() {
        parts.write(written, 10_000).expect("there is memory");
        written += 1;
    }
    written
}

fn write_pages(parts: &Parts) {
    while parts.engine.should_evict() {
        parts.engine.evict_step(64 << 10).expect("the disk has room");
    }
}

#[test]
fn and_go_on_when_pages_were_written() {
    let disk = SimulatedDisk::new(21);
    let parts = start_with(&disk, small_options());
    let written = fill(&parts);
    assert!(written > 20, "{written}");
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        for writer in 0..4 {
            let (parts, acknowledged) = (&parts, &acknowledged);
            scope.spawn(move || {
                parts.write(written + writer, 10_000).expect("is written in the end");
                acknowledged.fetch_add(1, Ordering::SeqCst);
            });
        }
        thread::sleep(A_WHILE);
        assert_eq!(acknowledged.load(Ordering::SeqCst), 0, "writers wait");
        assert!(parts.has(0) && parts.has(written - 1) && !parts.has(written), "readers do not");
        assert!(parts.engine.metrics().memory_waits >= 4);
        while acknowledged.load(Ordering::SeqCst) < 4 {
            write_pages(&parts);
        }
    });
    assert!((0..written + 4).all(|id| parts.has(id)));
}

#[test]
fn and_are_told_when_pages_cannot_be_written() {
    let disk = SimulatedDisk::new(22);
    let parts = start_with(&disk, small_options());
    let written = fill(&parts);
    let answered = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let error = parts.write(written, 10_000).expect_err("there is no space");
            assert!(error.contains("full") && error.contains("nothing was written"), "{error}");
            answered.store(true, Ordering::SeqCst);
        });
        thread::sleep(A_WHILE);
        assert!(!answered.load(Ordering::SeqCst), "the writer waits");
        disk.set_capacity(disk.used_bytes());
        assert!(parts.engine.evict_step(1 << 20).expect_err("no space").is_full());
    });
    assert!(answered.load(Ordering::SeqCst));
    assert!(parts.has(0) && !parts.has(written));
    disk.set_capacity(u64::MAX);
    write_pages(&parts);
    parts.write(written, 10_000).expect("there is space");
}

/// A request that is cancelled while it waits leaves nothing behind that others would wait for.
#[test]
fn and_may_give_up() {
    let disk = SimulatedDisk::new(23);
    let parts = start_with(&disk, small_options());
    let written = fill(&parts);
    let replicas = parts.replicas.clone();
    let mut waiting = Box::pin(fiber::run(StackSize::for_depth(8), move || {
        let document = crate::parts::datum(r#"{"id":0,"text":"other"}"#);
        let transition = Transition::Insert { document, conflict: Conflict::Replace };
        let write = Write { key: Datum::Number(0.0), transition };
        let _ = open(&replicas).write(vec![write], &WriteOptions::default(), &Cx::pure());
    }));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it waits");
    drop(waiting);
    write_pages(&parts);
    parts.write(written, 10).expect("there is memory");
}

#[test]
fn so_do_index_builders() {
    let disk = SimulatedDisk::new(24);
    let mut parts = start_with(&disk, small_options());
    let written = fill(&parts);
    let definition = index_definition();
    let create = Command::CreateIndex { table: TABLE, name: "text".into(), definition, multi: false, geo: false };
    apply(&mut parts.state, &create).expect("the name is free");
    parts.reconcile();
    let is_ready = |parts: &Parts| {
        let replicas = parts.replicas.clone();
        on_fiber(move || open(&replicas).indexes().expect("is there").iter().all(|index| index.ready))
    };
    thread::sleep(A_WHILE);
    assert!(!is_ready(&parts), "the builder waits");
    while !is_ready(&parts) {
        write_pages(&parts);
        thread::sleep(Duration::from_millis(5));
    }
    assert!((0..written).all(|id| parts.has(id)));
}

/// What a node that starts has to apply again is much more than memory takes, and nobody writes pages for it but itself.
#[test]
fn and_a_start_that_applies_a_long_log_writes_pages_as_it_goes() {
    let disk = SimulatedDisk::new(25);
    let parts = start_with(&disk, small_options());
    let mut written = 0;
    while written < 400 {
        while parts.engine.is_memory_short() {
            write_pages(&parts);
        }
        parts.write(written, 10_000).expect("there is memory");
        written += 1;
    }
    drop(parts);
    disk.crash();
    let parts = start_with(&disk, small_options());
    let metrics = parts.engine.metrics();
    assert!(metrics.pages_evicted > 100, "{metrics:?}");
    // A transaction of 1 MiB of log goes beyond the limit at once.
    assert!(metrics.dirty_bytes < metrics.dirty_bytes_max + (3 << 20), "{metrics:?}");
    assert!((0..written).all(|id| parts.has(id)));
}
