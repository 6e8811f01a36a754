//! Values to bytes and back, and the macros that turn a list of fields into both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::limits::LIST_ITEMS_MAX;

/// Bytes that this version did not write, or that were damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// They end early.
    #[error("cluster state data ends early, at byte {at}")]
    Short {
        /// Where.
        at: usize,
    },
    /// Some are left over.
    #[error("cluster state data has {extra} bytes too many")]
    Long {
        /// How many.
        extra: usize,
    },
    /// A newer program wrote them.
    #[error("cluster state data has version {found}; this program reads up to {newest}")]
    Version {
        /// Theirs.
        found: u8,
        /// Ours.
        newest: u8,
    },
    /// A value that cannot be.
    #[error("cluster state data holds an impossible {what} before byte {at}")]
    Value {
        /// Of what.
        what: &'static str,
        /// Where.
        at: usize,
    },
}

/// What is left to read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    version: u8,
}

impl<'a> Input<'a> {
    /// Reads the version byte that everything opens with, which may be `newest` at most.
    pub(super) fn open(bytes: &'a [u8], newest: u8) -> Result<Input<'a>, FormatError> {
        let mut input = Input { bytes, at: 0, version: newest };
        input.version = u8::get(&mut input)?;
        match input.version {
            found if found == 0 || found > newest => Err(FormatError::Version { found, newest }),
            _ => Ok(input),
        }
    }

    /// The version that wrote the bytes: what came later is not there.
    pub(super) fn version(&self) -> u8 {
        self.version
    }

    pub(super) fn end(&self) -> Result<(), FormatError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(FormatError::Long { extra }),
        }
    }

    pub(super) fn impossible(&self, what: &'static str) -> FormatError {
        FormatError::Value { what, at: self.at }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(FormatError::Short { at: self.at + rest.len() })?;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn count(&mut self) -> Result<usize, FormatError> {
        let count = u32::get(self)? as usize;
        if count > LIST_ITEMS_MAX {
            return Err(self.impossible("count"));
        }
        Ok(count)
    }
}

/// A value with a layout.
pub(super) trait Stored: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(input: &mut Input<'_>) -> Result<Self, FormatError>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Stored for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
                let bytes = input.take(size_of::<$number>())?;
                Ok(<$number>::from_le_bytes(bytes.try_into().expect("took as many")))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, u128);

impl Stored for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        match u8::get(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(input.impossible("flag")),
        }
    }
}

/// Bytes have a layout of their own: one copy instead of one call per byte.
impl Stored for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        put_count(out, self.len());
        out.extend_from_slice(self);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        let length = u32::get(input)? as usize;
        Ok(input.take(length)?.to_vec())
    }
}

impl Stored for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_count(out, self.len());
        out.extend_from_slice(self.as_bytes());
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        String::from_utf8(Vec::get(input)?).map_err(|_| input.impossible("text"))
    }
}

impl<T: Stored> Stored for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        Ok(if bool::get(input)? { Some(T::get(input)?) } else { None })
    }
}

impl<T: Stored> Stored for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        T::get(input).map(Arc::new)
    }
}

impl<T: Stored, U: Stored> Stored for (T, U) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        Ok((T::get(input)?, U::get(input)?))
    }
}

impl<T: Stored + Ord> Stored for BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_count(out, self.len());
        self.iter().for_each(|item| item.put(out));
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        (0..input.count()?).map(|_| T::get(input)).collect()
    }
}

impl<K: Stored + Ord, V: Stored> Stored for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        put_count(out, self.len());
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
        (0..input.count()?).map(|_| Ok((K::get(input)?, V::get(input)?))).collect()
    }
}

/// For the lists of one item type; `Vec<T>` in general would collide with bytes.
macro_rules! lists {
    ($($item:ty),* $(,)?) => {$(
        impl Stored for Vec<$item> {
            fn put(&self, out: &mut Vec<u8>) {
                put_count(out, self.len());
                self.iter().for_each(|item| item.put(out));
            }

            fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
                (0..input.count()?).map(|_| <$item>::get(input)).collect()
            }
        }
    )*};
}

/// Newtypes over one number.
macro_rules! ids {
    ($($id:ident),* $(,)?) => {$(
        impl Stored for $id {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
                Stored::get(input).map($id)
            }
        }
    )*};
}

/// A struct: its fields, in the order they are written.
macro_rules! structs {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
                Ok($name { $($field: Stored::get(input)?),* })
            }
        }
    )*};
}

/// An enum: the tag of each variant, and its fields in the order they are written.
macro_rules! enums {
    ($($name:ident { $($tag:literal => $variant:ident $({ $($field:ident),* $(,)? })? $(( $($item:ident),* ))?),* $(,)? })*) => {$(
        impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($name::$variant $({ $($field),* })? $(( $($item),* ))? => {
                        out.push($tag);
                        $($($field.put(out);)*)?
                        $($($item.put(out);)*)?
                    })*
                }
            }

            fn get(input: &mut Input<'_>) -> Result<Self, FormatError> {
                Ok(match u8::get(input)? {
                    $($tag => {
                        $($(let $item = Stored::get(input)?;)*)?
                        $name::$variant $({ $($field: Stored::get(input)?),* })? $(( $($item),* ))?
                    })*
                    _ => return Err(input.impossible(stringify!($name))),
                })
            }
        }
    )*};
}

pub(super) use {enums, ids, lists, structs};

pub(super) fn put_count(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("limits keep every text and list below 4 GiB");
    length.put(out);
}
