//! The command line, and which command answers it.

mod cluster;
mod database;
mod index;
mod node;
mod permission;
pub mod query;
mod service;
mod shard;
mod table;
mod user;

use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use photondb_proto::ClusterId;

use crate::client::{Address, Client, Limit};
use crate::failure::Failure;
use crate::limits::{TIMEOUT_SECS_DEFAULT, TIMEOUT_SECS_MAX, WATCH_SECS_MAX};
use crate::output::Format;
use crate::tls::TlsArguments;
use crate::{bench, password, repl};
use database::DatabaseVerb;
use index::IndexVerb;
use permission::{Change, Permissions};
use query::QueryVerb;
use shard::ShardVerb;
use table::TableVerb;
use user::UserVerb;

/// Administers a PhotonDB cluster by asking any of its nodes.
#[derive(Debug, Parser)]
#[command(name = "photonctl", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The cluster port of a node. Of several, given with commas or by repeating the option, the first that is there is asked.
    #[arg(
        long,
        global = true,
        value_name = "HOST[:PORT],..",
        value_delimiter = ',',
        default_value = "127.0.0.1:29015",
        env = "PHOTONCTL_ADDRESS"
    )]
    address: Vec<Address>,
    /// The user to log in as. Others than `admin` may run queries: `db`, `index`, `query`, `user`, `grant`, `repl`, and of
    /// `table` what is done to one.
    #[arg(long, global = true, default_value = "admin", env = "PHOTONCTL_USER", value_parser = user_name)]
    user: String,
    /// The user's password. Other users of this machine can see the arguments of a process: prefer the environment, or a file.
    #[arg(long, global = true, default_value = "", env = "PHOTONCTL_PASSWORD", hide_env_values = true)]
    password: String,
    /// A file with the user's password.
    #[arg(long, global = true, value_name = "FILE", env = "PHOTONCTL_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArguments,
    /// What the answer looks like. JSON and YAML have everything the node says.
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// How long to wait for an answer, in seconds: 10 unless told otherwise, and for those to `query run` and in `repl` as long as they
    /// take.
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=TIMEOUT_SECS_MAX)
    )]
    timeout: Option<u64>,
    /// Ask again and again, until Ctrl-C: of what only looks. No answer is no end.
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=WATCH_SECS_MAX)
    )]
    watch: Option<u64>,
    #[command(subcommand)]
    noun: Noun,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 cannot connect, 4 not let in (user, password, permission), \
                          5 timed out, 6 the cluster is not healthy";

#[derive(Debug, Subcommand)]
enum Noun {
    /// Nodes: what they are, and what is wanted of them.
    #[command(subcommand)]
    Node(NodeVerb),
    /// The cluster that the node belongs to.
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Databases.
    #[command(subcommand)]
    Db(DatabaseVerb),
    /// Tables.
    #[command(subcommand)]
    Table(TableVerb),
    /// Shards: the key ranges of tables, and their replicas.
    #[command(subcommand)]
    Shard(ShardVerb),
    /// Secondary indexes.
    #[command(subcommand)]
    Index(IndexVerb),
    /// Queries: those that run, and one to run.
    #[command(subcommand)]
    Query(QueryVerb),
    /// Users.
    #[command(subcommand)]
    User(UserVerb),
    /// Lets a user do something, everywhere or on a database or table.
    Grant(Permissions),
    /// Takes back what was said of a user by `grant`, or denies it.
    Revoke {
        #[command(flatten)]
        permissions: Permissions,
        /// Refuse it there even though it is granted for more.
        #[arg(long)]
        deny: bool,
    },
    /// Asks for queries and runs them: ReQL in JavaScript, a query at a time.
    Repl {
        /// The database of tables that are named without one; `test` unless told otherwise.
        #[arg(long, value_name = "DATABASE")]
        db: Option<String>,
    },
    /// Puts a load on the node's driver port and tells how fast it is. TLS is not spoken.
    Bench(bench::Bench),
    /// Prints what makes a shell complete the words of this program.
    Completions {
        /// Which shell.
        shell: Shell,
    },
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
        /// Its name or id; without it the node at the address, of which there must be one then.
        node: Option<String>,
        /// How long to wait until others lead what it led, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        wait: u64,
    },
    /// Takes `drain`, or a `decommission` that is not done yet, back.
    Undrain {
        /// Its name or id; without it the node at the address, of which there must be one then.
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
    /// How many nodes are up, who leads, and how shards do.
    Status,
    /// Which nodes have which tags, and what each holds.
    Topology,
    /// Whether all nodes are up, and everything is led. Exit code 6 when something is not well.
    Health,
    /// Has the node at the address found a cluster; several addresses are refused. It must have been started with `--join`; more than half
    /// of the nodes named there have to answer, itself among them, and none may be in a cluster. Repeated with the same id it succeeds again;
    /// with another one it is refused.
    Init {
        /// The id of the new cluster, a UUID that nobody else uses: made once, as with `uuidgen`, and kept for repetitions.
        #[arg(long, value_name = "UUID")]
        cluster_id: ClusterId,
    },
}

