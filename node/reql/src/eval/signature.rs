//! What every term takes, allows and may do: one table, read by the compiler. And the typed conversions of arguments.

use crate::datum::{Datum, Str};
use crate::error::{Error, Result};
use crate::eval::node::Traits;
use crate::eval::value::Value;
use crate::term::TermKind;

/// How a term treats a first argument that is grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// It sees the grouped value itself, and the first argument is an ordinary one otherwise.
    Whole,
    /// It is done for each group; a grouped stream is read first.
    Each,
    /// It is done for each group; on a grouped stream it becomes one more step of the stream.
    Stream,
    /// The term evaluates its arguments itself, in its own order: `branch`, `and`, `default`, ...
    Lazy,
}

/// What a term takes and may do.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// The fewest positional arguments.
    pub min: usize,
    /// The most; `None`: any number.
    pub max: Option<usize>,
    /// The optional arguments it knows.
    pub optargs: &'static [&'static str],
    /// What it does with grouped values.
    pub grouping: Grouping,
    /// What it may do by itself, its arguments apart.
    pub traits: Traits,
    /// Its functions may not write: everything but its first argument is part of a stream operation.
    pub forbids_writes: bool,
}

const PURE: Traits =
    Traits { nondeterministic: false, inexact: false, touches_world: false, writes: false, uses_now: false };

const fn takes(min: usize, max: Option<usize>) -> Signature {
    Signature { min, max, optargs: &[], grouping: Grouping::Each, traits: PURE, forbids_writes: false }
}

const fn exactly(count: usize) -> Signature {
    takes(count, Some(count))
}

const fn between(min: usize, max: usize) -> Signature {
    takes(min, Some(max))
}

const fn at_least(min: usize) -> Signature {
    takes(min, None)
}

impl Signature {
    const fn optargs(self, optargs: &'static [&'static str]) -> Signature {
        Signature { optargs, ..self }
    }

    const fn grouping(self, grouping: Grouping) -> Signature {
        Signature { grouping, ..self }
    }

    const fn whole(self) -> Signature {
        self.grouping(Grouping::Whole)
    }

    const fn stream(self) -> Signature {
        self.grouping(Grouping::Stream)
    }

    const fn lazy(self) -> Signature {
        self.grouping(Grouping::Lazy)
    }

    const fn random(self) -> Signature {
        let traits = Traits { nondeterministic: true, ..self.traits };
        Signature { traits, ..self }
    }

    const fn inexact(self) -> Signature {
        let traits = Traits { inexact: true, ..self.traits };
        Signature { traits, ..self }
    }

    const fn now(self) -> Signature {
        let traits = Traits { uses_now: true, ..self.traits };
        Signature { traits, ..self }
    }

    const fn world(self) -> Signature {
        let traits = Traits { touches_world: true, ..self.traits };
        Signature { traits, ..self }
    }

    const fn writes(self) -> Signature {
        let traits = Traits { touches_world: true, writes: true, ..self.traits };
        Signature { traits, ..self }
    }

    const fn pure_functions(self) -> Signature {
        Signature { forbids_writes: true, ..self }
    }
}

/// The optional argument with which a term is applied to the elements of a sequence.
pub const NO_RECURSE: &str = "_NO_RECURSE_";

const BOUNDS: &[&str] = &["left_bound", "right_bound"];
const WRITE: &[&str] = &["non_atomic", "durability", "return_vals", "return_changes", "ignore_write_hook"];

