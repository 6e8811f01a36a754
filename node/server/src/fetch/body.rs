//! The body of a response, decoded, within limits.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use photondb_query::fetch::FetchError;
use photondb_reql::error::Error;
use photondb_reql::eval::Cx;
use photondb_runtime::task::yield_now;

use crate::limits::{HTTP_BODY_BYTES_MAX, HTTP_DECODED_AT_ONCE};

/// Reads it to its end, counted in `cx`. It is let go at once when it is too large, compressed or not.
pub(super) async fn read(mut incoming: Incoming, header: &HeaderMap, cx: &Cx) -> Result<Bytes, FetchError> {
    let encoding = header.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    let mut decoder = Decoder::of(encoding.as_deref(), cx)?;
    let mut arrived = 0usize;
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|_| FetchError::Receive)?.into_data() else { continue };
        arrived = arrived.saturating_add(data.len());
        if arrived > HTTP_BODY_BYTES_MAX {
            return Err(FetchError::TooLarge(HTTP_BODY_BYTES_MAX));
        }
        // A few bytes may become many; the thread's other queries have their turn in between.
        for piece in data.chunks(HTTP_DECODED_AT_ONCE) {
            decoder.write(piece)?;
            yield_now().await;
        }
    }
    decoder.finish()
}

/// What arrives, as it was before it was compressed.
enum Decoder {
    Plain(Bounded),
    Gzip(MultiGzDecoder<Bounded>),
    /// `deflate` means zlib's format, but some servers send the bare one: the first two bytes tell.
    Deflate(Vec<u8>, Bounded),
    Zlib(ZlibDecoder<Bounded>),
    Raw(DeflateDecoder<Bounded>),
}

impl Decoder {
    fn of(encoding: Option<&[u8]>, cx: &Cx) -> Result<Decoder, FetchError> {
        let out = Bounded { bytes: Vec::new(), cx: cx.clone() };
        match encoding {
            None | Some(b"" | b"identity") => Ok(Decoder::Plain(out)),
            Some(b"gzip" | b"x-gzip") => Ok(Decoder::Gzip(MultiGzDecoder::new(out))),
            Some(b"deflate") => Ok(Decoder::Deflate(Vec::new(), out)),
            Some(_) => Err(FetchError::Encoding),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        match self {
            Decoder::Plain(out) => out.write_all(bytes),
            Decoder::Gzip(decoder) => decoder.write_all(bytes),
            Decoder::Zlib(decoder) => decoder.write_all(bytes),
            Decoder::Raw(decoder) => decoder.write_all(bytes),
            Decoder::Deflate(first, out) => {
                first.extend_from_slice(bytes);
                let &[a, b, ..] = first.as_slice() else { return Ok(()) };
                let first = std::mem::take(first);
                let out = Bounded { bytes: Vec::new(), cx: out.cx.clone() };
                let is_zlib = a & 15 == 8 && (u16::from(a) * 256 + u16::from(b)).is_multiple_of(31);
                *self =
                    if is_zlib { Decoder::Zlib(ZlibDecoder::new(out)) } else { Decoder::Raw(DeflateDecoder::new(out)) };
                return self.write(&first);
            }
        }
        .map_err(|error| refusal(&error))
    }

    fn finish(self) -> Result<Bytes, FetchError> {
        let out = match self {
            Decoder::Plain(out) => Ok(out),
            Decoder::Gzip(decoder) => decoder.finish(),
            Decoder::Zlib(decoder) => decoder.finish(),
            Decoder::Raw(decoder) => decoder.finish(),
            Decoder::Deflate(first, out) if first.is_empty() => Ok(out),
            Decoder::Deflate(..) => return Err(FetchError::Encoding),
        };
        out.map(|out| Bytes::from(out.bytes)).map_err(|error| refusal(&error))
    }
}

fn refusal(error: &io::Error) -> FetchError {
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        FetchError::Memory(error.clone())
    } else if error.kind() == io::ErrorKind::FileTooLarge {
        FetchError::TooLarge(HTTP_BODY_BYTES_MAX)
    } else {
        FetchError::Encoding
    }
}

