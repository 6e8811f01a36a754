//! `random`, `uuid`, and drawing for `sample`. All chance comes from the world that the evaluation runs in.

use uuid::Uuid;

use crate::datum::{Datum, number};
use crate::error::{Error, Result};
use crate::eval::{Args, Cx, Value};

/// The namespace in which RethinkDB puts names: `uuid("name")` is the same everywhere.
const NAMESPACE: Uuid = Uuid::from_u128(0x9146_1c99_f89d_49d2_af96_d8e2_e14e_9b58);

/// `uuid`: a random one, or with an argument the one that belongs to that name.
pub fn uuid(args: &Args<'_>) -> Result<Value> {
    let id = if args.is_empty() {
        let mut bytes = [0; 16];
        args.cx().world().random(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    } else {
        Uuid::new_v5(&NAMESPACE, args.string(0)?.as_bytes())
    };
    Ok(Datum::from(id.hyphenated().to_string()).into())
}

/// `random`: a number of [0, 1), or a whole number below a bound or between two, or with `float` any number there.
pub fn random(args: &Args<'_>) -> Result<Value> {
    let float = args.optarg_bool("float")?.unwrap_or(args.is_empty());
    let drawn = if float { random_float(args)? } else { random_integer(args)? };
    Ok(drawn.into())
}

fn random_float(args: &Args<'_>) -> Result<Datum> {
    let (mut low, mut high) = match args.len() {
        0 => (0.0, 1.0),
        1 => (0.0, args.number(0)?),
        _ => (args.number(0)?, args.number(1)?),
    };
    // A range wider than the largest number is drawn from on a smaller scale.
    let scale = if (high - low).is_finite() { 1.0 } else { 4.0 };
    (low, high) = (low / scale, high / scale);
    let drawn = low + unit(args.cx()) * (high - low);
    let reached_the_end = if high > low { drawn >= high } else { drawn <= high };
    Datum::number(scale * if reached_the_end { low } else { drawn })
}

fn random_integer(args: &Args<'_>) -> Result<Datum> {
    let (low, high) = match args.len() {
        0 => return Err(Error::logic("Generating a random integer requires one or two bounds.")),
        1 => (0, bound(args, 0, "Upper")?),
        _ => (bound(args, 0, "Lower")?, bound(args, 1, "Upper")?),
    };
    if low >= high {
        return Err(Error::logic(format!("Lower bound ({low}) is not less than upper bound ({high}).")));
    }
    Ok(Datum::from(low + below(args.cx(), low.abs_diff(high)) as i64))
}

fn bound(args: &Args<'_>, index: usize, which: &str) -> Result<i64> {
    let value = args.number(index)?;
    number::integer(value).ok_or_else(|| {
        let shown = number::print_exact(value);
        Error::logic(format!("{which} bound ({shown}) could not be safely converted to an integer."))
    })
}

/// A number of [0, 1) with 53 random bits.
fn unit(cx: &Cx) -> f64 {
    (bits(cx) >> 11) as f64 / (1u64 << 53) as f64
}

fn bits(cx: &Cx) -> u64 {
    let mut bytes = [0; 8];
    cx.world().random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number below `end`, all equally likely: draws again from the next power of two until one fits. `end` is not 0.
pub fn below(cx: &Cx, end: u64) -> u64 {
    let mask = u64::MAX >> end.saturating_sub(1).leading_zeros().min(63);
    loop {
        let drawn = bits(cx) & mask;
        if drawn < end.max(1) {
            return drawn;
        }
    }
}

/// A sample of a sequence of unknown length in which every element is equally likely, in random order.
pub struct Reservoir {
    kept: Vec<Datum>,
    size: usize,
    seen: u64,
}

impl Reservoir {
    /// Keeps `size` elements at most.
    pub fn new(size: usize) -> Reservoir {
        Reservoir { kept: Vec::new(), size, seen: 0 }
    }

    /// How many elements it has.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Offers the next element. Errors: the query holds too much.
    pub fn offer(&mut self, element: Datum, cx: &Cx) -> Result<()> {
        self.seen += 1;
        if self.kept.len() < self.size {
            cx.hold_datum(&element)?;
            self.kept.push(element);
        } else if let Some(place) = usize::try_from(below(cx, self.seen)).ok().and_then(|at| self.kept.get_mut(at)) {
            *place = element;
        }
        Ok(())
    }

    /// What was drawn, shuffled.
    pub fn finish(mut self, cx: &Cx) -> Vec<Datum> {
        for last in (1..self.kept.len()).rev() {
            let other = usize::try_from(below(cx, last as u64 + 1)).unwrap_or(last);
            self.kept.swap(last, other);
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn names_have_one_uuid() {
        check(&[
            (r#"[169,["b"]]"#, r#""52f0839f-cc32-5b68-a542-4aecb7df5381""#),
            ("[43,[[169,[]]]]", "36"),
            ("[169,[1]]", "QueryLogic: Expected type STRING but found NUMBER."),
        ]);
    }

    #[test]
    fn numbers_stay_in_range() {
        check(&[
            ("[151,[1]]", "0"),
            ("[151,[-5,-4]]", "-5"),
            (r#"[151,[2,2],{"float":true}]"#, "2"),
            ("[66,[[19,[[151,[]],1]],true]]", "true"),
            (r#"[151,[],{"float":false}]"#, "QueryLogic: Generating a random integer requires one or two bounds."),
            ("[151,[5,5]]", "QueryLogic: Lower bound (5) is not less than upper bound (5)."),
            ("[151,[1.5]]", "QueryLogic: Upper bound (1.5) could not be safely converted to an integer."),
        ]);
    }
}
