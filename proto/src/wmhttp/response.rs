// SPDX-License-Identifier: MPL-2.0

//! An incremental parser of HTTP responses: the subset of RFC 9112 that MS-WMHTTP needs.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode, Version};

use super::header::decimal;
use super::message::{PROXY_CONNECTION, Response};

/// Size of the head in bytes, at most.
const MAX_HEAD: usize = 64 * 1024;

/// Header fields, at most.
const MAX_FIELDS: usize = 100;

/// Bytes of the body to keep. A longer body is not read to its end.
const MAX_BODY: usize = 16 * 1024;

/// Size in bytes of a line between the chunks of a body, at most.
const MAX_LINE: usize = 1024;

/// Reads one response from the bytes of a connection.
#[derive(Default)]
pub struct ResponseReader {
    input: BytesMut,
    /// Number of buffered bytes at which an incomplete head is parsed again.
    look_at: usize,
    request: RequestMethod,
    found: Option<Found>,
}

/// The request that the response answers, because a head after CONNECT has another meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RequestMethod {
    #[default]
    Post,
    Connect,
}

/// The progress of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The head is incomplete.
    Head,
    /// The head is complete, the body is not.
    Body,
    /// The response is complete.
    Complete,
}

/// The reason why bytes are not an acceptable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadResponse {
    /// The head does not follow RFC 9112 section 4 Status Line.
    Head(httparse::Error),
    /// The head is larger than 64 KiB.
    TooLarge,
    /// The status code is invalid.
    Status,
    /// RFC 9112 section 6 Message Body: the length of the body is ambiguous.
    Length,
    /// RFC 9112 section 7.1 Chunked Transfer Coding: a chunk of the body is malformed.
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
    /// True if the body is longer than the part that is kept.
    cut: bool,
    body_length: BodyLength,
    keeps_alive: bool,
}

/// RFC 9112 section 6.3 Message Body Length: the end of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyLength {
    /// After this number of bytes.
    Length(u64),
    Chunked(Chunked),
    /// At the end of the connection.
    Close,
    /// Reached: the rest is ignored.
    Over,
}

/// RFC 9112 section 7.1 Chunked Transfer Coding: the next element of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunked {
    Size,
    /// This number of bytes of data.
    Data(u64),
    /// The line end after the data.
    DataEnd,
    Trailer,
}

impl ResponseReader {
    /// Creates a reader for the next response of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a reader for the response to [`Body::Connect`](super::Body::Connect).
    ///
    /// After a 2xx head the connection is a tunnel, and Content-Length, Transfer-Encoding and Connection have no effect
    /// (RFC 9110 section 9.3.6). Bytes after that head make the connection unusable, because in TLS the client speaks
    /// first.
    pub fn to_connect() -> Self {
        Self {
            request: RequestMethod::Connect,
            ..Self::default()
        }
    }

    /// Adds received bytes. Returns the progress of the response.
    ///
    /// # Errors
    ///
    /// [`BadResponse`]. Close the connection then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Stage, BadResponse> {
        let seen = self.input.len().saturating_sub(3);
        self.input.extend_from_slice(bytes);
        while self.found.is_none() {
            if !self.is_worth_a_look(seen) {
                return Ok(Stage::Head);
            }
            let Some(size) = self.parse_head()? else {
                self.look_at = self.input.len().saturating_mul(2);
                return Ok(Stage::Head);
            };
            self.input.advance(size);
            self.look_at = 0;
        }
        self.take_body()
    }

    /// Ends the input, because the peer has closed the connection. Returns whether the response is complete.
    pub fn end(&mut self) -> bool {
        let Some(found) = &mut self.found else {
            return false;
        };
        found.keeps_alive = false;
        matches!(
            found.body_length,
            BodyLength::Length(0) | BodyLength::Close | BodyLength::Over
        )
    }

    /// Returns the response as far as it was received, and whether the connection can carry another request. `None` if
    /// the head is incomplete.
    pub fn finish(self) -> Option<(Response, bool)> {
        let Found {
            response,
            body,
            body_length,
            keeps_alive,
            ..
        } = self.found?;
        let reusable = keeps_alive && body_length == BodyLength::Length(0) && self.input.is_empty();
        let body = body.freeze();
        Some((Response { body, ..response }, reusable))
    }

    /// Returns whether to parse the head: at its likely end, and now and then. A head that arrives byte by byte is not
    /// parsed for each byte.
    fn is_worth_a_look(&self, seen: usize) -> bool {
        let new = self.input.get(seen..).unwrap_or_default();
        let ends = |end: &[u8]| new.windows(end.len()).any(|bytes| bytes == end);
        self.input.len() >= self.look_at.max(1) || ends(b"\n\r\n") || ends(b"\n\n")
    }

    /// Returns the size of the first head, if it is complete. Keeps it, unless it is an interim response.
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
        // RFC 9110 section 15.2 Informational 1xx: an interim response announces another.
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
            let complete = match found.body_length {
                BodyLength::Length(0) | BodyLength::Over => true,
                _ => !found.take(&mut self.input)?,
            };
            if complete {
                return Ok(found.stage());
            }
        }
    }
}

