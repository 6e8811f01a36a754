//! Messages on a connection: `token: u64, length: u32` in little endian, then that many bytes of JSON.

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::FRAME_BYTES_MAX;

/// Bytes before the body.
pub const HEADER_BYTES: usize = 12;

/// The number by which a client tells the answers to its queries apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// One message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub token: Token,
    pub body: Bytes,
}

/// A message that is too long. It is answered under its token with [`FrameError::to_string`] as a client error; then the
/// connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Query size ({length}) greater than maximum ({max}).", max = FRAME_BYTES_MAX - 1)]
pub struct FrameError {
    pub token: Token,
    pub length: u32,
}

/// Cuts a stream of bytes into frames. Memory grows with the bytes that arrive, not with the length a header claims.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
    /// Bytes to come of a frame that nobody wants.
    unwanted: usize,
}

impl FrameDecoder {
    pub fn new() -> FrameDecoder {
        FrameDecoder::default()
    }

    /// The buffer to read into; append only. Nothing in it is of a frame that was thrown away.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.skip_unwanted();
        &mut self.buffer
    }

    fn skip_unwanted(&mut self) {
        let unwanted = self.unwanted.min(self.buffer.len());
        self.unwanted -= unwanted;
        self.buffer.advance(unwanted);
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Throws the frame away that has begun and is not whole yet, be it with what is still to come of it; gives its token.
    /// `None`: there is none, or nobody knows yet which.
    pub fn throw_away(&mut self) -> Option<Token> {
        self.skip_unwanted();
        let (token, body) = self.header()?;
        let whole = HEADER_BYTES.saturating_add(body as usize);
        self.unwanted = whole.checked_sub(self.buffer.len()).filter(|to_come| *to_come > 0)?;
        self.buffer = BytesMut::new();
        Some(token)
    }

    /// The token of the frame whose header is there, while the rest is not.
    pub fn begun(&mut self) -> Option<Token> {
        self.skip_unwanted();
        let (token, body) = self.header()?;
        (self.buffer.len() < HEADER_BYTES.saturating_add(body as usize)).then_some(token)
    }

    fn header(&self) -> Option<(Token, u32)> {
        let [a, b, c, d, e, f, g, h, length @ ..] = *self.buffer.first_chunk::<HEADER_BYTES>()?;
        Some((Token(u64::from_le_bytes([a, b, c, d, e, f, g, h])), u32::from_le_bytes(length)))
    }

    /// The next whole frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.skip_unwanted();
        let Some((token, length)) = self.header() else { return Ok(None) };
        let body = length as usize;
        if body >= FRAME_BYTES_MAX {
            return Err(FrameError { token, length });
        }
        if self.buffer.len() < HEADER_BYTES + body {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(Frame { token, body: self.buffer.split_to(body).freeze() }))
    }
}

/// Appends a frame whose body `write` appends.
pub fn write_frame(token: Token, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&token.0.to_le_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    // Batches are bounded far below this; a body that is not would be cut off by its own length.
    let length = u32::try_from(out.len() - length_at - 4).unwrap_or(u32::MAX);
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let mut stream = Vec::new();
        write_frame(Token(1), &mut stream, |out| out.extend_from_slice(b"[5]"));
        write_frame(Token(u64::MAX), &mut stream, |_| ());
        assert_eq!(stream[..15], *b"\x01\0\0\0\0\0\0\0\x03\0\0\0[5]");
        for step in 1..stream.len() {
            let mut decoder = FrameDecoder::new();
            let mut frames = Vec::new();
            for piece in stream.chunks(step) {
                decoder.push(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.len(), 2);
            assert_eq!(frames[0], Frame { token: Token(1), body: Bytes::from_static(b"[5]") });
            assert!(frames[1].body.is_empty());
        }
    }

    #[test]
    fn a_frame_that_is_thrown_away_takes_no_other_along() {
        let mut stream = Vec::new();
        write_frame(Token(1), &mut stream, |out| out.extend_from_slice(&[b'x'; 100]));
        write_frame(Token(2), &mut stream, |out| out.extend_from_slice(b"[5]"));
        for (begun, step) in [(12, 1), (12, 50), (60, 7), (111, 200)] {
            let mut decoder = FrameDecoder::new();
            decoder.push(&stream[..begun]);
            assert_eq!(decoder.next_frame(), Ok(None));
            assert_eq!(decoder.begun(), Some(Token(1)));
            assert_eq!(decoder.throw_away(), Some(Token(1)));
            let mut frames = Vec::new();
            for piece in stream[begun..].chunks(step) {
                decoder.push(piece);
                frames.extend(decoder.next_frame().unwrap());
                assert!(decoder.buffer().len() <= 12 + 3, "nothing of it is kept");
            }
            assert_eq!(frames, [Frame { token: Token(2), body: Bytes::from_static(b"[5]") }], "{begun} and {step}");
        }
        // What is still to come of it is no beginning of another.
        let mut decoder = FrameDecoder::new();
        decoder.push(&stream[..40]);
        assert_eq!(decoder.throw_away(), Some(Token(1)));
        decoder.push(&stream[40..80]);
        assert_eq!(decoder.throw_away(), None);
        decoder.push(&stream[80..]);
        assert_eq!(decoder.next_frame().unwrap().map(|frame| frame.token), Some(Token(2)));
        let mut decoder = FrameDecoder::new();
        assert_eq!(decoder.throw_away(), None);
        decoder.push(&stream[..11]);
        assert_eq!((decoder.begun(), decoder.throw_away()), (None, None));
        decoder.push(&stream[11..112]);
        assert_eq!(decoder.begun(), None);
        assert_eq!(decoder.throw_away(), None, "it is whole");
    }

    #[test]
    fn a_frame_at_the_limit_waits_and_one_past_it_is_refused() {
        let header = |length: usize| {
            let mut decoder = FrameDecoder::new();
            decoder.push(&7u64.to_le_bytes());
            decoder.push(&(length as u32).to_le_bytes());
            decoder.next_frame()
        };
        assert_eq!(header(FRAME_BYTES_MAX - 1), Ok(None));
        let error = header(FRAME_BYTES_MAX).unwrap_err();
        assert_eq!(error.token, Token(7));
        assert_eq!(error.to_string(), "Query size (134217728) greater than maximum (134217727).");
    }
}
