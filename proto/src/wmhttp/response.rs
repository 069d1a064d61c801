// SPDX-License-Identifier: MPL-2.0

//! Responses out of bytes as they come: RFC 9112, as far as MS-WMHTTP has use for it.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode, Version};

use super::message::{PROXY_CONNECTION, Response};

/// Largest head of a response.
const MAX_HEAD: usize = 64 * 1024;

/// Most fields of a response.
const MAX_FIELDS: usize = 100;

/// Most bytes of a response's body that are kept: behind them nothing is read any more.
const MAX_BODY: usize = 16 * 1024;

/// Largest line of a chunked body that is no data.
const MAX_LINE: usize = 1024;

/// Takes one response out of the bytes of a connection.
#[derive(Default)]
pub struct ResponseReader {
    input: BytesMut,
    /// So many bytes are worth another look at a head that was not complete.
    look_at: usize,
    request: RequestKind,
    found: Option<Found>,
}

/// The request that the response answers, because a head after CONNECT has another meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RequestKind {
    #[default]
    Post,
    Connect,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Its head is not complete.
    Head,
    /// Its body is not complete.
    Body,
    /// Nothing of it is missing.
    Complete,
}

/// The bytes are no response, or more than any server has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadResponse {
    /// The head does not follow RFC 9112 section 4.
    Head(httparse::Error),
    /// The head is larger than 64 kB.
    TooLarge,
    /// The status code is none.
    Status,
    /// RFC 9112 section 6: nobody can tell how long the body is.
    Length,
    /// RFC 9112 section 7.1: a chunk of the body is none.
    Chunk,
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => fmt::Display::fmt(error, f),
            Self::TooLarge => f.write_str("the head is too large"),
            Self::Status => f.write_str("invalid status code"),
            Self::Length => f.write_str("the length of the body is ambiguous"),
            Self::Chunk => f.write_str("invalid chunk"),
        }
    }
}

impl std::error::Error for BadResponse {}

/// A response whose head is complete.
struct Found {
    response: Response,
    body: BytesMut,
    /// The body is longer than what is kept of it.
    cut: bool,
    framing: Framing,
    keeps_alive: bool,
}

/// RFC 9112 section 6.3: where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// After so many more bytes.
    Length(u64),
    Chunked(Chunked),
    /// With the connection.
    Close,
    /// Whatever follows, nobody wants it.
    Over,
}

/// RFC 9112 section 7.1: what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunked {
    Size,
    /// So many more bytes of data.
    Data(u64),
    /// The line end behind them.
    DataEnd,
    Trailer,
}

impl ResponseReader {
    /// For the next response of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// For the response to [`Body::Connect`](super::Body::Connect).
    ///
    /// RFC 9110 section 9.3.6: after a 2xx head the connection is a tunnel, whatever Content-Length, Transfer-Encoding
    /// and Connection say. If bytes follow that head, the connection is not reusable: in TLS the client speaks first.
    pub fn to_connect() -> Self {
        Self {
            request: RequestKind::Connect,
            ..Self::default()
        }
    }

