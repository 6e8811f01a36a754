//! Frames out of a connection. The decoder grows with what arrives; an idle connection holds next to nothing.

mod patience;

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use photondb_query::MemoryShare;
use photondb_reql::error::Error;
use photondb_reql::wire::frame::{Frame, FrameDecoder, FrameError, Token};
use photondb_runtime::network::ByteStream;
use photondb_storage::fault::buggify;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::limits::{BUGGIFIED_BYTES, INBOX_BYTES_GROWTH_MAX, READ_BYTES};
use patience::Patience;

/// What has arrived and is not yet taken.
pub(super) struct Inbox {
    decoder: FrameDecoder,
    /// Of the memory for queries: what is in the decoder, and in the frame that was taken last.
    memory: MemoryShare,
    /// Why the frame that had begun was given up, until somebody tells its client.
    refused: Option<InboxError>,
    patience: Patience,
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum InboxError {
    /// It is longer than one may be; nothing after it can be read.
    TooLong(FrameError),
    /// There was no memory for it. What follows can be read.
    NoMemory(Token, Error),
    /// Its client has stopped in the middle of it; nothing after it can be read.
    TooSlow(Token),
}

impl Inbox {
    /// What was received before and belongs to frames.
    pub(super) fn with(bytes: &[u8], memory: MemoryShare) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.push(bytes);
        Self { decoder, memory, refused: None, patience: Patience::default() }
    }

