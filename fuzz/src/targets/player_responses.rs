// SPDX-License-Identifier: MPL-2.0

//! The response of a server to the Describe or Play of a player: a byte with the size of the pieces, a Pragma value up
//! to a line feed, then the body.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, PRAGMA};
use http::{Method, Request};
use wmspush_proto::asf::FileHeader;
use wmspush_proto::wmsp::client::{BodyReader, Form, Player, Seen, Unreadable};
use wmspush_proto::wmsp::{PlayerKind, PlayerRequest};

/// The elements of a body in order, and the error that ended it.
#[derive(Debug, PartialEq)]
struct Outcome {
    form: Option<Form>,
    seen: Vec<Seen>,
    error: Option<Unreadable>,
}

/// The outcome does not depend on the split, and the player can answer with a valid Play.
pub fn run(input: &[u8]) {
    let Some((size, rest)) = input.split_first() else {
        return;
    };
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (pragma, body) = rest.split_at(end.map_or(0, |end| end + 1));
    let whole = read(body, body.len().max(1));
    for size in [1, usize::from(*size).max(1)] {
        assert_same(&whole, &read(body, size));
    }
    let mut total = 0;
    for seen in &whole.seen {
        match seen {
            Seen::Header(header) => play(pragma.trim_ascii_end(), header),
            Seen::Data(packet) => total += packet.len(),
            Seen::Change | Seen::End(_) => {}
        }
    }
    assert!(total <= body.len(), "{total} bytes from {}", body.len());
}

/// The format of foreign input is recognised from the bytes received so far, which differ. All else is the same.
fn assert_same(whole: &Outcome, split: &Outcome) {
    match (&whole.error, &split.error) {
        (Some(Unreadable::Foreign(_)), Some(Unreadable::Foreign(_))) => {
            assert_eq!(whole.seen, split.seen);
        }
        _ => assert_eq!(whole, split),
    }
}

fn read(bytes: &[u8], size: usize) -> Outcome {
    let mut body = BodyReader::new();
    let mut seen = Vec::new();
    let mut error = None;
    for piece in bytes.chunks(size) {
        body.push(Bytes::copy_from_slice(piece));
        let end = loop {
            match body.next_seen() {
                Ok(Some(next)) => seen.push(next),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        if let Some(end) = end {
            assert_eq!(body.next_seen(), Err(end.clone()), "an error is final");
            error = Some(end);
            break;
        }
    }
    Outcome {
        form: body.form(),
        seen,
        error,
    }
}

/// The server half reads the Play request for this header, with the client-id that the response assigned.
fn play(pragma: &[u8], header: &FileHeader) {
    let mut fields = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(pragma) {
        fields.insert(PRAGMA, value);
    }
    let mut player = Player::new([7; 16]);
    player.receive(&fields);
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.headers_mut() = player.play(header);
    let request = PlayerRequest::new(&request).expect("a request of this protocol");
    let request = request.expect("a valid request");
    assert_eq!(request.kind, PlayerKind::Play);
    for stream in header.streams() {
        assert!(request.selection.has(stream.number), "{stream:?}");
    }
    let again = Request::new(());
    let (mut parts, body) = again.into_parts();
    parts.headers = player.describe();
    let describe = PlayerRequest::new(&Request::from_parts(parts, body));
    let describe = describe.expect("a request of this protocol");
    assert_eq!(
        describe.map(|describe| (describe.kind, describe.client_id)),
        Ok((PlayerKind::Describe, request.client_id))
    );
}
