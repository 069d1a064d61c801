// SPDX-License-Identifier: MPL-2.0

//! The pushed packets, compared with the received ones.

use std::collections::HashMap;

use bytes::Bytes;
use gstwmspush::asf::{Item, Reader};
use gstwmspush::wmhttp::server::Received;
use publishing_point::Push;

use crate::rig::fixture_bytes;

/// The file that every row pushes.
pub const FIXTURE: &str = "av_asfmux_p1500_streamable.asf";

/// The received packets of a push, and their repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    pub pushed: usize,
    /// Different packets that were received.
    pub arrived: usize,
    /// Packets that were received again.
    pub twice: usize,
    /// File headers that were received.
    pub headers: usize,
    /// Sessions in which anything was received.
    pub sessions: usize,
    /// Violations of the protocol.
    pub wrong: Vec<String>,
}

impl Reception {
    pub fn of(pushes: &[Push]) -> Self {
        let numbers = numbers();
        let mut reception = Self {
            pushed: numbers.len(),
            ..Self::default()
        };
        let mut seen = vec![false; numbers.len()];
        let pushes = pushes.iter().filter(|push| !push.received.is_empty());
        for push in pushes {
            reception.sessions += 1;
            let mut last = None;
            for received in &push.received {
                match received {
                    Received::Header(_) | Received::StreamChange(_) => {
                        reception.headers += 1;
                        last = None;
                    }
                    Received::Data(data) => match numbers.get(data) {
                        Some(&number) => {
                            if last.is_some_and(|last| number < last) {
                                reception
                                    .wrong
                                    .push(format!("packet {number} after {last:?}"));
                            }
                            last = Some(number);
                            reception.twice +=
                                usize::from(std::mem::replace(&mut seen[number], true));
                        }
                        None => reception
                            .wrong
                            .push("a packet that was not pushed".to_owned()),
                    },
                    _ => {}
                }
            }
        }
        reception.arrived = seen.iter().filter(|seen| **seen).count();
        reception
    }

    pub fn missing(&self) -> usize {
        self.pushed - self.arrived
    }
}

/// Returns the index of each data packet in the stream, by its bytes on the wire.
fn numbers() -> HashMap<Bytes, usize> {
    let mut reader = Reader::new();
    reader.push(fixture_bytes(FIXTURE).into());
    let items = std::iter::from_fn(|| reader.next_item().unwrap());
    let packets = items.filter_map(|item| match item {
        Item::DataUnit(packet) => {
            let unpadded = packet.without_padding();
            Some(Bytes::from(
                [unpadded.head.as_slice(), &unpadded.body].concat(),
            ))
        }
        _ => None,
    });
    let numbers: HashMap<_, _> = packets.zip(0..).collect();
    assert_eq!(numbers.len(), 27, "no two packets are the same");
    numbers
}
