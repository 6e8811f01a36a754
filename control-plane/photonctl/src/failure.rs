//! Why a command failed, in words that say what to do, and as the number that scripts look at.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use photondb_proto::convert::ConvertError;
use tonic::{Code, Status, TimeoutExpired};

use crate::client::Address;
use crate::javascript::SyntaxError;
use crate::output::printable;
use crate::tls::TlsError;
use crate::transport::Met;

const DONE: u8 = 0;
/// The exit code of everything that is not named below.
const FAILED: u8 = 1;
/// The command line, or the query on it, is wrong; or options do not go together, or name files that are of no use.
const USAGE: u8 = 2;
/// Nobody answers at the address.
const CANNOT_CONNECT: u8 = 3;
/// Somebody answers, and does not let the user in.
const DENIED: u8 = 4;
/// It took too long.
const TIMED_OUT: u8 = 5;
/// Everything was answered, and what was asked for is not well.
const UNHEALTHY: u8 = 6;

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection comes about.
    #[error("cannot reach {address}: {}; is photondb running there? (--address)", Reason(source))]
    Unreachable {
        /// Where.
        address: Address,
        /// What the system says.
        source: tonic::transport::Error,
    },
    /// No connection comes about with any of several.
    #[error("none of the nodes can be asked: {}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NobodyThere {
        /// Why, for each.
        failures: Vec<Failure>,
    },
    /// A connection, or its answer, takes too long.
    #[error("no answer from {address} within {} s; is photondb well there? (--address, --timeout)", seconds(limit))]
    Late {
        /// From where.
        address: Address,
        /// How long it was waited for.
        limit: Duration,
    },
    /// Somebody is there who does not speak gRPC, or who went away.
    #[error("{address} breaks off: {}; is this the cluster port of photondb? (--address)", Broken(source))]
    BrokenOff {
        /// Who.
        address: Address,
        /// How.
        source: Status,
    },
    /// The two sides do not come to speak the same, or do not believe each other.
    #[error("cannot speak with {address}: {}", Explained(met))]
    Transport {
        /// Whom.
        address: Address,
        /// What was met.
        met: Met,
    },
    /// The options about TLS cannot be followed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The node says no.
    #[error("{address} refuses: {}{}", printable(status.message()), hint(status.code()))]
    Refused {
        /// Who.
        address: Address,
        /// Why.
        status: Status,
    },
    /// The node could not do it.
    #[error("{address} failed: {} ({:?})", printable(status.message()), status.code())]
    Failed {
        /// Who.
        address: Address,
        /// Why.
        status: Status,
    },
    /// The node says what cannot be.
    #[error("{address} gives an answer that cannot be right: {source}")]
    Malformed {
        /// Who.
        address: Address,
        /// What is wrong with it.
        source: ConvertError,
    },
    /// The node says what cannot be, to a query.
    #[error("{address} gives an answer that cannot be right: {what}")]
    Strange {
        /// Who.
        address: Address,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The database says no to a query, in its own words.
    #[error("{}: {}", kind, message.lines().map(printable).collect::<Vec<_>>().join("\n"))]
    Query {
        /// What drivers call the error.
        kind: &'static str,
        /// Its words.
        message: String,
        /// Whether the user may not.
        is_denied: bool,
    },
    /// There is nothing of that name.
    #[error("{what}")]
    Absent {
        /// What there is not, and how to find what there is.
        what: String,
    },
    /// A query that is no expression.
    #[error("the query cannot be read: {0}")]
    Syntax(#[from] SyntaxError),
    /// A command that cannot be what was meant.
    #[error("{0} (--help)")]
    Usage(&'static str),
    /// An option that names no key.
    #[error("--at is {0}")]
    Key(String),
    /// What is asked for cannot be had.
    #[error("{0}")]
    Impossible(&'static str),
    /// What is to be read cannot be.
    #[error("{what} cannot be read: {source}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The answer cannot be written.
    #[error("the answer cannot be written: {0}")]
    Unwritable(io::Error),
    /// The driver port cannot be used.
    #[error(
        "the driver port {port} at the host of {address} cannot be used: {source} (--driver-port; TLS is not spoken)"
    )]
    DriverPort {
        /// Where.
        address: Address,
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// No operation of a load succeeded.
    #[error("no operation succeeded; the first failed with: {}", printable(message))]
    Bench {
        /// How the first failed.
        message: String,
    },
    /// What was begun is not done yet; it goes on.
    #[error("not done within {} s: {what}; it goes on, ask again to wait for it (--wait)", seconds(limit))]
    Unfinished {
        /// What is left.
        what: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A change of a table has been made, and it is not known to be carried out yet; asking again would choose anew.
    #[error("{}, and `photonctl table wait {table}` waits for it (--wait)", GoesOn(table, failure))]
    Underway {
        /// Which table.
        table: String,
        /// The answer to the change, which is printed all the same.
        text: String,
        /// Why it is not known.
        failure: Box<Failure>,
    },
    /// The node at the address cannot tell the end of it.
    #[error("server `{name}` is the one at {address}; ask another one, which will be there afterwards (--address)")]
    AskAnother {
        /// Which node.
        name: String,
        /// Where it was asked.
        address: Address,
    },
    /// The cluster is not well. What is wrong stands in the answer.
    #[error("the cluster is not healthy")]
    Unhealthy {
        /// The answer.
        text: String,
    },
    /// The system does not let the program work.
    #[error("cannot start: {0}")]
    Start(io::Error),
}

impl Failure {
    /// What an answer other than the one that was hoped for means.
    pub fn of_status(address: &Address, limit: Duration, status: Status) -> Failure {
        let address = address.clone();
        match status.code() {
            Code::DeadlineExceeded => Failure::Late { address, limit },
            // How a node ends a call whose deadline has passed, and how this side does.
            Code::Cancelled if status.source().is_none_or(|source| innermost(source).is::<TimeoutExpired>()) => {
                Failure::Late { address, limit }
            }
            // What the transport makes of bytes that it cannot read has a source, or one of these codes, which no node gives.
            _ if status.source().is_some() => Failure::BrokenOff { address, source: status },
            Code::Internal | Code::Unknown => Failure::BrokenOff { address, source: status },
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::InvalidArgument
            | Code::Unimplemented => Failure::Refused { address, status },
            _ => Failure::Failed { address, status },
        }
    }

    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::NobodyThere { failures } if failures.iter().all(|failure| failure.exit_code() == TIMED_OUT) => {
                TIMED_OUT
            }
            Failure::Unreachable { .. }
            | Failure::NobodyThere { .. }
            | Failure::BrokenOff { .. }
            | Failure::Transport { .. }
            | Failure::DriverPort { .. } => CANNOT_CONNECT,
            Failure::Tls(_) => USAGE,
            Failure::Late { .. } | Failure::Unfinished { .. } => TIMED_OUT,
            Failure::Underway { failure, .. } => failure.exit_code(),
            Failure::Refused { status, .. } if is_denied(status.code()) => DENIED,
            Failure::Query { is_denied: true, .. } => DENIED,
            Failure::Unhealthy { .. } => UNHEALTHY,
            Failure::Syntax(_) | Failure::Usage(_) | Failure::Key(_) => USAGE,
            // Whoever reads has read enough, as `head` does.
            Failure::Unwritable(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
            // It starts, or waits for others: whoever asks again later may get an answer.
            Failure::Failed { status, .. } if status.code() == Code::Unavailable => CANNOT_CONNECT,
            Failure::Impossible(_)
            | Failure::Refused { .. }
            | Failure::Failed { .. }
            | Failure::Malformed { .. }
            | Failure::AskAnother { .. }
            | Failure::Strange { .. }
            | Failure::Query { .. }
            | Failure::Absent { .. }
            | Failure::Bench { .. }
            | Failure::Unreadable { .. }
            | Failure::Unwritable(_)
            | Failure::Start(_) => FAILED,
        }
    }

    /// Whether somebody who asks the same again may get an answer: it lies neither with what is asked, nor with who asks.
    pub fn may_pass(&self) -> bool {
        !matches!(self.exit_code(), USAGE | DENIED)
            && !matches!(self, Failure::Unwritable(_) | Failure::Unreadable { .. })
    }

    /// Whether there is nothing to complain about.
    pub fn is_silent(&self) -> bool {
        self.exit_code() == DONE
    }

    /// What is printed all the same.
    pub fn text(&self) -> Option<&str> {
        match self {
            Failure::Unhealthy { text } | Failure::Underway { text, .. } => Some(text),
            _ => None,
        }
    }
}

fn is_denied(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied)
}

fn hint(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => " (--user, --password)",
        Code::PermissionDenied => " (--user)",
        Code::Unimplemented => " (is it of another version?)",
        _ => "",
    }
}

fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(inner) = error.source() {
        error = inner;
    }
    error
}

/// The innermost cause: the outer ones say "transport error" in several ways.
struct Reason<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = innermost(self.0);
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => f.write_str("connection refused"),
            Some(io::ErrorKind::ConnectionReset) => f.write_str("connection reset"),
            Some(io::ErrorKind::TimedOut) => f.write_str("timed out"),
            Some(io::ErrorKind::NetworkUnreachable) => f.write_str("network unreachable"),
            Some(io::ErrorKind::HostUnreachable) => f.write_str("host unreachable"),
            _ => f.write_str(&printable(&cause.to_string())),
        }
    }
}

/// What has become of a change of a table that was made.
struct GoesOn<'a>(&'a str, &'a Failure);

impl fmt::Display for GoesOn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GoesOn(table, failure) = self;
        match failure {
            Failure::Late { limit, .. } => {
                write!(f, "table `{table}` is not ready within {} s: its change goes on", seconds(limit))
            }
            other => write!(f, "{other}; the change of table `{table}` was accepted before that and goes on"),
        }
    }
}

/// As long as it is, to a thousandth.
fn seconds(limit: &Duration) -> String {
    let text = format!("{:.3}", limit.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What to do about it.
struct Explained<'a>(&'a Met);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Met::Tls => f.write_str("it speaks TLS (--tls, --tls-ca)"),
            Met::NoTls => f.write_str("it does not speak TLS; is TLS configured there, and this its cluster port?"),
            Met::Certificate(reason) => {
                write!(f, "its certificate is not to be believed: {} (--tls-ca, --tls-server-name)", printable(reason))
            }
            Met::Refusal(reason) => {
                write!(f, "it does not believe this side: {} (--tls-cert, --tls-key)", printable(reason))
            }
        }
    }
}

