//! What a node answers to the control planes of others.

use std::collections::BTreeSet;

use bytes::Bytes;
use photondb_cluster_state::plan::Burden;
use photondb_cluster_state::{ClusterId, Command, Response, StateError};
use photondb_consensus::{LogPosition, Replicated};
use photondb_proto::{MemberId, NodeId, v1};
use photondb_runtime::peers::{Exchange, Peer, SendFuture, Serve};
use photondb_runtime::task;
use photondb_storage::fault::{buggify, fault_point};
use photondb_storage::wal::StreamId;
use prost::Message;

use crate::controller::{Attempt, Controller, Inner};
use crate::error::ControllerError;
use crate::limits::{BUGGIFIED_PAUSE, VOUCH_CONFIRM_MAX};
use crate::messages::{Answer, Call, encode_answer, id_bytes, id_of, not_leading, position_message};
use crate::offline::state_on_disk;
use crate::once::{Outcome, Turn};

/// The receiving side of the control plane.
pub(crate) struct ControlPlane {
    pub(crate) controller: Controller,
}

impl Serve for ControlPlane {
    fn request(&self, from: Peer, body: Bytes) -> SendFuture<'static, Result<Bytes, String>> {
        let controller = self.controller.clone();
        // On the executor: whoever asked may go away in the middle of it.
        let executor = controller.inner.parts.executor.clone();
        let answering = executor.spawn(async move {
            let call = v1::ControlCall::decode(body).map_err(|error| format!("a call that cannot be read: {error}"))?;
            controller.inner.answer(NodeId(from.0), call).await.map(encode_answer)
        });
        Box::pin(async move {
            // What ended in the middle may have been done: that is no refusal, and nobody is left to say more.
            answering.await.unwrap_or_else(|error| Ok(encode_answer(Answer::Unknown(error.to_string()))))
        })
    }

    fn exchange(&self, _from: Peer, _first: Bytes, exchange: Exchange) -> SendFuture<'static, ()> {
        // The control plane has no exchanges.
        drop(exchange);
        Box::pin(async {})
    }
}

impl Inner {
    /// An error says that nothing was done.
    async fn answer(&self, from: NodeId, call: v1::ControlCall) -> Result<Answer, String> {
        if buggify!("controller/answered-late") {
            task::sleep(BUGGIFIED_PAUSE).await;
        }
        match call.what.clone().ok_or("a call for nothing")? {
            Call::Propose(command) => self.take_command(from, &call, command).await,
            Call::Join(join) => self.take_in(from, &join).await,
            Call::Confirm(_) => self.confirm_for_another().await,
            Call::Heartbeat(beat) => Ok(self.hear(from, beat)),
            Call::Vouch(vouch) => {
                let confirmed = self.has_confirmed().await;
                let heard_of_none = || self.has_nothing_as(MemberId(vouch.voter)).then_some((0, 0));
                let known = self.registered(from).or_else(heard_of_none);
                let (boots, incarnation) = known.ok_or("there is no cluster here")?;
                Ok(Answer::OtherOpening(v1::OtherOpening { boots, incarnation, confirmed }))
            }
            Call::Renew(renew) => self.renew(from, MemberId(renew.failed)).await,
            Call::Replicas(body) => {
                let replicas = self.replicas.get().ok_or("the node is starting")?;
                replicas.request(Peer(from.0), body).await.map(Answer::Replicas)
            }
        }
    }

    /// A node lives, and may say what it bears.
    fn hear(&self, from: NodeId, beat: v1::HeartbeatCall) -> Answer {
        let now = self.parts.clock.now();
        let mut heard = self.heard.lock();
        heard.hear(from, beat.boots, now);
        heard.note_space(from, !beat.full);
        heard.note_stopping(from, beat.stopping);
        drop(heard);
        let burden = beat.burden.map(|burden| Burden { bytes: burden.bytes, work: burden.work });
        let mut told = self.told.lock();
        if let Some(burden) = burden {
            told.note(from, burden, now);
        }
        let group = self.group.get();
        if group.and_then(|group| group.led()).is_none() {
            return not_leading(group.and_then(|group| group.leader()).map(|(_, node)| node));
        }
        match burden {
            Some(_) => Answer::Burdens(told.message(now)),
            // Who does not say it may be of a version that could not read what others do.
            None => Answer::Position(v1::Position::default()),
        }
    }

