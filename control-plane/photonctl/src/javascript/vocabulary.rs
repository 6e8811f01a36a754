//! The names of ReQL in JavaScript, and what is particular about some terms there: options, and functions without a head.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use photondb_reql::term::TermKind;

/// Terms that are written in another way than by a name.
const UNNAMED: [TermKind; 9] = [
    TermKind::Datum,
    TermKind::MakeArray,
    TermKind::MakeObj,
    TermKind::Var,
    TermKind::ImplicitVar,
    TermKind::BetweenDeprecated,
    TermKind::Funcall,
    TermKind::Func,
    TermKind::Bracket,
];

/// Names that do not follow from the protocol's.
const PARTICULAR: [(&str, TermKind); 4] = [
    ("js", TermKind::Javascript),
    ("ISO8601", TermKind::Iso8601),
    ("toISO8601", TermKind::ToIso8601),
    ("toJSON", TermKind::ToJsonString),
];

static KINDS: LazyLock<BTreeMap<String, TermKind>> = LazyLock::new(|| {
    let particular = |kind: &TermKind| PARTICULAR.iter().any(|(_, of)| of == kind) && *kind != TermKind::ToJsonString;
    let regular = TermKind::all().filter(|kind| !UNNAMED.contains(kind) && !particular(kind));
    let regular = regular.map(|kind| (camel(kind.name()), kind));
    regular.chain(PARTICULAR.into_iter().map(|(name, kind)| (name.to_owned(), kind))).collect()
});

/// The term of a name behind a dot.
pub(super) fn kind(name: &str) -> Option<TermKind> {
    KINDS.get(name).copied()
}

/// Every name that may stand behind a dot.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.keys().map(String::as_str).chain(["do", "expr", "row"])
}

/// The name that somebody may have meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let likeness =
        |known: &'static str| (strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known);
    names()
        .map(likeness)
        .min()
        .filter(|(distance, _)| *distance <= 2 && *distance < name.chars().count())
        .map(|(_, known)| known)
}

/// How many arguments, with what the method hangs on, stand at least before an object that holds options. `None`: the term has none,
/// and an object is an argument.
pub(super) fn options_after(kind: TermKind) -> Option<usize> {
    use TermKind::*;
    match kind {
        Random => Some(0),
        Table | TableCreate | Delete | GetAll | OrderBy | Distinct | Changes | Group | Min | Max | Union | Http
        | Javascript | Reconfigure | Wait | Iso8601 => Some(1),
        IndexCreate | Insert | Update | Replace | Filter | Slice | Circle | Distance | GetIntersecting | GetNearest => {
            Some(2)
        }
        IndexRename | Between | EqJoin | Fold | During => Some(3),
        _ => None,
    }
}

/// Whether what is written with `r.row` stands for a function of the row there.
pub(super) fn takes_function(kind: TermKind) -> bool {
    use TermKind::*;
    matches!(
        kind,
        Filter
            | Map
            | ConcatMap
            | Reduce
            | Fold
            | Group
            | IndexCreate
            | Update
            | Replace
            | Merge
            | OrderBy
            | Asc
            | Desc
            | Min
            | Max
            | Sum
            | Avg
            | Count
            | Contains
            | OffsetsOf
            | ForEach
            | InnerJoin
            | OuterJoin
            | EqJoin
            | SetWriteHook
    )
}

/// `readMode` as `read_mode`.
pub(super) fn option_name(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `GET_FIELD` as `getField`.
fn camel(name: &str) -> String {
    let mut words = name.split('_').map(str::to_ascii_lowercase);
    let mut camel = words.next().unwrap_or_default();
    for word in words {
        let (first, rest) = word.split_at(1);
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}
