//! The numbers and names of all terms of the protocol.

/// What a term does. The discriminant is its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum TermKind {
    Datum = 1,
    MakeArray = 2,
    MakeObj = 3,
    Var = 10,
    Javascript = 11,
    Error = 12,
    ImplicitVar = 13,
    Db = 14,
    Table = 15,
    Get = 16,
    Eq = 17,
    Ne = 18,
    Lt = 19,
    Le = 20,
    Gt = 21,
    Ge = 22,
    Not = 23,
    Add = 24,
    Sub = 25,
    Mul = 26,
    Div = 27,
    Mod = 28,
    Append = 29,
    Slice = 30,
    GetField = 31,
    HasFields = 32,
    Pluck = 33,
    Without = 34,
    Merge = 35,
    BetweenDeprecated = 36,
    Reduce = 37,
    Map = 38,
    Filter = 39,
    ConcatMap = 40,
    OrderBy = 41,
    Distinct = 42,
    Count = 43,
    Union = 44,
    Nth = 45,
    InnerJoin = 48,
    OuterJoin = 49,
    EqJoin = 50,
    CoerceTo = 51,
    TypeOf = 52,
    Update = 53,
    Delete = 54,
    Replace = 55,
    Insert = 56,
    DbCreate = 57,
    DbDrop = 58,
    DbList = 59,
    TableCreate = 60,
    TableDrop = 61,
    TableList = 62,
    Funcall = 64,
    Branch = 65,
    Or = 66,
    And = 67,
    ForEach = 68,
    Func = 69,
    Skip = 70,
    Limit = 71,
    Zip = 72,
    Asc = 73,
    Desc = 74,
    IndexCreate = 75,
    IndexDrop = 76,
    IndexList = 77,
    GetAll = 78,
    Info = 79,
    Prepend = 80,
    Sample = 81,
    InsertAt = 82,
    DeleteAt = 83,
    ChangeAt = 84,
    SpliceAt = 85,
    IsEmpty = 86,
    OffsetsOf = 87,
    SetInsert = 88,
    SetIntersection = 89,
    SetUnion = 90,
    SetDifference = 91,
    Default = 92,
    Contains = 93,
    Keys = 94,
    Difference = 95,
    WithFields = 96,
    Match = 97,
    Json = 98,
    Iso8601 = 99,
    ToIso8601 = 100,
    EpochTime = 101,
    ToEpochTime = 102,
    Now = 103,
    InTimezone = 104,
    During = 105,
    Date = 106,
    Monday = 107,
    Tuesday = 108,
    Wednesday = 109,
    Thursday = 110,
    Friday = 111,
    Saturday = 112,
    Sunday = 113,
    January = 114,
    February = 115,
    March = 116,
    April = 117,
    May = 118,
    June = 119,
    July = 120,
    August = 121,
    September = 122,
    October = 123,
    November = 124,
    December = 125,
    TimeOfDay = 126,
    Timezone = 127,
    Year = 128,
    Month = 129,
    Day = 130,
    DayOfWeek = 131,
    DayOfYear = 132,
    Hours = 133,
    Minutes = 134,
    Seconds = 135,
    Time = 136,
    Literal = 137,
    Sync = 138,
    IndexStatus = 139,
    IndexWait = 140,
    Upcase = 141,
    Downcase = 142,
    Object = 143,
    Group = 144,
    Sum = 145,
    Avg = 146,
    Min = 147,
    Max = 148,
    Split = 149,
    Ungroup = 150,
    Random = 151,
    Changes = 152,
    Http = 153,
    Args = 154,
    Binary = 155,
    IndexRename = 156,
    Geojson = 157,
    ToGeojson = 158,
    Point = 159,
    Line = 160,
    Polygon = 161,
    Distance = 162,
    Intersects = 163,
    Includes = 164,
    Circle = 165,
    GetIntersecting = 166,
    Fill = 167,
    GetNearest = 168,
    Uuid = 169,
    Bracket = 170,
    PolygonSub = 171,
    ToJsonString = 172,
    Range = 173,
    Config = 174,
    Status = 175,
    Reconfigure = 176,
    Wait = 177,
    Rebalance = 179,
    Minval = 180,
    Maxval = 181,
    Between = 182,
    Floor = 183,
    Ceil = 184,
    Round = 185,
    Values = 186,
    Fold = 187,
    Grant = 188,
    SetWriteHook = 189,
    GetWriteHook = 190,
    BitAnd = 191,
    BitOr = 192,
    BitXor = 193,
    BitNot = 194,
    BitSal = 195,
    BitSar = 196,
    Format = 197,
}

