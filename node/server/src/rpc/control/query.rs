//! Queries of photonctl. Each is the one query of a session of its own, the same that serves drivers: a pipe stands for the
//! connection, and the login has been already. So permissions, limits, jobs and the end of the node are the session's affair.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::Pin;

use futures_util::stream::{Stream, unfold};
use photondb_proto::convert::CONTROL_VERSION;
use photondb_proto::v1;
use photondb_reql::wire::frame::{HEADER_BYTES, Token, write_frame};
use photondb_runtime::network::{ByteStream, Incoming};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tonic::{Response, Status};

use super::{ControlService, check};
use crate::limits::{RPC_QUERY_PART_BYTES_MAX, RPC_QUERY_PIPE_BYTES};
use crate::rpc::login::Asker;

/// The answers to a query, in parts.
pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<v1::QueryResponse, Status>> + Send>>;

/// The only query of its session.
const TOKEN: Token = Token(1);

/// The message that asks for more of a result.
const CONTINUE: &[u8] = b"[2]";

/// How the body of an answer begins that is followed by more.
const PARTIAL: &[u8] = br#"{"t":3,"#;

impl ControlService {
    pub(super) fn query(
        &self,
        asker: &Asker,
        peer: Option<SocketAddr>,
        request: v1::QueryRequest,
    ) -> Result<Response<Answers>, Status> {
        check(request.version)?;
        if is_never_answered(&request.message) {
            return Err(Status::invalid_argument(
                "a query with `noreply` is not answered, and this call waits for an answer",
            ));
        }
        let workers = self.workers.upgrade().ok_or_else(|| Status::unavailable("the node is stopping"))?;
        let (here, there) = duplex(RPC_QUERY_PIPE_BYTES);
        let peer = peer.unwrap_or_else(|| (Ipv6Addr::UNSPECIFIED, 0).into());
        workers.serve_user(Box::new(Pipe { peer, end: there }), asker.name().to_owned());
        let conversation = Conversation::new(here, request.message);
        Ok(Response::new(Box::pin(unfold(conversation, |mut conversation| async {
            conversation.next().await.map(|part| (part, conversation))
        }))))
    }
}

/// Whether the query says so. What cannot be read is answered by an error.
fn is_never_answered(message: &[u8]) -> bool {
    let message: serde_json::Value = serde_json::from_slice(message).unwrap_or_default();
    message[2]["noreply"] == true
}

/// The session's end of the pipe.
struct Pipe {
    peer: SocketAddr,
    end: DuplexStream,
}

impl Incoming for Pipe {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<Box<dyn ByteStream>> {
        Ok(Box::new(self.end))
    }
}

/// Our end. Dropping it ends the session, and with it the query.
struct Conversation {
    session: DuplexStream,
    state: State,
}

enum State {
    /// This is to be sent; an answer follows.
    Asking(Vec<u8>),
    /// So many bytes of an answer are still to come, and whether another may be asked for behind it.
    Reading {
        left: usize,
        is_partial: bool,
    },
    Over,
}

impl Conversation {
    fn new(session: DuplexStream, message: Vec<u8>) -> Conversation {
        Conversation { session, state: State::Asking(message) }
    }

    /// The next part; `None` after the last.
    async fn next(&mut self) -> Option<Result<v1::QueryResponse, Status>> {
        let part = match std::mem::replace(&mut self.state, State::Over) {
            State::Asking(message) => self.ask(&message).await,
            State::Reading { left, is_partial } => self.read(Vec::new(), left, is_partial).await,
            State::Over => return None,
        };
        // The session ends the connection when the node stops, and one too many is not begun.
        Some(
            part.map_err(|_| {
                Status::unavailable("the query was ended: the node is stopping, or has too many connections")
            }),
        )
    }

