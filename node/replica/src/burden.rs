//! What this node bears, as it tells others: how much it stores, and how much it has had to do lately.

use std::collections::BTreeMap;

use photondb_cluster_state::plan::Burden;
use photondb_proto::MemberId;
use photondb_runtime::clock::Moment;

use crate::limits::BURDEN_AVERAGED_OVER;
use crate::reconcile::Replicas;

/// How much the members of a node do, on an average in which what is long ago counts less and less.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// When it was asked last, and what each member had done by then since it was started.
    last: Option<(Moment, BTreeMap<MemberId, u64>)>,
    per_second: f64,
}

impl Meter {
    /// Goes on to this moment, at which the members that run have done so much since they were started. A member that is seen for the
    /// first time tells nothing yet: it may have applied an old log.
    fn look(&mut self, now: Moment, done: BTreeMap<MemberId, u64>) -> f64 {
        let (at, before) = self.last.get_or_insert_with(|| (now, done.clone()));
        let seconds = now.since(*at).as_secs_f64();
        if seconds > 0.0 {
            let more = |(member, done): (&MemberId, &u64)| done.saturating_sub(*before.get(member).unwrap_or(done));
            let rate = done.iter().map(more).sum::<u64>() as f64 / seconds;
            // Of basic operations only, so that it is the same everywhere: it nears the rate as an exponential average does.
            self.per_second += (rate - self.per_second) * seconds / (BURDEN_AVERAGED_OVER.as_secs_f64() + seconds);
            self.last = Some((now, done));
        }
        self.per_second
    }
}

impl Replicas {
    /// What this node bears. It is the more exact the more often it is asked for, about once a second.
    pub fn burden(&self) -> Burden {
        let tables = self.tables();
        let replicas = tables.values().flat_map(|table| table.shards());
        let done = replicas.map(|replica| (replica.member, replica.shard.traffic().total())).collect();
        let work = self.meter.lock().look(self.groups.now(), done);
        Burden { bytes: self.engine.metrics().page_file_used_bytes, work: work.round() as u64 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn done(members: &[(u64, u64)]) -> BTreeMap<MemberId, u64> {
        members.iter().map(|(member, done)| (MemberId(*member), *done)).collect()
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_steady_pace_is_told_after_a_while_and_forgotten_after_a_while() {
        let mut meter = Meter::default();
        assert_eq!(meter.look(at(0), done(&[(1, 500_000)])), 0.0, "what was done before is not of late");
        let mut total = 500_000;
        let mut told = Vec::new();
        for second in 1..=240 {
            total += if second <= 120 { 1_000 } else { 0 };
            told.push(meter.look(at(second), done(&[(1, total)])));
        }
        assert!((30.0..35.0).contains(&told[0]), "one second alone says little: {}", told[0]);
        assert!((600.0..650.0).contains(&told[29]), "{}", told[29]);
        assert!((950.0..1_000.0).contains(&told[119]), "{}", told[119]);
        assert!(told[239] < 50.0, "{}", told[239]);
    }

    #[test]
    fn members_are_added_up_and_those_that_come_and_go_leap_nowhere() {
        let mut meter = Meter::default();
        meter.look(at(0), done(&[(1, 0), (2, 70)]));
        // For so long that the average is what was done since.
        let long = 1_000_000;
        let about = |told: f64| told.round() as u64;
        assert_eq!(about(meter.look(at(long), done(&[(1, 3 * long), (2, 70 + 4 * long)]))), 7);
        let third = 1_000_000_000_000;
        assert_eq!(about(meter.look(at(2 * long), done(&[(1, 5 * long), (3, third)]))), 2);
        // The first one was started again meanwhile.
        assert_eq!(about(meter.look(at(3 * long), done(&[(1, 10), (3, third + 9 * long)]))), 9);
    }

    #[test]
    fn who_asks_twice_at_one_moment_changes_nothing() {
        let mut meter = Meter::default();
        meter.look(at(0), done(&[(1, 0)]));
        let told = meter.look(at(30), done(&[(1, 3_000)]));
        assert_eq!(told, 50.0);
        assert_eq!(meter.look(at(30), done(&[(1, 3_050)])), told);
        assert_eq!(meter.look(at(60), done(&[(1, 6_000)])), 75.0, "what came in between is not lost");
    }
}