/// The signature of a term.
pub const fn signature(kind: TermKind) -> Signature {
    use TermKind as K;
    match kind {
        // Values and control.
        K::Datum => exactly(0).lazy(),
        K::MakeArray => at_least(0).lazy(),
        K::MakeObj => exactly(0).lazy(),
        K::Var => exactly(1).lazy(),
        K::ImplicitVar => exactly(0).lazy(),
        K::Func => exactly(2).lazy(),
        K::Javascript => exactly(1).optargs(&["timeout"]).random(),
        K::Error => between(0, 1),
        K::Funcall => at_least(1).optargs(&["_SHORTCUT_", "_EVAL_FLAGS_"]).lazy(),
        K::Branch => at_least(3).lazy(),
        K::Or | K::And => at_least(0).lazy(),
        K::Not => exactly(1),
        K::Default => exactly(2).lazy(),
        K::Args => exactly(1).optargs(&["_EVAL_FLAGS_"]).whole(),
        K::Literal => between(0, 1).whole(),
        K::Asc | K::Desc => exactly(1).whole(),
        K::TypeOf | K::Ungroup | K::Info => exactly(1).whole(),
        K::ForEach => exactly(2).whole().world(),

        // Scalars.
        K::Eq | K::Ne | K::Lt | K::Le | K::Gt | K::Ge => at_least(2),
        K::Add | K::Sub | K::Mul | K::Div => at_least(1),
        K::Mod => exactly(2),
        K::Floor | K::Ceil | K::Round => exactly(1),
        K::BitAnd | K::BitOr | K::BitXor => at_least(1),
        K::BitNot => exactly(1),
        K::BitSal | K::BitSar => exactly(2),
        K::Match => exactly(2),
        K::Split => between(1, 3),
        K::Upcase | K::Downcase => exactly(1),
        K::Format => exactly(2),
        K::Json | K::ToJsonString | K::Binary => exactly(1),
        K::Random => between(0, 2).optargs(&["float"]).random(),
        K::Uuid => between(0, 1),
        K::Minval | K::Maxval => exactly(0),
        K::CoerceTo => exactly(2),
        K::Object => at_least(0),
        K::Keys | K::Values => exactly(1),

        // Times.
        K::Iso8601 => exactly(1).optargs(&["default_timezone"]),
        K::ToIso8601 | K::EpochTime | K::ToEpochTime => exactly(1),
        K::Now => exactly(0).now(),
        K::InTimezone => exactly(2),
        K::During => exactly(3).optargs(BOUNDS),
        K::Date | K::TimeOfDay | K::Timezone | K::Year | K::Month | K::Day => exactly(1),
        K::DayOfWeek | K::DayOfYear | K::Hours | K::Minutes | K::Seconds => exactly(1),
        K::Time => between(4, 7),
        K::Monday | K::Tuesday | K::Wednesday | K::Thursday | K::Friday | K::Saturday | K::Sunday => exactly(0),
        K::January | K::February | K::March | K::April | K::May | K::June => exactly(0),
        K::July | K::August | K::September | K::October | K::November | K::December => exactly(0),

        // Arrays.
        K::Append | K::Prepend | K::Difference => exactly(2),
        K::SetInsert | K::SetIntersection | K::SetUnion | K::SetDifference => exactly(2),
        K::InsertAt | K::SpliceAt | K::ChangeAt => exactly(3),
        K::DeleteAt => between(2, 3),

        // Objects and sequences of them.
        K::GetField | K::Bracket => exactly(2).optargs(&[NO_RECURSE]).stream(),
        K::HasFields | K::Pluck | K::Without | K::Merge => at_least(1).optargs(&[NO_RECURSE]).stream(),
        K::WithFields => at_least(1).stream(),

        // Sequences.
        K::Slice => between(2, 3).optargs(BOUNDS),
        // Of the bounds of `slice`, which it is one of in RethinkDB, `skip` says the right one itself.
        K::Skip => exactly(2).optargs(&["left_bound"]),
        K::Limit => exactly(2),
        K::Nth => exactly(2).stream(),
        K::Map => at_least(2).stream().pure_functions(),
        K::Filter => exactly(2).optargs(&["default"]).stream().pure_functions(),
        K::ConcatMap => exactly(2).stream().pure_functions(),
        K::Reduce => exactly(2).optargs(&["base"]).stream().pure_functions(),
        K::Fold => exactly(3).optargs(&["emit", "final_emit"]).stream().pure_functions(),
        K::OrderBy => at_least(1).optargs(&["index"]),
        K::Distinct => exactly(1).optargs(&["index"]),
        K::Count => between(1, 2).stream().pure_functions(),
        K::Sum | K::Avg | K::Min | K::Max => between(1, 2).optargs(&["index"]).stream().pure_functions(),
        K::Group => at_least(1).optargs(&["index", "multi"]).stream().pure_functions(),
        K::Union => at_least(0).optargs(&["interleave"]),
        K::IsEmpty => exactly(1),
        K::OffsetsOf => exactly(2),
        K::Contains => at_least(1),
        K::Sample => exactly(2).random(),
        K::Zip => exactly(1),
        K::Range => between(0, 2).whole(),
        K::InnerJoin | K::OuterJoin => exactly(3).stream().pure_functions(),
        K::EqJoin => exactly(3).optargs(&["index", "ordered"]).stream().pure_functions(),

        // Databases, tables and their documents.
        K::Db => exactly(1).world(),
        K::Table => between(1, 2).optargs(&["read_mode", "use_outdated", "identifier_format"]).world(),
        K::Get => exactly(2).world(),
        K::GetAll => at_least(1).optargs(&["index"]).world(),
        K::Between | K::BetweenDeprecated => exactly(3).optargs(&["index", "left_bound", "right_bound"]).world(),
        K::Insert => {
            let optargs = &["conflict", "durability", "return_vals", "return_changes", "ignore_write_hook"];
            exactly(2).optargs(optargs).writes().pure_functions()
        }
        K::Update | K::Replace => exactly(2).optargs(WRITE).writes().pure_functions(),
        K::Delete => exactly(1).optargs(WRITE).writes().pure_functions(),
        K::Sync => exactly(1).writes(),
        K::Changes => {
            let optargs = &[
                "squash",
                "changefeed_queue_size",
                "include_initial",
                "include_offsets",
                "include_states",
                "include_types",
                "resume_token",
            ];
            exactly(1).optargs(optargs).world().random()
        }
        K::Http => exactly(1).optargs(HTTP).world().random(),

        // Administration.
        K::DbCreate | K::DbDrop => exactly(1).writes(),
        K::DbList => exactly(0).world(),
        K::TableCreate => {
            // The last is PhotonDB's own.
            let optargs = &[
                "primary_key",
                "shards",
                "replicas",
                "nonvoting_replica_tags",
                "primary_replica_tag",
                "durability",
                "compression",
            ];
            between(1, 2).optargs(optargs).writes()
        }
        K::TableDrop => between(1, 2).writes(),
        K::TableList => between(0, 1).world(),
        K::IndexCreate => between(2, 3).optargs(&["multi", "geo"]).writes(),
        K::IndexDrop => exactly(2).writes(),
        K::IndexList => exactly(1).world(),
        K::IndexStatus => at_least(1).world(),
        K::IndexWait => at_least(1).world(),
        K::IndexRename => exactly(3).optargs(&["overwrite"]).writes(),
        K::SetWriteHook => exactly(2).writes(),
        K::GetWriteHook => exactly(1).world(),
        K::Config | K::Status => exactly(1).world(),
        K::Wait => between(0, 1).optargs(&["timeout", "wait_for"]).world(),
        K::Reconfigure => {
            let optargs =
                &["dry_run", "emergency_repair", "shards", "replicas", "nonvoting_replica_tags", "primary_replica_tag"];
            between(0, 1).optargs(optargs).writes()
        }
        K::Rebalance => between(0, 1).writes(),
        K::Grant => between(2, 3).writes(),

        // Geometry.
        K::ToGeojson => exactly(1),
        K::Geojson | K::Fill => exactly(1).inexact(),
        K::Point => exactly(2),
        K::PolygonSub => exactly(2).inexact(),
        K::Intersects | K::Includes => exactly(2).optargs(&[NO_RECURSE]).stream().inexact(),
        K::Line => at_least(2).inexact(),
        K::Polygon => at_least(3).inexact(),
        K::Distance => exactly(2).optargs(&["geo_system", "unit"]).inexact(),
        K::Circle => exactly(2).optargs(&["num_vertices", "geo_system", "unit", "fill"]).inexact(),
        K::GetIntersecting => exactly(2).optargs(&["index"]).world(),
        K::GetNearest => exactly(2).optargs(&["index", "max_results", "max_dist", "geo_system", "unit"]).world(),
    }
}

