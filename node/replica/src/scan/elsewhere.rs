//! Looks at shards that this node does not lead.

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::request::Ask;
use photondb_query::table::{Glanced, Position, Row};
use photondb_reql::datum::format::document_node;
use photondb_reql::eval::Glance;
use photondb_runtime::fiber;
use photondb_shard::Reader;
use photondb_shard::read::{IndexRow, IndexRows};
use photondb_storage::Direction;

use super::{Part, TableScan};
use crate::error::ReplicaError;
use crate::forward::Told;
use crate::limits::LOOK_ROWS_MAX;
use crate::message::{self, Malformed, read_datum};
use crate::router::{Reached, Search};

/// Who has answered.
enum Found {
    /// This node's member, after all.
    Reader(Reader),
    Scanned(Box<wire::Scanned>),
}

impl TableScan {
    #[cold]
    pub(super) fn documents_elsewhere(
        &mut self,
        lane: usize,
        part: &mut Part,
        want: usize,
        glance: &mut Glance<'_>,
    ) -> Result<(Glanced, bool), ReplicaError> {
        let scanned = match self.ask(lane, part, want)? {
            Found::Reader(reader) => return self.documents(&reader, lane, part, want, glance),
            Found::Scanned(scanned) => scanned,
        };
        let position = self.looked(lane, scanned.position);
        let mut found = Glanced::default();
        for row in scanned.rows {
            found.examined += 1;
            if !document_node(&row.document).is_some_and(&mut *glance) {
                found.rows.push(Row { document: read_datum(row.document)?, index_value: None, lane, position });
            }
        }
        let more = go_on_with(part, scanned.rest)?;
        if found.examined > 0 {
            self.progress[lane].finds(more);
        }
        Ok((found, more))
    }

    #[cold]
    pub(super) fn index_rows_elsewhere(
        &mut self,
        lane: usize,
        part: &mut Part,
        want: usize,
    ) -> Result<(IndexRows, Position), ReplicaError> {
        let scanned = match self.ask(lane, part, want)? {
            Found::Reader(reader) => return self.index_rows_of(&reader, lane, part, want),
            Found::Scanned(scanned) => scanned,
        };
        let position = self.looked(lane, scanned.position);
        let row = |row: wire::Row| {
            let value = read_datum(row.value.ok_or(Malformed("a row of an index without its value"))?)?;
            // It is checked here, because from here on it passes for a stored one.
            read_datum(row.document.clone())?;
            Ok(IndexRow { entry: row.entry, value, primary_key: Bytes::new(), document: row.document })
        };
        let rows = scanned.rows.into_iter().map(row).collect::<Result<_, Malformed>>()?;
        let found = IndexRows { rows, more: go_on_with(part, scanned.rest)? };
        self.found(lane, &found, part);
        Ok((found, position))
    }

    fn ask(&self, lane: usize, part: &Part, want: usize) -> Result<Found, ReplicaError> {
        let router = self.routes.router().ok_or(ReplicaError::NotLeading)?;
        let cells = self.look.cells.as_ref().map(|cells| message::scan::cells(cells));
        let ask = Ask::Scan(wire::Scan {
            mode: message::mode(self.mode),
            index: self.look.index.as_ref().map(ToString::to_string),
            backward: self.look.direction == Direction::Backward,
            ordered: self.look.ordered,
            want: u32::try_from(want.min(LOOK_ROWS_MAX)).unwrap_or(u32::MAX),
            part: Some(message::scan::part(part)),
            cells: cells.unwrap_or_default(),
        });
        let mut search = Search::new(&router, &self.lanes[lane].route);
        loop {
            match fiber::wait(search.read(&ask))? {
                Reached::Told(Told::Scanned(scanned)) => return Ok(Found::Scanned(scanned)),
                Reached::Told(_) => return Err(Malformed("no rows where rows were asked for").into()),
                Reached::Here(replica) => {
                    let route = &self.lanes[lane].route;
                    match fiber::wait(replica.read_range_in(&route.range, route.epoch, self.mode)) {
                        Err(ReplicaError::NotLeading) => {}
                        reader => return Ok(Found::Reader(reader?)),
                    }
                }
            }
        }
    }
}

fn go_on_with(part: &mut Part, rest: Option<wire::Part>) -> Result<bool, Malformed> {
    let more = rest.is_some();
    if more {
        *part = message::scan::read_part(rest)?;
    }
    Ok(more)
}
