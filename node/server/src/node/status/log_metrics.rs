//! What the log measures of itself, in Prometheus's text format.
//!
//! Written here and not through the recorder: the log counts into buckets of its own, and a stream that is no longer among the
//! largest must not stay in the text for ever.

use std::fmt::Write;

use photondb_storage::wal::{Histogram, StreamId, StreamMetrics, Wal};

use crate::limits::STREAMS_SHOWN_MAX;

/// Buckets of times shown, as binary digits of their bounds in nanoseconds: 16 microseconds to 17 seconds.
const TIME_DIGITS: std::ops::RangeInclusive<u32> = 14..=34;
/// Buckets of group sizes shown: 1 to 16,383.
const SIZE_DIGITS: std::ops::RangeInclusive<u32> = 1..=14;

/// Everything below `photondb_log_` that is not a plain number.
pub(super) fn render(wal: &Wal) -> String {
    let measured = wal.measurements();
    let mut text = String::new();
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    histogram(&mut text, "photondb_log_sync_seconds", &measured.sync_time, TIME_DIGITS, &seconds);
    histogram(&mut text, "photondb_log_group_size", &measured.group_size, SIZE_DIGITS, &|size| size as f64);
    let streams = wal.stream_metrics();
    let mut line = |what: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{what}");
    };
    line(format_args!("# TYPE photondb_log_streams gauge\nphotondb_log_streams {}", streams.len()));
    line(format_args!("# TYPE photondb_log_stream_live_bytes gauge"));
    for (stream, metrics) in largest(streams) {
        line(format_args!("photondb_log_stream_live_bytes{{stream=\"{stream}\"}} {}", metrics.live_bytes));
    }
    text
}

fn largest(mut streams: Vec<(StreamId, StreamMetrics)>) -> Vec<(StreamId, StreamMetrics)> {
    let order = |(stream, metrics): &(StreamId, StreamMetrics)| (std::cmp::Reverse(metrics.live_bytes), *stream);
    if streams.len() > STREAMS_SHOWN_MAX {
        streams.select_nth_unstable_by_key(STREAMS_SHOWN_MAX, order);
        streams.truncate(STREAMS_SHOWN_MAX);
    }
    streams.sort_unstable_by_key(order);
    streams
}

fn histogram(
    text: &mut String,
    name: &str,
    histogram: &Histogram,
    digits: std::ops::RangeInclusive<u32>,
    unit: &dyn Fn(u64) -> f64,
) {
    let mut line = |what: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{what}");
    };
    line(format_args!("# TYPE {name} histogram"));
    for digits in digits {
        let bound = (1u64 << digits) - 1;
        line(format_args!("{name}_bucket{{le=\"{}\"}} {}", unit(bound), histogram.count_up_to(bound)));
    }
    line(format_args!("{name}_bucket{{le=\"+Inf\"}} {}", histogram.count()));
    line(format_args!("{name}_sum {}", unit(histogram.sum())));
    line(format_args!("{name}_count {}", histogram.count()));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use photondb_storage::wal::Record;

    use super::*;

    #[test]
    fn the_text_has_cumulative_buckets_and_the_largest_streams() {
        let wal = Wal::in_memory();
        wal.set_stopwatch(Box::new(std::time::Duration::default));
        let streams = STREAMS_SHOWN_MAX as u64 + 7;
        for stream in 1..=streams {
            let payload = Bytes::from(vec![1; 100 * stream as usize]);
            wal.submit(StreamId(stream), vec![Record::Entry { index: 0, term: 1, payload }], None);
        }
        while wal.step().expect("memory does not fail") {}
        let text = render(&wal);
        let has = |line: &str| assert!(text.lines().any(|other| other == line), "{line}: {text}");
        has("# TYPE photondb_log_sync_seconds histogram");
        has("photondb_log_sync_seconds_count 1");
        has("photondb_log_sync_seconds_bucket{le=\"+Inf\"} 1");
        has("photondb_log_group_size_bucket{le=\"15\"} 0");
        has("photondb_log_group_size_bucket{le=\"31\"} 1");
        has(&format!("photondb_log_group_size_sum {streams}"));
        has(&format!("photondb_log_streams {streams}"));
        let shown = text.lines().filter(|line| line.starts_with("photondb_log_stream_live_bytes{")).count();
        assert_eq!(shown, STREAMS_SHOWN_MAX);
        assert!(!text.contains("{stream=\"7\"}") && text.contains("{stream=\"8\"}"), "{text}");
    }
}