    async fn take_command(&self, from: NodeId, call: &v1::ControlCall, command: Bytes) -> Result<Answer, String> {
        if call.receiver_boots != self.me.boots {
            let opening = v1::OtherOpening { boots: self.me.boots, incarnation: self.incarnation.0, confirmed: false };
            return Ok(Answer::OtherOpening(opening));
        }
        if self.replicated.state().node(from).is_none() {
            return Err(format!("node {from} does not belong to this cluster"));
        }
        let turn = self.carried_out.lock().arrives(from, call.sender_boots, call.serial);
        match turn {
            Turn::First(tell) => {
                let outcome = self.carry_out(command).await;
                tell.send_replace(Some(outcome.clone()));
                outcome
            }
            Turn::Again(mut told) => {
                let told = told.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
                told.unwrap_or_else(|| Ok(Answer::Unknown("this call ended in the middle".to_owned())))
            }
            Turn::Forgotten => {
                Ok(Answer::Unknown("this call is too old to know whether it was carried out".to_owned()))
            }
        }
    }

    async fn carry_out(&self, command: Bytes) -> Outcome {
        let group = self.group().map_err(|error| error.to_string())?;
        let led = group.led().filter(|_| !buggify!("controller/command-refused"));
        let Some(term) = led else { return Ok(not_leading(group.leader().map(|(_, node)| node))) };
        match self.propose_here(term, command).await {
            Ok(outcome) => Ok(Answer::Outcome(self.outcome(outcome))),
            Err(error) if error.is_known_without_effect() => Err(error.to_string()),
            Err(error) => Ok(Answer::Unknown(error.to_string())),
        }
    }

    fn outcome(&self, outcome: Bytes) -> v1::Outcome {
        let at = self.applied();
        v1::Outcome { outcome, at: Some(position_message(at)) }
    }

