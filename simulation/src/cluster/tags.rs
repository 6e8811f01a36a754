//! The zones and tags of the nodes of a run.

use photondb_cluster_state::plan::{DEFAULT_TAG, ZONE_TAG_PREFIX};

use crate::random::Random;

/// Each node has one of these beside the default one, so that whoever asks for no tag may use all of them.
pub const TAGS: [&str; 2] = ["a", "b"];

/// Zones that there may be.
const ZONES: [&str; 3] = ["x", "y", "z"];

/// The tags of each of so many nodes. Two of the first three are of one tag and one is of the other, and if there are two nodes they are in two
/// zones.
pub fn draw(seed: u64, nodes: usize) -> Vec<Vec<String>> {
    // Nothing that others draw changes with it.
    let mut random = Random::new(seed ^ 0x00ad_015b);
    let zones = random.within(2..=ZONES.len() as u64) as usize;
    let of_node = |number: usize| {
        let (zone, tag) = (random.below(zones as u64) as usize, random.below(TAGS.len() as u64) as usize);
        let zone = if number < 2 { number } else { zone };
        let tag = if number < 3 { number / 2 } else { tag };
        vec![DEFAULT_TAG.to_owned(), TAGS[tag].to_owned(), format!("{ZONE_TAG_PREFIX}{}", ZONES[zone])]
    };
    (0..nodes).map(of_node).collect()
}

/// How many of the nodes have each tag.
pub fn counts<'a>(nodes: impl Iterator<Item = &'a [String]>) -> [u64; TAGS.len()] {
    let mut counts = [0; TAGS.len()];
    for tags in nodes {
        for (count, tag) in counts.iter_mut().zip(TAGS) {
            *count += u64::from(tags.iter().any(|of_node| of_node == tag));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_are_in_two_zones_and_have_both_tags_and_the_default_one() {
        for seed in 0..50 {
            let drawn = draw(seed, 3);
            let zones = drawn.iter().flatten().filter(|tag| tag.starts_with(ZONE_TAG_PREFIX));
            let zones: std::collections::BTreeSet<&String> = zones.collect();
            assert!(zones.len() >= 2, "{drawn:?}");
            assert_eq!(counts(drawn.iter().map(Vec::as_slice)), [2, 1], "{drawn:?}");
            assert!(drawn.iter().all(|tags| tags.iter().any(|tag| tag == DEFAULT_TAG)), "{drawn:?}");
            assert_eq!(draw(seed, 3), drawn);
        }
    }
}
