//! From the texts of options to values.

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::thread::available_parallelism;
use std::time::Duration;

use photondb_controller::limits::NODE_LOST_AFTER;
use photondb_replica::SplitPolicy;

use super::{Bind, ClusterSecret, ConfigError, Given, InitialPassword, LogFormat, memory, options};
use crate::fetch::Reach;
use crate::limits::{
    CACHE_BYTES_MIN, CLUSTER_SECRET_BYTES_MAX, CLUSTER_SECRET_BYTES_MIN, SERVER_NAME_BYTES_MAX, SHARD_BYTES_MAX,
    SHARD_BYTES_MAX_MIN, SHARD_READS_MAX, SHARD_WRITES_MAX, WORKER_THREADS_MAX,
};
use crate::scripts::ScriptProgram;

const KIB: u64 = 1024;

fn invalid(option: &str, value: &str, expected: &'static str) -> ConfigError {
    match options::find(option) {
        Ok(option) => ConfigError::Invalid { option: option.name, value: value.to_owned(), expected },
        Err(unknown) => unknown,
    }
}

pub(super) fn flag(given: &Given, option: &str) -> Result<bool, ConfigError> {
    let Some(value) = given.last(option) else { return Ok(false) };
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(invalid(option, value, "true or false")),
    }
}

pub(super) fn number<N: FromStr>(given: &Given, option: &str) -> Result<Option<N>, ConfigError> {
    given.last(option).map(|value| value.parse().map_err(|_| invalid(option, value, "a number in range"))).transpose()
}

pub(super) fn port(given: &Given, option: &str, default: u16, offset: u16) -> Result<u16, ConfigError> {
    match number::<u16>(given, option)?.unwrap_or(default) {
        0 => Ok(0),
        port => port
            .checked_add(offset)
            .ok_or_else(|| invalid("port-offset", &offset.to_string(), "small enough: a port would be above 65535")),
    }
}

pub(super) fn bind(given: &Given, option: &str, default: Bind) -> Result<Bind, ConfigError> {
    let mut addresses = Vec::new();
    for value in given.all(option) {
        if value == "all" {
            return Ok(Bind::All);
        }
        let value = if value == "localhost" { "127.0.0.1" } else { value };
        addresses.push(value.parse::<IpAddr>().map_err(|_| invalid(option, value, "`all` or an IP address"))?);
    }
    match addresses {
        addresses if addresses.is_empty() => Ok(default),
        addresses if addresses.iter().all(|address| address.is_loopback()) => Ok(Bind::Loopback),
        mut addresses => {
            if addresses.iter().any(IpAddr::is_unspecified) {
                return Ok(Bind::All);
            }
            // As RethinkDB does: the machine itself is never locked out.
            addresses.push(IpAddr::from([127, 0, 0, 1]));
            Ok(Bind::Addresses(addresses))
        }
    }
}

/// What the file holds without white space at its ends. Errors: it cannot be read, or it is too short to be a secret.
pub(super) fn cluster_secret(given: &Given) -> Result<Option<ClusterSecret>, ConfigError> {
    let Some(path) = given.last("cluster-secret-file").map(Path::new) else { return Ok(None) };
    let refused = |reason: String| ConfigError::Secret { path: path.to_owned(), reason };
    let mut found = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(CLUSTER_SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut found))
        .map_err(|error| refused(error.to_string()))?;
    let secret = found.trim_ascii();
    if !(CLUSTER_SECRET_BYTES_MIN..=CLUSTER_SECRET_BYTES_MAX).contains(&secret.len()) {
        let least = CLUSTER_SECRET_BYTES_MIN;
        return Err(refused(format!(
            "{least} to {CLUSTER_SECRET_BYTES_MAX} bytes are wanted, it has {}",
            secret.len()
        )));
    }
    Ok(Some(ClusterSecret(secret.to_vec())))
}

pub(super) fn server_name(given: &Given) -> Result<Option<String>, ConfigError> {
    let Some(value) = given.last("server-name") else { return Ok(None) };
    // A node id from a chart or a host name may hold dots; a server's name may not.
    let name = value.replace('.', "_");
    if is_name(&name) {
        Ok(Some(name))
    } else {
        Err(invalid("server-name", value, "a name of letters, digits, _ and -"))
    }
}

pub(super) fn tags(given: &Given) -> Result<Vec<String>, ConfigError> {
    let mut tags = Vec::new();
    for value in given.all("server-tag").iter().flat_map(|value| value.split(',')) {
        if !is_name(value) {
            return Err(invalid("server-tag", value, "a name of letters, digits, _ and -"));
        }
        if !tags.iter().any(|tag| tag == value) {
            tags.push(value.to_owned());
        }
    }
    Ok(tags)
}

/// Whether a server or a tag may be called so.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=SERVER_NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// What one query may hold, in bytes.
pub(super) fn query_bytes(cache_bytes: u64) -> usize {
    usize::try_from(memory::query_bytes(cache_bytes)).unwrap_or(usize::MAX)
}

