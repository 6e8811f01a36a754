//! How long syncs take and how large groups are: counted in a fixed number of buckets, at the cost of a few additions.

/// How often values of each size occurred. A bucket holds the values with equally many binary digits, so a value is known
/// to within a factor of two; sum and maximum are exact.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Histogram {
    /// By the number of binary digits: 0, 1, 2 to 3, 4 to 7 and so on.
    buckets: [u64; BUCKETS],
    count: u64,
    sum: u64,
    max: u64,
}

const BUCKETS: usize = u64::BITS as usize + 1;

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, sum: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts a value.
    pub(super) fn record(&mut self, value: u64) {
        self.buckets[(u64::BITS - value.leading_zeros()) as usize] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The greatest.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// A value that at least the share `quantile` (0 to 1) of the values does not exceed, at most twice the least such
    /// value; 0 without values.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        let wanted = ((self.count as f64) * quantile.clamp(0.0, 1.0)).ceil().max(1.0);
        let mut seen = 0;
        for (upper, count) in self.buckets() {
            seen += count;
            if seen as f64 >= wanted {
                return upper.min(self.max);
            }
        }
        0
    }

    /// How many values were at most `bound`, which is one less than a power of two.
    #[must_use]
    pub fn count_up_to(&self, bound: u64) -> u64 {
        self.buckets().take_while(|(upper, _)| *upper <= bound).map(|(_, count)| count).sum()
    }

    /// Each bucket that is not empty: the greatest value it may hold, and how many it holds.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let upper = |digits: usize| u64::MAX.checked_shr(u64::BITS - digits as u32).unwrap_or(0);
        self.buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(move |(digits, count)| (upper(digits), *count))
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.buckets()).finish()
    }
}

/// What the writer measured since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalMeasurements {
    /// Nanoseconds that each sync of a segment took. Empty without a stopwatch.
    pub sync_time: Histogram,
    /// Submissions that were written and synced together, for each group.
    pub group_size: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_factor_of_two() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.count(), histogram.quantile(0.5)), (0, 0));
        for value in 1..=1000 {
            histogram.record(value);
        }
        assert_eq!((histogram.count(), histogram.sum(), histogram.max()), (1000, 500_500, 1000));
        for (quantile, exact) in [(0.0, 1), (0.01, 10), (0.5, 500), (0.9, 900), (0.99, 990), (1.0, 1000)] {
            let estimate = histogram.quantile(quantile);
            assert!((exact..=2 * exact).contains(&estimate), "{quantile}: {estimate}");
        }
    }

    #[test]
    fn every_value_has_a_bucket() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 2, 3, 4, u64::MAX] {
            histogram.record(value);
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets, [(0, 1), (1, 1), (3, 2), (7, 1), (u64::MAX, 1)]);
        assert_eq!((histogram.quantile(1.0), histogram.sum()), (u64::MAX, u64::MAX));
    }
}
