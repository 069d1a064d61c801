// SPDX-License-Identifier: MPL-2.0

//! Length-Remaining: the bytes of a PushStart body still to send, MS-WMHTTP 3.1.1 Abstract Data Model.

use super::packet::{END_OF_STREAM_SIZE, FRAMING_HEADER_SIZE, MAX_PAYLOAD, REASON_SIZE};

/// The Content-Length in bytes of a PushStart of unknown length: the largest 32-bit signed integer (3.1.4.2.1 Sending
/// the PushStart Request).
pub const UNKNOWN_CONTENT_LENGTH: u64 = 2_147_483_647;

/// 3.1.1 Abstract Data Model: Length-Remaining
///
/// It is always 0, or at least the four bytes of an empty `$F`, so that a body can be filled exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LengthRemaining(u64);

impl LengthRemaining {
    /// Starts a body of `content_length` bytes.
    pub fn new(content_length: u64) -> Self {
        Self(content_length)
    }

    /// Returns the number of bytes still to send.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Returns whether the body is complete, so that the response is due.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Subtracts a packet of `size` bytes, if the rest can still be filled (3.1.4.3 ASF Packet Is Available to Send,
    /// 3.1.4.5 Notification of New ASF Header File). Returns whether it did.
    #[must_use]
    pub fn debit(&mut self, size: usize) -> bool {
        self.debit_leaving(size, FRAMING_HEADER_SIZE)
    }

    /// Subtracts an `$E` with the Reason S_FALSE, if there is room. Returns whether it did.
    ///
    /// It needs twelve bytes: Windows Media Services never answer a body that it empties, and a rest of one to three
    /// bytes cannot be filled (decisions D-9 and D-10 of the module).
    #[must_use]
    pub fn debit_end_of_entry(&mut self) -> bool {
        self.debit(END_OF_STREAM_SIZE)
    }

    /// Subtracts a final `$E` (3.1.4.4 Notification of the Last Packet), if there is room. The connection closes after
    /// it, so no rest is needed.
    #[must_use]
    pub fn debit_end_of_stream(&mut self) -> bool {
        self.debit_leaving(END_OF_STREAM_SIZE, 0)
    }

    fn debit_leaving(&mut self, size: usize, least: usize) -> bool {
        match self.0.checked_sub(size as u64) {
            Some(rest) if rest >= least as u64 => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Subtracts the whole rest. Returns the payload sizes in bytes of the `$F` packets that fill the body (3.1.4.3 ASF
    /// Packet Is Available to Send).
    pub fn fill(&mut self) -> impl Iterator<Item = usize> + use<> {
        const SMALLEST: u64 = FRAMING_HEADER_SIZE as u64;
        let mut remaining = std::mem::take(&mut self.0);
        std::iter::from_fn(move || {
            if remaining < SMALLEST {
                return None;
            }
            let mut payload = remaining.saturating_sub(SMALLEST).min(MAX_PAYLOAD as u64);
            let rest = |payload: u64| remaining.saturating_sub(payload.saturating_add(SMALLEST));
            // The rest has to be zero, or large enough for another packet (D-12).
            if (1..SMALLEST).contains(&rest(payload)) {
                payload = payload.saturating_sub(SMALLEST);
            }
            remaining = rest(payload);
            Some(payload as usize)
        })
    }
}

/// Returns the minimum Content-Length of a PushStart in bytes (3.1.4.2.1 Sending the PushStart Request): three of the
/// largest `$D`, or four bytes more than `$H` or `$C`, whichever is larger.
pub fn least_content_length(packet_size: usize, header_size: usize) -> u64 {
    const STREAM_CHANGE: usize = FRAMING_HEADER_SIZE + REASON_SIZE;
    let data = packet_size
        .saturating_add(FRAMING_HEADER_SIZE)
        .saturating_mul(3);
    let header = header_size.saturating_add(STREAM_CHANGE + FRAMING_HEADER_SIZE);
    data.max(header) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut remaining: LengthRemaining) -> Vec<usize> {
        let sizes = remaining.fill().collect();
        assert!(remaining.is_zero());
        sizes
    }

    /// C-141, C-144…C-146
    #[test]
    fn a_packet_leaves_room_for_a_filler() {
        for (remaining, fits) in [
            (1404 + 4, true),
            (1404 + 3, false),
            (1404, false),
            (0, false),
        ] {
            let mut length = LengthRemaining::new(remaining);
            assert_eq!(length.debit(1404), fits, "{remaining}");
            assert_eq!(
                length.get(),
                if fits { remaining - 1404 } else { remaining }
            );
        }
    }

    /// C-166
    #[test]
    fn the_end_of_an_entry_never_empties_the_body() {
        for (remaining, fits) in [(12, true), (11, false), (8, false)] {
            assert_eq!(
                LengthRemaining::new(remaining).debit_end_of_entry(),
                fits,
                "{remaining}"
            );
        }
    }

    /// C-162, C-166
    #[test]
    fn the_end_of_the_stream_may_empty_the_body() {
        for (remaining, fits) in [(9, true), (8, true), (7, false), (4, false)] {
            assert_eq!(
                LengthRemaining::new(remaining).debit_end_of_stream(),
                fits,
                "{remaining}"
            );
        }
    }

    /// C-052, C-147…C-149, C-186…C-188
    #[test]
    fn filling_takes_every_byte() {
        assert_eq!(filled(LengthRemaining::new(0)), [0; 0]);
        assert_eq!(filled(LengthRemaining::new(4)), [0]);
        assert_eq!(filled(LengthRemaining::new(65_535)), [65_531]);
        assert_eq!(filled(LengthRemaining::new(65_536)), [65_527, 1]);
        for total in (4..200).chain(65_500..65_600).chain(131_000..131_100) {
            let sizes = filled(LengthRemaining::new(total));
            let sum: usize = sizes
                .iter()
                .map(|payload| payload + FRAMING_HEADER_SIZE)
                .sum();
            assert_eq!(sum as u64, total);
            assert!(sizes.iter().all(|payload| *payload <= MAX_PAYLOAD));
        }
    }

    #[test]
    fn the_least_content_length_holds_three_packets_and_any_header() {
        assert_eq!(least_content_length(1400, 500), 3 * 1404);
        assert_eq!(least_content_length(100, 65_527), 65_535 + 4);
    }
}
