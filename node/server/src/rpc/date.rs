//! The date of an answer, by the node's own clock: a simulated one says its own time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{HeaderValue, Response};
use photondb_runtime::clock::Clock;

/// From here on the format has no years.
const YEAR_10000_MICROS: u64 = 253_402_300_800_000_000;

/// Gives each answer its date. What an HTTP server does when an answer has none is to ask the system.
pub(super) fn stamp<B>(clock: Arc<dyn Clock>) -> impl Fn(Response<B>) -> Response<B> + Clone {
    move |mut response| {
        if let Some(date) = header(&*clock) {
            response.headers_mut().entry(DATE).or_insert(date);
        }
        response
    }
}

fn header(clock: &dyn Clock) -> Option<HeaderValue> {
    // A clock that is set before 1970 or to another calendar says nothing, and the system says its own.
    let since = u64::try_from(clock.wall().micros).ok().filter(|micros| *micros < YEAR_10000_MICROS)?;
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_micros(since));
    HeaderValue::try_from(date).ok()
}

#[cfg(test)]
mod tests {
    use photondb_runtime::clock::{ManualClock, WallTime};

    use super::*;

    #[test]
    fn an_answer_has_the_date_of_the_nodes_clock() {
        let date = |micros| {
            let clock = ManualClock::starting_at(WallTime { micros });
            stamp(Arc::new(clock))(Response::new(())).headers().get(DATE).cloned()
        };
        assert_eq!(date(1_893_456_000_000_000).unwrap(), "Tue, 01 Jan 2030 00:00:00 GMT");
        assert_eq!((date(-1), date(i64::MAX)), (None, None));
    }
}
