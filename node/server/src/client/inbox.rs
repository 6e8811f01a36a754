//! Frames out of a connection. The decoder grows with what arrives; an idle connection holds next to nothing.

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
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::limits::{INBOX_BYTES_GROWTH_MAX, READ_BYTES};

/// What has arrived and is not yet taken.
#[derive(Debug)]
pub(super) struct Inbox {
    decoder: FrameDecoder,
    /// Of the memory for queries: what is in the decoder, and in the frame that was taken last.
    memory: MemoryShare,
    /// The frame that was thrown away because there was no memory for it, until somebody tells its client.
    refused: Option<(Token, Error)>,
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum InboxError {
    /// It is longer than one may be; nothing after it can be read.
    TooLong(FrameError),
    /// There was no memory for it. What follows can be read.
    NoMemory(Token, Error),
}

impl Inbox {
    /// What was received before and belongs to frames.
    pub(super) fn with(bytes: &[u8], memory: MemoryShare) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.push(bytes);
        Self { decoder, memory, refused: None }
    }

    /// The next frame, when it is whole. The frame before it is counted no more.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, InboxError> {
        if let Some((token, error)) = self.refused.take() {
            return Err(InboxError::NoMemory(token, error));
        }
        let frame = self.decoder.next_frame().map_err(InboxError::TooLong)?;
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
                self.refused = Some((token, error));
                return Poll::Ready(Ok(true));
            }
            let bytes = self.decoder.buffer();
            bytes.reserve(more);
            let count = ready!(pin!(stream.read_buf(bytes)).poll(cx))?;
            return Poll::Ready(Ok(count > 0));
        }
        // Most reads find whole frames, and most waits find nothing: through a buffer on the stack, so that a connection
        // that waits for its client owns no memory.
        let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut buffer);
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
    use std::task::Waker;

    use photondb_query::MemoryBudget;
    use photondb_reql::wire::frame::write_frame;
    use tokio::io::AsyncWrite;

    use super::*;

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
}
