//! Tables as queries see them: users' tables over their replicas, and the system's own.

pub mod system;
mod user;

pub(crate) use user::UserTable;
