//! Terms, functions and keys as text, cut where they are long.

use std::collections::BTreeMap;

use photondb_reql::datum::Datum;
use photondb_reql::eval::{CallNode, Func, Node};
use photondb_reql::term::print;
use photondb_reql::{BacktraceId, Term, TermKind};

use crate::limits::{EXPLAINED_KEYS_MAX, EXPLAINED_TEXT_CHARS_MAX, EXPLAINED_VALUE_BYTES_MAX};
use crate::table::DatumRange;

/// The terms of a query by their places.
pub(super) struct Texts<'a>(BTreeMap<BacktraceId, &'a Term>);

impl<'a> Texts<'a> {
    pub fn of(term: &'a Term) -> Texts<'a> {
        let mut terms = BTreeMap::new();
        let mut open = vec![term];
        while let Some(term) = open.pop() {
            terms.insert(term.id(), term);
            open.extend(term.args());
            open.extend(term.optargs().iter().map(|(_, term)| term));
        }
        Texts(terms)
    }

    /// What stands at a place.
    fn at(&self, id: BacktraceId) -> Option<String> {
        self.0.get(&id).map(|term| match term {
            Term::Datum(value, _) => datum(value),
            term => cut(&print::query(term, 4 * EXPLAINED_TEXT_CHARS_MAX)),
        })
    }

    pub fn node(&self, node: &Node) -> String {
        match node {
            Node::Constant(value, _) => datum(value),
            node => self.at(node.id()).unwrap_or_else(|| name(node.kind())),
        }
    }

    pub fn function(&self, function: &Func) -> String {
        match function {
            Func::Matches(value) | Func::Equals(value) | Func::Constant(value) | Func::GetField(value, _) => {
                datum(value)
            }
            function => function.id().and_then(|id| self.at(id)).unwrap_or_else(|| "function".to_owned()),
        }
    }

    /// The arguments of a call but the first, and its options.
    pub fn arguments(&self, call: &CallNode) -> Option<String> {
        let positional = call.args.iter().skip(1).map(|node| self.node(node));
        let named = call.optargs.iter().map(|(name, node)| format!("{name}: {}", self.node(node)));
        let all: Vec<String> = positional.chain(named).collect();
        (!all.is_empty()).then(|| cut(&all.join(", ")))
    }
}

/// `get_all`.
pub(super) fn name(kind: TermKind) -> String {
    kind.name().to_ascii_lowercase()
}

/// A value as JSON, as far as it has any.
pub(super) fn datum(value: &Datum) -> String {
    match value {
        Datum::MinVal => "minval".to_owned(),
        Datum::MaxVal => "maxval".to_owned(),
        value if value.size_hint() > EXPLAINED_VALUE_BYTES_MAX => {
            format!("{} of {} bytes", value.type_name(), value.size_hint())
        }
        value => cut(&value.to_json().unwrap_or_else(|_| value.print())),
    }
}

/// `[1, 5)`; nothing for all keys.
pub(super) fn range(range: &DatumRange) -> Option<String> {
    if range.left == Datum::MinVal && range.right == Datum::MaxVal {
        return None;
    }
    let (open, close) = (if range.left_closed { "[" } else { "(" }, if range.right_closed { "]" } else { ")" });
    Some(format!("{open}{}, {}{close}", datum(&range.left), datum(&range.right)))
}

/// `1, 2, 3`, and how many more.
pub(super) fn keys(keys: &[Datum]) -> String {
    let shown: Vec<String> = keys.iter().take(EXPLAINED_KEYS_MAX).map(datum).collect();
    match keys.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// On one line, and not too long.
fn cut(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(EXPLAINED_TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// What a term does that is no step of a stream, where its name leaves that open.
pub(super) fn note(kind: TermKind) -> Option<&'static str> {
    use TermKind as K;
    Some(match kind {
        K::Count | K::Sum | K::Avg | K::Min | K::Max | K::Reduce | K::Fold => "reduces row by row",
        K::OrderBy => "sorts all rows in memory",
        K::Distinct => "keeps each value once, in memory",
        K::Sample => "draws while all rows go by",
        K::Nth => "reads as far as that row",
        K::IsEmpty => "reads the first row",
        K::Contains => "reads until all are found",
        K::CoerceTo => "gathers all rows in memory",
        K::EqJoin => "looks up the other table for each row",
        K::Union => "reads one sequence after the other, or side by side",
        K::Changes => "listens to every change of the shards",
        K::Insert => "writes through the leader of each shard, in batches",
        K::Update | K::Replace => "is evaluated by the leader of each shard on the document as it is then, in batches",
        K::Delete => "writes through the leader of each shard, in batches",
        K::ForEach => "runs the writes for each row",
        K::GetNearest => "reads growing circles of cells of the index, and looks at each geometry",
        K::Http => "fetches from another server",
        K::Javascript => "runs in a process of its own",
        _ => return None,
    })
}
