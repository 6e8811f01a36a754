//! Keys: the order of their bytes is the order of the datums, none begins another, and they come back.
//!
//! First byte modulo 3: 0 keys made of what follows; 1 keys that are alike in their first bytes, past the cut of index
//! values; 2 any bytes, as keys.

use photondb_reql::datum::Datum;
use photondb_reql::error::Result;
use photondb_reql::key::format::{Role, decode};
use photondb_reql::key::{IndexKey, PrimaryKey, index_key, index_lower_bound, index_upper_bound};
use photondb_reql::limits::INDEX_VALUE_BYTES_MAX;

use super::datums;
use super::input::Input;

/// [`index_key`]: value, primary key and tag to a key.
pub type IndexKeyOf = fn(&Datum, &[u8], Option<u32>) -> Result<Vec<u8>>;

/// What is examined.
#[derive(Clone, Copy)]
pub struct Subject {
    /// [`photondb_reql::key::format::encode`].
    pub encode: fn(&Datum, Role, &mut Vec<u8>) -> Result<()>,
    pub index_key: IndexKeyOf,
}

impl Subject {
    /// The product.
    pub const PRODUCT: Subject = Subject { encode: photondb_reql::key::format::encode, index_key };
}

/// Examines the product.
pub fn run(input: &[u8]) {
    run_with(input, &Subject::PRODUCT);
}

/// Examines `subject`.
pub fn run_with(input: &[u8], subject: &Subject) {
    let mut input = Input::new(input);
    match input.byte() % 3 {
        0 => {
            let made = [datums::key(&mut input, 3), datums::key(&mut input, 3), datums::datum(&mut input, 2)];
            whole_keys(&made, subject);
            let primary = PrimaryKey::new(&made[1]).map(|key| key.bytes()).unwrap_or_default();
            index_keys(&made, &primary, subject);
        }
        1 => {
            let shared = "y".repeat(INDEX_VALUE_BYTES_MAX - 8 + input.below(16));
            let ends = [datums::text(&mut input), datums::text(&mut input), String::new()];
            let alike = ends.map(|end| Datum::from(format!("{shared}{end}")));
            index_keys(&alike, &[], subject);
            let more = [datums::key(&mut input, 1), datums::key(&mut input, 1)];
            let alike = more.map(|end| Datum::from(vec![Datum::from(shared.as_str()), end]));
            index_keys(&alike, &[1, 2, 3], subject);
        }
        _ => {
            let bytes = input.rest();
            if let Ok((datum, used)) = decode(bytes) {
                let again = encoded(&datum, subject).expect("a key is one");
                // Of a long array only the beginning is kept.
                if again.len() == used {
                    assert_eq!(decode(&again), Ok((datum, used)));
                }
            }
            if let Ok(key) = IndexKey::parse(bytes) {
                let _whatever = key.to_datum();
            }
            let _whatever = PrimaryKey::from_encoded(bytes.to_vec().into()).to_datum();
        }
    }
}

fn encoded(datum: &Datum, subject: &Subject) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    (subject.encode)(datum, Role::IndexBound, &mut out).ok().map(|()| out)
}

fn whole_keys(made: &[Datum], subject: &Subject) {
    for a in made {
        let Some(key_a) = encoded(a, subject) else { continue };
        // Of an array that long only the beginning is exact.
        if key_a.len() > 600 {
            continue;
        }
        let (back, used) = decode(&key_a).expect("what was encoded can be decoded");
        assert_eq!((&back, used), (a, key_a.len()));
        let role = if PrimaryKey::new(a).is_ok() { Role::Primary } else { Role::Index };
        let mut in_role = Vec::new();
        if (subject.encode)(a, role, &mut in_role).is_ok() {
            assert_eq!(in_role, key_a, "{a:?} depends on where it stands");
        }
        for b in made {
            let Some(key_b) = encoded(b, subject).filter(|key| key.len() <= 600) else { continue };
            assert_eq!(key_a.cmp(&key_b), a.cmp(b), "{a:?} against {b:?}");
            assert!(a == b || !key_b.starts_with(&key_a), "{a:?} begins {b:?}");
        }
    }
}

fn index_keys(made: &[Datum], primary: &[u8], subject: &Subject) {
    for value in made {
        for tag in [None, Some(7)] {
            let Ok(key) = (subject.index_key)(value, primary, tag) else { continue };
            let parts = IndexKey::parse(&key).expect("a key of an index can be taken apart");
            assert_eq!((parts.primary, parts.tag), (primary, tag));
            assert!(parts.value.len() <= INDEX_VALUE_BYTES_MAX);
            match parts.to_datum().expect("its value can be decoded") {
                Some(back) => assert_eq!(&back, value),
                None => assert!(parts.truncated && parts.value.len() == INDEX_VALUE_BYTES_MAX),
            }
        }
        let Ok(key) = (subject.index_key)(value, primary, None) else { continue };
        for other in made {
            if let Ok(second) = (subject.index_key)(other, primary, None)
                && key < second
            {
                // Cut values may stand in any order among those cut alike.
                let cut = IndexKey::parse(&key).is_ok_and(|key| key.truncated);
                assert!(value <= other || cut, "{value:?} stands before {other:?}");
            }
            bounds_hold(value, &key, other);
        }
    }
}

/// What is inside a range lies between its bounds; what is not lies outside, or is looked at again.
fn bounds_hold(value: &Datum, key: &[u8], bound: &Datum) {
    for open in [false, true] {
        if let Ok(lower) = index_lower_bound(bound, open) {
            let inside = value > bound || (value == bound && !open);
            assert!(!inside || key >= &lower.key[..], "{value:?} is lost below {bound:?}");
            assert!(inside || lower.recheck || key < &lower.key[..], "{value:?} is found above {bound:?}");
        }
        if let Ok(upper) = index_upper_bound(bound, open) {
            let inside = value < bound || (value == bound && !open);
            assert!(!inside || key < &upper.key[..], "{value:?} is lost above {bound:?}");
            assert!(inside || upper.recheck || key >= &upper.key[..], "{value:?} is found below {bound:?}");
        }
    }
}
