//! Resume tokens: where a feed stands, as a text that a client can keep.
//!
//! ```text
//! token    := base64url, without padding, of  version:u8 (= 1)  table:u128 big endian  query:u64 little endian
//!                                             count:number  source*  checksum:u32 little endian
//! source   := shard:number  index:number  given:number  group:number        ascending by shard
//! number   := LEB128, as short as it can be
//! checksum := CRC-32 of all bytes before it; in every version the last four bytes
//! ```
//!
//! `table` is the number of the table's UUID, which no other table ever has. `query` is the [fingerprint](super::fingerprint) of what
//! is before `changes`. A source is a shard with the entry of its log to go on with, how many of that one's changes are known, and
//! the number of the group whose log that is: a shard that was repaired has another one, and nobody goes on there.
//! A shard that was cut off from another is a source once the other one stands behind the entry that cut it off, and not before: so
//! whoever goes on comes by that entry, or listens to both already. One that was joined to another is a source until the other one
//! stands behind the entry that joined it, and not any more then: whoever goes on before that comes by that entry, and waits there until
//! the one that was joined has told all.
//!
//! The checksum notices damage. It is no secret: who makes a token by himself can go on from anywhere in a table that he may
//! read, and learns nothing that its changefeed does not tell him.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use photondb_reql::error::Error;

use crate::limits::{TOKEN_SOURCES_MAX, TOKEN_TEXT_BYTES_MAX};
use crate::table::{ShardNumber, Source, Standing};

const VERSION: u8 = 1;

/// Bytes before the sources, without their count.
const HEAD_BYTES: usize = 1 + 16 + 8;

/// What a token says of the feed that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The table's UUID.
    pub table: u128,
    /// What is before `changes`.
    pub query: u64,
}

/// A token that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadToken {
    pub origin: Origin,
    /// All sources of the feed, ascending by shard; one at least.
    pub sources: Vec<Source>,
}

/// A text that cannot be used as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// Nobody gave it like this.
    Damaged,
    /// Of a newer version of the program.
    Newer { found: u8 },
    /// Of a feed of another table.
    OtherTable,
    /// Of a feed of something else in the same table.
    OtherQuery,
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Error {
        let again = "or begin again without a token, with `include_initial`";
        Error::logic(match error {
            TokenError::Damaged => {
                format!(
                    "The resume token is damaged. Pass the text of `resume_token` as it came with an element, {again}."
                )
            }
            TokenError::Newer { found } => format!(
                "The resume token is of version {found}, which a newer server has given; this one knows version {VERSION}. Ask a newer server, {again}."
            ),
            TokenError::OtherTable => format!(
                "The resume token is of another table, perhaps one of the same name that was dropped. Use it with that table, {again}."
            ),
            TokenError::OtherQuery => format!(
                "The resume token is of another query. Use it with what it was given for: the same table, index, range, filters and the like before `changes`, {again}."
            ),
        })
    }
}

/// The text of a token. `sources` ascend by shard. `None`: there are too many of them.
pub(super) fn write(origin: Origin, sources: impl ExactSizeIterator<Item = Source>) -> Option<String> {
    if sources.len() > TOKEN_SOURCES_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(HEAD_BYTES + 1 + 18 * sources.len() + 4);
    out.push(VERSION);
    out.extend_from_slice(&origin.table.to_be_bytes());
    out.extend_from_slice(&origin.query.to_le_bytes());
    put_number(&mut out, sources.len() as u64);
    for Source { shard, standing, group } in sources {
        put_number(&mut out, shard.0);
        put_number(&mut out, standing.index);
        put_number(&mut out, u64::from(standing.given));
        put_number(&mut out, group);
    }
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    Some(URL_SAFE_NO_PAD.encode(&out))
}