/// Every kind with its name, in the order of the numbers.
const NAMES: [(TermKind, &str); 187] = [
    (TermKind::Datum, "DATUM"),
    (TermKind::MakeArray, "MAKE_ARRAY"),
    (TermKind::MakeObj, "MAKE_OBJ"),
    (TermKind::Var, "VAR"),
    (TermKind::Javascript, "JAVASCRIPT"),
    (TermKind::Error, "ERROR"),
    (TermKind::ImplicitVar, "IMPLICIT_VAR"),
    (TermKind::Db, "DB"),
    (TermKind::Table, "TABLE"),
    (TermKind::Get, "GET"),
    (TermKind::Eq, "EQ"),
    (TermKind::Ne, "NE"),
    (TermKind::Lt, "LT"),
    (TermKind::Le, "LE"),
    (TermKind::Gt, "GT"),
    (TermKind::Ge, "GE"),
    (TermKind::Not, "NOT"),
    (TermKind::Add, "ADD"),
    (TermKind::Sub, "SUB"),
    (TermKind::Mul, "MUL"),
    (TermKind::Div, "DIV"),
    (TermKind::Mod, "MOD"),
    (TermKind::Append, "APPEND"),
    (TermKind::Slice, "SLICE"),
    (TermKind::GetField, "GET_FIELD"),
    (TermKind::HasFields, "HAS_FIELDS"),
    (TermKind::Pluck, "PLUCK"),
    (TermKind::Without, "WITHOUT"),
    (TermKind::Merge, "MERGE"),
    (TermKind::BetweenDeprecated, "BETWEEN_DEPRECATED"),
    (TermKind::Reduce, "REDUCE"),
    (TermKind::Map, "MAP"),
    (TermKind::Filter, "FILTER"),
    (TermKind::ConcatMap, "CONCAT_MAP"),
    (TermKind::OrderBy, "ORDER_BY"),
    (TermKind::Distinct, "DISTINCT"),
    (TermKind::Count, "COUNT"),
    (TermKind::Union, "UNION"),
    (TermKind::Nth, "NTH"),
    (TermKind::InnerJoin, "INNER_JOIN"),
    (TermKind::OuterJoin, "OUTER_JOIN"),
    (TermKind::EqJoin, "EQ_JOIN"),
    (TermKind::CoerceTo, "COERCE_TO"),
    (TermKind::TypeOf, "TYPE_OF"),
    (TermKind::Update, "UPDATE"),
    (TermKind::Delete, "DELETE"),
    (TermKind::Replace, "REPLACE"),
    (TermKind::Insert, "INSERT"),
    (TermKind::DbCreate, "DB_CREATE"),
    (TermKind::DbDrop, "DB_DROP"),
    (TermKind::DbList, "DB_LIST"),
    (TermKind::TableCreate, "TABLE_CREATE"),
    (TermKind::TableDrop, "TABLE_DROP"),
    (TermKind::TableList, "TABLE_LIST"),
    (TermKind::Funcall, "FUNCALL"),
    (TermKind::Branch, "BRANCH"),
    (TermKind::Or, "OR"),
    (TermKind::And, "AND"),
    (TermKind::ForEach, "FOR_EACH"),
    (TermKind::Func, "FUNC"),
    (TermKind::Skip, "SKIP"),
    (TermKind::Limit, "LIMIT"),
    (TermKind::Zip, "ZIP"),
    (TermKind::Asc, "ASC"),
    (TermKind::Desc, "DESC"),
    (TermKind::IndexCreate, "INDEX_CREATE"),
    (TermKind::IndexDrop, "INDEX_DROP"),
    (TermKind::IndexList, "INDEX_LIST"),
    (TermKind::GetAll, "GET_ALL"),
    (TermKind::Info, "INFO"),
    (TermKind::Prepend, "PREPEND"),
    (TermKind::Sample, "SAMPLE"),
    (TermKind::InsertAt, "INSERT_AT"),
    (TermKind::DeleteAt, "DELETE_AT"),
    (TermKind::ChangeAt, "CHANGE_AT"),
    (TermKind::SpliceAt, "SPLICE_AT"),
    (TermKind::IsEmpty, "IS_EMPTY"),
    (TermKind::OffsetsOf, "OFFSETS_OF"),
    (TermKind::SetInsert, "SET_INSERT"),
    (TermKind::SetIntersection, "SET_INTERSECTION"),
    (TermKind::SetUnion, "SET_UNION"),
    (TermKind::SetDifference, "SET_DIFFERENCE"),
    (TermKind::Default, "DEFAULT"),
    (TermKind::Contains, "CONTAINS"),
    (TermKind::Keys, "KEYS"),
    (TermKind::Difference, "DIFFERENCE"),
    (TermKind::WithFields, "WITH_FIELDS"),
    (TermKind::Match, "MATCH"),
    (TermKind::Json, "JSON"),
    (TermKind::Iso8601, "ISO8601"),
    (TermKind::ToIso8601, "TO_ISO8601"),
    (TermKind::EpochTime, "EPOCH_TIME"),
    (TermKind::ToEpochTime, "TO_EPOCH_TIME"),
    (TermKind::Now, "NOW"),
    (TermKind::InTimezone, "IN_TIMEZONE"),
    (TermKind::During, "DURING"),
    (TermKind::Date, "DATE"),
    (TermKind::Monday, "MONDAY"),
    (TermKind::Tuesday, "TUESDAY"),
    (TermKind::Wednesday, "WEDNESDAY"),
    (TermKind::Thursday, "THURSDAY"),
    (TermKind::Friday, "FRIDAY"),
    (TermKind::Saturday, "SATURDAY"),
    (TermKind::Sunday, "SUNDAY"),
    (TermKind::January, "JANUARY"),
    (TermKind::February, "FEBRUARY"),
    (TermKind::March, "MARCH"),
    (TermKind::April, "APRIL"),
    (TermKind::May, "MAY"),
    (TermKind::June, "JUNE"),
    (TermKind::July, "JULY"),
    (TermKind::August, "AUGUST"),
    (TermKind::September, "SEPTEMBER"),
    (TermKind::October, "OCTOBER"),
    (TermKind::November, "NOVEMBER"),
    (TermKind::December, "DECEMBER"),
    (TermKind::TimeOfDay, "TIME_OF_DAY"),
    (TermKind::Timezone, "TIMEZONE"),
    (TermKind::Year, "YEAR"),
    (TermKind::Month, "MONTH"),
    (TermKind::Day, "DAY"),
    (TermKind::DayOfWeek, "DAY_OF_WEEK"),
    (TermKind::DayOfYear, "DAY_OF_YEAR"),
    (TermKind::Hours, "HOURS"),
    (TermKind::Minutes, "MINUTES"),
    (TermKind::Seconds, "SECONDS"),
    (TermKind::Time, "TIME"),
    (TermKind::Literal, "LITERAL"),
    (TermKind::Sync, "SYNC"),
    (TermKind::IndexStatus, "INDEX_STATUS"),
    (TermKind::IndexWait, "INDEX_WAIT"),
    (TermKind::Upcase, "UPCASE"),
    (TermKind::Downcase, "DOWNCASE"),
    (TermKind::Object, "OBJECT"),
    (TermKind::Group, "GROUP"),
    (TermKind::Sum, "SUM"),
    (TermKind::Avg, "AVG"),
    (TermKind::Min, "MIN"),
    (TermKind::Max, "MAX"),
    (TermKind::Split, "SPLIT"),
    (TermKind::Ungroup, "UNGROUP"),
    (TermKind::Random, "RANDOM"),
    (TermKind::Changes, "CHANGES"),
    (TermKind::Http, "HTTP"),
    (TermKind::Args, "ARGS"),
    (TermKind::Binary, "BINARY"),
    (TermKind::IndexRename, "INDEX_RENAME"),
    (TermKind::Geojson, "GEOJSON"),
    (TermKind::ToGeojson, "TO_GEOJSON"),
    (TermKind::Point, "POINT"),
    (TermKind::Line, "LINE"),
    (TermKind::Polygon, "POLYGON"),
    (TermKind::Distance, "DISTANCE"),
    (TermKind::Intersects, "INTERSECTS"),
    (TermKind::Includes, "INCLUDES"),
    (TermKind::Circle, "CIRCLE"),
    (TermKind::GetIntersecting, "GET_INTERSECTING"),
    (TermKind::Fill, "FILL"),
    (TermKind::GetNearest, "GET_NEAREST"),
    (TermKind::Uuid, "UUID"),
    (TermKind::Bracket, "BRACKET"),
    (TermKind::PolygonSub, "POLYGON_SUB"),
    (TermKind::ToJsonString, "TO_JSON_STRING"),
    (TermKind::Range, "RANGE"),
    (TermKind::Config, "CONFIG"),
    (TermKind::Status, "STATUS"),
    (TermKind::Reconfigure, "RECONFIGURE"),
    (TermKind::Wait, "WAIT"),
    (TermKind::Rebalance, "REBALANCE"),
    (TermKind::Minval, "MINVAL"),
    (TermKind::Maxval, "MAXVAL"),
    (TermKind::Between, "BETWEEN"),
    (TermKind::Floor, "FLOOR"),
    (TermKind::Ceil, "CEIL"),
    (TermKind::Round, "ROUND"),
    (TermKind::Values, "VALUES"),
    (TermKind::Fold, "FOLD"),
    (TermKind::Grant, "GRANT"),
    (TermKind::SetWriteHook, "SET_WRITE_HOOK"),
    (TermKind::GetWriteHook, "GET_WRITE_HOOK"),
    (TermKind::BitAnd, "BIT_AND"),
    (TermKind::BitOr, "BIT_OR"),
    (TermKind::BitXor, "BIT_XOR"),
    (TermKind::BitNot, "BIT_NOT"),
    (TermKind::BitSal, "BIT_SAL"),
    (TermKind::BitSar, "BIT_SAR"),
    (TermKind::Format, "FORMAT"),
];

