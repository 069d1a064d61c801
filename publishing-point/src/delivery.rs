// SPDX-License-Identifier: MPL-2.0

//! The sending of a stream to one viewer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::audience::Leave;
use super::connection::Connection;
use super::lock::lock;
use super::presence::Presence;
use super::relay::{Cursor, Packet, PlaylistEntry, Relay, Step};
use super::shared::PointState;
use wmspush_proto::asf::DataPacket;
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmsp::{Agent, Framer, Selection};

/// Time limit for sending one packet.
const STALL: Duration = Duration::from_secs(15);

/// Bytes that a viewer may send while it watches, at most.
const MAX_CHATTER: usize = 64 * 1024;

/// The format of a stream on the wire.
pub(super) enum Form {
    /// Packets of MS-WMSP.
    Framed {
        agent: Agent,
        selection: Selection,
        framer: Framer,
    },
    /// An ASF file.
    File,
}

impl Form {
    /// Returns the bytes before the packets of an entry.
    pub(super) fn header(&self, entry: &PlaylistEntry) -> Bytes {
        let header = entry.header.as_bytes();
        match self {
            Self::Framed { agent, .. } if agent.wants_metadata() => {
                let metadata = Framer::metadata(entry.number);
                [metadata, Framer::header(header)].concat().into()
            }
            Self::Framed { .. } => Framer::header(header),
            Self::File => header.clone(),
        }
    }

    /// Returns a packet on the wire: its head, its bytes and its padding. `None` if this format cannot carry it, or if it
    /// is larger than the header allows: no player could read it, nor what follows in a file.
    fn packet(&mut self, packet: &Packet, full_size: usize) -> Option<impl Buf + use<>> {
        if packet.bytes.len() > full_size {
            return None;
        }
        let (head, body, padding) = match self {
            Self::Framed {
                agent,
                selection,
                framer,
            } => {
                let body = selected(*selection, &packet.bytes)?;
                let padding = match agent.wants_padding() {
                    true => full_size.saturating_sub(body.len()),
                    false => 0,
                };
                let head = framer.data(packet.number, body.len() + padding)?;
                (Bytes::copy_from_slice(&head), body, padding)
            }
            Self::File => {
                let padding = full_size.saturating_sub(packet.bytes.len());
                (Bytes::new(), packet.bytes.clone(), padding)
            }
        };
        let padding = ZEROS.get(..padding)?;
        Some(head.chain(body).chain(padding))
    }

    /// Returns the start of the next entry; `None` if this format cannot express it.
    fn change(&self, entry: &PlaylistEntry) -> Option<Bytes> {
        match self {
            Self::Framed { .. } => Some(
                [Framer::stream_change(), self.header(entry)]
                    .concat()
                    .into(),
            ),
            Self::File => None,
        }
    }

    fn end(&self, reason: HResult) -> Bytes {
        match self {
            Self::Framed { .. } => Framer::end_of_stream(reason),
            Self::File => Bytes::new(),
        }
    }
}

/// Returns the packet with the selected streams only; `None` if it has none of them.
fn selected(selection: Selection, packet: &Bytes) -> Option<Bytes> {
    if selection.is_all() {
        return Some(packet.clone());
    }
    DataPacket::parse(packet.clone()).with_streams(|stream| selection.has(stream))
}

/// Padding for the largest packet.
static ZEROS: [u8; wmspush_proto::asf::MAX_PACKET_SIZE] = [0; wmspush_proto::asf::MAX_PACKET_SIZE];

/// The stream to one viewer.
pub(super) struct Delivery {
    pub(super) relay: Arc<Relay>,
    pub(super) cursor: Cursor,
    pub(super) form: Form,
    pub(super) full_size: usize,
}

impl Connection {
    /// Sends the head of a response and then the stream, until the push or the viewer ends.
    pub(super) async fn deliver(
        &mut self,
        head: impl Buf,
        mut delivery: Delivery,
        mut presence: Presence,
    ) {
        let leave = match self.send(&delivery, head).await {
            Ok(()) => self.stream_on(&mut delivery, presence.id).await,
            Err(leave) => leave,
        };
        presence.ends(leave);
        if matches!(leave, Leave::End | Leave::Change) {
            self.linger().await;
        }
    }

    /// Sends the stream. Returns the reason for its end.
    async fn stream_on(&mut self, delivery: &mut Delivery, viewer: u64) -> Leave {
        let mut moved = delivery.relay.moved();
        loop {
            moved.mark_unchanged();
            let sent = match delivery.relay.take(&mut delivery.cursor) {
                Step::Packet(packet) => {
                    let wire = delivery.form.packet(&packet, delivery.full_size);
                    self.shared.audience.sent(viewer, wire.is_none());
                    match wire {
                        Some(wire) => self.send(delivery, wire).await,
                        None => Ok(()),
                    }
                }
                Step::Change(entry) => {
                    delivery.full_size = entry.header.packet_size();
                    match delivery.form.change(&entry) {
                        Some(wire) => self.send(delivery, wire).await,
                        None => return Leave::Change,
                    }
                }
                Step::End(reason) => {
                    let wire = delivery.form.end(reason);
                    let sent = self.send(delivery, wire).await;
                    return sent.err().unwrap_or(Leave::End);
                }
                Step::Lost => return Leave::TooSlow,
                Step::Wait => tokio::select! {
                    _ = moved.changed() => Ok(()),
                    gone = self.chatter() => Err(gone),
                },
            };
            if let Err(leave) = sent {
                return leave;
            }
        }
    }

    /// Sends these bytes within the time limit.
    async fn send(&mut self, delivery: &Delivery, mut wire: impl Buf) -> Result<(), Leave> {
        let mut moved = delivery.relay.moved();
        let late = tokio::time::sleep(STALL);
        tokio::pin!(late);
        while wire.has_remaining() {
            tokio::select! {
                written = self.stream.write_buf(&mut wire) => match written {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Err(Leave::Gone),
                },
                _ = moved.changed() => if delivery.relay.has_lost(&delivery.cursor) {
                    return Err(Leave::TooSlow);
                },
                () = &mut late => return Err(Leave::TooSlow),
                _ = self.control.changed() => if self.stopping() {
                    return Err(Leave::Server);
                },
            }
        }
        Ok(())
    }

    /// Waits until the viewer closes the connection or sends more than [`MAX_CHATTER`], or the publishing point stops.
    async fn chatter(&mut self) -> Leave {
        loop {
            self.input.clear();
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => match read {
                    Ok(1..) if self.input.len() < MAX_CHATTER => {}
                    _ => return Leave::Gone,
                },
                _ = self.control.changed() => if self.stopping() {
                    return Leave::Server;
                },
            }
        }
    }
}

/// The session of a streaming player. It becomes idle when this is dropped.
pub(super) struct Playing {
    shared: Arc<PointState>,
    client_id: u32,
}

impl Playing {
    pub(super) fn new(shared: Arc<PointState>, client_id: u32) -> Self {
        Self { shared, client_id }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let now = self.shared.now();
        lock(&self.shared.audience.players).stopped(self.client_id, now);
    }
}
