//! What a feed shows: changes, initial values, states; each with its token, where tokens are asked for.

use photondb_reql::datum::{Datum, ObjectBuilder};

use super::FeedOptions;

/// Where the feed can go on behind an element; `None`: not exactly there.
pub(super) type Token = Option<String>;

/// One change of one element of a feed, and where it stood in an ordered one.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub old: Option<Datum>,
    pub new: Option<Datum>,
    pub old_offset: Option<usize>,
    pub new_offset: Option<usize>,
}

impl Shown {
    /// `{old_val, new_val}`.
    pub fn to_datum(&self, options: &FeedOptions, token: Token) -> Datum {
        let mut fields = ObjectBuilder::new();
        if options.include_offsets {
            fields.insert("new_offset", self.new_offset.map_or(Datum::Null, Datum::from));
            fields.insert("old_offset", self.old_offset.map_or(Datum::Null, Datum::from));
        }
        fields.insert("new_val", self.new.clone().unwrap_or(Datum::Null));
        fields.insert("old_val", self.old.clone().unwrap_or(Datum::Null));
        put_token(&mut fields, token, options);
        if options.include_types {
            let what = match (&self.old, &self.new) {
                (None, _) => "add",
                (Some(_), None) => "remove",
                (Some(_), Some(_)) => "change",
            };
            fields.insert("type", what);
        }
        Datum::Object(fields.build())
    }
}

/// `{new_val}`: an element that was there when the feed began.
pub(super) fn initial(value: Datum, offset: Option<usize>, options: &FeedOptions) -> Datum {
    let mut fields = ObjectBuilder::new();
    if let (true, Some(offset)) = (options.include_offsets, offset) {
        fields.insert("new_offset", offset);
    }
    fields.insert("new_val", value);
    put_token(&mut fields, None, options);
    if options.include_types {
        fields.insert("type", "initial");
    }
    Datum::Object(fields.build())
}

/// `{state}`: how far the feed is.
pub(super) fn state(state: &str, options: &FeedOptions, token: Token) -> Datum {
    let mut fields = ObjectBuilder::new();
    put_token(&mut fields, token, options);
    fields.insert("state", state);
    if options.include_types {
        fields.insert("type", "state");
    }
    Datum::Object(fields.build())
}

/// `{error}`: the reader was too slow. It has no type.
pub(super) fn overflow(skipped: u64, options: &FeedOptions) -> Datum {
    let mut fields = ObjectBuilder::new();
    fields.insert("error", format!("Changefeed cache over array size limit, skipped {skipped} elements."));
    put_token(&mut fields, None, options);
    Datum::Object(fields.build())
}

fn put_token(fields: &mut ObjectBuilder, token: Token, options: &FeedOptions) {
    if options.resume.is_some() {
        fields.insert("resume_token", token.map_or(Datum::Null, Datum::from));
    }
}
