//! Options from environment variables.
//!
//! Unknown `PHOTONDB_*` names are not refused: Kubernetes invents some for every service (`PHOTONDB_SERVICE_HOST`,
//! `PHOTONDB_PORT_28015_TCP`). One that looks like a misspelt option is logged.

use super::{Given, options};

const PREFIX: &str = "PHOTONDB_";

/// Names that do not follow the rule, and the option each stands for.
const OTHER_NAMES: &[(&str, &str)] = &[("DEV_MODE", "dev-mode"), ("PHOTONDB_NODE_ID", "server-name")];

/// The options among `variables`.
pub fn read(variables: impl Iterator<Item = (String, String)>) -> Given {
    let (mut given, mut other) = (Given::default(), Given::default());
    for (name, value) in variables {
        if let Some((_, option)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
            other.add(option, value).expect("the table names options");
        } else if let Some(option) = name.strip_prefix(PREFIX) {
            let option = option.to_lowercase();
            if given.add(&option, value).is_err()
                && let Some(near) = looks_like(&option)
            {
                tracing::warn!(
                    variable = name,
                    "ignored; did you mean {PREFIX}{}?",
                    near.to_uppercase().replace('-', "_")
                );
            }
        }
    }
    given.over(other)
}

/// The option that somebody who wrote `name` most likely meant.
fn looks_like(name: &str) -> Option<&'static str> {
    let near = options::nearest(&name.replace('_', "-"))?;
    (options::edit_distance(&name.replace('_', "-"), near) <= 2).then_some(near)
}