    /// Registers whoever asks, or only says where that would be. May be repeated: the same process is answered the same.
    async fn take_in(&self, from: NodeId, join: &v1::JoinCall) -> Result<Answer, String> {
        let Some(cluster) = self.replicated.state().cluster() else {
            return match self.parts.engine.identity().cluster {
                Some(_) => Err("it belongs to a cluster of which it knows nothing yet".to_owned()),
                None if join.register.is_empty() => Ok(Answer::Joined(v1::Joined::default())),
                None => Err("there is no cluster here".to_owned()),
            };
        };
        if join.register.is_empty() {
            return Ok(Answer::Joined(v1::Joined { cluster: id_bytes(cluster.0), member: 0 }));
        }
        let register = Command::decode(&join.register).map_err(|error| error.to_string())?;
        let Command::RegisterNode { id, .. } = &register else { return Err("this registers nobody".to_owned()) };
        if *id != from {
            return Err(format!("node {from} registers node {id}"));
        }
        // The first to be registered gets the founder's member, which runs already where the cluster was founded.
        if self.replicated.state().nodes().next().is_none() {
            return Err("the node that founded this cluster is not registered yet".to_owned());
        }
        if !join.cluster.is_empty() && id_of(&join.cluster) != Some(cluster.0) {
            let asked = ClusterId(id_of(&join.cluster).unwrap_or_default());
            return Ok(self.refusal(StateError::OtherCluster { is: cluster, asked }));
        }
        if fault_point!("taken-in-unregistered")
            && let Ok((_, Response::Member(member))) = self.replicated.state().applied(&register)
        {
            return Ok(Answer::Joined(v1::Joined { cluster: id_bytes(cluster.0), member: member.0 }));
        }
        // Who waits for a name asks several times a second, for as long as it takes: what would be refused is no entry of the log. A
        // refusal by a state that lags behind means another try.
        if let Err(refused @ (StateError::NodeNameTaken { .. } | StateError::NodeNameHeld { .. })) =
            self.replicated.state().applied(&register)
        {
            return Ok(self.refusal(refused));
        }
        match self.propose(&register).await {
            Ok(Response::Member(member)) => {
                photondb_storage::probe!("node registered by another");
                Ok(Answer::Joined(v1::Joined { cluster: id_bytes(cluster.0), member: member.0 }))
            }
            Ok(_) => Err("a registration without a member".to_owned()),
            Err(ControllerError::Refused(refused)) => Ok(self.refusal(refused)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Up to where the state is applied here: what an outcome that was just given is of, at least.
    fn applied(&self) -> Option<LogPosition> {
        self.replicated.applied().position().ok().flatten()
    }

    /// Whether everything that is acknowledged is known here now. The group may not run yet, or have no leader, or one that has
    /// died: whoever asks must have an answer before it stops waiting for it.
    async fn has_confirmed(&self) -> bool {
        let confirming = async {
            match self.try_confirm().await {
                Attempt::Done(at) => self.follow(at).await.is_ok(),
                Attempt::Nothing(_) | Attempt::Failed(_) => false,
            }
        };
        task::timeout(VOUCH_CONFIRM_MAX, confirming).await.unwrap_or(false)
    }

    /// The newest opening of `node` that this node has heard of, be it committed or not: its counter and its number; zeros:
    /// none. `None`: this node knows of no cluster, and so can say nothing.
    fn registered(&self, node: NodeId) -> Option<(u64, u64)> {
        // What is in the log is not applied while nobody leads; and the one who would lead may be the one who asks. What was
        // applied while the log was read may be missing from it.
        let states = [self.known_state(), self.replicated.state()];
        let known = states.iter().filter(|state| state.cluster().is_some());
        known.map(|state| state.node(node).map_or((0, 0), |known| (known.boots, known.incarnation.0))).max()
    }

    /// Whether this node's member is `voter`, and nothing of the state has come to it yet. Then it was in no quorum for a
    /// registration, and that is its word, which a start of the others may need: a vote is given to who has never been heard
    /// of since. A member that was lost has a successor of another number.
    fn has_nothing_as(&self, voter: MemberId) -> bool {
        let (wal, stream) = (self.parts.engine.wal(), StreamId(voter.0));
        let has_lost_nothing = wal.loss(stream).is_none() && (wal.state(stream).is_some() || !wal.may_lack_streams());
        self.replicated.member() == Some(voter)
            && has_lost_nothing
            && state_on_disk(&self.parts.engine).is_ok_and(|state| state.cluster().is_none())
    }

    fn refusal(&self, refused: StateError) -> Answer {
        Answer::Outcome(self.outcome(Response::encode_outcome(&Err(refused)).into()))
    }

    async fn confirm_for_another(&self) -> Result<Answer, String> {
        let group = self.group().map_err(|error| error.to_string())?;
        if group.led().is_none() {
            return Ok(not_leading(group.leader().map(|(_, node)| node)));
        }
        group.confirm_leading().await.map_err(|error| error.to_string())?;
        Ok(Answer::Position(position_message(self.applied())))
    }

    async fn renew(&self, from: NodeId, failed: MemberId) -> Result<Answer, String> {
        match self.propose(&Command::RenewMember { id: from, failed }).await {
            Ok(Response::Member(member)) => {
                let cluster = self.replicated.state().cluster().map(|cluster| id_bytes(cluster.0)).unwrap_or_default();
                Ok(Answer::Joined(v1::Joined { cluster, member: member.0 }))
            }
            Ok(_) => Err("a node without a member".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The nodes among `known` but `me`, in an order that differs from caller to caller.
pub(crate) fn others(known: BTreeSet<NodeId>, me: NodeId, turn: u64) -> Vec<NodeId> {
    let mut others: Vec<NodeId> = known.into_iter().filter(|node| *node != me).collect();
    if !others.is_empty() {
        let first = usize::try_from(turn % others.len() as u64).unwrap_or_default();
        others.rotate_left(first);
    }
    others
}
