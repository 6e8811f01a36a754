//! What each term takes and gives. A letter says what stands in a place:
//!
//! `n` number, `i` small whole number, `b` truth, `s` text, `t` time, `y` binary, `g` geometry, `a` array, `o` object,
//! `q` sequence, `k` names of fields, `x` anything, `f` `F` `G` a function of one, two or
//! three, `p` one that gives a truth, `d` an order, `T` the table `t`, `U` the table `u`, `S` documents of `u` to be
//! written, `w` what a write answers. `*` repeats the one before it up to twice more, `?` may leave it out.

use photondb_reql::TermKind::{self, *};

/// A way to use a term.
pub struct Pattern {
    pub kind: TermKind,
    /// Its arguments.
    pub args: &'static str,
    /// What it gives: one of these letters.
    gives: &'static str,
    /// The least reach it needs, as [`super::Reach`] counts.
    pub reach: u8,
}

impl Pattern {
    /// Whether it gives what is wanted.
    pub fn fits(&self, want: char) -> bool {
        let anything = want == 'x' && !self.gives.contains(['k', 'd', 'T', 'U', 'S']);
        let number = want == 'i' && self.gives.contains('n');
        anything || number || self.gives.contains(want)
    }
}

const fn pure(kind: TermKind, args: &'static str, gives: &'static str) -> Pattern {
    Pattern { kind, args, gives, reach: 0 }
}

const fn reads(kind: TermKind, args: &'static str, gives: &'static str) -> Pattern {
    Pattern { kind, args, gives, reach: 1 }
}

const fn writes(kind: TermKind, args: &'static str, gives: &'static str) -> Pattern {
    Pattern { kind, args, gives, reach: 2 }
}

