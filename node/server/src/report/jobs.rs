//! What a node is at.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use photondb_consensus::Transfer;
use photondb_proto::ShardId;
use photondb_proto::v1::report::{Backfill, EndCall, Ended, IndexBuild, Jobs, JobsCall, Query};
use photondb_reql::term::print;
use photondb_runtime::task;
use uuid::Uuid;

use super::{Reporter, id_bytes, id_of};
use crate::client::running::Listed;
use crate::limits::{JOBS_TEXT_BYTES_MAX, REPORT_QUERIES_MAX};

impl Reporter {
    pub(super) async fn jobs(&self, call: JobsCall) -> Jobs {
        let mut jobs = Jobs::default();
        let mut text_left = usize::try_from(call.text_bytes_max).unwrap_or(usize::MAX).min(JOBS_TEXT_BYTES_MAX);
        let wanted = match call.query.as_slice() {
            [] => self.facts.running.all(),
            id => self.find(id).into_iter().collect(),
        };
        for query in wanted.into_iter().filter(|query| is_of(query, call.user.as_deref())).take(REPORT_QUERIES_MAX) {
            jobs.queries.push(self.query(&query, &mut text_left));
            // A text may take a while to make, and there may be many.
            task::yield_now().await;
        }
        if call.user.is_none() && call.query.is_empty() {
            jobs.index_builds = self.index_builds();
            jobs.backfills = self.backfills();
            jobs.compacting = self.foundation.compacting.load(Ordering::Relaxed);
        }
        jobs
    }

    pub(super) fn end(&self, call: &EndCall) -> Ended {
        let query = self.find(&call.query).filter(|query| is_of(query, call.user.as_deref()));
        if let Some(query) = &query {
            query.kill();
        }
        Ended { found: query.is_some() }
    }

    fn find(&self, id: &[u8]) -> Option<Arc<Listed>> {
        self.facts.running.find(Uuid::from_u128(id_of(id)?))
    }

    /// `text_left`: bytes that the texts of this listing may still have.
    fn query(&self, query: &Listed, text_left: &mut usize) -> Query {
        let facts = &query.facts;
        let text = print::query(&facts.query.start().term, *text_left);
        *text_left = text_left.saturating_sub(text.len());
        let lasts = self.foundation.clock.now().since(facts.began);
        Query {
            id: id_bytes(query.id().as_u128()),
            user: facts.user.to_string(),
            client_address: facts.peer.ip().to_canonical().to_string(),
            client_port: facts.peer.port().into(),
            text,
            lasts_micros: micros(lasts),
        }
    }

    /// Each index of a table that some member here is building, as far as the slowest of them is.
    fn index_builds(&self) -> Vec<IndexBuild> {
        let state = self.state();
        let mut builds: Vec<IndexBuild> = Vec::new();
        for table in state.tables() {
            let Some(replicas) = self.cluster.replicas.table(table.id) else { continue };
            let building = replicas.indexes().into_iter().filter(|index| !index.usable);
            builds.extend(building.map(|index| IndexBuild {
                table: id_bytes(table.id.0),
                index: index.name,
                part_built: index.part_built,
            }));
        }
        builds
    }

    /// Each snapshot of a table's shard that a member here sends. The node that gets one does not list it too.
    fn backfills(&self) -> Vec<Backfill> {
        let (state, now) = (self.state(), self.foundation.clock.now());
        let backfill = |transfer: Transfer| {
            // A group has its shard's number; that of the cluster state is no shard's.
            let (table, _) = state.shard(ShardId(transfer.group.0))?;
            Some(Backfill {
                table: id_bytes(table.id.0),
                to_node: id_bytes(transfer.node.0),
                part_sent: transfer.part_read.get(),
                lasts_micros: micros(now.since(transfer.since)),
            })
        };
        self.foundation.groups.transfers().into_iter().filter_map(backfill).collect()
    }
}

fn micros(lasts: Duration) -> u64 {
    u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX)
}

fn is_of(query: &Listed, user: Option<&str>) -> bool {
    user.is_none_or(|user| query.facts.user == *user)
}