    async fn ask(&mut self, message: &[u8]) -> io::Result<v1::QueryResponse> {
        let mut frame = Vec::with_capacity(HEADER_BYTES + message.len());
        write_frame(TOKEN, &mut frame, |body| body.extend_from_slice(message));
        self.session.write_all(&frame).await?;
        let token = self.session.read_u64_le().await?;
        debug_assert_eq!(token, TOKEN.0, "a session answers the query that it was sent");
        let left = self.session.read_u32_le().await? as usize;
        let mut beginning = vec![0; left.min(PARTIAL.len())];
        self.session.read_exact(&mut beginning).await?;
        let (left, is_partial) = (left - beginning.len(), beginning == PARTIAL);
        self.read(beginning, left, is_partial).await
    }

    /// A part that has begun already.
    async fn read(&mut self, mut part: Vec<u8>, left: usize, is_partial: bool) -> io::Result<v1::QueryResponse> {
        let begun = part.len();
        let wanted = left.min(RPC_QUERY_PART_BYTES_MAX);
        part.resize(begun + wanted, 0);
        self.session.read_exact(&mut part[begun..]).await?;
        let left = left - wanted;
        let ends = left == 0;
        self.state = match (ends, is_partial) {
            (true, true) => State::Asking(CONTINUE.to_vec()),
            (true, false) => State::Over,
            (false, _) => State::Reading { left, is_partial },
        };
        Ok(v1::QueryResponse { version: CONTROL_VERSION, part, ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that says what the test tells it; gives the parts, and what the session was sent.
    async fn converse(answers: &[&[u8]]) -> (Vec<Result<v1::QueryResponse, Status>>, Vec<Vec<u8>>) {
        let (here, mut there) = duplex(RPC_QUERY_PIPE_BYTES);
        let session = async {
            let mut asked = Vec::new();
            for answer in answers {
                there.read_u64_le().await.unwrap();
                let mut body = vec![0; there.read_u32_le().await.unwrap() as usize];
                there.read_exact(&mut body).await.unwrap();
                asked.push(body);
                let mut frame = Vec::new();
                write_frame(TOKEN, &mut frame, |body| body.extend_from_slice(answer));
                there.write_all(&frame).await.unwrap();
            }
            drop(there);
            asked
        };
        let reader = async {
            let mut conversation = Conversation::new(here, b"[1,1]".to_vec());
            let mut parts = Vec::new();
            while let Some(part) = conversation.next().await {
                parts.push(part);
            }
            parts
        };
        tokio::join!(reader, session)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn each_answer_that_is_partial_is_followed_by_another() {
        let (parts, asked) = run(converse(&[br#"{"t":3,"r":[1]}"#, br#"{"t":2,"r":[2]}"#]));
        let parts: Vec<_> = parts.into_iter().map(Result::unwrap).collect();
        assert_eq!(asked, [b"[1,1]".to_vec(), b"[2]".to_vec()]);
        assert_eq!(
            parts.iter().map(|part| part.part.as_slice()).collect::<Vec<_>>(),
            [&br#"{"t":3,"r":[1]}"#[..], br#"{"t":2,"r":[2]}"#]
        );
        assert!(parts.iter().all(|part| part.ends && part.version == CONTROL_VERSION));
    }

    #[test]
    fn a_long_answer_comes_in_parts_of_bounded_length() {
        let long = [br#"{"t":1,"#, vec![b'x'; 3 * RPC_QUERY_PART_BYTES_MAX].as_slice()].concat();
        let (parts, _) = run(converse(&[&long]));
        let parts: Vec<_> = parts.into_iter().map(Result::unwrap).collect();
        assert!(parts.iter().all(|part| part.part.len() <= RPC_QUERY_PART_BYTES_MAX + PARTIAL.len()));
        assert_eq!(parts.iter().filter(|part| part.ends).count(), 1);
        assert!(parts.last().unwrap().ends);
        assert_eq!(parts.into_iter().flat_map(|part| part.part).collect::<Vec<_>>(), long);
    }

    #[test]
    fn a_session_that_ends_early_is_said_to_have() {
        let (mut parts, _) = run(converse(&[br#"{"t":3,"r":[]}"#]));
        assert_eq!(parts.pop().unwrap().unwrap_err().code(), tonic::Code::Unavailable);
        assert!(parts.pop().unwrap().unwrap().ends);
    }
}