/// What a text says.
pub(super) fn read(text: &[u8]) -> Result<ReadToken, TokenError> {
    if text.len() > TOKEN_TEXT_BYTES_MAX {
        return Err(TokenError::Damaged);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Damaged)?;
    let (said, checksum) = bytes.split_last_chunk::<4>().ok_or(TokenError::Damaged)?;
    if crc32fast::hash(said) != u32::from_le_bytes(*checksum) {
        return Err(TokenError::Damaged);
    }
    let (version, said) = said.split_first().ok_or(TokenError::Damaged)?;
    match *version {
        VERSION => {}
        found if found > VERSION => return Err(TokenError::Newer { found }),
        _ => return Err(TokenError::Damaged),
    }
    let (table, said) = said.split_first_chunk().ok_or(TokenError::Damaged)?;
    let (query, said) = said.split_first_chunk().ok_or(TokenError::Damaged)?;
    let origin = Origin { table: u128::from_be_bytes(*table), query: u64::from_le_bytes(*query) };
    let sources = read_sources(said).ok_or(TokenError::Damaged)?;
    Ok(ReadToken { origin, sources })
}

impl ReadToken {
    /// Whether it is of the feed that is to go on.
    pub fn check(&self, of: Origin) -> Result<(), TokenError> {
        if self.origin.table != of.table {
            Err(TokenError::OtherTable)
        } else if self.origin.query != of.query {
            Err(TokenError::OtherQuery)
        } else {
            Ok(())
        }
    }
}