/// Every way there is.
pub const TERMS: &[Pattern] = &[
    // Values and control.
    pure(MakeArray, "x*x*", "a"),
    pure(MakeArray, "i*i*", "aq"),
    pure(MakeArray, "o*o*", "aq"),
    pure(Object, "sxsx", "o"),
    pure(Branch, "bxx", "x"),
    pure(Branch, "bnn", "n"),
    pure(Branch, "boo", "o"),
    pure(And, "b*", "b"),
    pure(Or, "b*", "b"),
    pure(Not, "x", "b"),
    pure(Default, "xx", "x"),
    pure(Default, "nn", "n"),
    pure(Funcall, "fx", "x"),
    pure(Funcall, "Fxx", "x"),
    pure(Error, "s?", "x"),
    pure(TypeOf, "x", "s"),
    pure(Literal, "x?", "x"),
    pure(Args, "a", "x"),
    pure(Json, "s", "x"),
    pure(ToJsonString, "x", "s"),
    pure(Uuid, "s", "s"),
    pure(CoerceTo, "xs", "x"),
    pure(CoerceTo, "qs", "a"),
    pure(Now, "", "t"),
    pure(Random, "n?n?", "n"),
    // Scalars.
    pure(Eq, "xx*", "b"),
    pure(Eq, "nn", "b"),
    pure(Ne, "xx*", "b"),
    pure(Ne, "ss", "b"),
    pure(Lt, "xx*", "b"),
    pure(Lt, "nn", "b"),
    pure(Lt, "nn*", "b"),
    pure(Le, "xx*", "b"),
    pure(Le, "nn", "b"),
    pure(Gt, "nn*", "b"),
    pure(Ge, "nn*", "b"),
    pure(Add, "nn*", "n"),
    pure(Add, "ss*", "s"),
    pure(Add, "aa*", "a"),
    pure(Add, "tn*", "t"),
    pure(Sub, "nn*", "n"),
    pure(Sub, "tt", "n"),
    pure(Mul, "nn*", "n"),
    pure(Mul, "ai", "a"),
    pure(Div, "nn*", "n"),
    pure(Mod, "nn", "n"),
    pure(Floor, "n", "n"),
    pure(Ceil, "n", "n"),
    pure(Round, "n", "n"),
    pure(BitAnd, "nn*", "n"),
    pure(BitOr, "nn*", "n"),
    pure(BitXor, "nn*", "n"),
    pure(BitNot, "n", "n"),
    pure(BitSal, "ni", "n"),
    pure(BitSar, "ni", "n"),
    pure(Match, "ss", "o"),
    pure(Split, "ss?i?", "a"),
    pure(Upcase, "s", "s"),
    pure(Downcase, "s", "s"),
    pure(Format, "so", "s"),
    pure(Binary, "s", "y"),
    pure(Minval, "", "x"),
    pure(Maxval, "", "x"),
    // Times.
    pure(Iso8601, "s", "t"),
    pure(ToIso8601, "t", "s"),
    pure(EpochTime, "n", "t"),
    pure(ToEpochTime, "t", "n"),
    pure(InTimezone, "ts", "t"),
    pure(Timezone, "t", "s"),
    pure(During, "ttt", "b"),
    pure(Date, "t", "t"),
    pure(TimeOfDay, "t", "n"),
    pure(Year, "t", "n"),
    pure(Month, "t", "n"),
    pure(Day, "t", "n"),
    pure(DayOfWeek, "t", "n"),
    pure(DayOfYear, "t", "n"),
    pure(Hours, "t", "n"),
    pure(Minutes, "t", "n"),
    pure(Seconds, "t", "n"),
    pure(Time, "iiis", "t"),
    pure(Time, "iiiiins", "t"),
    pure(July, "", "n"),
    pure(Sunday, "", "n"),
    // Arrays.
    pure(Append, "ax", "a"),
    pure(Prepend, "ax", "a"),
    pure(Difference, "aa", "a"),
    pure(SetInsert, "ax", "a"),
    pure(SetUnion, "aa", "a"),
    pure(SetIntersection, "aa", "a"),
    pure(SetDifference, "aa", "a"),
    pure(InsertAt, "aix", "a"),
    pure(SpliceAt, "aia", "a"),
    pure(ChangeAt, "aix", "a"),
    pure(DeleteAt, "aii?", "a"),
    // Objects and sequences of them.
    pure(GetField, "ok", "x"),
    pure(Bracket, "ok", "xn"),
    pure(Bracket, "qk", "aq"),
    pure(Bracket, "ai", "x"),
    pure(HasFields, "ok*", "b"),
    pure(HasFields, "qk*", "q"),
    pure(Pluck, "ok*", "o"),
    pure(Pluck, "qk*", "q"),
    pure(Without, "ok*", "o"),
    pure(Without, "qk*", "q"),
    pure(Merge, "oo*", "o"),
    pure(Merge, "qf", "q"),
    pure(WithFields, "qk*", "q"),
    pure(Keys, "o", "a"),
    pure(Values, "o", "a"),
    // Sequences.
    pure(Map, "qf", "q"),
    pure(Map, "qqF", "q"),
    pure(Filter, "qp", "q"),
    pure(Filter, "qo", "q"),
    pure(ConcatMap, "qf", "q"),
    pure(Reduce, "qF", "x"),
    pure(Fold, "qxF", "x"),
    pure(OrderBy, "qd*", "q"),
    pure(OrderBy, "qf", "q"),
    pure(Skip, "qi", "q"),
    pure(Limit, "qi", "q"),
    pure(Slice, "qii?", "q"),
    pure(Slice, "sii?", "s"),
    pure(Nth, "qi", "x"),
    pure(OffsetsOf, "qx", "a"),
    pure(OffsetsOf, "qp", "a"),
    pure(IsEmpty, "q", "b"),
    pure(Union, "qq*", "q"),
    pure(Zip, "q", "q"),
    pure(Range, "i?i?", "q"),
    pure(Count, "q", "n"),
    pure(Count, "qx", "n"),
    pure(Count, "s", "n"),
    pure(Sum, "qf?", "n"),
    pure(Avg, "qf?", "n"),
    pure(Min, "qf?", "x"),
    pure(Max, "qf?", "x"),
    pure(Group, "qf", "q"),
    pure(Group, "qk*", "q"),
    pure(Ungroup, "q", "a"),
    pure(Distinct, "q", "aq"),
    pure(Contains, "qx*", "b"),
    pure(Sample, "qi", "a"),
    pure(InnerJoin, "qqF", "q"),
    pure(OuterJoin, "qqF", "q"),
    // Geometry.
    pure(Geojson, "o", "g"),
    pure(ToGeojson, "g", "o"),
    pure(Point, "nn", "g"),
    pure(Line, "gg*", "g"),
    pure(Polygon, "ggg*", "g"),
    pure(Distance, "gg", "n"),
    pure(Intersects, "gg", "b"),
    pure(Includes, "gg", "b"),
    pure(Circle, "gi", "g"),
    pure(Fill, "g", "g"),
    pure(PolygonSub, "gg", "g"),
    // Tables.
    reads(Get, "Ux", "ox"),
    reads(GetAll, "Tx*", "q"),
    reads(Between, "Txx", "q"),
    reads(OrderBy, "T", "q"),
    reads(Distinct, "T", "a"),
    reads(Min, "T", "o"),
    reads(Max, "T", "o"),
    reads(EqJoin, "qsT", "q"),
    reads(Info, "x", "o"),
    reads(GetIntersecting, "Tg", "q"),
    reads(GetNearest, "Tg", "q"),
    reads(Count, "T", "n"),
    reads(IndexStatus, "Ts", "a"),
    writes(Get, "Ux", "S"),
    writes(GetAll, "Ux*", "S"),
    writes(Between, "Uxx", "S"),
    writes(Filter, "Up", "S"),
    writes(Limit, "Ui", "S"),
    writes(Nth, "Ui", "S"),
    writes(Insert, "Uo", "w"),
    writes(Insert, "Uq", "w"),
    writes(Update, "So", "w"),
    writes(Update, "Sf", "w"),
    writes(Replace, "Sf", "w"),
    writes(Delete, "S", "w"),
    writes(ForEach, "qW", "w"),
    writes(Sync, "U", "w"),
];