impl Found {
    /// Consumes the next element of `input`; false if it is incomplete.
    fn take(&mut self, input: &mut BytesMut) -> Result<bool, BadResponse> {
        let taken = match self.body_length {
            BodyLength::Over => 0,
            BodyLength::Close => self.take_data(input, u64::MAX),
            BodyLength::Length(left) => {
                let taken = self.take_data(input, left);
                self.body_length = BodyLength::Length(left.saturating_sub(taken));
                taken
            }
            BodyLength::Chunked(chunked) => return self.take_chunked(chunked, input),
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
                taken => Chunked::Data(left.saturating_sub(taken)),
            },
            Chunked::DataEnd => match take_line(input)? {
                None => return Ok(false),
                Some(line) if line.is_empty() => Chunked::Size,
                Some(_) => return Err(BadResponse::Chunk),
            },
            Chunked::Trailer => match take_line(input)? {
                None => return Ok(false),
                Some(line) if line.is_empty() => {
                    self.body_length = BodyLength::Length(0);
                    return Ok(true);
                }
                Some(_) => Chunked::Trailer,
            },
        };
        self.body_length = BodyLength::Chunked(next);
        self.limit();
        Ok(true)
    }

    /// Keeps up to `most` bytes of `input`. Returns the number of bytes consumed.
    fn take_data(&mut self, input: &mut BytesMut, most: u64) -> u64 {
        let size = input.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let data = input.split_to(size);
        let room = MAX_BODY.saturating_sub(self.body.len());
        self.body
            .extend_from_slice(data.get(..room).unwrap_or(&data));
        self.cut |= size > room;
        size as u64
    }

    /// Ends the body at [`MAX_BODY`] bytes.
    fn limit(&mut self) {
        let more = self.body.len() >= MAX_BODY && self.body_length != BodyLength::Length(0);
        if more || self.cut {
            self.body_length = BodyLength::Over;
        }
    }

    fn stage(&self) -> Stage {
        match self.body_length {
            BodyLength::Length(0) | BodyLength::Over => Stage::Complete,
            _ => Stage::Body,
        }
    }
}

fn found(head: &httparse::Response<'_, '_>, request: RequestMethod) -> Result<Found, BadResponse> {
    let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(BadResponse::Status)?;
    let version = match head.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let fields = head.headers.iter().filter_map(|field| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        // RFC 9112 section 5.2 Obsolete Line Folding: a folded line is read as one with spaces.
        let value = field.value.iter().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            byte => *byte,
        });
        let value: Vec<_> = value.collect();
        Some((name, HeaderValue::from_bytes(&value).ok()?))
    });
    let headers: HeaderMap = fields.collect();
    let is_tunnel = request == RequestMethod::Connect && status.is_success();
    let body_length = match is_tunnel {
        true => BodyLength::Length(0),
        false => body_length(status, &headers)?,
    };
    Ok(Found {
        body_length,
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

/// RFC 9112 section 6.3 Message Body Length
fn body_length(status: StatusCode, headers: &HeaderMap) -> Result<BodyLength, BadResponse> {
    match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => return Ok(BodyLength::Length(0)),
        // The bytes after it belong to another protocol.
        StatusCode::SWITCHING_PROTOCOLS => return Ok(BodyLength::Over),
        _ => {}
    }
    if let Some(coding) = tokens(headers, TRANSFER_ENCODING).last() {
        return Ok(match coding.eq_ignore_ascii_case("chunked") {
            true => BodyLength::Chunked(Chunked::Size),
            false => BodyLength::Close,
        });
    }
    let mut lengths = tokens(headers, CONTENT_LENGTH).map(decimal);
    let Some(first) = lengths.next() else {
        return match headers.contains_key(CONTENT_LENGTH) {
            true => Err(BadResponse::Length),
            false => Ok(BodyLength::Close),
        };
    };
    let unanimous = lengths.all(|length| length == first);
    let length = first.filter(|_| unanimous).ok_or(BadResponse::Length)?;
    Ok(BodyLength::Length(length))
}

/// Returns whether the connection can carry another request: RFC 2616 section 8.1.2 Overall Operation, and RFC 2068
/// section 19.7.1 Compatibility with HTTP/1.0 Persistent Connections for HTTP/1.0. Old proxies use Proxy-Connection for
/// that (RFC 9112 section C.2.2 Keep-Alive Connections).
fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let says = |token: &str| {
        tokens(headers, CONNECTION)
            .chain(tokens(headers, PROXY_CONNECTION))
            .any(|said| said.eq_ignore_ascii_case(token))
    };
    let kept = version != Version::HTTP_10 || says("keep-alive");
    kept && !says("close")
}

/// Iterates over the members of a list, RFC 9110 section 5.6.1 Lists.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Removes the line before a chunk. Returns the size of the chunk in bytes.
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

/// Removes a line. Returns it without its line end.
fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, BadResponse> {
    let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return match input.len() < MAX_LINE {
            true => Ok(None),
            false => Err(BadResponse::Chunk),
        };
    };
    let mut line = input.split_to(end);
    input.advance(b"\n".len());
    if let Some(text) = line.strip_suffix(b"\r") {
        line.truncate(text.len());
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests;
