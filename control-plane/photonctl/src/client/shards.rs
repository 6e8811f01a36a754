//! Questions about shards, and what is wanted of them.

use photondb_proto::convert::{CONTROL_VERSION, check_version};
use photondb_proto::{ShardId, v1};

use super::Client;
use crate::failure::Failure;

impl Client {
    /// How every shard does.
    pub fn list_shards(&self) -> Result<v1::ListShardsResponse, Failure> {
        self.list(false)
    }

    /// The same, for who asks again and again: documents are not counted.
    pub fn list_shards_uncounted(&self) -> Result<v1::ListShardsResponse, Failure> {
        self.list(true)
    }

    fn list(&self, uncounted: bool) -> Result<v1::ListShardsResponse, Failure> {
        let request = self.request(v1::ListShardsRequest { version: CONTROL_VERSION, uncounted });
        let list = self.ask(async |mut node| node.list_shards(request).await)?;
        check_version(list.version).map_err(|source| self.malformed(source))?;
        Ok(list)
    }

    /// Has a replica be elsewhere. Gives the ids of both nodes.
    pub fn move_replica(&self, shard: ShardId, from: &str, to: &str) -> Result<(String, String), Failure> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let message = v1::MoveReplicaRequest { version: CONTROL_VERSION, shard_id: shard.0, from, to };
        let request = self.request(message);
        let done = self.ask(async |mut node| node.move_replica(request).await)?;
        check_version(done.version).map_err(|source| self.malformed(source))?;
        Ok((done.from_node_id, done.to_node_id))
    }

    /// Has a node lead a shard. Gives its id.
    pub fn set_shard_leader(&self, shard: ShardId, node: &str) -> Result<String, Failure> {
        let message = v1::SetShardLeaderRequest { version: CONTROL_VERSION, shard_id: shard.0, node: node.to_owned() };
        let request = self.request(message);
        let done = self.ask(async |mut node| node.set_shard_leader(request).await)?;
        check_version(done.version).map_err(|source| self.malformed(source))?;
        Ok(done.node_id)
    }

    /// Has a shard be cut at an encoded key. Gives the number of the new shard, which is there when it has been done.
    pub fn split_shard(&self, shard: ShardId, at: Vec<u8>) -> Result<ShardId, Failure> {
        let request = self.request(v1::SplitShardRequest { version: CONTROL_VERSION, shard_id: shard.0, at });
        let done = self.ask(async |mut node| node.split_shard(request).await)?;
        check_version(done.version).map_err(|source| self.malformed(source))?;
        Ok(ShardId(done.new_shard_id))
    }

    /// Has a shard be joined to its left neighbour. Gives the number of that one.
    pub fn merge_shard(&self, shard: ShardId) -> Result<ShardId, Failure> {
        let request = self.request(v1::MergeShardRequest { version: CONTROL_VERSION, shard_id: shard.0 });
        let done = self.ask(async |mut node| node.merge_shard(request).await)?;
        check_version(done.version).map_err(|source| self.malformed(source))?;
        Ok(ShardId(done.into_shard_id))
    }
}
