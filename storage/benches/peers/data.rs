//! Keys and values. Keys and incompressible values are those of the peers' benchmark, byte by byte.

/// One write.
pub type Pair = ([u8; 16], Vec<u8>);

/// A hash good enough to draw with.
pub fn mix64(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The key of row `number`: in an order unrelated to the number.
pub fn key(number: u64) -> [u8; 16] {
    let mut key = [0u8; 16];
    key[..8].copy_from_slice(&mix64(number).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Incompressible, so that no engine's compression flatters its space figure.
pub fn value(seed: u64, bytes: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(bytes + 8);
    let mut drawn = seed;
    while value.len() < bytes {
        drawn = mix64(drawn);
        value.extend_from_slice(&drawn.to_le_bytes());
    }
    value.truncate(bytes);
    value
}

/// A document as people keep them: field names that repeat, a few numbers, words out of a small vocabulary.
pub fn document(seed: u64, bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"];
    let drawn = mix64(seed);
    let mut text = format!(
        r#"{{"id":"{drawn:016x}","createdAt":{},"score":{},"status":"active","country":"NL","tags":["#,
        1_700_000_000 + drawn % 10_000_000,
        drawn % 1000
    );
    let mut drawn = drawn;
    while text.len() + 12 < bytes {
        drawn = mix64(drawn);
        text.push_str(&format!("\"{}\",", WORDS[(drawn % 8) as usize]));
    }
    text.push_str("null]}");
    let mut document = text.into_bytes();
    document.resize(bytes, b' ');
    document
}

/// A group of `count` overwrites drawn from `drawn` on, as the peers' benchmark draws them.
pub fn draw_group(drawn: &mut u64, count: usize, keys: u64, value_bytes: usize) -> Vec<Pair> {
    (0..count)
        .map(|_| {
            *drawn = mix64(*drawn);
            (key(*drawn % keys), value(*drawn, value_bytes))
        })
        .collect()
}
