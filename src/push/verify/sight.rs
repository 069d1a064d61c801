// SPDX-License-Identifier: MPL-2.0

//! What a player has seen so far, and the verdict on it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Cause, NotOnAir, Place, Verified};
use crate::asf::{DataPacket, FileHeader};
use crate::push::{Error, Failure, OnAir, Phase, Settings};
use crate::wmsp::client::Seen;

/// How long a stream is watched after its first data packet, unless it has caught up with the push before.
pub(super) const WATCH: Duration = Duration::from_secs(1);

/// A viewer that is no further behind has caught up with the push.
const CAUGHT_UP: Duration = Duration::from_millis(250);

/// Data packets that show that a stream flows: the first alone may be what a relay has kept.
const ENOUGH_PACKETS: u32 = 5;

/// Most data packets that are watched.
const MAX_PACKETS: u32 = 10_000;

/// What a player sees, compared with what was pushed.
#[derive(Debug)]
pub(super) struct Sight {
    begun: Instant,
    on_air: Option<OnAir>,
    /// The header in force at the beginning.
    pushed: Option<FileHeader>,
    /// The header that came last.
    header: Option<FileHeader>,
    /// Size of the largest data packet behind it in bytes.
    largest: usize,
    first_packet: Option<Instant>,
    packets: u32,
    behind: Duration,
    /// Where the requests go.
    pub(super) place: Place,
    /// A server has answered.
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

    /// Takes what a player sees next. Returns whether that is enough.
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

    /// The Send Time of the last packet that was pushed. A relay that writes the container again has times of its own,
    /// and packets of another size.
    fn pushed_until(&self) -> Option<u32> {
        let header = self.header.as_ref()?;
        let pushed = self.on_air.as_ref()?;
        let size = pushed.header()?.packet_size();
        pushed.send_time().filter(|_| header.packet_size() == size)
    }

    /// When there has been enough to see, once there is something.
    pub(super) fn until(&self) -> Option<Instant> {
        self.first_packet.map(|first| first + WATCH)
    }

    /// Returns whether a header has come.
    pub(super) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Returns whether data has come.
    pub(super) fn has_data(&self) -> bool {
        self.packets > 0
    }

    /// The header that has come last.
    pub(super) fn header(&self) -> Option<&FileHeader> {
        self.header.as_ref()
    }

    /// Judges what was seen in the `limit`, until the stream was left or `outcome` was an error.
    pub(super) fn judge(self, outcome: Result<(), Cause>, limit: Duration) -> Verified {
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
            // A broken connection is no news behind data.
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

    /// Headers in force while it was watched.
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
