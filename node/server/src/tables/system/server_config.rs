//! `server_config`: `{id, name, tags, cache_size_mb}` of each server. Where nobody has set its cache, a server says itself what it
//! takes, once.

use std::collections::{BTreeMap, BTreeSet};

use photondb_cluster_state::{Command, Node, Service};
use photondb_proto::NodeId;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::error::{Error, Result};
use photondb_runtime::fiber;

use super::{Contents, News, Viewer, fields};
use crate::config::is_name;

/// More mebibytes than this are more bytes than RethinkDB can count.
const CACHE_MB_MAX: f64 = (i64::MAX >> 20) as f64;

/// The table.
pub(super) struct ServerConfig;

impl Contents for ServerConfig {
    fn is_agreed(&self) -> bool {
        true
    }

    fn rows(&self, viewer: &Viewer<'_>) -> Result<Vec<Datum>> {
        let heard = own_caches(viewer, |_| true);
        let shown = viewer.state.nodes().filter(|node| node.service != Service::Gone);
        Ok(shown.map(|node| row(node, heard.get(&node.id).copied())).collect())
    }

    fn row(&self, viewer: &Viewer<'_>, key: &Datum) -> Result<Option<Datum>> {
        let id: Option<NodeId> = match key {
            Datum::String(text) => text.parse().ok(),
            _ => None,
        };
        let node = id.and_then(|id| viewer.state.node(id)).filter(|node| node.service != Service::Gone);
        // A text may be the id and be written otherwise than the key is.
        let found = node.map(|node| row(node, own_caches(viewer, |id| id == node.id).get(&node.id).copied()));
        super::row_in(found.into_iter().collect(), key)
    }

    fn news(&self) -> News {
        News::OfTheStateAndFromTimeToTime
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
        let wrong = |what: String| fields::wrong_format(viewer.table, &what);
        let id: NodeId = match key {
            Datum::String(text) => text.parse().map_err(|_| Error::internal("a server's key is no UUID"))?,
            _ => return Err(Error::internal("a server's key is no UUID")),
        };
        if new == old {
            return Ok(new.clone());
        }
        let row = new.as_object()?;
        let wanted = |field: &str| fields::required(row, field).map_err(wrong);
        let name = fields::named(&wanted("name")?, "server name", is_name)
            .map_err(|what| wrong(format!("In `name`: {what}")))?;
        let tags = tags(&wanted("tags")?).map_err(|what| wrong(format!("In `tags`: {what}")))?;
        let set = viewer.state.node(id).and_then(|node| node.cache_size_mb);
        let own = viewer.ground.reporter().own_cache_told_last(id);
        let cache_size_mb =
            chosen_cache(&wanted("cache_size_mb")?, old.as_object()?.get("cache_size_mb").as_ref(), set, own)
                .map_err(|what| wrong(format!("In `cache_size_mb`: {what}")))?;
        fields::no_others(row, &["id", "name", "tags", "cache_size_mb"]).map_err(wrong)?;
        viewer.ground.propose(Command::SetNodeConfig {
            id,
            name: Some(name),
            tags: Some(Node::chosen_tags(tags)),
            cache_size_mb: Some(cache_size_mb),
        })?;
        Ok(new.clone())
    }
}

/// One that stands there twice counts once, as in RethinkDB.
fn tags(found: &Datum) -> std::result::Result<BTreeSet<String>, String> {
    let Datum::Array(items) = found else { return Err(format!("Expected an array, got {}", found.print())) };
    items.iter().map(|tag| fields::named(&tag, "server tag", is_name)).collect()
}

/// What a row says of the cache of a server whose row was `old`: `None` leaves it to the server. `set`: what is set now. `own`: what
/// the server told last that it takes; who gives that back, having read it, has not chosen it.
fn chosen_cache(
    wanted: &Datum,
    old: Option<&Datum>,
    set: Option<u64>,
    own: Option<u64>,
) -> std::result::Result<Option<u64>, String> {
    match wanted {
        Datum::String(auto) if auto == "auto" => Ok(None),
        same if Some(same) == old => Ok(set),
        Datum::Number(size) if *size > CACHE_MB_MAX => Err("Value is too big.".to_owned()),
        Datum::Number(size) if *size < 0.0 => Err("Cache size cannot be negative.".to_owned()),
        // RethinkDB takes parts of one.
        Datum::Number(size) if size.fract() != 0.0 => Err(format!("Expected a whole number; got {}", wanted.print())),
        Datum::Number(size) => {
            let size = *size as u64;
            Ok(Some(size).filter(|size| set.is_some() || own != Some(*size)))
        }
        other => Err(format!("Expected a number or 'auto', got {}", other.print())),
    }
}

