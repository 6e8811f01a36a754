//! Answers on their way out: whole frames in one buffer, as many as possible in one write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use photondb_query::MemoryShare;
use photondb_reql::wire::frame::{Token, write_frame};
use photondb_runtime::network::ByteStream;
use photondb_storage::fault::buggify;

use crate::limits::{BUGGIFIED_BYTES, OUTPUT_BYTES_KEPT};

/// What is to be written.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    written: usize,
    unflushed: bool,
    /// Of the memory for queries: what the bytes take. It was made already, so it is taken whether there is any or not.
    memory: MemoryShare,
}

impl Output {
    /// Nothing yet.
    pub(super) fn new(memory: MemoryShare) -> Output {
        Output { bytes: Vec::new(), written: 0, unflushed: false, memory }
    }

    /// Adds a frame whose body `write` appends.
    pub(super) fn frame(&mut self, token: u64, write: impl FnOnce(&mut Vec<u8>)) {
        write_frame(Token(token), &mut self.bytes, write);
        self.memory.set(self.bytes.capacity());
    }

    /// Adds bytes that are no frame: a login's.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Writes as much as goes. Ready: everything is out.
    pub(super) fn poll_write(&mut self, stream: &mut dyn ByteStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            let small = buggify!("server/answer-written-in-pieces");
            let end = if small { self.bytes.len().min(self.written + BUGGIFIED_BYTES) } else { self.bytes.len() };
            match Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.written..end]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.forget_written();
                    return Poll::Pending;
                }
            }
            self.unflushed = true;
        }
        if self.unflushed {
            match Pin::new(stream).poll_flush(cx) {
                Poll::Ready(flushed) => flushed?,
                Poll::Pending => return Poll::Pending,
            }
            self.unflushed = false;
        }
        self.bytes.clear();
        self.written = 0;
        if self.bytes.capacity() > OUTPUT_BYTES_KEPT {
            self.bytes = Vec::new();
        }
        self.memory.set(self.bytes.capacity());
        Poll::Ready(Ok(()))
    }

    /// Moves what waits to the front once more is written than waits, so that the buffer does not grow for ever under a
    /// reader that is always a little behind.
    fn forget_written(&mut self) {
        if self.written > self.len() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}
