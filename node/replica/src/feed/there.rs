//! Changes of a shard that has no member here, as its leader sends them.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use photondb_proto::v1::shard as wire;
use photondb_proto::v1::shard::feed_message::Message as FeedMessage;
use photondb_proto::v1::shard::request::Ask;
use photondb_proto::{Epoch, KeyRange, MemberId, NodeId, ShardId, TableId};
use photondb_runtime::peers::{Exchange, SendFuture};
use photondb_runtime::{fiber, task};
use photondb_shard::{Cursor, DocumentChange, Position, ShardError};
use photondb_storage::fault::{buggify, fault_point};
use prost::Message;
use tokio::sync::Notify;

use super::here::Here;
use super::{Joined, News, Others, Told, pass};
use crate::error::ReplicaError;
use crate::limits::{FEED_CHANGES_AT_ONCE, READ_TIME_MAX, ROUTE_PAUSE_MAX, ROUTE_PAUSE_MIN};
use crate::message::{Failure, Malformed, failure, read_datum};
use crate::replica::Replica;
use crate::router::{Place, Router, Search, Whereabouts};
use crate::routes::Route;

/// One shard, listened to at another node.
pub(super) struct There {
    router: Arc<Router>,
    route: Arc<Route>,
    /// Who began the shard's group, if that took the place of another. With a group the places in its changes end.
    rescued: Option<MemberId>,
    cursor: Cursor,
    state: State,
    /// Something has come since the exchange was opened.
    has_come: bool,
    /// The join at which it waits, and takes nothing meanwhile.
    waits_at: Option<Joined>,
}

enum State {
    /// Somebody to listen to is looked for.
    Opening(SendFuture<'static, Result<Opened, ReplicaError>>),
    Open(Exchange),
    /// The shard was joined to another, and its changes are no longer kept. Whether it has told all of them, the other one knows.
    Retired,
}

enum Opened {
    There(Exchange, Cursor),
    /// This node has a member now.
    Here(Arc<Replica>),
}

impl There {
    /// Listens to everything committed from now on. Called on a fiber.
    pub fn open(router: &Arc<Router>, route: &Arc<Route>) -> Result<There, ReplicaError> {
        let rescued = route.rescued;
        match fiber::wait(look_for(router.clone(), route.clone(), rescued, None, None, false))? {
            Opened::There(exchange, cursor) => Ok(There::of(router, route, rescued, cursor, State::Open(exchange))),
            Opened::Here(_) => Err(ReplicaError::Unavailable { range: route.range.clone() }),
        }
    }

    /// Goes on at `cursor`, once somebody is found who has what is behind it. Called on a fiber. Errors: [`ReplicaError::Repaired`] when the
    /// shard has another group than that of which `cursor` is.
    pub fn open_at(
        router: &Arc<Router>,
        route: &Arc<Route>,
        rescued: Option<MemberId>,
        cursor: Cursor,
    ) -> Result<There, ReplicaError> {
        let opened = fiber::wait(look_for(router.clone(), route.clone(), rescued, Some(cursor), None, false))?;
        let state = match opened {
            Opened::There(exchange, _) => State::Open(exchange),
            opened @ Opened::Here(_) => State::Opening(Box::pin(std::future::ready(Ok(opened)))),
        };
        Ok(There::of(router, route, rescued, cursor, state))
    }

    /// Goes on at `cursor`, wherever the shard is now; `None`: it is nowhere. Errors: [`ReplicaError::Repaired`] when it has
    /// another group than that of which `cursor` is.
    pub fn resume(
        router: &Arc<Router>,
        route: &Arc<Route>,
        rescued: Option<MemberId>,
        cursor: Cursor,
    ) -> Result<Option<There>, ReplicaError> {
        let route = match router.whereabouts(route.table, route.id) {
            Whereabouts::At(route) => route,
            Whereabouts::Retired => return Ok(Some(There::of(router, route, rescued, cursor, State::Retired))),
            Whereabouts::ToCome => return Ok(Some(There::to_come(router, route.table, route.id, cursor))),
            Whereabouts::Gone => return Ok(None),
        };
        is_same_group(&route, rescued)?;
        let opening = look_for(router.clone(), route.clone(), rescued, Some(cursor), None, false);
        Ok(Some(There::of(router, &route, rescued, cursor, State::Opening(Box::pin(opening)))))
    }

    /// A shard that was just cut off from another, from its first change on, as soon as somebody has it.
    pub fn to_come(router: &Arc<Router>, table: TableId, shard: ShardId, cursor: Cursor) -> There {
        let (range, members) = (KeyRange::all(), Vec::new());
        let (id, epoch, rescued) = (shard, Epoch::default(), None);
        let route = Arc::new(Route { table, id, range, epoch, rescued, members, here: None });
        let state = State::Opening(Box::pin(wait_for(router.clone(), route.clone(), cursor)));
        There::of(router, &route, rescued, cursor, state)
    }

