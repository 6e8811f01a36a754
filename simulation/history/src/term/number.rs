//! The numbers of terms on the wire.

/// `datum`
pub const DATUM: u64 = 1;
/// `make_array`
pub const MAKE_ARRAY: u64 = 2;
/// `var`
pub const VAR: u64 = 10;
/// `error`
pub const ERROR: u64 = 12;
/// `implicit_var`
pub const IMPLICIT_VAR: u64 = 13;
/// `db`
pub const DB: u64 = 14;
/// `table`
pub const TABLE: u64 = 15;
/// `get`
pub const GET: u64 = 16;
/// `eq`
pub const EQ: u64 = 17;
/// `ne`
pub const NE: u64 = 18;
/// `lt`
pub const LT: u64 = 19;
/// `le`
pub const LE: u64 = 20;
/// `gt`
pub const GT: u64 = 21;
/// `ge`
pub const GE: u64 = 22;
/// `not`
pub const NOT: u64 = 23;
/// `add`
pub const ADD: u64 = 24;
/// `sub`
pub const SUB: u64 = 25;
/// `mul`
pub const MUL: u64 = 26;
/// `div`
pub const DIV: u64 = 27;
/// `mod`
pub const MOD: u64 = 28;
/// `append`
pub const APPEND: u64 = 29;
/// `slice`
pub const SLICE: u64 = 30;
/// `get_field`
pub const GET_FIELD: u64 = 31;
/// `has_fields`
pub const HAS_FIELDS: u64 = 32;
/// `pluck`
pub const PLUCK: u64 = 33;
/// `without`
pub const WITHOUT: u64 = 34;
/// `merge`
pub const MERGE: u64 = 35;
/// `reduce`
pub const REDUCE: u64 = 37;
/// `map`
pub const MAP: u64 = 38;
/// `filter`
pub const FILTER: u64 = 39;
/// `concat_map`
pub const CONCAT_MAP: u64 = 40;
/// `order_by`
pub const ORDER_BY: u64 = 41;
/// `distinct`
pub const DISTINCT: u64 = 42;
/// `count`
pub const COUNT: u64 = 43;
/// `union`
pub const UNION: u64 = 44;
/// `nth`
pub const NTH: u64 = 45;
/// `coerce_to`
pub const COERCE_TO: u64 = 51;
/// `type_of`
pub const TYPE_OF: u64 = 52;
/// `update`
pub const UPDATE: u64 = 53;
/// `delete`
pub const DELETE: u64 = 54;
/// `replace`
pub const REPLACE: u64 = 55;
/// `insert`
pub const INSERT: u64 = 56;
/// `db_create`
pub const DB_CREATE: u64 = 57;
/// `db_drop`
pub const DB_DROP: u64 = 58;
/// `db_list`
pub const DB_LIST: u64 = 59;
/// `table_create`
pub const TABLE_CREATE: u64 = 60;
/// `table_drop`
pub const TABLE_DROP: u64 = 61;
/// `table_list`
pub const TABLE_LIST: u64 = 62;
/// `funcall`
pub const FUNCALL: u64 = 64;
/// `branch`
pub const BRANCH: u64 = 65;
/// `or`
pub const OR: u64 = 66;
/// `and`
pub const AND: u64 = 67;
/// `func`
pub const FUNC: u64 = 69;
/// `skip`
pub const SKIP: u64 = 70;
/// `limit`
pub const LIMIT: u64 = 71;
/// `asc`
pub const ASC: u64 = 73;
/// `desc`
pub const DESC: u64 = 74;
/// `index_create`
pub const INDEX_CREATE: u64 = 75;
/// `index_drop`
pub const INDEX_DROP: u64 = 76;
/// `index_list`
pub const INDEX_LIST: u64 = 77;
/// `get_all`
pub const GET_ALL: u64 = 78;
/// `prepend`
pub const PREPEND: u64 = 80;
/// `is_empty`
pub const IS_EMPTY: u64 = 86;
/// `default`
pub const DEFAULT: u64 = 92;
/// `contains`
pub const CONTAINS: u64 = 93;
/// `keys`
pub const KEYS: u64 = 94;
/// `index_wait`
pub const INDEX_WAIT: u64 = 140;
/// `group`
pub const GROUP: u64 = 144;
/// `sum`
pub const SUM: u64 = 145;
/// `avg`
pub const AVG: u64 = 146;
/// `min`
pub const MIN: u64 = 147;
/// `max`
pub const MAX: u64 = 148;
/// `ungroup`
pub const UNGROUP: u64 = 150;
/// `changes`
pub const CHANGES: u64 = 152;
/// `bracket`
pub const BRACKET: u64 = 170;
/// `reconfigure`
pub const RECONFIGURE: u64 = 176;
/// `wait`
pub const WAIT: u64 = 177;
/// `rebalance`
pub const REBALANCE: u64 = 179;
/// `minval`
pub const MINVAL: u64 = 180;
/// `maxval`
pub const MAXVAL: u64 = 181;
/// `between`
pub const BETWEEN: u64 = 182;
/// `values`
pub const VALUES: u64 = 186;
