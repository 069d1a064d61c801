// SPDX-License-Identifier: MPL-2.0

//! The stream as a player has seen it, and the verdict on it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Cause, NotOnAir, Place, Verified};
use crate::asf::{DataPacket, FileHeader};
use crate::push::{Error, Failure, OnAir, Phase, Settings};
use crate::wmsp::client::Seen;

/// Watching time after the first data packet. It ends early when the viewer has caught up with the push.
pub(super) const WATCH: Duration = Duration::from_secs(1);

/// Delay up to which a viewer has caught up with the push.
const CAUGHT_UP: Duration = Duration::from_millis(250);

/// Data packets that prove a live stream: the first alone may come from the buffer of a relay.
const ENOUGH_PACKETS: u32 = 5;

/// Limit on the watched data packets.
const MAX_PACKETS: u32 = 10_000;

/// The stream as a player sees it, compared with the pushed stream.
#[derive(Debug)]
pub(super) struct Sight {
    begun: Instant,
    on_air: Option<OnAir>,
    /// The header in force at the beginning.
    pushed: Option<FileHeader>,
    /// The last received header.
    header: Option<FileHeader>,
    /// Size of the largest data packet behind it in bytes.
    largest: usize,
    first_packet: Option<Instant>,
    packets: u32,
    behind: Duration,
    /// The server and the proxy of the requests.
    pub(super) place: Place,
    /// A server has sent a response.
    pub(super) answered: bool,
}

impl Sight {
    pub(super) fn new(settings: &Settings, on_air: Option<OnAir>) -> Self {
        Self {
            begun: Instant::now(),
            pushed: on_air.as_ref().and_then(OnAir::header),
            on_air,
            header: None,
            largest: 0,
            first_packet: None,
            packets: 0,
            behind: Duration::ZERO,
            place: Place::of(settings),
            answered: false,
        }
    }

    /// Records a part of the stream. Returns whether the verdict is certain.
    ///
    /// # Errors
    ///
    /// [`Cause::Ended`] at the end of a stream without data.
    pub(super) fn see(&mut self, seen: Seen) -> Result<bool, Cause> {
        match seen {
            Seen::Header(header) => {
                self.header = Some(header);
                self.largest = 0;
            }
            Seen::Data(packet) => return Ok(self.take(&packet)),
            Seen::Change => {}
            Seen::End(reason) if self.packets == 0 => return Err(Cause::Ended(Some(reason))),
            Seen::End(_) => return Ok(true),
        }
        Ok(false)
    }

    fn take(&mut self, packet: &DataPacket) -> bool {
        self.packets = self.packets.saturating_add(1);
        self.largest = self.largest.max(packet.len());
        self.first_packet.get_or_insert_with(Instant::now);
        let times = (self.pushed_until(), packet.send_time());
        let (Some(pushed), Some(seen)) = times else {
            return self.packets >= MAX_PACKETS;
        };
        self.behind = Duration::from_millis(pushed.saturating_sub(seen).into());
        let flows = self.packets >= ENOUGH_PACKETS && self.behind <= CAUGHT_UP;
        flows || self.packets >= MAX_PACKETS
    }

    /// Returns the Send Time of the last pushed packet; `None` for a relay that rewrites the container with its own
    /// Send Times, which shows in another packet size.
    fn pushed_until(&self) -> Option<u32> {
        let header = self.header.as_ref()?;
        let pushed = self.on_air.as_ref()?;
        let size = pushed.header()?.packet_size();
        pushed.send_time().filter(|_| header.packet_size() == size)
    }

    /// Returns the end of the watching time; `None` before the first data packet.
    pub(super) fn until(&self) -> Option<Instant> {
        self.first_packet.map(|first| first + WATCH)
    }

    /// Returns whether a header was received.
    pub(super) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Returns whether data was received.
    pub(super) fn has_data(&self) -> bool {
        self.packets > 0
    }

    /// Returns the last received header.
    pub(super) fn header(&self) -> Option<&FileHeader> {
        self.header.as_ref()
    }

    /// Returns the verdict after at most `limit`; `outcome` is the error that ended the stream, if one did.
    pub(super) fn judge(mut self, outcome: Result<(), Cause>, limit: Duration) -> Verified {
        let has_pushed = self.pushed_headers().next().is_some();
        self.place.pushed = has_pushed;
        let header_matches = self.header_matches();
        let fault = self.fault(outcome, header_matches, limit);
        Verified {
            header_matches,
            first_packet: self
                .first_packet
                .map(|first| first.saturating_duration_since(self.begun)),
            packets: self.packets,
            behind: self.behind,
            fault: fault.map(|cause| NotOnAir::new(cause, self.place)),
        }
    }

    fn fault(
        &self,
        outcome: Result<(), Cause>,
        header_matches: bool,
        limit: Duration,
    ) -> Option<Cause> {
        let nothing_pushed = self.pushed_headers().next().is_none();
        match outcome {
            // A connection that breaks behind data does not change the verdict.
            Err(cause) if !self.has_data() => {
                let empty = nothing_pushed && cause.is_absence();
                return Some(if empty { Cause::NothingPushed } else { cause });
            }
            _ => {}
        }
        match &self.header {
            None if !self.answered => Some(self.no_response(limit)),
            None => Some(Cause::NoHeader(limit)),
            Some(_) if nothing_pushed => Some(Cause::NothingPushed),
            Some(_) if !header_matches => Some(Cause::OtherHeader),
            Some(header) if !self.has_data() => Some(Cause::NoData {
                limit,
                packet_size: header.packet_size(),
            }),
            Some(_) => None,
        }
    }

    fn no_response(&self, limit: Duration) -> Cause {
        Cause::Failed(Failure {
            phase: Phase::Setup,
            error: Error::ResponseTimeout(limit),
            circumstances: self.place.circumstances.clone(),
        })
    }

    /// Returns the pushed headers that were in force while the stream was watched.
    fn pushed_headers(&self) -> impl Iterator<Item = FileHeader> {
        let now = self.on_air.as_ref().and_then(OnAir::header);
        self.pushed.clone().into_iter().chain(now)
    }

    fn header_matches(&self) -> bool {
        let Some(seen) = &self.header else {
            return false;
        };
        let fits = self.largest <= seen.packet_size();
        fits && self
            .pushed_headers()
            .any(|pushed| seen.has_streams_of(&pushed))
    }
}
