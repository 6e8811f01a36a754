//! `users`: `{id: name, password: bool}`. Passwords are written as text and never shown.

use photondb_cluster_state::{ADMIN, Command, Credentials, User};
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_reql::limits::PASSWORD_ITERATIONS;

use super::{Contents, Viewer, fields};
use crate::node::accounts::store_password_with;

/// The table.
pub(super) struct Users;

impl Contents for Users {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let row = |user: &User| shown(&user.name, user.credentials.is_some());
        Ok(viewer.state.users().map(|user| row(user)).collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        let name = match key {
            Datum::String(name) if !viewer.key_is_generated => name,
            _ => return Err(Error::op_failed(format!("Expected a username as the primary key, got {}.", key.print()))),
        };
        if new.is_null() {
            if name == ADMIN {
                return Err(Error::op_failed("The user `admin` can't be deleted."));
            }
            // Nothing is proposed: whoever is made meanwhile was not meant, least of all by an update.
            if old.is_null() {
                return Err(Error::op_failed(format!("User `{name}` not found.")));
            }
            viewer.ground.propose(Command::DropUser { name: name.to_string() })?;
            return Ok(Datum::Null);
        }
        if new == old {
            return Ok(new.clone());
        }
        let document = new.as_object()?;
        let Some(password) = document.get("password") else {
            return Err(Error::op_failed("Expected a field named `password`."));
        };
        fields::only(document, &["id", "password"])?;
        let had_password = old.as_object().ok().and_then(|old| old.get("password")) == Some(Datum::Bool(true));
        let wanted = wanted(&password, had_password)?;
        let credentials = match wanted {
            Wanted::AsItIs => return Ok(shown(name, had_password)),
            Wanted::None => None,
            Wanted::Password { password, iterations } => Some(derive(viewer, &password, iterations)),
        };
        let has_password = credentials.is_some();
        viewer.ground.propose(Command::SetUser { name: name.to_string(), credentials })?;
        Ok(shown(name, has_password))
    }
}

fn derive(viewer: &Viewer<'_>, password: &str, iterations: u32) -> Credentials {
    store_password_with(password, iterations, &*viewer.ground.foundation().random)
}

fn shown(name: &str, password: bool) -> Datum {
    Datum::Object(Object::from([("id", Datum::from(name)), ("password", Datum::Bool(password))]))
}

enum Wanted {
    AsItIs,
    None,
    Password { password: String, iterations: u32 },
}

fn wanted(password: &Datum, had_password: bool) -> Result<Wanted> {
    match password {
        Datum::String(text) if text.is_empty() => Ok(Wanted::None),
        Datum::String(text) => Ok(Wanted::Password { password: text.to_string(), iterations: PASSWORD_ITERATIONS }),
        Datum::Bool(false) => Ok(Wanted::None),
        Datum::Bool(true) if had_password => Ok(Wanted::AsItIs),
        Datum::Bool(true) => Err(Error::op_failed(
            "Expected an object or string to set the password, or `false` to keep it unset, got true.",
        )),
        Datum::Object(object) => {
            let given = fields::required(object, "iterations").map_err(Error::op_failed)?;
            let iterations = match &given {
                Datum::Number(_) => u32::try_from(given.as_integer()?).ok().filter(|iterations| *iterations > 0),
                _ => None,
            };
            let iterations = iterations.ok_or_else(|| {
                let given = given.print();
                Error::op_failed(format!("Expected iterations to be a number greater than zero, got {given}."))
            })?;
            let password = match fields::required(object, "password").map_err(Error::op_failed)? {
                Datum::String(password) => password.to_string(),
                other => {
                    let given = other.print();
                    return Err(Error::op_failed(format!("Expected `password` to be a string, got {given}.")));
                }
            };
            fields::only(object, &["iterations", "password"])?;
            Ok(Wanted::Password { password, iterations })
        }
        other => Err(Error::op_failed(format!(
            "Expected an object, string or boolean for `password`, got {}.",
            other.print()
        ))),
    }
}
