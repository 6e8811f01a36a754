//! Frames out of a connection. The decoder grows with what arrives; an idle connection holds next to nothing.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use photondb_reql::wire::frame::{Frame, FrameDecoder, FrameError};
use photondb_runtime::network::ByteStream;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::limits::{INBOX_BYTES_GROWTH_MAX, READ_BYTES};

/// What has arrived and is not yet taken.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    decoder: FrameDecoder,
}

impl Inbox {
    /// What was received before and belongs to frames.
    pub(super) fn with(bytes: &[u8]) -> Self {
        let mut inbox = Self::default();
        inbox.decoder.push(bytes);
        inbox
    }

    /// The next frame, when it is whole.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.next_frame()
    }

    /// Bytes that wait.
    pub(super) fn len(&mut self) -> usize {
        self.decoder.buffer().len()
    }

    /// Reads once. `Ok(0)`: the other side sends no more.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut Box<dyn ByteStream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = self.decoder.buffer();
        if !bytes.is_empty() {
            // Part of a frame is there. At least as much room again as has arrived: a long frame is copied a constant
            // number of times.
            bytes.reserve(bytes.len().clamp(READ_BYTES, INBOX_BYTES_GROWTH_MAX));
            return pin!(stream.read_buf(bytes)).poll(cx);
        }
        // Most reads find whole frames, and most waits find nothing: through a buffer on the stack, so that a connection
        // that waits for its client owns no memory.
        let mut buffer = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        if bytes.capacity() > READ_BYTES {
            self.decoder = FrameDecoder::new();
        }
        self.decoder.push(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }
}