    /// The next frame, when it is whole. The frame before it is counted no more.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, InboxError> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        let frame = self.decoder.next_frame().map_err(InboxError::TooLong)?;
        if frame.is_some() {
            self.patience.finished();
        }
        let rest = self.decoder.buffer();
        match &frame {
            // What is left shares its memory with the frame, and would keep it.
            Some(frame) if frame.body.len() > READ_BYTES => {
                let rest = std::mem::take(rest);
                self.decoder.push(&rest);
            }
            Some(_) => {}
            None => self.memory.shrink_to(rest.capacity()),
        }
        Ok(frame)
    }

    /// Bytes that wait.
    pub(super) fn len(&mut self) -> usize {
        self.decoder.buffer().len()
    }

    /// The session does not read at the moment, so nobody can say that the client is slow.
    pub(super) fn pause(&mut self) {
        self.patience.forget();
    }

    /// Reads once. `Ok(false)`: the other side sends no more.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut Box<dyn ByteStream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        // First its client is told. That waits only for queries or answers of this session, which wake its task.
        if self.refused.is_some() {
            return Poll::Pending;
        }
        let bytes = self.decoder.buffer();
        if !bytes.is_empty() {
            // Part of a frame is there. At least as much room again as has arrived: a long frame is copied a constant
            // number of times.
            let more = bytes.len().clamp(READ_BYTES, INBOX_BYTES_GROWTH_MAX);
            let refused = self.memory.grow_to(bytes.len() + more).err();
            // What is not yet known to be a frame, or is whole and waits, is little.
            if let Some(error) = refused
                && let Some(token) = self.decoder.throw_away()
            {
                self.memory.shrink_to(0);
                self.refused = Some(InboxError::NoMemory(token, error));
                return Poll::Ready(Ok(true));
            }
            let bytes = self.decoder.buffer();
            bytes.reserve(more);
            if let Poll::Ready(count) = pin!(stream.read_buf(bytes)).poll(cx) {
                let count = count?;
                self.patience.received(count);
                return Poll::Ready(Ok(count > 0));
            }
            let Some(token) = self.decoder.begun() else { return Poll::Pending };
            ready!(self.patience.poll_is_over(cx));
            self.refused = Some(InboxError::TooSlow(token));
            return Poll::Ready(Ok(true));
        }
        // Most reads find whole frames, and most waits find nothing: through a buffer on the stack, so that a connection
        // that waits for its client owns no memory.
        let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
        let room = if buggify!("server/query-read-in-pieces") { BUGGIFIED_BYTES } else { READ_BYTES };
        let mut buffer = ReadBuf::uninit(&mut buffer[..room]);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        if bytes.capacity() > READ_BYTES {
            *bytes = BytesMut::new();
        }
        self.decoder.push(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::task::Waker;
    use std::time::Duration;

    use photondb_query::MemoryBudget;
    use photondb_reql::wire::frame::write_frame;
    use photondb_runtime::task::{sleep, timeout};
    use tokio::io::{AsyncWrite, AsyncWriteExt};

    use super::*;
    use crate::limits::{FRAME_BYTES_PER_PERIOD_MIN, FRAME_PERIOD};

    /// Gives these pieces, one a read.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let Some(mut piece) = self.0.pop_front() else { return Poll::Pending };
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Pieces {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Bytes of a frame for which there is no memory are never taken for frames, however they arrive and whether or not the
    /// session looks in between.
    #[test]
    fn a_refused_frame_is_thrown_away_whole() {
        let mut stream = Vec::new();
        // Read as a header, this says that two gigabytes follow.
        write_frame(Token(1), &mut stream, |out| out.extend_from_slice(&[b'x'; 200_000]));
        write_frame(Token(2), &mut stream, |out| out.extend_from_slice(b"[5]"));
        for sizes in [[6_000, 16_384, 100], [13, 1, 16_384], [16_384, 16_384, 7], [200_000, 1, 1], [40_000, 3, 16_384]]
        {
            for held_up in [0, 3] {
                let (mut rest, mut pieces) = (&stream[..], VecDeque::new());
                for size in sizes.into_iter().cycle() {
                    let (piece, behind) = rest.split_at(size.min(rest.len()));
                    pieces.push_back(piece.to_vec());
                    rest = behind;
                    if rest.is_empty() {
                        break;
                    }
                }
                let budget = MemoryBudget::new(50_000);
                let mut inbox = Inbox::with(&[], MemoryShare::new(&budget));
                let mut stream: Box<dyn ByteStream> = Box::new(Pieces(pieces));
                let mut cx = Context::from_waker(Waker::noop());
                let (mut refused, mut frames) = (Vec::new(), Vec::new());
                loop {
                    let mut waits = true;
                    for _ in 0..=held_up {
                        waits &= inbox.poll_read(&mut stream, &mut cx).is_pending();
                    }
                    loop {
                        match inbox.take() {
                            Err(InboxError::NoMemory(token, _)) => refused.push(token),
                            Err(error) => panic!("{error:?}"),
                            Ok(Some(frame)) => frames.push((frame.token, frame.body)),
                            Ok(None) => break,
                        }
                        waits = false;
                    }
                    if waits {
                        break;
                    }
                }
                assert_eq!(refused, [Token(1)], "{sizes:?} {held_up}");
                assert_eq!(frames.len(), 1, "{sizes:?} {held_up}");
                assert_eq!((frames[0].0, &*frames[0].1), (Token(2), &b"[5]"[..]), "{sizes:?} {held_up}");
            }
        }
    }

    /// Sends a frame of `length` bytes through a pipe, a piece of `piece` bytes each `pause`, but for the last byte; then what
    /// the inbox says of it within `wait`, and the memory that it holds afterwards.
    async fn unfinished(length: usize, piece: usize, pause: Duration, wait: Duration) -> (Option<InboxError>, usize) {
        let budget = MemoryBudget::new(1 << 30);
        let mut inbox = Inbox::with(&[], MemoryShare::new(&budget));
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut server: Box<dyn ByteStream> = Box::new(server);
        let mut frame = Vec::new();
        write_frame(Token(7), &mut frame, |out| out.resize(12 + length, b' '));
        frame.pop();
        let sends = async {
            for piece in frame.chunks(piece) {
                client.write_all(piece).await.unwrap();
                sleep(pause).await;
            }
            std::future::pending::<()>().await;
        };
        let reads = async {
            loop {
                match inbox.take() {
                    Ok(None) => {}
                    Ok(Some(_)) => panic!("it is not whole"),
                    Err(error) => return error,
                }
                poll_fn(|cx| inbox.poll_read(&mut server, cx)).await.unwrap();
            }
        };
        let said = timeout(wait, async {
            tokio::select! {
                error = reads => error,
                () = sends => unreachable!("it never ends"),
            }
        });
        let said = said.await.ok();
        (said, budget.taken())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_within_a_frame_is_given_up() {
        for length in [1, 1_000, 10_000_000] {
            let (said, _) = unfinished(length, 1 << 20, Duration::ZERO, 2 * FRAME_PERIOD).await;
            assert!(matches!(said, Some(InboxError::TooSlow(Token(7)))), "{length}: {said:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_too_little_is_given_up_and_a_slow_one_is_not() {
        let (wait, pieces) = (20 * FRAME_PERIOD, 60);
        let piece = FRAME_BYTES_PER_PERIOD_MIN / 10 + 1;
        let (said, taken) = unfinished(pieces * piece, piece, FRAME_PERIOD / 12, 4 * FRAME_PERIOD).await;
        assert!(said.is_none(), "{said:?}");
        assert!(taken > 3 * FRAME_BYTES_PER_PERIOD_MIN, "what has come is held: {taken}");
        let (said, _) = unfinished(pieces * piece, piece, FRAME_PERIOD / 8, wait).await;
        assert!(matches!(said, Some(InboxError::TooSlow(Token(7)))), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_not_to_blame_for_what_nobody_reads() {
        let budget = MemoryBudget::new(1 << 30);
        let mut inbox = Inbox::with(&[7; 11], MemoryShare::new(&budget));
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut server: Box<dyn ByteStream> = Box::new(server);
        // Not even the header is there, then only that; a whole frame waits as long as it must.
        let mut idle = async |inbox: &mut Inbox| {
            timeout(3 * FRAME_PERIOD, poll_fn(|cx| inbox.poll_read(&mut server, cx))).await.map(Result::unwrap)
        };
        assert!(idle(&mut inbox).await.is_err());
        client.write_all(&[0]).await.unwrap();
        assert_eq!(idle(&mut inbox).await, Ok(true));
        inbox.decoder = FrameDecoder::new();
        let mut frame = Vec::new();
        write_frame(Token(1), &mut frame, |out| out.extend_from_slice(b"[5]"));
        client.write_all(&frame).await.unwrap();
        assert_eq!(idle(&mut inbox).await, Ok(true));
        assert!(idle(&mut inbox).await.is_err(), "a whole frame waits");
        assert!(matches!(inbox.take(), Ok(Some(_))));
        // A part of a frame, and the session does not read for two periods.
        client.write_all(&frame[..13]).await.unwrap();
        assert_eq!(idle(&mut inbox).await, Ok(true));
        let once = timeout(FRAME_PERIOD / 2, poll_fn(|cx| inbox.poll_read(&mut server, cx))).await;
        assert!(once.is_err());
        inbox.pause();
        sleep(2 * FRAME_PERIOD).await;
        let once = timeout(FRAME_PERIOD / 2, poll_fn(|cx| inbox.poll_read(&mut server, cx))).await;
        assert!(once.is_err());
        assert!(matches!(inbox.take(), Ok(None)));
    }
}