    fn of(router: &Arc<Router>, route: &Arc<Route>, rescued: Option<MemberId>, cursor: Cursor, state: State) -> There {
        let (router, route) = (router.clone(), route.clone());
        There { router, route, rescued, cursor, state, has_come: false, waits_at: None }
    }

    /// The same shard, listened to at this node's member.
    pub fn here(&self, replica: &Arc<Replica>, arrived: &Arc<Notify>) -> Here {
        Here::go_on(replica, &self.route, Some(&self.router), self.cursor, arrived)
    }

    /// Where it stands: what was taken is before it.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Who began the group that the cursor is of, if that took the place of another.
    pub fn rescued(&self) -> Option<MemberId> {
        self.rescued
    }

    /// The join at which it waits.
    pub fn waits_at(&self) -> Option<Joined> {
        self.waits_at
    }

    /// Whether nobody tells its changes any more.
    pub fn is_retired(&self) -> bool {
        matches!(self.state, State::Retired)
    }

    /// Takes what has come. This node's member, when it has one now, which is to be listened to.
    pub fn collect(
        &mut self,
        news: &mut News,
        others: &Others<'_>,
        cx: &mut Context<'_>,
    ) -> Result<Option<Arc<Replica>>, ReplicaError> {
        if let Some(joined) = self.waits_at {
            self.meet(joined, news, others)?;
        }
        while news.changes.len() < FEED_CHANGES_AT_ONCE && self.waits_at.is_none() {
            match &mut self.state {
                State::Retired => break,
                State::Opening(opening) => match opening.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Err(ReplicaError::Retired)) => self.state = State::Retired,
                    Poll::Ready(opened) => match opened? {
                        Opened::Here(replica) => {
                            photondb_storage::probe!("feed goes on at this node's own member");
                            return Ok(Some(replica));
                        }
                        Opened::There(exchange, _) => {
                            photondb_storage::probe!("feed resumed at another leader");
                            self.state = State::Open(exchange);
                            self.has_come = false;
                        }
                    },
                },
                State::Open(_) if buggify!("replica/feed-broken-off") => self.look_again(None),
                State::Open(exchange) => match exchange.receive.poll_recv(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(body))) => self.message(body, news, others)?,
                    Poll::Ready(Some(Err(error))) => {
                        tracing::debug!(shard = %self.route.id, %error, "a subscription broke; it goes on elsewhere");
                        self.look_again(None);
                    }
                    Poll::Ready(None) => self.look_again(None),
                },
            }
        }
        Ok(None)
    }

    /// Comes to a join: passes it, or waits there.
    fn meet(&mut self, joined: Joined, news: &mut News, others: &Others<'_>) -> Result<(), ReplicaError> {
        if others.have_told(&joined, &news.children)? {
            self.waits_at = None;
            self.cursor = Cursor::after(joined.position);
            news.joined.push(joined);
        } else {
            self.waits_at = Some(joined);
            self.cursor = self.cursor.max(Cursor { position: joined.position, given: 0 });
        }
        Ok(())
    }

    fn message(&mut self, body: Bytes, news: &mut News, others: &Others<'_>) -> Result<(), ReplicaError> {
        match read(body)?.message {
            Some(FeedMessage::Changes(changes)) => {
                self.has_come = true;
                let wire::Changes { position, first, changes, whole } = changes;
                let count = u32::try_from(changes.len()).unwrap_or(u32::MAX);
                let known = pass(&mut self.cursor, position, first, count, whole);
                photondb_storage::probe!("feed hears again what it knows", known > 0);
                for (change, number) in changes.into_iter().zip(first..).skip(known as usize) {
                    for document in [&change.old, &change.new].into_iter().flatten() {
                        read_datum(document.clone())?;
                    }
                    let change = DocumentChange { key: Bytes::new(), old: change.old, new: change.new };
                    let is_last = whole && number + 1 == first.saturating_add(count);
                    news.changes.push(Told::new(position, number, change, is_last));
                }
            }
            Some(FeedMessage::Child(wire::Child { position, shard })) => {
                if Position(position) >= self.cursor.position {
                    self.cursor = Cursor::after(Position(position));
                    news.children.push((position, ShardId(shard)));
                }
            }
            Some(FeedMessage::Joined(wire::Joined { position, shard, end })) => {
                let (position, shard, end) = (Position(position), ShardId(shard), Position(end));
                self.has_come = true;
                if position >= self.cursor.position {
                    self.meet(Joined { position, shard, end }, news, others)?;
                }
            }
            Some(FeedMessage::Ended(failed)) => match failure(failed) {
                Failure::Elsewhere { leader } => self.look_again(leader),
                Failure::Error(error) => return Err(error),
            },
            _ => return Err(Malformed("no changes where they were subscribed to").into()),
        }
        Ok(())
    }

    fn look_again(&mut self, hint: Option<NodeId>) {
        let (router, route) = (self.router.clone(), self.route.clone());
        // Whoever takes a subscription and ends it at once is not to be asked without a pause.
        self.state =
            State::Opening(Box::pin(look_for(router, route, self.rescued, Some(self.cursor), hint, !self.has_come)));
    }
}