/// `None`: they are not as [`write()`] writes them.
fn read_sources(mut said: &[u8]) -> Option<Vec<Source>> {
    let count = usize::try_from(take_number(&mut said)?).ok()?;
    if count == 0 || count > TOKEN_SOURCES_MAX {
        return None;
    }
    let mut sources: Vec<Source> = Vec::with_capacity(count);
    for _ in 0..count {
        let shard = ShardNumber(take_number(&mut said)?);
        let standing = Standing { index: take_number(&mut said)?, given: u32::try_from(take_number(&mut said)?).ok()? };
        if sources.last().is_some_and(|last| last.shard >= shard) {
            return None;
        }
        sources.push(Source { shard, standing, group: take_number(&mut said)? });
    }
    said.is_empty().then_some(sources)
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(said: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = said.split_first()?;
        *said = rest;
        let part = u64::from(byte & 0x7f);
        // What does not fit, or could be shorter.
        if part << shift >> shift != part || (*byte == 0 && shift > 0) {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(shard: u64, index: u64, given: u32) -> Source {
        Source { shard: ShardNumber(shard), standing: Standing { index, given }, group: 0 }
    }

    fn token(origin: Origin, sources: &[Source]) -> String {
        write(origin, sources.iter().copied()).expect("so few fit")
    }

    #[test]
    fn golden_bytes_of_a_token() {
        let origin = Origin { table: 0x0123_4567_89ab_cdef_0011_2233_4455_6677, query: 0x8877_6655_4433_2211 };
        let sources = vec![source(3, 300, 0), Source { group: 0x55, ..source(4, 7, 2) }];
        let text = token(origin, &sources);
        let said = b"\x01\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x11\x22\x33\x44\x55\x66\x77\x11\x22\x33\x44\x55\x66\x77\x88\x02\x03\xac\x02\x00\x00\x04\x07\x02\x55";
        let bytes = [said.as_slice(), &crc32fast::hash(said).to_le_bytes()].concat();
        assert_eq!(URL_SAFE_NO_PAD.decode(&text).expect("base64"), bytes);
        assert_eq!(text, "AQEjRWeJq83vABEiM0RVZncRIjNEVWZ3iAIDrAIAAAQHAlX2m9N5");
        assert_eq!(read(text.as_bytes()), Ok(ReadToken { origin, sources }));
    }

    fn with_checksum(said: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([said, &crc32fast::hash(said).to_le_bytes()].concat())
    }

    #[test]
    fn what_nobody_wrote_is_refused_though_its_checksum_is_right() {
        let head = [&[VERSION], [7; 24].as_slice()].concat();
        for (sources, expected) in [
            (b"\x01\x05\x06\x00\x00".as_slice(), true),
            (b"\x00", false),
            (b"", false),
            (b"\x01\x05\x06", false),
            (b"\x01\x05\x06\x00", false),
            (b"\x01\x05\x06\x00\x00\x00", false),
            // Twice the same shard, and two in the wrong order.
            (b"\x02\x05\x06\x00\x00\x05\x07\x00\x00", false),
            (b"\x02\x05\x06\x00\x00\x04\x07\x00\x00", false),
            // A number that could be shorter, one that is too large, and one of too many bytes.
            (b"\x01\x05\x86\x00\x00\x00", false),
            (b"\x01\x05\x06\xff\xff\xff\xff\x1f\x00", false),
            (b"\x01\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00\x00", false),
            (b"\x01\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00", false),
            // More than any feed has.
            (b"\xff\xff\x03", false),
        ] {
            let found = read(with_checksum(&[&head, sources].concat()).as_bytes());
            assert_eq!(found.is_ok(), expected, "{sources:?}: {found:?}");
        }
        assert_eq!(read(with_checksum(b"").as_bytes()), Err(TokenError::Damaged));
        assert_eq!(read(with_checksum(b"\x00").as_bytes()), Err(TokenError::Damaged));
        assert_eq!(read(with_checksum(b"\x02anything").as_bytes()), Err(TokenError::Newer { found: 2 }));
    }

    #[test]
    fn a_token_is_no_longer_than_what_is_read_of_it() {
        let origin = Origin { table: u128::MAX, query: u64::MAX };
        let last = u64::MAX - TOKEN_SOURCES_MAX as u64;
        let sources: Vec<_> = (1..=TOKEN_SOURCES_MAX as u64)
            .map(|number| Source { group: u64::MAX, ..source(last + number, u64::MAX, u32::MAX) })
            .collect();
        let text = token(origin, &sources);
        assert!(text.len() <= TOKEN_TEXT_BYTES_MAX, "{}", text.len());
        assert_eq!(read(text.as_bytes()), Ok(ReadToken { origin, sources: sources.clone() }));
        let more = std::iter::once(source(0, 0, 0)).chain(sources).collect::<Vec<_>>();
        assert_eq!(write(origin, more.into_iter()), None);
        assert_eq!(read(&vec![b'A'; TOKEN_TEXT_BYTES_MAX + 1]), Err(TokenError::Damaged));
    }

    fn any_token() -> impl Strategy<Value = (Origin, Vec<Source>)> {
        let sources = prop::collection::btree_map(any::<u64>(), (any::<u64>(), any::<u32>(), any::<u64>()), 1..20);
        (any::<u128>(), any::<u64>(), sources).prop_map(|(table, query, sources)| {
            let sources = sources.into_iter();
            let sources = sources.map(|(shard, (index, given, group))| Source { group, ..source(shard, index, given) });
            (Origin { table, query }, sources.collect())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_token_is_read_as_it_was_written((origin, sources) in any_token()) {
            let text = token(origin, &sources);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(read(text.as_bytes()), Ok(ReadToken { origin, sources }));
        }

        #[test]
        fn a_bit_that_flipped_is_noticed((origin, sources) in any_token(), bit in any::<prop::sample::Index>()) {
            let text = token(origin, &sources);
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
            let bit_of_bytes = bit.index(bytes.len() * 8);
            bytes[bit_of_bytes / 8] ^= 1 << (bit_of_bytes % 8);
            prop_assert_eq!(read(URL_SAFE_NO_PAD.encode(&bytes).as_bytes()), Err(TokenError::Damaged));
            let mut letters = text.into_bytes();
            let bit_of_text = bit.index(letters.len() * 8);
            letters[bit_of_text / 8] ^= 1 << (bit_of_text % 8);
            prop_assert_eq!(read(&letters), Err(TokenError::Damaged));
        }

        #[test]
        fn a_token_that_was_cut_is_noticed((origin, sources) in any_token(), at in any::<prop::sample::Index>()) {
            let text = token(origin, &sources);
            prop_assert_eq!(read(&text.as_bytes()[..at.index(text.len())]), Err(TokenError::Damaged));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[A-Za-z0-9_-]{0,200}") {
            drop(read(&bytes));
            drop(read(text.as_bytes()));
            // Behind a right checksum, too. What is read is what was written, and there is one way to write it.
            let said = [&[VERSION], bytes.as_slice()].concat();
            let text = with_checksum(&said);
            if let Ok(ReadToken { origin, sources }) = read(text.as_bytes()) {
                prop_assert_eq!(token(origin, &sources), text);
            }
        }
    }
}
