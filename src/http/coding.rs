//! What the bytes of a body stand for: whether they are compressed, and in which alphabet they are written. Pure.

use std::io::Read as _;

use actix_web::http::header::{CONTENT_ENCODING, HeaderMap};
use bytes::BytesMut;
use flate2::read::MultiGzDecoder;

use super::refusal::Problem;
use crate::signal::Refusal;

/// How every gzip file begins.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How a body is compressed, as its `Content-Encoding` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip (RFC 1952), which may be several parts in a row.
    Gzip,
}

impl Coding {
    /// What the headers of a request say; 415 for any other.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut named = headers.get_all(CONTENT_ENCODING);
        let Some(first) = named.next() else { return Ok(Self::Identity) };
        let several = named.next().is_some();
        match first.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" if !several => Ok(Self::Gzip),
            b"identity" | b"" if !several => Ok(Self::Identity),
            _ => Err(Problem::encoding(&String::from_utf8_lossy(first.as_bytes()))),
        }
    }

    /// Takes it back. What is more than `most` bytes then is too large, and is not unpacked further.
    pub fn undo(self, bytes: BytesMut, most: usize) -> Result<BytesMut, Refusal> {
        if self == Self::Identity || bytes.is_empty() {
            return Ok(bytes);
        }
        let mut plain = Vec::with_capacity(most.min(bytes.len() * 4));
        let mut unpacking = MultiGzDecoder::new(&bytes[..]).take(most as u64 + 1);
        unpacking.read_to_end(&mut plain).map_err(|why| {
            Refusal::Invalid(format!(
                "the body is not gzip, as its Content-Encoding says it is, or not all of it: {why}"
            ))
        })?;
        if plain.len() > most {
            return Err(Refusal::TooLarge(format!("the body may have at most {most} bytes when it is unpacked")));
        }
        Ok(BytesMut::from(&plain[..]))
    }
}

/// The text of a body, without the mark some editors and frameworks put before it.
pub fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    let no = |what: &str| Err(Refusal::Invalid(what.to_owned()));
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            no("the body seems to be written in UTF-16; send it as UTF-8")
        }
        [first, second, ..] if [*first, *second] == GZIP_MAGIC => {
            no("the body is compressed, and must say so: Content-Encoding: gzip")
        }
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(_) => no("the body is not UTF-8"),
        },
    }
}