/// A colon would end the name where it is sent.
fn user_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(':') { Err("a name without colons") } else { Ok(text.to_owned()) }
}

impl Arguments {
    /// The pause between two answers, if there is to be more than one.
    pub fn watch(&self) -> Result<Option<Duration>, Failure> {
        match self.watch {
            Some(_) if !self.noun.only_looks() => Err(Failure::Usage("`--watch` goes with commands that only look")),
            seconds => Ok(seconds.map(Duration::from_secs)),
        }
    }

    /// Refuses what is done to the node at the address where there are several: it would be done to whichever is there.
    fn check_addresses(&self) -> Result<(), Failure> {
        let is_nobody = |node: &Option<String>| node.as_deref().is_none_or(str::is_empty);
        match &self.noun {
            _ if self.address.len() == 1 => Ok(()),
            Noun::Node(NodeVerb::Drain { node, .. } | NodeVerb::Undrain { node }) if is_nobody(node) => {
                Err(Failure::Usage(
                    "of several addresses it is not known which one is asked: name the node, or give one address",
                ))
            }
            Noun::Cluster(ClusterVerb::Init { .. }) => Err(Failure::Usage(
                "of several addresses it is not known which one is asked: give the one of the node that is to found the cluster",
            )),
            _ => Ok(()),
        }
    }

    fn client(&self) -> Result<Client, Failure> {
        let password = match &self.password_file {
            Some(file) => password::from_file(file)?,
            None => self.password.clone(),
        };
        Ok(Client::new(self.address.clone(), self.tls.load()?, &self.user, &password, self.limit()))
    }

    fn limit(&self) -> Limit {
        let answer = Duration::from_secs(self.timeout.unwrap_or(TIMEOUT_SECS_DEFAULT));
        Limit { answer, query: self.timeout.map(Duration::from_secs) }
    }
}

impl Noun {
    /// Whether it changes nothing, and ends by itself.
    fn only_looks(&self) -> bool {
        match self {
            Noun::Node(verb) => matches!(verb, NodeVerb::Info | NodeVerb::List | NodeVerb::Status { .. }),
            Noun::Cluster(verb) => !matches!(verb, ClusterVerb::Init { .. }),
            Noun::Db(verb) => matches!(verb, DatabaseVerb::List),
            Noun::Table(verb) => matches!(verb, TableVerb::List | TableVerb::Status { .. } | TableVerb::Config { .. }),
            Noun::Shard(verb) => matches!(verb, ShardVerb::List),
            Noun::Index(verb) => matches!(verb, IndexVerb::List { .. } | IndexVerb::Status { .. }),
            Noun::Query(verb) => matches!(verb, QueryVerb::List),
            Noun::User(verb) => matches!(verb, UserVerb::List | UserVerb::Permissions { .. }),
            Noun::Grant(_) | Noun::Revoke { .. } | Noun::Repl { .. } | Noun::Bench(_) | Noun::Completions { .. } => {
                false
            }
        }
    }
}

