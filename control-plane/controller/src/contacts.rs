//! Where a node looks for others: addresses that were given, and names that say where others listen now.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use photondb_runtime::peers::SendFuture;
use photondb_runtime::task::timeout;

use crate::limits::START_CALL_MAX;

/// A name behind which nodes listen, which may be others at each look.
pub trait Discovery: Send + Sync {
    /// What people know it by.
    fn name(&self) -> &str;

    /// Where nodes listen at this moment, "host:port" each. Errors: why that cannot be said; the next look may help.
    fn look_up(&self) -> SendFuture<'static, Result<Vec<String>, String>>;
}

/// Whom a node asks for the way into its cluster.
#[derive(Clone, Default)]
pub struct Contacts {
    addresses: Vec<String>,
    discoveries: Vec<Arc<dyn Discovery>>,
    nodes_min: usize,
}

/// What one look at the contacts gave.
pub(crate) struct Seen {
    /// "host:port" each.
    pub addresses: BTreeSet<String>,
    /// Names that led nowhere, and why.
    pub nowhere: Vec<(String, String)>,
}

impl Contacts {
    /// Those at the addresses, and whoever is found.
    pub fn new(addresses: Vec<String>, discoveries: Vec<Arc<dyn Discovery>>) -> Contacts {
        Contacts { addresses, discoveries, nodes_min: 0 }
    }

    /// The cluster has so many nodes at least, this one among them: those that nobody names count as nodes that do not answer
    /// when it is to be founded. For names that lead only to who is there at the moment.
    pub fn with_nodes_at_least(self, nodes_min: usize) -> Contacts {
        Contacts { nodes_min, ..self }
    }

    /// See [`Contacts::with_nodes_at_least`].
    pub(crate) fn nodes_min(&self) -> usize {
        self.nodes_min
    }

    /// Whether there is nobody to ask, now and later.
    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.discoveries.is_empty()
    }

    /// The addresses of this moment. A name without any counts as one where nobody is: it may stand for a whole cluster.
    pub(crate) async fn look_up(&self) -> Seen {
        let mut seen = Seen { addresses: self.addresses.iter().cloned().collect(), nowhere: Vec::new() };
        let looking = self.discoveries.iter().map(async |discovery| {
            let found = match timeout(START_CALL_MAX, discovery.look_up()).await {
                Ok(Ok(found)) if found.is_empty() => Err("it names nobody".to_owned()),
                Ok(found) => found,
                Err(_) => Err(format!("no answer within {START_CALL_MAX:?}")),
            };
            (discovery.name().to_owned(), found)
        });
        for (name, found) in join_all(looking).await {
            match found {
                Ok(addresses) => seen.addresses.extend(addresses),
                Err(reason) => seen.nowhere.push((name, reason)),
            }
        }
        seen
    }
}

impl From<Vec<String>> for Contacts {
    fn from(addresses: Vec<String>) -> Contacts {
        Contacts::new(addresses, Vec::new())
    }
}

impl fmt::Debug for Contacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.discoveries.iter().map(|discovery| discovery.name());
        f.debug_list().entries(&self.addresses).entries(names).finish()
    }
}
