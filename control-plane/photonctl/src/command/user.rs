//! `photonctl user`: who may log in, and what they may do.

use clap::Subcommand;
use photondb_reql::term::TermKind;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Columns, Format, cell};
use crate::password::NewPassword;
use crate::term::{call, system_table};

#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// The users.
    List,
    /// Makes a user, who may do nothing until something is granted.
    Create {
        /// The name.
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Removes a user, and what was granted.
    Drop {
        /// The name.
        name: String,
    },
    /// Gives a user another password.
    SetPassword {
        /// The name.
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// What users were granted, and denied.
    Permissions {
        /// Only this one.
        name: Option<String>,
    },
}

pub fn run(verb: &UserVerb, client: &Client, format: Format) -> Result<String, Failure> {
    let user = |name: &str| call(TermKind::Get, [system_table("users"), name.into()]);
    let absent = |name: &str| client.absent(format!("there is no user `{name}` (photonctl user list)"));
    // Of a user who is not there some servers say so, others that nothing was written.
    let change = |name: &str, term: Value| match client.write(&term) {
        Ok((_, 0)) => Err(absent(name)),
        Err(Failure::Query { message, .. }) if message == format!("User `{name}` not found.") => Err(absent(name)),
        written => written.map(|(answer, _)| answer),
    };
    match verb {
        UserVerb::List => {
            let users = client.value(&system_table("users"))?;
            Ok(format.write(&users, || list(&users)))
        }
        UserVerb::Create { name, password } => {
            let document = json!({ "id": name, "password": stored(password.read()?) });
            let (answer, _) = client.write(&call(TermKind::Insert, [system_table("users"), document]))?;
            Ok(format.write(&answer, || format!("User `{name}` has been made\n")))
        }
        UserVerb::Drop { name } => {
            let answer = change(name, call(TermKind::Delete, [user(name)]))?;
            Ok(format.write(&answer, || format!("User `{name}` has been removed\n")))
        }
        UserVerb::SetPassword { name, password } => {
            let password = json!({ "password": stored(password.read()?) });
            let answer = change(name, call(TermKind::Update, [user(name), password]))?;
            Ok(format.write(&answer, || format!("User `{name}` has another password now\n")))
        }
        UserVerb::Permissions { name } => {
            let rows = match name {
                Some(name) => call(TermKind::Filter, [system_table("permissions"), json!({ "user": name })]),
                None => system_table("permissions"),
            };
            let rows = client.value(&rows)?;
            Ok(format.write(&rows, || permissions(&rows)))
        }
    }
}

/// As the table of users has it.
fn stored(password: Option<String>) -> Value {
    password.map_or(Value::Bool(false), Value::from)
}

fn list(users: &Value) -> String {
    let mut columns = Columns::new(["USER", "PASSWORD"]);
    for user in users.as_array().into_iter().flatten() {
        let password = if user["password"] == Value::Bool(true) { "set" } else { "none" };
        columns.row([cell(&user["id"]), password.to_owned()]);
    }
    columns.finish()
}

fn permissions(rows: &Value) -> String {
    let mut columns = Columns::new(["USER", "DATABASE", "TABLE", "READ", "WRITE", "CONFIG", "CONNECT"]);
    for row in rows.as_array().into_iter().flatten() {
        let said = |name: &str| match row["permissions"][name] {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            _ => String::new(),
        };
        columns.row([
            cell(&row["user"]),
            cell(&row["database"]),
            cell(&row["table"]),
            said("read"),
            said("write"),
            said("config"),
            said("connect"),
        ]);
    }
    columns.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_user_and_each_scope() {
        let users = json!([{"id": "admin", "password": true}, {"id": "ann", "password": false}]);
        assert_eq!(list(&users), "USER   PASSWORD\nadmin  set\nann    none\n");
        let rows = json!([
            {"user": "ann", "permissions": {"read": true, "connect": false}},
            {"user": "ann", "database": "d", "table": "t", "permissions": {"write": false}},
        ]);
        let expected = "\
USER  DATABASE  TABLE  READ  WRITE  CONFIG  CONNECT
ann   -         -      yes   -      -       no
ann   d         t      -     no     -       -
";
        assert_eq!(permissions(&rows), expected);
    }

    #[test]
    fn no_password_is_said_as_the_table_has_it() {
        assert_eq!((stored(None), stored(Some("p".to_owned()))), (json!(false), json!("p")));
    }
}