/// What is to be printed, but for what was printed as it came.
pub fn run(arguments: &Arguments) -> Result<String, Failure> {
    let format = arguments.output;
    if let Noun::Completions { shell } = &arguments.noun {
        return Ok(completions(*shell));
    }
    arguments.check_addresses()?;
    let client = arguments.client()?;
    match &arguments.noun {
        Noun::Node(verb) => run_node(verb, &client, format),
        Noun::Cluster(verb) => run_cluster(verb, &client, format),
        Noun::Db(verb) => database::run(verb, &client, format),
        Noun::Table(verb) => table::run(verb, &client, format),
        Noun::Shard(verb) => shard::run(verb, &client, format),
        Noun::Index(verb) => index::run(verb, &client, format),
        Noun::Query(verb) => query::run(verb, &client, format),
        Noun::User(verb) => user::run(verb, &client, format),
        Noun::Grant(permissions) => permission::run(permissions, Change::Grant, &client, format),
        Noun::Revoke { permissions, deny: false } => permission::run(permissions, Change::Revoke, &client, format),
        Noun::Revoke { permissions, deny: true } => permission::run(permissions, Change::Deny, &client, format),
        Noun::Repl { db } => repl::run(&client, db.as_deref(), format),
        Noun::Bench(options) => bench::run(options, &client, format),
        Noun::Completions { shell } => Ok(completions(*shell)),
    }
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "photonctl", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn run_cluster(verb: &ClusterVerb, client: &Client, format: Format) -> Result<String, Failure> {
    let malformed = |source| client.malformed(source);
    match verb {
        ClusterVerb::Health => {
            let health = service::health(&client.list_nodes()?, &client.list_shards()?, format);
            let (text, healthy) = health.map_err(malformed)?;
            if healthy { Ok(text) } else { Err(Failure::Unhealthy { text }) }
        }
        ClusterVerb::Info => cluster::info(&client.cluster_info()?, format).map_err(malformed),
        ClusterVerb::Status => {
            let (info, nodes, shards) = (client.node_info()?, client.list_nodes()?, client.list_shards()?);
            cluster::status::status(&info, &nodes, &shards, format).map_err(malformed)
        }
        ClusterVerb::Topology => {
            cluster::topology::topology(&client.list_nodes()?, &client.list_shards()?, format).map_err(malformed)
        }
        ClusterVerb::Init { cluster_id } => {
            client.init_cluster(*cluster_id)?;
            Ok(cluster::founded(*cluster_id, format))
        }
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
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_command_has_an_argument_that_hides_a_global_one() {
        fn check(command: &clap::Command, globals: &[String]) {
            for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
                let id = argument.get_id().to_string();
                assert!(!globals.contains(&id), "`{id}` of `{}`", command.get_name());
            }
            command.get_subcommands().for_each(|command| check(command, globals));
        }
        let command = Arguments::command();
        let globals = command.get_arguments().filter(|argument| argument.is_global_set());
        check(&command, &globals.map(|argument| argument.get_id().to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        let before = Arguments::parse_from(["photonctl", "--output", "json", "--address", "h", "node", "info"]);
        let after = Arguments::parse_from(["photonctl", "node", "info", "--output", "json", "--address", "h"]);
        assert_eq!((before.output, &before.address), (Format::Json, &after.address));
        assert_eq!(after.output, Format::Json);
    }

    #[test]
    fn several_nodes_are_named_with_commas_or_one_after_the_other() {
        let addresses = |line: &str| {
            let arguments = Arguments::parse_from(std::iter::once("photonctl").chain(line.split_whitespace()));
            arguments.address.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(addresses("node info"), ["127.0.0.1:29015"]);
        assert_eq!(addresses("--address a,b:1 node info"), ["a:29015", "b:1"]);
        assert_eq!(addresses("node info --address a --address b:1,[::1]:2"), ["a:29015", "b:1", "[::1]:2"]);
        let wrong = Arguments::try_parse_from(["photonctl", "--address", "a,,b", "node", "info"]);
        assert!(wrong.is_err(), "nothing is no address");
    }

    #[test]
    fn what_is_done_to_the_node_at_the_address_is_refused_where_there_are_several() {
        let check = |addresses: &str, line: &str| {
            let arguments = ["photonctl", "--address", addresses].into_iter().chain(line.split_whitespace());
            Arguments::parse_from(arguments).check_addresses().map_err(|failure| failure.exit_code())
        };
        let init = "cluster init --cluster-id 00000000-0000-4000-8000-000000000007";
        for line in ["node drain", "node undrain", init] {
            assert_eq!((check("a,b", line), check("a", line)), (Err(2), Ok(())), "{line}");
        }
        for line in ["node drain n1", "node undrain n1", "node status", "node info", "node decommission n1"] {
            assert_eq!(check("a,b", line), Ok(()), "{line}");
        }
    }

    #[test]
    fn queries_take_as_long_as_they_take_unless_it_is_said_how_long() {
        let limit =
            |line: &str| Arguments::parse_from(std::iter::once("photonctl").chain(line.split_whitespace())).limit();
        let [ten, two] = [10, 2].map(Duration::from_secs);
        assert_eq!(limit("query run 1"), Limit { answer: ten, query: None });
        assert_eq!(limit("--timeout 2 query run 1"), Limit { answer: two, query: Some(two) });
    }

    #[test]
    fn what_only_looks_can_be_watched() {
        let watch = |line: &str| {
            Arguments::parse_from(std::iter::once("photonctl").chain(line.split_whitespace()))
                .watch()
                .map_err(|failure| failure.exit_code())
        };
        assert_eq!(watch("node list"), Ok(None));
        assert_eq!(watch("--watch node list"), Ok(Some(Duration::from_secs(2))));
        assert_eq!(watch("table status t --watch=7"), Ok(Some(Duration::from_secs(7))));
        for line in [
            "--watch table drop t",
            "--watch repl",
            "--watch node drain",
            "grant ann read --watch",
            "--watch query run 1",
        ] {
            assert_eq!(watch(line), Err(2), "{line}");
        }
    }

    #[test]
    fn every_shell_gets_all_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let text = completions(shell);
            for word in ["decommission", "transfer-leader", "set-password", "emergency-repair"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
        }
    }
}