/// A term number that the protocol does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unrecognized TermType: {0}.")]
pub struct UnknownTerm(pub i64);

impl TermKind {
    /// Every kind there is, in the order of the numbers.
    pub fn all() -> impl Iterator<Item = TermKind> {
        NAMES.iter().map(|(kind, _)| *kind)
    }

    /// The protocol's name, as error messages show it: `GET_FIELD`.
    pub fn name(self) -> &'static str {
        match NAMES.binary_search_by_key(&self, |(kind, _)| *kind) {
            Ok(position) => NAMES[position].1,
            Err(_) => "UNKNOWN",
        }
    }

    /// The number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Whether it is a value by itself, which a driver's text names without parentheses: `r.minval`, `r.monday`.
    pub fn is_constant(self) -> bool {
        use TermKind::*;
        matches!(
            self,
            Minval
                | Maxval
                | Monday
                | Tuesday
                | Wednesday
                | Thursday
                | Friday
                | Saturday
                | Sunday
                | January
                | February
                | March
                | April
                | May
                | June
                | July
                | August
                | September
                | October
                | November
                | December
        )
    }
}

impl TryFrom<i64> for TermKind {
    type Error = UnknownTerm;

    fn try_from(number: i64) -> Result<TermKind, UnknownTerm> {
        NAMES
            .binary_search_by_key(&number, |(kind, _)| i64::from(kind.number()))
            .map(|position| NAMES[position].0)
            .map_err(|_| UnknownTerm(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_agree() {
        for kind in TermKind::all() {
            assert_eq!(TermKind::try_from(i64::from(kind.number())), Ok(kind));
        }
        assert_eq!(TermKind::Table.number(), 15);
        assert_eq!(TermKind::GetField.name(), "GET_FIELD");
        assert_eq!(TermKind::Format.number(), 197);
    }

    #[test]
    fn numbers_without_a_term_are_refused() {
        for number in [i64::MIN, -1, 0, 4, 46, 63, 178, 198, 9999] {
            assert_eq!(TermKind::try_from(number), Err(UnknownTerm(number)));
        }
    }
}
