// SPDX-License-Identifier: MPL-2.0

//! The stream from upstream, as plain state: turns bytes into headers and data units, one step at a time.

use std::time::Instant;

use bytes::Bytes;

use super::bitrates::TaggedBitrates;
use super::malformed::{Malformed, MalformedPackets};
use super::pacing::Pacer;
use crate::asf::{
    self, AbsurdTimes, DataPacket, Defect, FileHeader, Item, KeyFrameGate, Reader, Skipped,
    TimeWatch,
};

/// Longest wait for a key frame, in milliseconds of Send Time: well over the 8 to 10 s between two key frames of common
/// encoders. Without a limit, a stream that never marks one would never begin.
const LONGEST_WAIT: u32 = 30_000;

/// The state of the stream that upstream delivers.
///
/// It makes no calls. The owner takes [one step](Self::next_step) after the other, and carries it out without holding a
/// lock on the stream.
#[derive(Default)]
pub(super) struct Stream {
    reader: Reader,
    pub(super) pacer: Pacer,
    /// Closed at the beginning of a stream that was joined in its middle: a branch that is linked to a running tee, or
    /// another input of a selector, has its header in the caps only. Players cannot decode data before a key frame.
    gate: KeyFrameGate,
    /// Data packets that the gate has dropped since the last header.
    dropped: u64,
    /// True if upstream is live; `None`: not queried yet.
    pub(super) live: Option<bool>,
    /// Bytes since the start of the stream or the last flush.
    position: u64,
    /// Bit rates in tag lists since the last header.
    tags: TaggedBitrates,
    times: TimeWatch,
    malformed: MalformedPackets,
    /// [`Step::Exceeded`] was returned for this header.
    exceeded: bool,
    /// A header that was returned as a step and is not [written](Self::header_written) yet.
    unwritten: Option<FileHeader>,
    /// The header of the current entry.
    header: Option<FileHeader>,
    /// The header to repeat in front of the next data unit for another session, unless the stream has one there.
    repeated: Option<FileHeader>,
    /// The data unit behind a repeated header.
    held: Option<DataPacket>,
    /// The current header was repeated, so its data begins in the middle of the entry.
    rejoined: bool,
    /// Upstream has ended the stream, and with it the push.
    pub(super) ended: bool,
}

/// The next action of the owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `OnHeader`. Returned until [`Stream::header_written`] is called.
    Header(FileHeader),
    /// `OnDataUnit`. `dropped` data packets were dropped directly in front of it. With `absurd`, players cannot follow
    /// its times, which is reported once an entry.
    DataUnit {
        packet: DataPacket,
        dropped: u64,
        absurd: Option<AbsurdTimes>,
    },
    /// A data packet in front of the first key frame was dropped.
    Dropped,
    /// Input that is not sent.
    Skipped(Skipped),
    /// The stream has more data packets than the number that the header announces. Returned once a header.
    Exceeded(u64),
}

