//! Where the shards of a new table are cut.

use photondb_cluster_state::{NewShard, Placement};
use photondb_proto::KeyRange;
use photondb_reql::datum::Datum;
use photondb_reql::key::PrimaryKey;

/// One shard for each placement. A table without documents says nothing of its keys: the ranges have equal parts of the
/// keys that are generated, UUIDs, as RethinkDB cuts them.
pub(crate) fn new_shards(placements: &[Placement]) -> Vec<NewShard> {
    let count = placements.len();
    let cut = |number: usize| generated(number, count);
    let shards = placements.iter().enumerate().map(|(number, placement)| {
        let start = if number == 0 { Vec::new() } else { cut(number) };
        let end = (number + 1 < count).then(|| cut(number + 1));
        let range = KeyRange::new(start, end).expect("cuts ascend");
        NewShard { range, placement: placement.clone() }
    });
    shards.collect()
}

/// Where the keys that are generated are cut for the `number`-th time, for `count` parts.
pub(crate) fn generated(number: usize, count: usize) -> Vec<u8> {
    let first = ((number as u64) << 32) / count as u64;
    PrimaryKey::bound(&Datum::from(format!("{first:08x}"))).expect("a short text is a key")
}

#[cfg(test)]
mod tests {
    use photondb_proto::NodeId;
    use photondb_reql::key::PrimaryKey;

    use super::*;

    #[test]
    fn shards_cover_every_key_and_share_generated_ones() {
        for count in [1, 2, 3, 7, 64] {
            let placement = Placement { voters: vec![NodeId(1)], nonvoting: [NodeId(2)].into() };
            let shards = new_shards(&vec![placement.clone(); count]);
            assert_eq!(shards.len(), count);
            assert!(shards.iter().all(|shard| shard.placement == placement), "with those that do not vote");
            assert!(shards[0].range.start().is_empty() && shards[count - 1].range.end().is_none());
            let mut held = vec![0; count];
            for number in 0..6400u64 {
                let uuid = format!("{:08x}-0000-4000-8000-000000000000", number * ((1 << 32) / 6400));
                let key = PrimaryKey::new(&Datum::from(uuid)).unwrap().bytes();
                let holds = shards.iter().position(|shard| shard.range.contains(&key)).unwrap();
                held[holds] += 1;
            }
            let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
            assert!(most - least <= 2, "{held:?}");
        }
    }
}
