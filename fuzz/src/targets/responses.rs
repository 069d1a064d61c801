// SPDX-License-Identifier: MPL-2.0

//! The bytes of a connection that are to be a response: first the size of the pieces that they come in, then they.

use wmspush_proto::wmhttp::{BadResponse, Response, ResponseReader, Stage};

/// What a reader may keep of a body.
const MOST_BODY: usize = 16 * 1024;

/// What came of the bytes of a connection, which is then closed.
type Outcome = Result<Option<(Response, bool)>, BadResponse>;

/// However it comes, it is the same response.
pub fn run(input: &[u8]) {
    let Some((size, wire)) = input.split_first() else {
        return;
    };
    let whole = read(wire, wire.len().max(1));
    let cut = read(wire, usize::from(*size).max(1));
    match (&whole, &cut) {
        // What is no head is seen at the latest when it has an end.
        (Err(BadResponse::Head(_) | BadResponse::TooLarge), Ok(None) | Err(_)) => {}
        _ => assert_eq!(whole, cut),
    }
    if let Ok(Some((response, _))) = whole {
        assert!(response.body.len() <= MOST_BODY.min(wire.len()));
        assert!(response.reason.len() <= wire.len());
    }
}

fn read(wire: &[u8], size: usize) -> Outcome {
    let mut reader = ResponseReader::new();
    let mut last = Stage::Head;
    for bytes in wire.chunks(size) {
        let stage = reader.push(bytes)?;
        assert!(stage >= last, "{stage:?} after {last:?}");
        last = stage;
    }
    if last == Stage::Complete || reader.end() {
        return Ok(Some(reader.finish().expect("it is complete")));
    }
    Ok(None)
}
