// SPDX-License-Identifier: MPL-2.0

//! The answer to an ALLOCATION query: the counterpart of `IWMWriterSink::AllocateDataUnit`.

use gst::prelude::*;
use gst::{AllocationParams, BufferPool, MemoryFlags};

use super::writer::stream_header;
use crate::asf::FileHeader;

/// Prefix in bytes: room for the framing header of `$C`, MS-WMHTTP 2.2.3.1.1, which is the largest. It keeps the
/// alignment of the bytes behind it.
const PREFIX: usize = 8;

/// The allocator that upstream uses by default.
const DEFAULT: Option<&gst::Allocator> = None;

/// Proposes buffers with a [prefix](PREFIX), and a pool of them if the size of a data packet is known.
///
/// The size is known if the caps contain the file header, as those of a streaming asfmux do. Otherwise the query
/// precedes the first byte. The element itself does not need the prefix: it sends framing headers as separate pieces.
///
/// The pool saves upstream allocations: the element copies the bytes of pooled buffers and returns them at once.
///
/// An upstream that can be pulled from gets no pool, because it is a file: filesrc writes `blocksize` bytes into each
/// buffer of a pool, whatever its size.
pub(super) fn propose(
    query: &mut gst::query::Allocation,
    pad: &gst::Pad,
) -> Result<(), glib::BoolError> {
    let params = AllocationParams::new(MemoryFlags::empty(), 0, PREFIX, 0);
    let (caps, need_pool) = query.get_owned();
    query.add_allocation_param(DEFAULT, params);
    let Some(caps) = caps.filter(|_| need_pool && !is_pulled(pad)) else {
        return Ok(());
    };
    if let Some(size) = packet_size(&caps) {
        let pool = BufferPool::new();
        let mut config = pool.config();
        // No maximum, because elements in between may keep any number of buffers.
        config.set_params(Some(&caps), size, 0, 0);
        config.set_allocator(DEFAULT, Some(&params));
        pool.set_config(config)?;
        query.add_allocation_pool(Some(&pool), size, 0, 0);
    }
    Ok(())
}

/// Returns the packet size of the header in `streamheader` caps.
fn packet_size(caps: &gst::Caps) -> Option<u32> {
    let header = FileHeader::parse(stream_header(caps)?).ok()?;
    header.packet_size().try_into().ok()
}

fn is_pulled(pad: &gst::Pad) -> bool {
    let mut scheduling = gst::query::Scheduling::new();
    pad.peer_query(&mut scheduling) && scheduling.has_scheduling_mode(gst::PadMode::Pull)
}
