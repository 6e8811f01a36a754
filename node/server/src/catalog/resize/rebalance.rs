//! Boundaries that move, so that a table's shards have about as many documents each: what is too large is cut, and what is too small is
//! joined to its left neighbour. A boundary that is near to where one should be stays.

use photondb_cluster_state::limits::SHARDS_PER_TABLE_MAX;
use photondb_cluster_state::{NewCut, Table};
use photondb_query::table::ReadMode;
use photondb_replica::ShardTable;
use photondb_replica::table::Share;
use photondb_reql::error::Result;

use super::{Resize, Unplanned, Unsettled, check_known, check_settled};

type Planned = std::result::Result<Resize, Unplanned>;

/// A boundary stays that is off by at most this part of a shard's documents.
const TOLERANCE: u64 = 20;

/// Into how many parts a shard is divided to find where it is cut.
const PARTS_MAX: usize = 256;

impl Resize {
    /// Nothing where it is even as it is, or where there are fewer documents than shards.
    ///
    /// Errors: shards are being split or joined; the documents change so fast that nobody knows where to cut.
    pub fn rebalance(stored: &Table, table: &ShardTable) -> Planned {
        check_settled(stored)?;
        if stored.shards.len() < 2 {
            return Ok(Resize::default());
        }
        let shares = table.shares(ReadMode::Single)?;
        Resize::with_documents(stored, &shares, |share, parts| table.divide(share.shard, parts))
    }

    pub(super) fn with_documents(
        stored: &Table,
        shares: &[Share],
        divide: impl Fn(&Share, usize) -> Result<Vec<Vec<u8>>>,
    ) -> Planned {
        check_known(stored, shares)?;
        let documents: Vec<u64> = shares.iter().map(|share| share.documents).collect();
        if documents.iter().sum::<u64>() < documents.len() as u64 {
            return Ok(Resize::default());
        }
        Resize::with_boundaries(stored, shares, &boundaries(&documents), divide)
    }

    fn with_boundaries(
        stored: &Table,
        shares: &[Share],
        boundaries: &[Boundary],
        divide: impl Fn(&Share, usize) -> Result<Vec<Vec<u8>>>,
    ) -> Planned {
        let mut resize = Resize::default();
        let (first, others) = stored.shards.split_first().ok_or_else(changed)?;
        resize.stay.push((first.id, first.placement.clone()));
        // The shards that there will be have the places of those that there are, in the same order.
        let mut placements = others.iter().map(|shard| shard.placement.clone());
        let mut cut_at: Vec<Vec<NewCut>> = vec![Vec::new(); shares.len()];
        let mut divided = vec![None; shares.len()];
        for boundary in boundaries {
            let placement = placements.next().ok_or_else(changed)?;
            match *boundary {
                Boundary::Stays(shard) => resize.stay.push((stored.shards[shard].id, placement)),
                Boundary::Cut { shard, behind } => {
                    let share = &shares[shard];
                    let parts = usize::try_from(share.documents).map_or(PARTS_MAX, |all| all.min(PARTS_MAX));
                    let keys = match &mut divided[shard] {
                        Some(keys) => keys,
                        none => none.insert(divide(share, parts)?),
                    };
                    let part = u128::from(behind) * parts as u128 / u128::from(share.documents);
                    let part = usize::try_from(part).unwrap_or(PARTS_MAX).max(1);
                    let at = keys.get(part - 1).ok_or_else(changed)?.clone();
                    cut_at[shard].push(NewCut { at, placement });
                }
            }
        }
        for (share, cuts) in shares.iter().zip(cut_at) {
            let ascend = cuts.windows(2).all(|pair| pair[0].at < pair[1].at);
            if !ascend
                || cuts.iter().any(|cut| cut.at.as_slice() <= share.range.start() || !share.range.contains(&cut.at))
            {
                return Err(changed());
            }
            if !cuts.is_empty() {
                resize.cut.push((share.shard, cuts));
            }
        }
        Ok(resize)
    }
}

/// It is looked again.
fn changed() -> Unplanned {
    Unsettled::Changing.into()
}

/// Where a shard is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boundary {
    /// Where that one begins, counted in the order of keys.
    Stays(usize),
    /// Within one, behind so many of its documents.
    Cut { shard: usize, behind: u64 },
}

