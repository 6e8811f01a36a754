//! What a sample of documents says of all of them.

#[path = "fed/fed.rs"]
mod fed;

use fed::{Fed, datum, documents, key};
use photondb_shard::Effect;
use photondb_shard::limits::SAMPLE_BYTES_MAX;

fn put(fed: &mut Fed, id: u64, bytes: usize) {
    let text = "x".repeat(bytes);
    let mut document = Vec::new();
    datum(&format!(r#"{{"id":{id},"text":"{text}"}}"#)).encode(&mut document);
    fed.write(vec![Effect::Put { key: key(id), document: document.into() }]);
}

fn size_of_all(fed: &Fed) -> u64 {
    documents(&fed.shard).iter().map(|(key, document)| (key.len() + document.len()) as u64).sum()
}

fn estimate(fed: &Fed, want: usize) -> u64 {
    let sample = fed.shard.read().expect("reads").sample_sizes(want).expect("reads");
    sample.sizes.iter().sum::<u64>() * sample.documents / sample.sizes.len().max(1) as u64
}

#[test]
fn each_part_of_the_shard_counts() {
    let mut fed = Fed::new();
    assert_eq!(estimate(&fed, 32), 0, "an empty shard");
    for id in 0..2_000 {
        // Those at the end are large: who looks at the beginning alone is wrong by far.
        put(&mut fed, id, if id < 1_000 { 10 } else { 1_000 });
    }
    let all = size_of_all(&fed);
    for want in [13, 26, 32, 100, 5_000] {
        let found = estimate(&fed, want);
        assert!((all / 5 * 4..=all / 4 * 5).contains(&found), "{want} of 2,000: {found} for {all}");
    }
    let sample = fed.shard.read().expect("reads").sample_sizes(5_000).expect("reads");
    assert_eq!((sample.documents, sample.sizes.len()), (2_000, 2_000));
    // Each is stored with a few bytes beside it.
    let stored = sample.sizes.iter().sum::<u64>();
    assert!((all..all + 2_000 * 16).contains(&stored), "{stored} for {all}");
}

#[test]
fn a_few_large_documents_are_enough() {
    let mut fed = Fed::new();
    for id in 0..40 {
        put(&mut fed, id, 1 << 20);
    }
    let sample = fed.shard.read().expect("reads").sample_sizes(32).expect("reads");
    let read: u64 = sample.sizes.iter().sum();
    assert!(sample.sizes.len() < 8 && read < SAMPLE_BYTES_MAX + (2 << 20), "{} with {read} bytes", sample.sizes.len());
    let (all, found) = (size_of_all(&fed), estimate(&fed, 32));
    assert!((all / 5 * 4..=all / 4 * 5).contains(&found), "{found} for {all}");
}
