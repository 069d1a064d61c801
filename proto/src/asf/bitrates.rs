// SPDX-License-Identifier: MPL-2.0

//! Bit rates in the file header of a live stream.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::file_header::{DATA_HEAD, FileHeader, MAX_HEADER_OBJECT, file_properties, known};
use super::guid::Guid;
use super::header_tree::HeaderTree;
use super::object::{ObjectHead, put, u16_at, u32_at};
use super::stream_properties::{StreamProperties, stream_number};
use super::{MAX_HEADER_IN_C, MAX_HEADER_IN_H};

/// Bit rates in bit/s that are missing from a file header; 0 and 0xFFFFFFFF mean "unknown"
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitrates {
    /// Total of all streams
    pub total: Option<u32>,
    /// Single streams, by Stream Number
    pub streams: BTreeMap<u8, u32>,
}

/// Bit rates in bit/s, by Stream Number
type Rates = BTreeMap<u8, NonZeroU32>;

/// Offset of the first record in a Stream Bitrate Properties Object, in bytes
const RECORDS: usize = ObjectHead::LEN + 2 /* count */;
/// Size of a record in bytes
const RECORD: usize = AVERAGE_BITRATE + 4;
/// Offset of Average Bitrate in a record, in bytes
const AVERAGE_BITRATE: usize = 2 /* flags */;

impl FileHeader {
    /// Returns [`FileHeader::to_live`] with the bit rates that Windows Media servers need, if they are known.
    ///
    /// Rates in the header stay as they are. 0 and 0xFFFFFFFF mean "unknown": FFmpeg writes the latter for an encoder
    /// without a constant rate. A stream's rate comes from the first of these sources that has one: the Stream Bitrate
    /// Properties Object, the Extended Stream Properties Object, `bitrates`, an audio stream's format. If the total is
    /// known, and the rates of all streams but one, that one gets the rest.
    ///
    /// * An unknown Maximum Bitrate becomes the sum of an existing Stream Bitrate Properties Object, else the total in
    ///   `bitrates`, else the sum of all streams directly in the Header Object (ASF 3.2 File Properties Object). It
    ///   becomes 0 if one of those is unknown, because servers and players would reserve too little for a sum that is
    ///   too small. A total in `bitrates` below the known rates of those streams is ignored.
    /// * Unknown rates in a Stream Bitrate Properties Object become the known ones, or 0.
    /// * A Stream Bitrate Properties Object is added if the rates of all those streams are known. If it left some of
    ///   them out, a server would take these for streams of 0 bit/s. If it alone would make the header too large to be
    ///   sent, it replaces padding of its size. It is not added if there is less padding.
    pub fn to_live_with(&self, bitrates: &Bitrates) -> FileHeader {
        let mut tree = self.live_tree();
        bitrates.fill_in(&mut tree);
        self.finish_unsigned(tree)
    }
}

impl Bitrates {
    fn fill_in(&self, tree: &mut HeaderTree) {
        let streams = tree.streams();
        let there = tree.get(Guid::STREAM_BITRATE_PROPERTIES);
        let there = there.map(|object| records(object).unwrap_or_default());
        let maximum = maximum_bitrate(tree);
        let told = there.as_ref().and_then(|rates| sum(&streams, rates));
        let total = maximum
            .or(told)
            .or(self.plausible_total(&streams, there.as_ref()));
        let rates = self.rates(&streams, total, there.as_ref());
        if there.is_some() {
            tree.edit(Guid::STREAM_BITRATE_PROPERTIES, |object| {
                fill_records(object, &rates);
            });
        } else if let Some(object) = stream_bitrate_properties(&streams, &rates)
            && makes_room(tree, &object)
        {
            tree.push(Guid::STREAM_BITRATE_PROPERTIES, object.into());
        }
        let total = total.or(sum(&streams, &rates));
        if let (None, Some(total)) = (maximum, total) {
            put_maximum_bitrate(tree, total.get());
        }
    }

    /// Returns the given total, unless the known rates of these streams leave no room in it for the unknown ones.
    fn plausible_total(
        &self,
        streams: &[StreamProperties],
        there: Option<&Rates>,
    ) -> Option<NonZeroU32> {
        let rates = self.rates(streams, None, there);
        let rate_of = |number| rates.get(&number).map_or(1, |rate| rate.get());
        let least = direct(streams).map(rate_of).fold(0, u32::saturating_add);
        self.total
            .and_then(known)
            .filter(|total| total.get() >= least)
    }

    /// Returns the known rates of these streams. Their total is `total`, and `there` are the rates in the header.
    fn rates(
        &self,
        streams: &[StreamProperties],
        total: Option<NonZeroU32>,
        there: Option<&Rates>,
    ) -> Rates {
        let rate_of = |stream: &StreamProperties| {
            let told = there.and_then(|rates| rates.get(&stream.number)).copied();
            let given = self.streams.get(&stream.number).copied();
            told.or(stream.extended_bitrate)
                .or(given.and_then(known))
                .or(stream.format_bitrate)
        };
        let mut rates: Rates = streams
            .iter()
            .filter_map(|stream| Some((stream.number, rate_of(stream)?)))
            .collect();
        let mut unknown = direct(streams).filter(|number| !rates.contains_key(number));
        if let (Some(last), None, Some(total)) = (unknown.next(), unknown.next(), total) {
            let others = direct(streams).filter_map(|number| rates.get(&number));
            let rest = others.fold(total.get(), |rest, rate| rest.saturating_sub(rate.get()));
            if let Some(rest) = NonZeroU32::new(rest) {
                rates.insert(last, rest);
            }
        }
        rates
    }
}

