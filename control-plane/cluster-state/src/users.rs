//! Users and what they may do, with RethinkDB's rules.

use photondb_proto::{DatabaseId, TableId};

/// The user that is always there and may do everything.
pub const ADMIN: &str = "admin";

/// A salted password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Drawn when the password was set.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2-HMAC-SHA256.
    pub iterations: u32,
    /// What they give.
    pub salted_password: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    /// Keeps hashes out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Unique.
    pub name: String,
    /// `None`: no password; whoever connects with an empty one is let in.
    pub credentials: Option<Credentials>,
}

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything.
    Global,
    /// A database and its tables.
    Database(DatabaseId),
    /// One table.
    Table(DatabaseId, TableId),
}

/// What may be permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Read documents.
    Read,
    /// Write documents.
    Write,
    /// Change databases, tables, indexes.
    Config,
    /// Have the server open connections (`r.http`). At the global scope alone.
    Connect,
}

/// What is said about a user at one scope; `None` leaves it to the wider scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// See [`Permission::Read`].
    pub read: Option<bool>,
    /// See [`Permission::Write`].
    pub write: Option<bool>,
    /// See [`Permission::Config`].
    pub config: Option<bool>,
    /// See [`Permission::Connect`].
    pub connect: Option<bool>,
}

impl Permissions {
    /// Nothing is said.
    pub fn is_unset(&self) -> bool {
        *self == Permissions::default()
    }

    /// What is said about one of them.
    pub fn get(&self, permission: Permission) -> Option<bool> {
        match permission {
            Permission::Read => self.read,
            Permission::Write => self.write,
            Permission::Config => self.config,
            Permission::Connect => self.connect,
        }
    }
}