const HTTP: &[&str] = &[
    "data",
    "timeout",
    "method",
    "params",
    "header",
    "attempts",
    "redirects",
    "verify",
    "page",
    "page_limit",
    "auth",
    "result_format",
];

/// Terms that write or change the cluster, which stream operations may not hold.
pub const fn is_write_or_meta(kind: TermKind) -> bool {
    signature(kind).traits.writes
}

/// Refuses a number of positional arguments that the term does not take.
pub fn check_arity(kind: TermKind, found: usize) -> Result<()> {
    let Signature { min, max, .. } = signature(kind);
    if found >= min && max.is_none_or(|max| found <= max) {
        return Ok(());
    }
    let expected = match max {
        Some(max) if max == min => format!("{min} argument{}", if min == 1 { "" } else { "s" }),
        Some(max) => format!("between {min} and {max} arguments"),
        None => format!("{min} or more arguments"),
    };
    Err(Error::compile(format!("Expected {expected} but found {found}.")))
}

/// A number. Errors: `Expected type NUMBER but found STRING.`
pub fn number(datum: &Datum) -> Result<f64> {
    datum.as_number()
}

/// A whole number. Errors: also `Number not an integer: 1.5`.
pub fn integer(datum: &Datum) -> Result<i64> {
    datum.as_integer()
}

/// A whole number of 32 bits, where RethinkDB takes no larger one.
pub fn small_integer(datum: &Datum) -> Result<i32> {
    let number = datum.as_integer()?;
    i32::try_from(number).map_err(|_| Error::logic(format!("Integer too large: {number}")))
}

/// A string.
pub fn string(datum: &Datum) -> Result<Str> {
    datum.as_string().cloned()
}

/// A truth value: only `null` and `false` are false.
pub fn boolean(datum: &Datum) -> Result<bool> {
    Ok(datum.is_truthy())
}

/// The error for a datum of the wrong type.
pub fn expected_type(expected: &str, found: &Datum) -> Error {
    Error::expected_type(expected, found)
}

/// The error for a value of the wrong kind: `Expected type TABLE but found DATUM:` and the value.
pub fn expected_kind(expected: &str, found: &Value) -> Error {
    let shown = found.describe();
    let message = format!("Expected type {expected} but found {}:\n{shown}", found.kind_name());
    match found {
        Value::Datum(datum) => Error::wrong_type(datum, message),
        // A document that is not there is `null`, which `default` stands in for.
        Value::Row(_) if shown == "null" => Error::wrong_type(&Datum::Null, message),
        _ => Error::logic(message),
    }
}