/// Writes 0 for every unknown bit rate.
pub(super) fn clear_unknown(tree: &mut HeaderTree) {
    if maximum_bitrate(tree).is_none() {
        put_maximum_bitrate(tree, 0);
    }
    tree.edit(Guid::STREAM_BITRATE_PROPERTIES, |object| {
        fill_records(object, &Rates::new());
    });
}

/// Returns the numbers of the streams directly in the Header Object.
fn direct(streams: &[StreamProperties]) -> impl Iterator<Item = u8> {
    let direct = streams.iter().filter(|stream| stream.direct);
    direct.map(|stream| stream.number)
}

/// Returns the total rate of these streams; `None` if one is unknown.
fn sum(streams: &[StreamProperties], rates: &Rates) -> Option<NonZeroU32> {
    let sum = direct(streams).try_fold(0u32, |sum, number| {
        sum.checked_add(rates.get(&number)?.get())
    });
    NonZeroU32::new(sum?)
}

/// ASF 3.2 File Properties Object: returns Maximum Bitrate, if it is known
fn maximum_bitrate(tree: &HeaderTree) -> Option<NonZeroU32> {
    let properties = tree.get(Guid::FILE_PROPERTIES)?;
    known(u32_at(properties, file_properties::MAXIMUM_BITRATE)?)
}

fn put_maximum_bitrate(tree: &mut HeaderTree, bitrate: u32) {
    tree.edit(Guid::FILE_PROPERTIES, |bytes| {
        put(
            bytes,
            file_properties::MAXIMUM_BITRATE,
            &bitrate.to_le_bytes(),
        );
    });
}

/// ASF 3.12 Stream Bitrate Properties Object: returns its known rates; `None` if it is truncated
fn records(object: &[u8]) -> Option<Rates> {
    let records = object.get(RECORDS..)?.get(..records_len(object)?)?;
    let record = |record: &[u8]| {
        let number = stream_number(u16_at(record, 0)?)?;
        Some((number, known(u32_at(record, AVERAGE_BITRATE)?)?))
    };
    Some(records.chunks(RECORD).filter_map(record).collect())
}

/// Writes `rates` into the records without a rate, or 0 if there is none. Leaves a truncated object unchanged.
fn fill_records(object: &mut [u8], rates: &Rates) {
    let Some(len) = records_len(object) else {
        return;
    };
    let Some(records) = object
        .get_mut(RECORDS..)
        .and_then(|rest| rest.get_mut(..len))
    else {
        return;
    };
    for record in records.chunks_mut(RECORD) {
        if u32_at(record, AVERAGE_BITRATE).and_then(known).is_none() {
            let number = u16_at(record, 0).and_then(stream_number);
            let rate = number.and_then(|number| rates.get(&number));
            let rate = rate.map_or(0, |rate| rate.get());
            put(record, AVERAGE_BITRATE, &rate.to_le_bytes());
        }
    }
}

/// Returns the size in bytes of all records of a Stream Bitrate Properties Object, by its record count.
fn records_len(object: &[u8]) -> Option<usize> {
    usize::from(u16_at(object, ObjectHead::LEN)?).checked_mul(RECORD)
}

/// ASF 3.12 Stream Bitrate Properties Object, if the rates of all streams directly in the Header Object are known
fn stream_bitrate_properties(streams: &[StreamProperties], rates: &Rates) -> Option<Vec<u8>> {
    if rates.is_empty() || !direct(streams).all(|number| rates.contains_key(&number)) {
        return None;
    }
    let size = RECORDS.checked_add(rates.len().checked_mul(RECORD)?)?;
    let mut object = Vec::with_capacity(size);
    object.extend_from_slice(Guid::STREAM_BITRATE_PROPERTIES.as_bytes());
    object.extend_from_slice(&(size as u64).to_le_bytes());
    object.extend_from_slice(&u16::try_from(rates.len()).ok()?.to_le_bytes());
    for (number, rate) in rates {
        object.extend_from_slice(&u16::from(*number).to_le_bytes());
        object.extend_from_slice(&rate.get().to_le_bytes());
    }
    Some(object)
}

/// Returns whether this object fits. If it does not, takes its size from the Padding Objects, so that the size of the
/// header stays the same.
fn makes_room(tree: &mut HeaderTree, object: &[u8]) -> bool {
    fits(tree.len(), object) || tree.shrink(Guid::PADDING, object.len())
}

/// Returns whether a header of `without` bytes still fits its packet with this object. A header that is too large without
/// the object has to lose other objects in any case, so that it counts as fitting.
fn fits(without: usize, object: &[u8]) -> bool {
    let with = without.saturating_add(object.len());
    let may_be_sent = with <= MAX_HEADER_IN_C || without > MAX_HEADER_IN_H;
    may_be_sent && with.saturating_sub(DATA_HEAD) as u64 <= MAX_HEADER_OBJECT
}

#[cfg(test)]
mod tests;