/// What servers have for a cache, in MiB, as they say: of those that were `asked` for, and that nobody has set one for.
fn own_caches(viewer: &Viewer<'_>, asked: impl Fn(NodeId) -> bool) -> BTreeMap<NodeId, u64> {
    let decides = |node: &Node| asked(node.id) && node.service != Service::Gone && node.cache_size_mb.is_none();
    fiber::wait(viewer.ground.reporter().own_caches(&viewer.state, decides))
}

/// `own_cache` counts where none is set; nothing: the server has not said.
fn row(node: &Node, own_cache: Option<u64>) -> Datum {
    let tags: Vec<Datum> = node.shown_tags().into_iter().map(Datum::from).collect();
    let cache = node.cache_size_mb.or(own_cache).map_or(Datum::from("auto"), Datum::from);
    Datum::Object(Object::from([
        ("cache_size_mb", cache),
        ("id", Datum::from(node.id.to_string())),
        ("name", Datum::from(node.name.as_str())),
        ("tags", Datum::from(tags)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::samples::{cluster, whole};

    #[test]
    fn tags_are_names() {
        let array = |items: Vec<Datum>| tags(&Datum::from(items));
        let names = ["a", "zone-eu_1", "a"].map(Datum::from).to_vec();
        assert_eq!(
            array(names).map(|tags| tags.into_iter().collect::<Vec<_>>()),
            Ok(vec!["a".into(), "zone-eu_1".into()])
        );
        assert_eq!(array(Vec::new()), Ok(BTreeSet::new()));
        for (wrong, said) in [
            (Datum::from("a b"), "\"a b\" is not a valid server tag; Use A-Z, a-z, 0-9, _ and - only"),
            (Datum::from(""), "\"\" is not a valid server tag; Use A-Z, a-z, 0-9, _ and - only"),
            (Datum::from(1), "Expected a server tag; got 1"),
        ] {
            assert_eq!(array(vec![Datum::from("a"), wrong]), Err(said.to_owned()));
        }
        assert_eq!(tags(&Datum::from("a")), Err("Expected an array, got \"a\"".to_owned()));
    }

    #[test]
    fn who_gives_back_what_the_server_takes_leaves_it_to_the_server() {
        let auto = Datum::from("auto");
        for (wanted, old, set, own, chosen) in [
            (Datum::from(512), Datum::from(512), None, Some(512), Ok(None)),
            // It was read before, and this server has not heard it since the other one began anew.
            (Datum::from(512), auto.clone(), None, Some(512), Ok(None)),
            (Datum::from(512), auto.clone(), None, None, Ok(Some(512))),
            (Datum::from(256), Datum::from(512), None, Some(512), Ok(Some(256))),
            (Datum::from(512), Datum::from(100), Some(100), Some(512), Ok(Some(512))),
            (Datum::from(100), Datum::from(100), Some(100), None, Ok(Some(100))),
            (auto.clone(), Datum::from(100), Some(100), Some(512), Ok(None)),
            (auto.clone(), auto.clone(), None, None, Ok(None)),
            (Datum::Number(0.5), auto.clone(), None, None, Err("Expected a whole number; got 0.5".to_owned())),
            (Datum::from(-1), auto.clone(), None, None, Err("Cache size cannot be negative.".to_owned())),
            (Datum::Number(1e30), auto.clone(), None, None, Err("Value is too big.".to_owned())),
            (Datum::from("x"), auto, None, None, Err("Expected a number or 'auto', got \"x\"".to_owned())),
        ] {
            assert_eq!(chosen_cache(&wanted, Some(&old), set, own), chosen, "{} after {}", wanted.print(), old.print());
        }
    }

    #[test]
    fn a_cache_is_what_was_set_or_what_the_server_takes_whoever_it_is() {
        let state = cluster(whole(&[1]));
        let cache = |node: &Node, own: Option<u64>| {
            let row = row(node, own);
            row.field("cache_size_mb").expect("is there")
        };
        let set = |node: &Node| Node { cache_size_mb: Some(100), ..node.clone() };
        for node in state.nodes() {
            assert_eq!(cache(node, Some(512)), Datum::from(512));
            assert_eq!(cache(node, None), Datum::from("auto"), "it has not told");
            assert_eq!((cache(&set(node), Some(512)), cache(&set(node), None)), (Datum::from(100), Datum::from(100)));
        }
    }
}
