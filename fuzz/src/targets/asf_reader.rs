// SPDX-License-Identifier: MPL-2.0

//! Any bytes, cut anywhere, as a stream.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use wmspush_proto::asf::{FileHeader, Item};

use super::invariants::header;
use super::invariants::packet::keeps_its_payloads;
use super::invariants::reader::{Step, is_the_same_in_any_split};

/// Most packets of one input that are looked into.
const MOST_PACKETS: usize = 64;

/// A stream, behind what happens to it.
#[derive(Arbitrary)]
struct Input<'a> {
    cuts: Vec<u16>,
    /// What happens, behind so many bytes more.
    happens: Vec<(u16, Happening)>,
    bytes: &'a [u8],
}

#[derive(Arbitrary)]
enum Happening {
    Restart,
    Rewind(u8),
    /// The next bytes, so many, come as a header beside the stream.
    StreamHeader(u16),
}

/// Items do not depend on the split, and are what they have to be.
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