/// Why the transport gave up.
struct Broken<'a>(&'a Status);

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => Reason(source).fmt(f),
            None => f.write_str(&printable(self.0.message())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: Status) -> Failure {
        let address = "127.0.0.1:29015".parse().expect("an address");
        Failure::of_status(&address, Duration::from_secs(2), status)
    }

    #[test]
    fn exit_codes_tell_refusals_from_other_failures() {
        let cases = [
            (Status::unauthenticated("wrong"), 4),
            (Status::permission_denied("no"), 4),
            (Status::failed_precondition("messages of version 2"), 1),
            (Status::not_found("no such server"), 1),
            (Status::unimplemented(""), 1),
            (Status::deadline_exceeded("late"), 5),
            (Status::cancelled("Timeout expired"), 5),
            (Status::internal("protocol error"), 3),
            (Status::resource_exhausted("full"), 1),
            (Status::out_of_range("too large"), 1),
        ];
        for (status, code) in cases {
            assert_eq!(of(status.clone()).exit_code(), code, "{status}");
        }
    }

    #[test]
    fn nobody_there_is_five_when_all_were_waited_for_in_vain() {
        let nobody = |failures: Vec<Failure>| Failure::NobodyThere { failures }.exit_code();
        let (late, broken) = (|| of(Status::deadline_exceeded("late")), || of(Status::internal("protocol error")));
        assert_eq!(nobody(vec![late(), late()]), 5);
        assert_eq!(nobody(vec![late(), broken()]), 3);
        assert_eq!(nobody(vec![broken(), broken()]), 3);
    }

    #[test]
    fn a_time_is_said_with_its_fraction() {
        for (millis, expected) in
            [(500, "within 0.5 s"), (1_000, "within 1 s"), (10_000, "within 10 s"), (333, "within 0.333 s")]
        {
            let address = "h".parse().expect("an address");
            let said = Failure::Late { address, limit: Duration::from_millis(millis) }.to_string();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn whatever_goes_wrong_behind_a_change_that_was_made_it_is_said_that_it_was() {
        let underway = |failure| {
            let failure = Failure::Underway { table: "d.t".into(), text: "places".into(), failure: Box::new(failure) };
            assert_eq!(failure.text(), Some("places"));
            (failure.exit_code(), failure.to_string())
        };
        let goes_on = "goes on, and `photonctl table wait d.t` waits for it (--wait)";
        let (code, said) = underway(of(Status::deadline_exceeded("late")));
        assert_eq!((code, said), (5, format!("table `d.t` is not ready within 2 s: its change {goes_on}")));
        let (code, said) = underway(of(Status::unavailable("the node is stopping")));
        assert!(code == 3 && said.contains("the node is stopping") && said.contains("was accepted"), "{said}");
        assert!(said.ends_with(goes_on), "{said}");
    }

    #[test]
    fn what_a_node_says_cannot_move_the_cursor() {
        let said = of(Status::unauthenticated("a\u{1b}[2Jb\n")).to_string();
        assert_eq!(said, "127.0.0.1:29015 refuses: a?[2Jb? (--user, --password)");
    }
}