impl Stream {
    /// Adds the bytes of a buffer.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.position += bytes.len() as u64;
        self.reader.push(bytes);
    }

    /// Adds a header from caps.
    ///
    /// # Errors
    ///
    /// The bytes are not an ASF file header.
    pub(super) fn push_header(&mut self, header: Bytes) -> Result<(), asf::Error> {
        self.reader.stream_header(header)
    }

    /// Adds the bit rates of a tag list.
    pub(super) fn push_tags(&mut self, tags: &gst::TagListRef) {
        self.tags.add(tags);
    }

    /// Starts over, because the next data of upstream does not continue the previous data.
    pub(super) fn restart(&mut self) {
        self.reader.restart();
        self.pacer.restart();
        self.times.flush();
        self.live = None;
        self.position = 0;
    }

    /// Discards data that is not a step yet, and starts over. Returns the number of discarded data packets.
    pub(super) fn flush(&mut self) -> u64 {
        self.restart();
        let mut discarded = u64::from(self.held.take().is_some());
        while let Ok(Some(item)) = self.reader.next_item() {
            match item {
                // The reader returns the header once, and it also applies to the data that follows.
                Item::Header(header) => drop(self.begin_entry(header)),
                Item::DataUnit(_) => discarded += 1,
                Item::Skipped(_) => {}
            }
        }
        // The running time may have been reset.
        self.pacer = Pacer::default();
        discarded
    }

    /// Begins another session with the next data of upstream.
    pub(super) fn begin_session(&mut self) {
        self.ended = false;
        self.repeated = self.header.clone();
    }

    /// Continues at byte `start`, after a start or a flush possibly in the middle of a file. Returns the position
    /// reached before if `start` is in front of it, as when a muxer rewrites its header.
    pub(super) fn go_back(&mut self, start: u64) -> Option<u64> {
        let from = self.position;
        if from == 0 && start > 0 {
            self.reader.join(start);
            self.position = start;
        }
        if start >= from {
            return None;
        }
        self.reader.rewind(start);
        self.pacer.restart();
        self.position = start;
        Some(from)
    }

    /// Returns the next step; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// The input is no stream that can be sent. All later calls fail as well.
    pub(super) fn next_step(&mut self) -> Result<Option<Step>, asf::Error> {
        if let Some(header) = &self.unwritten {
            return Ok(Some(Step::Header(header.clone())));
        }
        if let Some(packet) = self.held.take() {
            return Ok(Some(self.admit(packet)));
        }
        Ok(match self.reader.next_item()? {
            Some(Item::Header(header)) => Some(self.begin_entry(header)),
            Some(Item::DataUnit(packet)) => Some(self.data_unit(packet)),
            Some(Item::Skipped(skipped)) => Some(Step::Skipped(skipped)),
            None => self.exceeded(),
        })
    }

    fn exceeded(&mut self) -> Option<Step> {
        let count = self.reader.exceeded_count().filter(|_| !self.exceeded)?;
        self.exceeded = true;
        Some(Step::Exceeded(count))
    }

    /// Counts a malformed data packet. Returns a report if one is due.
    pub(super) fn count_malformed(&mut self, defect: Defect) -> Option<Malformed> {
        self.malformed.count(defect, Instant::now())
    }

    /// Returns the final report on malformed data packets, if there is one.
    pub(super) fn finish_malformed(&mut self) -> Option<Malformed> {
        self.malformed.finish(Instant::now())
    }

    /// Ends the input. Returns the rest that cannot be sent, if any; further calls return more of it.
    ///
    /// # Errors
    ///
    /// There never was a complete ASF file header, or [`next_step`](Self::next_step) had failed.
    pub(super) fn finish(&mut self) -> Result<Option<Skipped>, asf::Error> {
        self.reader.finish()
    }

    /// Confirms that the header of the last step was written.
    pub(super) fn header_written(&mut self) {
        self.unwritten = None;
    }

    /// Takes the bit rates of tag lists since the last header.
    pub(super) fn take_tags(&mut self) -> TaggedBitrates {
        std::mem::take(&mut self.tags)
    }

    /// Begins an entry with a header of the stream itself.
    fn begin_entry(&mut self, header: FileHeader) -> Step {
        self.repeated = None;
        self.rejoined = false;
        self.begin(header)
    }

    fn data_unit(&mut self, packet: DataPacket) -> Step {
        let Some(header) = self.repeated.take() else {
            return self.admit(packet);
        };
        self.held = Some(packet);
        self.rejoined = true;
        self.begin(header)
    }

    fn begin(&mut self, header: FileHeader) -> Step {
        self.gate = KeyFrameGate::of(&header).with_longest_wait(LONGEST_WAIT);
        self.gate.close();
        self.dropped = 0;
        self.exceeded = false;
        self.times.new_entry();
        self.pacer.restart();
        self.header = Some(header.clone());
        self.unwritten = Some(header.clone());
        Step::Header(header)
    }

    fn admit(&mut self, packet: DataPacket) -> Step {
        // Behind a header in the stream itself, every packet is sent.
        let joined = self.rejoined || self.reader.is_joined();
        if joined && !self.gate.admit(&packet) {
            self.dropped += 1;
            return Step::Dropped;
        }
        Step::DataUnit {
            dropped: std::mem::take(&mut self.dropped),
            absurd: self.times.observe(&packet),
            packet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asf::testing::AUDIO_VIDEO;

    const PACKET: usize = 1500;

    fn header() -> Bytes {
        Bytes::from_static(&AUDIO_VIDEO[..AUDIO_VIDEO.len() % PACKET])
    }

    fn packet(number: usize) -> Bytes {
        Bytes::from_static(&AUDIO_VIDEO[header().len() + number * PACKET..][..PACKET])
    }

    /// Returns the steps until more bytes are needed: data units with the packets dropped in front of them.
    fn steps(stream: &mut Stream) -> Vec<String> {
        let mut steps = Vec::new();
        while let Some(step) = stream.next_step().unwrap() {
            steps.push(match step {
                Step::Header(_) => "header".to_owned(),
                Step::DataUnit { dropped, .. } => format!("data unit after {dropped}"),
                Step::Dropped => "dropped".to_owned(),
                Step::Skipped(skipped) => format!("{} bytes skipped", skipped.bytes),
                Step::Exceeded(count) => format!("more than {count}"),
            });
            stream.header_written();
        }
        steps
    }

    #[test]
    fn behind_caps_a_stream_begins_at_a_key_frame() {
        let mut stream = Stream::default();
        stream.push_header(header()).unwrap();
        (10..14).for_each(|number| stream.push(packet(number)));
        let expected = [
            "header",
            "dropped",
            "dropped",
            "data unit after 2",
            "data unit after 0",
        ];
        assert_eq!(steps(&mut stream), expected);
    }

    #[test]
    fn behind_a_header_in_the_stream_every_packet_counts() {
        for in_caps in [false, true] {
            let mut stream = Stream::default();
            if in_caps {
                stream.push_header(header()).unwrap();
            }
            stream.push(header());
            stream.push(packet(1));
            assert_eq!(steps(&mut stream), ["header", "data unit after 0"]);
        }
    }

    #[test]
    fn a_header_is_a_step_until_it_is_written() {
        let mut stream = Stream::default();
        stream.push(header());
        stream.push(packet(0));
        let first = stream.next_step();
        assert!(matches!(first, Ok(Some(Step::Header(_)))));
        assert_eq!(stream.next_step(), first);
        stream.header_written();
        assert_eq!(steps(&mut stream), ["data unit after 0"]);
    }

    /// A flush loses only the flushed data; the header also applies to the data that follows.
    #[test]
    fn a_flush_discards_all_but_the_header() {
        for half in [0, 700] {
            let mut stream = Stream::default();
            stream.push(header());
            stream.push(packet(0));
            stream.push(packet(1));
            stream.push(packet(2).slice(..half));
            assert_eq!(stream.flush(), 2);
            stream.push(packet(3));
            assert_eq!(steps(&mut stream), ["header", "data unit after 0"]);
            assert_eq!(stream.flush(), 0);
            stream.push(packet(4));
            assert_eq!(steps(&mut stream), ["data unit after 0"]);
        }
    }

    #[test]
    fn bytes_that_go_back_are_skipped() {
        let mut stream = Stream::default();
        let size = header().len() as u64;
        stream.push(header());
        stream.push(packet(0));
        assert_eq!(steps(&mut stream).len(), 2);
        assert_eq!(stream.go_back(size + PACKET as u64), None, "goes on");
        assert_eq!(stream.go_back(56), Some(size + PACKET as u64));
        stream.push(Bytes::from_static(&[7; 8]));
        assert_eq!(steps(&mut stream), Vec::<String>::new());
        stream.restart();
        stream.push(packet(1));
        assert_eq!(steps(&mut stream), ["8 bytes skipped", "data unit after 0"]);
    }
}
