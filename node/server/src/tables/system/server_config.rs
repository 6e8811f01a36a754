//! `server_config`: `{id, name, tags, cache_size_mb}` of each server.

use std::collections::BTreeSet;

use photondb_cluster_state::{Command, Node, Service};
use photondb_proto::NodeId;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};

use super::{Contents, Viewer, fields};

/// The tag of servers that were given none.
const DEFAULT_TAG: &str = "default";

/// The table.
pub(super) struct ServerConfig;

impl Contents for ServerConfig {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        Ok(viewer.state.nodes().filter(|node| node.service != Service::Gone).map(|node| row(viewer, node)).collect())
    }

    fn write(&self, viewer: &Viewer<'_>, key: &Datum, old: &Datum, new: &Datum) -> Result<Datum> {
        match (old, new) {
            (Datum::Null, Datum::Null) => return Ok(Datum::Null),
            (Datum::Null, _) => {
                let message = "It's illegal to insert new rows into the `rethinkdb.server_config` table.";
                return Err(Error::op_failed(message));
            }
            (_, Datum::Null) => {
                return Err(Error::op_failed("It's illegal to delete rows from the `rethinkdb.server_config` table."));
            }
            _ => {}
        }
        let wrong = |what: &str| fields::wrong_format(viewer.table, what);
        let id: NodeId = match key {
            Datum::String(text) => text.parse().map_err(|_| Error::internal("a server's key is no UUID"))?,
            _ => return Err(Error::internal("a server's key is no UUID")),
        };
        let unknown = fields::unknown(new.as_object()?, &["id", "name", "tags", "cache_size_mb"]);
        if !unknown.is_empty() {
            return Err(wrong(&format!("Unexpected key(s): {}", unknown.join(", "))));
        }
        let name = match new.field("name")? {
            Datum::String(name) => name.to_string(),
            other => return Err(wrong(&format!("In `name`: Expected a string; got {}", other.print()))),
        };
        let mut tags = BTreeSet::new();
        let Datum::Array(items) = new.field("tags")? else { return Err(wrong("In `tags`: Expected an array.")) };
        for tag in items.iter() {
            match tag {
                Datum::String(tag) => tags.insert(tag.to_string()),
                other => return Err(wrong(&format!("In `tags`: Expected a string; got {}", other.print()))),
            };
        }
        let cache_size_mb = match new.field("cache_size_mb")? {
            Datum::String(auto) if auto == "auto" => None,
            same if Some(&same) == old.as_object()?.get("cache_size_mb").as_ref() => {
                viewer.state.node(id).and_then(|node| node.cache_size_mb)
            }
            Datum::Number(size) if size >= 0.0 && size.fract() == 0.0 => Some(size as u64),
            other => return Err(wrong(&format!("In `cache_size_mb`: Expected a whole number; got {}", other.print()))),
        };
        viewer.ground.propose(Command::SetNodeConfig {
            id,
            name: Some(name),
            tags: Some(tags),
            cache_size_mb: Some(cache_size_mb),
        })?;
        Ok(new.clone())
    }
}

fn row(viewer: &Viewer<'_>, node: &Node) -> Datum {
    let mut tags: Vec<Datum> = node.tags.iter().map(|tag| Datum::from(tag.as_str())).collect();
    if node.has_tag(DEFAULT_TAG) && !node.tags.contains(DEFAULT_TAG) {
        tags.insert(0, Datum::from(DEFAULT_TAG));
    }
    let cache = match node.cache_size_mb {
        Some(size) => Datum::from(size),
        None if node.id == viewer.ground.node() => Datum::from(viewer.ground.facts().cache_size_mb),
        None => Datum::from("auto"),
    };
    Datum::Object(Object::from([
        ("cache_size_mb", cache),
        ("id", Datum::from(node.id.to_string())),
        ("name", Datum::from(node.name.as_str())),
        ("tags", Datum::from(tags)),
    ]))
}
