//! How long operations took: counts by time, in buckets that are at most 1.6 % wide.

use std::time::Duration;

/// Buckets of each power of two: below the first 64 microseconds each has its own.
const BUCKETS_PER_POWER: u64 = 64;
/// Its logarithm.
const BUCKET_BITS: u32 = 6;

/// Microseconds, counted.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Histogram {
    /// One more operation.
    pub fn add(&mut self, time: Duration) {
        let bucket = bucket(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(time);
    }

    /// Everything of another one.
    pub fn merge(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many operations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// What this part of all operations did not exceed, such as 0.99.
    pub fn quantile(&self, part: f64) -> Duration {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                return Duration::from_micros(highest(bucket as u64)).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(time: u64) -> usize {
    let power = time.checked_ilog2().unwrap_or(0).saturating_sub(BUCKET_BITS);
    // At most 64 times 59, and the 128 of the first two powers.
    ((u64::from(power) * BUCKETS_PER_POWER) + (time >> power)) as usize
}

/// The longest time of a bucket.
fn highest(bucket: u64) -> u64 {
    let power = (bucket / BUCKETS_PER_POWER).saturating_sub(1);
    let first = bucket - power * BUCKETS_PER_POWER;
    (first << power) + ((1 << power) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_in_order() {
        let mut last = 0;
        for time in (0..100_000).chain((17..50).map(|power| (1 << power) + 12_345)) {
            let bucket = bucket(time);
            assert!(bucket >= last, "{time}");
            last = bucket;
            let highest = highest(bucket as u64);
            assert!(highest >= time && highest - time <= time / 64, "{time}: {highest}");
        }
    }

    #[test]
    fn quantiles_are_those_of_all_parts_together() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        for time in 1..=99 {
            one.add(Duration::from_micros(time));
        }
        other.add(Duration::from_millis(10));
        one.merge(&other);
        assert_eq!((one.count(), one.max()), (100, Duration::from_millis(10)));
        assert_eq!(one.quantile(0.5), Duration::from_micros(50));
        assert_eq!(one.quantile(0.99), Duration::from_micros(99));
        assert_eq!(one.quantile(1.0), Duration::from_millis(10));
        assert_eq!(Histogram::default().quantile(0.5), Duration::ZERO);
    }
}
