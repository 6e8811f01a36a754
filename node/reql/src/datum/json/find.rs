//! Looking for the next byte of a kind in a long text.

/// Bytes that are looked at together: as many as the registers of every processor hold.
const TOGETHER: usize = 16;

/// How many bytes come before the first one that is `wanted`; all of them, if none is.
#[inline]
pub(crate) fn bytes_before(text: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    let (chunks, _) = text.as_chunks::<TOGETHER>();
    // Without a way out in the middle of a chunk the compiler makes a few instructions of it.
    let without = |chunk: &&[u8; TOGETHER]| !chunk.iter().fold(false, |found, byte| found | wanted(*byte));
    let passed = TOGETHER * chunks.iter().take_while(without).count();
    let rest = &text[passed..];
    passed + rest.iter().position(|byte| wanted(*byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_found_wherever_it_is() {
        for length in 0..70 {
            let mut text = vec![b'x'; length];
            assert_eq!(bytes_before(&text, |byte| byte == b'"'), length);
            for at in (0..length).rev() {
                text[at] = b'"';
                assert_eq!(bytes_before(&text, |byte| byte == b'"'), at, "of {length}");
            }
        }
    }
}
