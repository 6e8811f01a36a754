//! The command line, and which command answers it.

mod cluster;
mod node;
mod table;

use std::time::Duration;

use clap::{Parser, Subcommand};
use photondb_proto::ClusterId;

use crate::client::{Address, Client};
use crate::failure::Failure;
use crate::limits::TIMEOUT_SECS_MAX;
use crate::output::Format;

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
    /// What the answer looks like. JSON has everything the node says.
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
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

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 cannot connect or no answer, 4 refused";

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
}

#[derive(Debug, Subcommand)]
enum ClusterVerb {
    /// Nodes, databases, and how many tables and shards there are.
    Info,
    /// Has the node found a cluster. It must have been started with `--join`, and nobody whom it finds there may be in a cluster.
    /// Repeated with the same id it succeeds again; with another one it is refused.
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
    let client = Client::new(arguments.address.clone(), &arguments.user, &arguments.password, limit);
    let malformed = |source| client.malformed(source);
    match &arguments.noun {
        Noun::Node(NodeVerb::Info) => node::info(&client.node_info()?, arguments.output).map_err(malformed),
        Noun::Cluster(ClusterVerb::Info) => cluster::info(&client.cluster_info()?, arguments.output).map_err(malformed),
        Noun::Cluster(ClusterVerb::Init { cluster_id }) => {
            client.init_cluster(*cluster_id)?;
            Ok(cluster::founded(*cluster_id, arguments.output))
        }
        Noun::Table(TableVerb::List) => table::list(&client.cluster_info()?, arguments.output).map_err(malformed),
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
