// SPDX-License-Identifier: MPL-2.0

//! Any bytes as a response: the first byte is the size of the pieces, the rest the bytes of the connection.

use wmspush_proto::wmhttp::{BadResponse, Response, ResponseReader, Stage};

/// Bytes of a body that a reader keeps, at most.
const MOST_BODY: usize = 16 * 1024;

/// The outcome of reading a connection to its end.
type Outcome = Result<Option<(Response, bool)>, BadResponse>;

/// The response does not depend on the split.
pub fn run(input: &[u8]) {
    let Some((size, wire)) = input.split_first() else {
        return;
    };
    let whole = read(wire, wire.len().max(1));
    let cut = read(wire, usize::from(*size).max(1));
    match (&whole, &cut) {
        // A malformed head may be noticed only at its end.
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
