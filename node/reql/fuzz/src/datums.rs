//! Datums out of an input. Few bytes make few kinds of things, so that two of them are often alike, equal, or the same but
//! for a little: that is where orders and encodings go wrong.

use bytes::Bytes;
use photondb_reql::datum::{Datum, Object, Str, time};

use super::input::Input;

/// Numbers at the borders of what is treated apart.
pub const NUMBERS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    127.0,
    128.0,
    -32_769.0,
    2_147_483_648.0,
    9_007_199_254_740_992.0,
    9_007_199_254_740_994.0,
    0.5,
    5e-324,
    -5e-324,
    f64::MAX,
    f64::MIN,
    1e21,
];

const LETTERS: [char; 12] = ['a', 'b', '\0', '\u{1}', '\u{2}', '\u{7f}', 'é', '\u{ffff}', '😀', '"', '\\', '\n'];

const ZONES: [&str; 4] = ["+00:00", "-08:00", "+05:45", "-00:01"];

/// A finite number.
pub fn number(input: &mut Input<'_>) -> f64 {
    match input.below(4) {
        0 => *input.choose(&NUMBERS),
        1 => f64::from(i8::from_be_bytes([input.byte()])),
        2 => f64::from(i16::from_be_bytes([input.byte(), input.byte()])) / 16.0,
        _ => Some(f64::from_bits(input.bits())).filter(|value| value.is_finite()).unwrap_or(0.0),
    }
}

/// A text of few letters, now and then a long one.
pub fn text(input: &mut Input<'_>) -> String {
    let length = input.below(8);
    let mut text: String = (0..length).map(|_| *input.choose(&LETTERS)).collect();
    if length == 7 {
        text = text.repeat(1 + input.below(60));
    }
    text
}

/// Something that may be a key.
pub fn key(input: &mut Input<'_>, levels: usize) -> Datum {
    match input.below(if levels == 0 { 5 } else { 7 }) {
        0 => Datum::Number(number(input)),
        1 => Datum::from(text(input)),
        2 => Datum::Bool(input.below(2) == 0),
        3 => Datum::Binary(Bytes::from(text(input))),
        4 => moment(input),
        _ => Datum::from((0..input.below(5)).map(|_| key(input, levels - 1)).collect::<Vec<_>>()),
    }
}

fn moment(input: &mut Input<'_>) -> Datum {
    let zone = *input.choose(&ZONES);
    let epoch = number(input).clamp(-1e9, 1e12);
    time::from_epoch(epoch, zone).expect("the zone and the number are good")
}

/// Any datum.
pub fn datum(input: &mut Input<'_>, levels: usize) -> Datum {
    match input.below(if levels == 0 { 8 } else { 12 }) {
        0 => Datum::Null,
        1..=4 => key(input, 0),
        5 => [Datum::MinVal, Datum::MaxVal][input.below(2)].clone(),
        6 => photondb_reql::geo::geometry(
            "Point",
            Datum::from(vec![Datum::from(i32::from(input.byte()) / 2), Datum::from(i32::from(input.byte()) / 3)]),
        ),
        7 => key(input, levels.min(1)),
        8 | 9 => Datum::from((0..input.below(6)).map(|_| datum(input, levels - 1)).collect::<Vec<_>>()),
        _ => {
            let fields = (0..input.below(6)).map(|_| (Str::from(text(input)), datum(input, levels - 1)));
            Datum::Object(fields.collect::<Object>())
        }
    }
}

/// Nearly the same as another: one part of it replaced.
pub fn variant(of: &Datum, input: &mut Input<'_>) -> Datum {
    match of {
        Datum::Array(items) if !items.is_empty() => {
            let mut items: Vec<Datum> = items.iter().collect();
            let at = input.below(items.len());
            match input.below(3) {
                0 => drop(items.remove(at)),
                1 => items[at] = variant(&items[at], input),
                _ => items.insert(at, datum(input, 1)),
            }
            Datum::from(items)
        }
        Datum::Object(fields) if !fields.is_empty() && of.ptype_name().is_none() => {
            let (name, value) = fields.entry(input.below(fields.len())).expect("the place is one of its places");
            match input.below(3) {
                0 => Datum::Object(fields.without(&name)),
                1 => Datum::Object(fields.with(name, variant(&value, input))),
                _ => Datum::Object(fields.with(text(input), datum(input, 1))),
            }
        }
        Datum::Number(value) => Datum::Number(match input.below(3) {
            0 => -value,
            1 => f64::from_bits(value.to_bits() ^ 1),
            _ => *value,
        }),
        Datum::String(text) => Datum::from(format!("{text}{}", input.choose(&LETTERS))),
        _ => datum(input, 1),
    }
}