    /// Takes in what has come.
    ///
    /// # Errors
    ///
    /// [`BadResponse`]; the connection is of no use then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Stage, BadResponse> {
        let seen = self.input.len().saturating_sub(3);
        self.input.extend_from_slice(bytes);
        while self.found.is_none() {
            if !self.is_worth_a_look(seen) {
                return Ok(Stage::Head);
            }
            let Some(size) = self.parse_head()? else {
                self.look_at = self.input.len() * 2;
                return Ok(Stage::Head);
            };
            self.input.advance(size);
            self.look_at = 0;
        }
        self.take_body()
    }

    /// Whether the response is complete now that the peer has closed the connection.
    pub fn end(&mut self) -> bool {
        let Some(found) = &mut self.found else {
            return false;
        };
        found.keeps_alive = false;
        matches!(
            found.framing,
            Framing::Length(0) | Framing::Close | Framing::Over
        )
    }

    /// The response, as far as it has come, and whether the connection can be used for another request. `None` when not
    /// even its head is complete.
    pub fn finish(self) -> Option<(Response, bool)> {
        let Found {
            response,
            body,
            framing,
            keeps_alive,
            ..
        } = self.found?;
        let reusable = keeps_alive && framing == Framing::Length(0) && self.input.is_empty();
        let body = body.freeze();
        Some((Response { body, ..response }, reusable))
    }

    /// A head that comes byte by byte is not looked at for each: only at its end, and now and then.
    fn is_worth_a_look(&self, seen: usize) -> bool {
        let new = self.input.get(seen..).unwrap_or_default();
        let ends = |end: &[u8]| new.windows(end.len()).any(|bytes| bytes == end);
        self.input.len() >= self.look_at.max(1) || ends(b"\n\r\n") || ends(b"\n\n")
    }

    /// The size of the head at the front, if there is one. It is kept, unless others follow it.
    fn parse_head(&mut self) -> Result<Option<usize>, BadResponse> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        // Servers of this protocol are old.
        let parsed = httparse::ParserConfig::default()
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .parse_response(&mut head, &self.input);
        let size = match parsed.map_err(BadResponse::Head)? {
            httparse::Status::Complete(size) if size <= MAX_HEAD => size,
            httparse::Status::Partial if self.input.len() < MAX_HEAD => return Ok(None),
            _ => return Err(BadResponse::TooLarge),
        };
        let found = found(&head, self.request)?;
        // RFC 9110 section 15.2: these announce another.
        let interim = found.response.status.is_informational();
        if !interim || found.response.status == StatusCode::SWITCHING_PROTOCOLS {
            self.found = Some(found);
        }
        Ok(Some(size))
    }

    fn take_body(&mut self) -> Result<Stage, BadResponse> {
        let Some(found) = &mut self.found else {
            return Ok(Stage::Head);
        };
        loop {
            let complete = match found.framing {
                Framing::Length(0) | Framing::Over => true,
                _ => !found.take(&mut self.input)?,
            };
            if complete {
                return Ok(found.stage());
            }
        }
    }
}

impl Found {
    /// Takes what comes next out of `input`; FALSE when that is not there yet.
    fn take(&mut self, input: &mut BytesMut) -> Result<bool, BadResponse> {
        let taken = match self.framing {
            Framing::Over => 0,
            Framing::Close => self.take_data(input, u64::MAX),
            Framing::Length(left) => {
                let taken = self.take_data(input, left);
                self.framing = Framing::Length(left - taken);
                taken
            }
            Framing::Chunked(chunked) => return self.take_chunked(chunked, input),
        };
        self.limit();
        Ok(taken > 0)
    }

    fn take_chunked(
        &mut self,
        chunked: Chunked,
        input: &mut BytesMut,
    ) -> Result<bool, BadResponse> {
        let next = match chunked {
            Chunked::Size => match chunk_size(input)? {
                None => return Ok(false),
                Some(0) => Chunked::Trailer,
                Some(size) => Chunked::Data(size),
            },
            Chunked::Data(0) => Chunked::DataEnd,
            Chunked::Data(left) => match self.take_data(input, left) {
                0 => return Ok(false),
                taken => Chunked::Data(left - taken),
            },
            Chunked::DataEnd => match take_line(input)? {
                None => return Ok(false),
                Some(line) if line.is_empty() => Chunked::Size,
                Some(_) => return Err(BadResponse::Chunk),
            },
            Chunked::Trailer => match take_line(input)? {
                None => return Ok(false),
                Some(line) if line.is_empty() => {
                    self.framing = Framing::Length(0);
                    return Ok(true);
                }
                Some(_) => Chunked::Trailer,
            },
        };
        self.framing = Framing::Chunked(next);
        self.limit();
        Ok(true)
    }