/// Bytes up to the limit, counted where they are held.
struct Bounded {
    bytes: Vec<u8>,
    cx: Cx,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.bytes.len() + bytes.len();
        if length > HTTP_BODY_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if length > self.bytes.capacity() {
            let capacity = length.max(2 * self.bytes.capacity()).min(HTTP_BODY_BYTES_MAX);
            self.cx.hold(capacity - self.bytes.capacity()).map_err(io::Error::other)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;
    use photondb_reql::eval::{Limits, NoWorld};

    fn decode(encoding: &str, bytes: &[u8]) -> Result<Bytes, FetchError> {
        let mut decoder = Decoder::of(Some(encoding.as_bytes()), &Cx::pure())?;
        for byte in bytes {
            decoder.write(&[*byte])?;
        }
        decoder.finish()
    }

    fn packed(text: &[u8]) -> [(&'static str, Vec<u8>); 3] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        zlib.write_all(text).unwrap();
        raw.write_all(text).unwrap();
        [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap()), ("deflate", raw.finish().unwrap())]
    }

    #[test]
    fn compressed_bodies_are_decoded_byte_by_byte() {
        for (encoding, bytes) in packed(b"hello hello hello") {
            assert_eq!(decode(encoding, &bytes).unwrap(), "hello hello hello");
        }
        assert_eq!(decode("identity", b"x").unwrap(), "x");
        assert_eq!(decode("deflate", b"").unwrap(), "");
    }

    #[test]
    fn what_is_cut_or_wrong_or_unknown_is_refused() {
        for (encoding, bytes) in packed(b"hello hello hello") {
            assert_eq!(decode(encoding, &bytes[..bytes.len() / 2]), Err(FetchError::Encoding));
        }
        assert_eq!(decode("gzip", b"not gzip at all"), Err(FetchError::Encoding));
        assert_eq!(decode("br", b"x"), Err(FetchError::Encoding));
    }

    #[test]
    fn a_body_at_the_limit_is_whole_and_one_past_it_is_let_go() {
        for (size, whole) in [(HTTP_BODY_BYTES_MAX, true), (HTTP_BODY_BYTES_MAX + 1, false)] {
            let text = vec![b'x'; size];
            for (encoding, bytes) in packed(&text).into_iter().chain([("identity", text.clone())]) {
                let mut decoder = Decoder::of(Some(encoding.as_bytes()), &Cx::pure()).unwrap();
                let written = bytes.chunks(HTTP_DECODED_AT_ONCE).try_for_each(|piece| decoder.write(piece));
                let length = written.and_then(|()| decoder.finish()).map(|body| body.len());
                let expected = if whole { Ok(size) } else { Err(FetchError::TooLarge(HTTP_BODY_BYTES_MAX)) };
                assert_eq!(length, expected, "{encoding}");
            }
        }
    }

    #[test]
    fn a_body_is_counted_and_refused_when_the_query_may_not_hold_it() {
        let limits = Limits { memory: 1 << 20, ..Limits::default() };
        for (encoding, bytes) in packed(&vec![0; 2 << 20]) {
            let cx = Cx::new(NoWorld, limits);
            let mut decoder = Decoder::of(Some(encoding.as_bytes()), &cx).unwrap();
            let written = bytes.chunks(64).try_for_each(|piece| decoder.write(piece));
            let refused = written.and_then(|()| decoder.finish().map(drop));
            assert_eq!(refused, Err(FetchError::Memory(Error::query_too_large(1 << 20))), "{encoding}");
            assert!(cx.held() <= 1 << 20);
        }
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_is_let_go() {
        for (encoding, bytes) in packed(&vec![0; HTTP_BODY_BYTES_MAX + 1]) {
            let mut decoder = Decoder::of(Some(encoding.as_bytes()), &Cx::pure()).unwrap();
            let written = bytes.chunks(1024).try_for_each(|piece| decoder.write(piece));
            let refused = written.and_then(|()| decoder.finish().map(drop));
            assert_eq!(refused, Err(FetchError::TooLarge(HTTP_BODY_BYTES_MAX)), "{encoding}");
        }
    }
}
