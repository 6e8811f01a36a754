//! Random datums for property tests, from a seed that is printed and can be given as `PHOTONDB_SEED`.

use bytes::Bytes;

use super::{Datum, Object, Str, time};

/// How many rounds a test makes; many more under `PHOTONDB_TESTS=full`.
pub(crate) fn rounds(usual: usize) -> usize {
    if std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full") { usual * 50 } else { usual }
}

/// A source of random datums.
pub(crate) struct Samples {
    state: u64,
}

impl Samples {
    pub fn from_environment() -> Samples {
        let given = std::env::var("PHOTONDB_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |age| age.as_nanos() as u64)
        });
        println!("PHOTONDB_SEED={seed}");
        Samples { state: seed }
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn number(&mut self) -> f64 {
        match self.below(5) {
            0 => self.below(20) as f64 - 10.0,
            1 => (self.next() as i32).into(),
            2 => [0.0, -0.0, 0.5, -1e300, 5e-324, 9_007_199_254_740_993.0][self.below(6)],
            _ => Some(f64::from_bits(self.next())).filter(|value| value.is_finite()).unwrap_or(1.0),
        }
    }

    pub fn text(&mut self) -> String {
        const LETTERS: [char; 10] = ['a', 'b', '\0', '\u{1}', '\u{2}', 'é', '"', '\\', '😀', '\n'];
        (0..self.below(6)).map(|_| LETTERS[self.below(LETTERS.len())]).collect()
    }

    fn time(&mut self) -> Datum {
        let zone = ["+00:00", "-08:00", "+05:45"][self.below(3)];
        time::from_epoch(self.below(4_000_000_000) as f64 / 1000.0, zone).unwrap()
    }

    /// Something that can stand in an index.
    pub fn key(&mut self, depth: usize) -> Datum {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Datum::Bool(self.below(2) == 0),
            1 => Datum::Number(self.number()),
            2 => Datum::from(self.text()),
            3 => Datum::Binary(Bytes::from(self.text())),
            4 => self.time(),
            _ => Datum::from((0..self.below(4)).map(|_| self.key(depth - 1)).collect::<Vec<_>>()),
        }
    }

    /// Anything that can be stored.
    pub fn datum(&mut self, depth: usize) -> Datum {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Datum::Null,
            1..=4 => self.key(0),
            5 => Datum::from("x".repeat(self.below(300))),
            6 => Datum::from((0..self.below(5)).map(|_| self.datum(depth - 1)).collect::<Vec<_>>()),
            _ => Datum::Object(
                (0..self.below(6)).map(|_| (Str::from(self.text()), self.datum(depth - 1))).collect::<Object>(),
            ),
        }
    }

    /// Changes, cuts or extends some bytes.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(3) {
            match self.below(3) {
                0 => bytes.truncate(self.below(bytes.len() + 1)),
                1 => bytes.push(self.next() as u8),
                _ if bytes.is_empty() => {}
                _ => {
                    let at = self.below(bytes.len());
                    bytes[at] = self.next() as u8;
                }
            }
        }
    }
}