/// Where as many shards begin as there are, but for the first one, so that each has about as many documents. There are never more shards
/// on the way than a table may have.
fn boundaries(documents: &[u64]) -> Vec<Boundary> {
    let shards = documents.len();
    let total: u64 = documents.iter().sum();
    let begin: Vec<u64> = documents.iter().scan(0, |sum, of| Some(std::mem::replace(sum, *sum + of))).collect();
    let part = |at: u128| u64::try_from(u128::from(total) * at / shards as u128).unwrap_or(u64::MAX);
    let ideal: Vec<u64> = (1..shards as u128).map(part).collect();
    let mut tolerance = total / shards as u64 / TOLERANCE;
    let kept = loop {
        let kept = nearest(&ideal, &begin[1..], tolerance);
        if shards + kept.iter().filter(|kept| kept.is_none()).count() <= SHARDS_PER_TABLE_MAX {
            break kept;
        }
        tolerance = tolerance.saturating_mul(2).max(1);
    };
    let at = |(ideal, kept): (&u64, Option<usize>)| match kept {
        Some(number) => Boundary::Stays(number + 1),
        None => {
            let shard = begin.partition_point(|begin| begin <= ideal) - 1;
            Boundary::Cut { shard, behind: ideal - begin[shard] }
        }
    };
    ideal.iter().zip(kept).map(at).collect()
}

/// For each place the boundary that is kept for it; both ascend. As many as can be within the tolerance, and those that are nearest.
fn nearest(ideal: &[u64], there: &[u64], tolerance: u64) -> Vec<Option<usize>> {
    // For the first so many of each: how many are kept, and how far they are off in all.
    let mut best = vec![vec![(0usize, 0u128); there.len() + 1]; ideal.len() + 1];
    let off = |at: usize, to: usize| Some(ideal[at].abs_diff(there[to])).filter(|off| *off <= tolerance);
    let better = |one: (usize, u128), other: (usize, u128)| (one.0, u128::MAX - one.1) > (other.0, u128::MAX - other.1);
    for at in 1..=ideal.len() {
        for to in 1..=there.len() {
            let (one, other) = (best[at - 1][to], best[at][to - 1]);
            let mut found = if better(other, one) { other } else { one };
            if let Some(off) = off(at - 1, to - 1) {
                let (kept, far) = best[at - 1][to - 1];
                let with = (kept + 1, far + u128::from(off));
                found = if better(with, found) { with } else { found };
            }
            best[at][to] = found;
        }
    }
    let (mut at, mut to) = (ideal.len(), there.len());
    let mut kept = vec![None; ideal.len()];
    while at > 0 && to > 0 {
        if best[at][to] == best[at - 1][to] {
            at -= 1;
        } else if best[at][to] == best[at][to - 1] {
            to -= 1;
        } else {
            (at, to) = (at - 1, to - 1);
            kept[at] = Some(to);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documents of the shards that there will be.
    fn after(documents: &[u64], boundaries: &[Boundary]) -> Vec<u64> {
        let begin = |shard: usize| documents[..shard].iter().sum::<u64>();
        let at = |boundary: &Boundary| match *boundary {
            Boundary::Stays(shard) => begin(shard),
            Boundary::Cut { shard, behind } => begin(shard) + behind,
        };
        let ends: Vec<u64> = boundaries.iter().map(at).chain([documents.iter().sum()]).collect();
        ends.iter().scan(0, |last, end| Some(end - std::mem::replace(last, *end))).collect()
    }

    #[test]
    fn what_is_even_stays() {
        for documents in [&[100, 100, 100][..], &[98, 103, 99], &[1000, 1001], &[1, 1]] {
            let stays: Vec<_> = (1..documents.len()).map(Boundary::Stays).collect();
            assert_eq!(boundaries(documents), stays);
        }
    }

    #[test]
    fn what_is_large_is_cut_and_what_is_small_is_joined() {
        use Boundary::{Cut, Stays};
        assert_eq!(boundaries(&[300, 0, 0]), [Cut { shard: 0, behind: 100 }, Cut { shard: 0, behind: 200 }]);
        assert_eq!(boundaries(&[200, 100, 0]), [Cut { shard: 0, behind: 100 }, Stays(1)]);
        assert_eq!(boundaries(&[10, 90, 200]), [Stays(2), Cut { shard: 2, behind: 100 }]);
        let many: Vec<u64> = (0..30).map(|number| number * number % 17 * 50).collect();
        let (mean, after) = (many.iter().sum::<u64>() / 30, after(&many, &boundaries(&many)));
        assert!(after.iter().all(|of| of.abs_diff(mean) <= mean / 10 + 1), "{after:?}");
    }

    #[test]
    fn there_are_never_more_shards_than_a_table_may_have() {
        for shards in [33, 48, 63, 64] {
            let mut documents = vec![10; shards];
            documents[0] = 5000;
            let boundaries = boundaries(&documents);
            let cuts = boundaries.iter().filter(|boundary| matches!(boundary, Boundary::Cut { .. })).count();
            assert_eq!(boundaries.len(), shards - 1);
            assert!(shards + cuts <= SHARDS_PER_TABLE_MAX, "{cuts} cuts of {shards}");
        }
    }
}
