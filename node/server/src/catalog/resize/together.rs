//! Which neighbouring shards of a table become one, so that there are fewer.

use photondb_cluster_state::{Shard, Stage, Table};
use photondb_query::table::ReadMode;
use photondb_replica::ShardTable;
use photondb_replica::table::Share;
use photondb_reql::error::Result;

/// The shards of a table in the order of their keys, and how many of them become one each. Of each the first one stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Together<'a>(pub Vec<Vec<&'a Shard>>);

impl<'a> Together<'a> {
    /// What there is when the joins have come to their end that nobody takes back any more. Those that are only wished for are forgotten.
    pub fn begun(table: &'a Table) -> Together<'a> {
        let mut together: Vec<Vec<&Shard>> = Vec::new();
        for shard in &table.shards {
            match together.last_mut().filter(|_| shard.joining.is_some_and(Stage::binds)) {
                Some(left) => left.push(shard),
                None => together.push(vec![shard]),
            }
        }
        Together(together)
    }

    /// At most `wanted`, with documents as even as they can be without a cut.
    pub fn at_most(self, wanted: usize, table: &ShardTable) -> Result<Together<'a>> {
        if wanted >= self.0.len() {
            return Ok(self);
        }
        // Of one nothing is to be chosen.
        let shares = if wanted > 1 { table.shares(ReadMode::Single)? } else { Vec::new() };
        let documents: Vec<u64> = self.0.iter().map(|part| documents_of(&shares, part)).collect();
        let mut parts = self.0.into_iter();
        let joined = even(&documents, wanted).into_iter().map(|count| parts.by_ref().take(count).flatten().collect());
        Ok(Together(joined.collect()))
    }

    /// Those that stay.
    pub fn first(&self) -> impl Iterator<Item = &'a Shard> + '_ {
        self.0.iter().filter_map(|part| part.first().copied())
    }
}

fn documents_of(shares: &[Share], part: &[&Shard]) -> u64 {
    let has = |shard: &&Shard| shares.iter().find(|share| share.shard == shard.id).map_or(0, |share| share.documents);
    part.iter().map(has).sum()
}

/// How many neighbours become one each, so that there are `wanted`: the sum of the squares of their documents is the least; of equal ones
/// that of their numbers.
fn even(documents: &[u64], wanted: usize) -> Vec<usize> {
    let cost = |from: usize, to: usize| {
        let sum: u128 = documents[from..to].iter().map(|documents| u128::from(*documents)).sum();
        (sum.saturating_mul(sum), (to - from) * (to - from))
    };
    let count = documents.len();
    // Of so many shards that come first: the best way to make so many of them.
    let mut best: Vec<Option<Parts>> = vec![None; count + 1];
    best[0] = Some(Parts::default());
    for _ in 0..wanted {
        let with = |to: usize| {
            let extended = |from: usize| best[from].as_ref().map(|parts| parts.and(to - from, cost(from, to)));
            (0..to).filter_map(extended).min()
        };
        best = (0..=count).map(with).collect();
    }
    best.pop().flatten().map(|parts| parts.counts).unwrap_or_default()
}

/// Some shards as they become one each. What is better is less.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Parts {
    /// The sum of the squares of their documents.
    documents: u128,
    /// That of the squares of their numbers.
    shards: usize,
    counts: Vec<usize>,
}

impl Parts {
    fn and(&self, count: usize, (documents, shards): (u128, usize)) -> Parts {
        let counts = self.counts.iter().copied().chain([count]).collect();
        Parts { documents: self.documents.saturating_add(documents), shards: self.shards + shards, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_that_are_small() {
        assert_eq!(even(&[5, 5, 5, 5], 2), [2, 2]);
        assert_eq!(even(&[90, 5, 5, 0], 2), [1, 3]);
        assert_eq!(even(&[1, 1, 1, 1, 96], 3), [2, 2, 1]);
        assert_eq!(even(&[10, 10, 80, 10, 10], 3), [2, 1, 2]);
        assert_eq!(even(&[7, 8, 9], 1), [3]);
        assert_eq!(even(&[7, 8, 9], 3), [1, 1, 1]);
    }

    #[test]
    fn shards_without_documents_are_divided_by_their_number() {
        assert_eq!(even(&[0; 8], 4), [2, 2, 2, 2]);
        let parts = even(&[0; 64], 5);
        assert_eq!((parts.len(), parts.iter().sum::<usize>()), (5, 64));
        assert!(parts.iter().all(|part| (12..=13).contains(part)), "{parts:?}");
        assert_eq!(even(&[u64::MAX; 64], 2), [32, 32]);
    }
}