    /// Keeps up to `most` bytes of `input`; how many were there.
    fn take_data(&mut self, input: &mut BytesMut, most: u64) -> u64 {
        let size = input.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let data = input.split_to(size);
        let room = MAX_BODY.saturating_sub(self.body.len());
        self.body
            .extend_from_slice(data.get(..room).unwrap_or(&data));
        self.cut |= size > room;
        size as u64
    }

    /// What nobody has room for is not read.
    fn limit(&mut self) {
        let more = self.body.len() >= MAX_BODY && self.framing != Framing::Length(0);
        if more || self.cut {
            self.framing = Framing::Over;
        }
    }

    fn stage(&self) -> Stage {
        match self.framing {
            Framing::Length(0) | Framing::Over => Stage::Complete,
            _ => Stage::Body,
        }
    }
}

fn found(head: &httparse::Response<'_, '_>, request: RequestKind) -> Result<Found, BadResponse> {
    let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(BadResponse::Status)?;
    let version = match head.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let fields = head.headers.iter().filter_map(|field| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        // RFC 9112 section 5.2: a folded line is one with spaces.
        let value = field.value.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            byte => *byte,
        });
        let value: Vec<_> = value.collect();
        Some((name, HeaderValue::from_bytes(&value).ok()?))
    });
    let headers: HeaderMap = fields.collect();
    let is_tunnel = request == RequestKind::Connect && status.is_success();
    let framing = match is_tunnel {
        true => Framing::Length(0),
        false => framing(status, &headers)?,
    };
    Ok(Found {
        framing,
        keeps_alive: is_tunnel || keeps_alive(version, &headers),
        response: Response {
            status,
            reason: head.reason.unwrap_or_default().to_owned(),
            headers,
            body: Bytes::new(),
        },
        body: BytesMut::new(),
        cut: false,
    })
}

/// RFC 9112 section 6.3
fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, BadResponse> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    if let Some(coding) = tokens(headers, TRANSFER_ENCODING).last() {
        return Ok(match coding.eq_ignore_ascii_case("chunked") {
            true => Framing::Chunked(Chunked::Size),
            false => Framing::Close,
        });
    }
    let mut lengths = tokens(headers, CONTENT_LENGTH).map(|length| length.parse::<u64>().ok());
    let Some(first) = lengths.next() else {
        return match headers.contains_key(CONTENT_LENGTH) {
            true => Err(BadResponse::Length),
            false => Ok(Framing::Close),
        };
    };
    let unanimous = lengths.all(|length| length == first);
    let length = first.filter(|_| unanimous).ok_or(BadResponse::Length)?;
    Ok(Framing::Length(length))
}

/// Whether another request may go over the connection: RFC 2616 section 8.1.2, and RFC 2068 section 19.7.1 for
/// HTTP/1.0. Old proxies say so in Proxy-Connection (RFC 9112 section C.2.2).
fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let says = |token: &str| {
        tokens(headers, CONNECTION)
            .chain(tokens(headers, PROXY_CONNECTION))
            .any(|said| said.eq_ignore_ascii_case(token))
    };
    let kept = version != Version::HTTP_10 || says("keep-alive");
    kept && !says("close")
}

/// The members of a list, RFC 9110 section 5.6.1.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Takes the line that begins a chunk.
fn chunk_size(input: &mut BytesMut) -> Result<Option<u64>, BadResponse> {
    match httparse::parse_chunk_size(input) {
        Ok(httparse::Status::Complete((line, size))) if line <= MAX_LINE => {
            input.advance(line);
            Ok(Some(size))
        }
        Ok(httparse::Status::Partial) if input.len() <= MAX_LINE => Ok(None),
        Ok(_) | Err(_) => Err(BadResponse::Chunk),
    }
}

/// Takes a line, and its end off it.
fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, BadResponse> {
    let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return match input.len() < MAX_LINE {
            true => Ok(None),
            false => Err(BadResponse::Chunk),
        };
    };
    let mut line = input.split_to(end + 1);
    line.truncate(end);
    if line.ends_with(b"\r") {
        line.truncate(end - 1);
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests;
