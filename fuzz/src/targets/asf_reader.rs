// SPDX-License-Identifier: MPL-2.0

//! Any bytes in any split as an ASF stream.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use wmspush_proto::asf::{FileHeader, Item};

use super::invariants::header;
use super::invariants::packet::keeps_its_payloads;
use super::invariants::reader::{Step, is_the_same_in_any_split};

/// Packets of one input to check, at most.
const MOST_PACKETS: usize = 64;

/// A stream, and the events in it.
#[derive(Arbitrary)]
struct Input<'a> {
    cuts: Vec<u16>,
    /// Events, each after this number of bytes.
    happens: Vec<(u16, Happening)>,
    bytes: &'a [u8],
}

#[derive(Arbitrary)]
enum Happening {
    Restart,
    Rewind(u8),
    /// This number of the next bytes is a header from outside the stream.
    StreamHeader(u16),
}

/// Items do not depend on the split, and keep the invariants.
pub fn run(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let steps = steps(&input);
    let cuts = |len: usize| {
        let cuts = input.cuts.iter().take(64);
        cuts.map(|&cut| usize::from(cut) % (len + 1)).collect()
    };
    let items = is_the_same_in_any_split(&steps, cuts);
    let mut packets = 0;
    for item in items {
        match item {
            Item::Header(found) => header::holds_for(&found),
            Item::DataUnit(packet) if packets < MOST_PACKETS => {
                keeps_its_payloads(packet.as_bytes());
                packets += 1;
            }
            Item::DataUnit(_) | Item::Skipped(_) => {}
        }
    }
    keeps_its_payloads(input.bytes);
    if let Ok(found) = FileHeader::parse(Bytes::copy_from_slice(input.bytes)) {
        header::holds_for(&found);
    }
}

fn steps(input: &Input<'_>) -> Vec<Step> {
    let mut rest = input.bytes;
    let mut take = |len: u16| {
        let (taken, left) = rest.split_at(rest.len().min(len.into()));
        rest = left;
        taken.to_vec()
    };
    let mut steps = Vec::new();
    for (bytes, happening) in &input.happens {
        steps.push(Step::Bytes(take(*bytes)));
        steps.push(match happening {
            Happening::Restart => Step::Restart,
            Happening::Rewind(to) => Step::Rewind((*to).into()),
            Happening::StreamHeader(len) => Step::StreamHeader(take(*len)),
        });
    }
    steps.push(Step::Bytes(rest.to_vec()));
    steps
}