/// Looks for somebody to listen to once the state has the shard.
async fn wait_for(router: Arc<Router>, route: Arc<Route>, cursor: Cursor) -> Result<Opened, ReplicaError> {
    let route = loop {
        match router.whereabouts(route.table, route.id) {
            Whereabouts::At(found) => break found,
            Whereabouts::ToCome => task::sleep(ROUTE_PAUSE_MIN).await,
            Whereabouts::Retired => return Err(ReplicaError::Retired),
            Whereabouts::Gone => return Err(ShardError::Gone.into()),
        }
    };
    look_for(router, route, None, Some(cursor), None, false).await
}

/// Looks for somebody to listen to.
async fn look_for(
    router: Arc<Router>,
    route: Arc<Route>,
    rescued: Option<MemberId>,
    cursor: Option<Cursor>,
    hint: Option<NodeId>,
    pause: bool,
) -> Result<Opened, ReplicaError> {
    if pause {
        task::sleep(ROUTE_PAUSE_MAX).await;
    }
    let late = u64::from(fault_point!("feed-resumed-late"));
    let from = cursor.map(|cursor| wire::Cursor { position: cursor.position.0 + late, given: cursor.given });
    let ask = Ask::Subscribe(wire::Subscribe { from, rescued: rescued.map_or(0, |founder| founder.0) });
    let mut search = match cursor {
        Some(_) => Search::of_changes(&router, &route),
        None => Search::new(&router, &route),
    };
    search.redirected(hint);
    loop {
        let place = search.next().await;
        is_same_group(search.route(), rescued)?;
        let node = match place {
            None => return Err(search.failure()),
            Some(Place::Here(replica)) if replica.rescued > rescued => return Err(ReplicaError::Repaired),
            // This node is to hear still that its member is none any more.
            Some(Place::Here(replica)) if replica.rescued < rescued => continue,
            Some(Place::Here(replica)) if cursor.is_some() => return Ok(Opened::Here(replica)),
            Some(Place::Here(_)) => continue,
            Some(Place::Node(node)) => node,
        };
        match begin(&router, search.route(), node, &ask).await? {
            Begun::At(exchange, cursor) => {
                search.found();
                return Ok(Opened::There(exchange, cursor));
            }
            Begun::Elsewhere(leader) => search.redirected(leader),
            Begun::InAnotherLife => search.again(),
            Begun::No => {}
        }
    }
}

pub(super) fn is_same_group(route: &Route, rescued: Option<MemberId>) -> Result<(), ReplicaError> {
    photondb_storage::probe!("feed ended because the shard was given another group", route.rescued > rescued);
    match route.rescued > rescued {
        true => Err(ReplicaError::Repaired),
        false => Ok(()),
    }
}

enum Begun {
    At(Exchange, Cursor),
    Elsewhere(Option<NodeId>),
    InAnotherLife,
    No,
}

async fn begin(router: &Router, route: &Route, node: NodeId, ask: &Ask) -> Result<Begun, ReplicaError> {
    let Ok(mut exchange) = router.caller().exchange(node, route, ask, READ_TIME_MAX).await else {
        return Ok(Begun::No);
    };
    let Ok(Some(Ok(first))) = task::timeout(READ_TIME_MAX, exchange.receive.recv()).await else { return Ok(Begun::No) };
    let first = read(first)?;
    match first.message {
        Some(FeedMessage::Started(at)) => {
            Ok(Begun::At(exchange, Cursor { position: Position(at.position), given: at.given }))
        }
        Some(FeedMessage::OtherBoot(_)) => {
            router.caller().is_in(node, first.boot);
            Ok(Begun::InAnotherLife)
        }
        Some(FeedMessage::Ended(failed)) => match failure(failed) {
            Failure::Elsewhere { leader } => Ok(Begun::Elsewhere(leader)),
            Failure::Error(error) => Err(error),
        },
        _ => Ok(Begun::No),
    }
}

fn read(body: Bytes) -> Result<wire::FeedMessage, Malformed> {
    wire::FeedMessage::decode(body).map_err(|_| Malformed("a message of a subscription cannot be read"))
}
