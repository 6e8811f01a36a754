//! The command line, and which command answers it.

mod cluster;
mod node;
mod service;
mod table;

use std::time::Duration;

use clap::{Parser, Subcommand};
use photondb_proto::ClusterId;

use crate::client::{Address, Client};
use crate::failure::Failure;
use crate::limits::TIMEOUT_SECS_MAX;
use crate::output::Format;
use crate::tls::TlsArguments;

/// Asks a PhotonDB node about itself and its cluster.
#[derive(Debug, Parser)]
#[command(name = "photonctl", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The cluster port of a node.
    #[arg(
        long,
        global = true,
        value_name = "HOST[:PORT]",
        default_value = "127.0.0.1:29015",
        env = "PHOTONCTL_ADDRESS"
    )]
    address: Address,
    /// The user to log in as; in this version only `admin` may ask.
    #[arg(long, global = true, default_value = "admin", env = "PHOTONCTL_USER", value_parser = user)]
    user: String,
    /// The user's password. Other users of this machine can see the arguments of a process: prefer the environment.
    #[arg(long, global = true, default_value = "", env = "PHOTONCTL_PASSWORD", hide_env_values = true)]
    password: String,
    #[command(flatten)]
    tls: TlsArguments,
    /// What the answer looks like. JSON has everything the node says.
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// How long to wait for an answer, in seconds.
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=TIMEOUT_SECS_MAX)
    )]
    timeout: u64,
    #[command(subcommand)]
    noun: Noun,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 cannot connect, 4 not let in (user, password), 5 timed out, \
                          6 the cluster is not healthy";

#[derive(Debug, Subcommand)]
enum Noun {
    /// The node at the address.
    #[command(subcommand)]
    Node(NodeVerb),
    /// The cluster that it belongs to.
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Tables and their shards.
    #[command(subcommand)]
    Table(TableVerb),
}

#[derive(Debug, Subcommand)]
enum NodeVerb {
    /// What it is and how it does.
    Info,
    /// A line for each node of the cluster.
    List,
    /// How one node does.
    Status {
        /// Its name or id; without it the node at the address.
        node: Option<String>,
    },
    /// Has a node lead nothing and get no new replicas, so that it can be stopped for a while. Ends when it starts again, or with
    /// `undrain`.
    Drain {
        /// Its name or id; without it the node at the address.
        node: Option<String>,
        /// How long to wait until others lead what it led, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        wait: u64,
    },
    /// Takes `drain`, or a `decommission` that is not done yet, back.
    Undrain {
        /// Its name or id; without it the node at the address.
        node: Option<String>,
    },
    /// Moves everything off a node, for good. It must be asked of another one. A node that is down loses its places at once.
    Decommission {
        /// Its name or id.
        node: String,
        /// How long to wait until it holds nothing any more, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        wait: u64,
    },
    /// The same, and one node takes all its places.
    Replace {
        /// The name or id of the node that goes.
        node: String,
        /// The name or id of the one that takes its places.
        by: String,
        /// How long to wait until it holds nothing any more, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        wait: u64,
    },
}

#[derive(Debug, Subcommand)]
enum ClusterVerb {
    /// Nodes, databases, and how many tables and shards there are.
    Info,
    /// How many nodes are up, and who leads. Exit code 6 when something is not well.
    Health,
    /// Has the node found a cluster. It must have been started with `--join`; more than half of the nodes named there have to answer,
    /// itself among them, and none may be in a cluster. Repeated with the same id it succeeds again; with another one it is refused.
    Init {
        /// The id of the new cluster, a UUID that nobody else uses: made once, as with `uuidgen`, and kept for repetitions.
        #[arg(long, value_name = "UUID")]
        cluster_id: ClusterId,
    },
}

#[derive(Debug, Subcommand)]
enum TableVerb {
    /// A line for each replica of each shard.
    List,
}

/// A colon would end the name where it is sent.
fn user(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(':') { Err("a name without colons") } else { Ok(text.to_owned()) }
}

/// What is to be printed.
pub fn run(arguments: &Arguments) -> Result<String, Failure> {
    let limit = Duration::from_secs(arguments.timeout);
    let tls = arguments.tls.load()?;
    let client = Client::new(arguments.address.clone(), tls, &arguments.user, &arguments.password, limit);
    let malformed = |source| client.malformed(source);
    match &arguments.noun {
        Noun::Node(verb) => run_node(verb, &client, arguments.output),
        Noun::Cluster(ClusterVerb::Health) => {
            let (text, healthy) = service::health(&client.list_nodes()?, arguments.output).map_err(malformed)?;
            if healthy { Ok(text) } else { Err(Failure::Unhealthy { text }) }
        }
        Noun::Cluster(ClusterVerb::Info) => cluster::info(&client.cluster_info()?, arguments.output).map_err(malformed),
        Noun::Cluster(ClusterVerb::Init { cluster_id }) => {
            client.init_cluster(*cluster_id)?;
            Ok(cluster::founded(*cluster_id, arguments.output))
        }
        Noun::Table(TableVerb::List) => table::list(&client.cluster_info()?, arguments.output).map_err(malformed),
    }
}

fn run_node(verb: &NodeVerb, client: &Client, format: Format) -> Result<String, Failure> {
    let malformed = |source| client.malformed(source);
    let seconds = |seconds: &u64| Duration::from_secs((*seconds).min(TIMEOUT_SECS_MAX));
    match verb {
        NodeVerb::Info => node::info(&client.node_info()?, format).map_err(malformed),
        NodeVerb::List => service::list(&client.list_nodes()?, format).map_err(malformed),
        NodeVerb::Status { node } => service::status(client, node.as_deref(), format),
        NodeVerb::Drain { node, wait } => service::drain(client, node.as_deref(), seconds(wait), format),
        NodeVerb::Undrain { node } => service::undrain(client, node.as_deref(), format),
        NodeVerb::Decommission { node, wait } => service::decommission(client, node, None, seconds(wait), format),
        NodeVerb::Replace { node, by, wait } => service::decommission(client, node, Some(by), seconds(wait), format),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        let before = Arguments::parse_from(["photonctl", "--output", "json", "--address", "h", "node", "info"]);
        let after = Arguments::parse_from(["photonctl", "node", "info", "--output", "json", "--address", "h"]);
        assert_eq!((before.output, &before.address), (Format::Json, &after.address));
        assert_eq!(after.output, Format::Json);
    }
}