/// What all queries may hold together, in bytes.
pub(super) fn all_queries_bytes(cache_bytes: u64) -> usize {
    usize::try_from(memory::all_queries_bytes(cache_bytes)).unwrap_or(usize::MAX)
}

pub(super) fn cache_bytes(given: &Given) -> Result<u64, ConfigError> {
    let value = given.last("cache-size").unwrap_or("auto");
    if value == "auto" {
        return Ok(memory::cache_bytes_auto());
    }
    let bytes = size(value)
        .ok_or_else(|| invalid("cache-size", value, "`auto`, a number of mebibytes, or a size such as 512MiB or 2G"))?;
    if bytes < CACHE_BYTES_MIN {
        return Err(invalid("cache-size", value, "at least 8 mebibytes"));
    }
    Ok(bytes)
}

pub(super) fn split_policy(given: &Given) -> Result<SplitPolicy, ConfigError> {
    let bytes_max = match given.last("shard-size-max") {
        None => Some(SHARD_BYTES_MAX),
        Some("off") => None,
        Some(value) => Some(size(value).filter(|bytes| *bytes >= SHARD_BYTES_MAX_MIN).ok_or_else(|| {
            invalid(
                "shard-size-max",
                value,
                "`off`, a number of mebibytes, or a size such as 512MiB or 2G, of 64 KiB or more",
            )
        })?),
    };
    let writes_max = in_each_second(given, "shard-writes-max", SHARD_WRITES_MAX)?;
    let reads_max = in_each_second(given, "shard-reads-max", SHARD_READS_MAX)?;
    Ok(SplitPolicy { bytes_max, writes_max, reads_max })
}

/// How many documents in a second are too many for one shard. `None`: any number may be.
fn in_each_second(given: &Given, option: &str, built_in: u64) -> Result<Option<u64>, ConfigError> {
    match given.last(option) {
        None => Ok(Some(built_in)),
        Some("off") => Ok(None),
        Some(value) => match value.parse() {
            Ok(documents) if documents > 0 => Ok(Some(documents)),
            _ => Err(invalid(option, value, "`off`, or a number of documents in each second, 1 or more")),
        },
    }
}

pub(super) fn node_lost_after(given: &Given) -> Result<Option<Duration>, ConfigError> {
    match given.last("node-lost-after") {
        None => Ok(Some(NODE_LOST_AFTER)),
        Some("off") => Ok(None),
        Some(value) => match value.parse().ok().filter(|seconds| *seconds > 0) {
            Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
            None => Err(invalid("node-lost-after", value, "`off`, or a number of seconds, 1 or more")),
        },
    }
}

/// A size in bytes. A bare number is mebibytes, as in RethinkDB; a unit is a power of 1024, `B` a byte.
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "b" => 1,
        "k" | "kb" | "kib" => KIB,
        "" | "m" | "mb" | "mib" => KIB.pow(2),
        "g" | "gb" | "gib" => KIB.pow(3),
        "t" | "tb" | "tib" => KIB.pow(4),
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

pub(super) fn initial_password(given: &Given) -> InitialPassword {
    match given.last("initial-password") {
        None | Some("") => InitialPassword::None,
        Some("auto") => InitialPassword::Auto,
        Some(password) => InitialPassword::Given(password.to_owned()),
    }
}

/// Whether scripts are allowed; which program runs them is known to the program alone.
pub(super) fn scripts(given: &Given) -> Result<ScriptProgram, ConfigError> {
    Ok(if flag(given, "no-javascript")? { ScriptProgram::Off } else { ScriptProgram::Missing })
}

pub(super) fn http_client(given: &Given) -> Result<Option<Reach>, ConfigError> {
    let networks = given.all("allow-http-to").iter().flat_map(|value| value.split(','));
    let mut reach = Reach::default();
    for value in networks {
        let network = value.trim().parse();
        reach.add(
            network.map_err(|_| {
                invalid("allow-http-to", value, "a network such as 10.0.0.0/8, an IP address, or `all`")
            })?,
        );
    }
    match (flag(given, "allow-http")?, given.last("allow-http-to")) {
        (true, _) => Ok(Some(reach)),
        (false, None) => Ok(None),
        (false, Some(value)) => Err(invalid("allow-http-to", value, "given together with `--allow-http`")),
    }
}

pub(super) fn worker_threads(given: &Given) -> Result<usize, ConfigError> {
    match number::<usize>(given, "cores")? {
        Some(threads) if (1..=WORKER_THREADS_MAX).contains(&threads) => Ok(threads),
        Some(threads) => Err(invalid("cores", &threads.to_string(), "a number from 1 to 1024")),
        None => Ok(available_parallelism().map_or(1, usize::from).min(WORKER_THREADS_MAX)),
    }
}

pub(super) fn log_format(given: &Given) -> Result<LogFormat, ConfigError> {
    match given.last("log-format") {
        None | Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => Err(invalid("log-format", other, "`text` or `json`")),
    }
}
