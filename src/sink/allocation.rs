// SPDX-License-Identifier: MPL-2.0

//! `IWMWriterSink::AllocateDataUnit`: what the answer to an ALLOCATION query proposes.

use gst::prelude::*;
use gst::{AllocationParams, BufferPool, MemoryFlags};

use super::writer::stream_header;
use crate::asf::FileHeader;

/// Room in front of a buffer's bytes: the framing header of `$C`, MS-WMHTTP 2.2.3.1.1, and more than those of `$H` and
/// `$D` need. Bytes behind it are as aligned as those of a buffer without it.
const PREFIX: usize = 8;

/// The allocator that upstream uses by default.
const DEFAULT: Option<&gst::Allocator> = None;

/// Proposes buffers with [room in front](PREFIX), and a pool of them where the size of a data packet is known.
///
/// The size is known where the file header stands in the caps, as asfmux puts it there when it streams. Otherwise the
/// query comes before the first byte. The element itself has no need of the room: it sends framing headers as pieces of
/// their own.
///
/// The pool is for upstream's sake: one buffer serves it again and again, because the element copies the bytes of pooled
/// buffers and lets go of them at once.
///
/// An upstream that can be pulled from gets no pool. It is a file, and filesrc writes `blocksize` bytes into each buffer
/// of a pool, whatever its size.
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
        // Elements between upstream and this one may keep any number.
        config.set_params(Some(&caps), size, 0, 0);
        config.set_allocator(DEFAULT, Some(&params));
        pool.set_config(config)?;
        query.add_allocation_pool(Some(&pool), size, 0, 0);
    }
    Ok(())
}

/// The size of the data packets behind the header in `streamheader` caps.
fn packet_size(caps: &gst::Caps) -> Option<u32> {
    let header = FileHeader::parse(stream_header(caps)?).ok()?;
    header.packet_size().try_into().ok()
}

fn is_pulled(pad: &gst::Pad) -> bool {
    let mut scheduling = gst::query::Scheduling::new();
    pad.peer_query(&mut scheduling) && scheduling.has_scheduling_mode(gst::PadMode::Pull)
}
