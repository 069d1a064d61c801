// SPDX-License-Identifier: MPL-2.0

//! Parts of GStreamer's API that its bindings lack: `GstBaseSinkClass.get_times`, a class without `prepare`, and
//! `GstBuffer.pool`.
#![allow(unsafe_code, reason = "the bindings have no safe API for these fields")]

use glib::translate::*;
use gst_base::ffi::{GstBaseSink, GstBaseSinkClass};

/// Overrides `get_times` so that buffers have no times and the base class never waits for them.
///
/// Data is sent at its Send Times. Buffer timestamps are unreliable: those of asfmux behind a libav encoder begin at
/// 1000 hours, and a sink would wait for as long.
///
/// Removes `prepare`, because the base class computes the times of each buffer twice for a class that has it, as all
/// classes of the bindings do.
pub(super) fn without_buffer_times<T>(class: &mut glib::subclass::basic::ClassStruct<T>)
where
    T: gst_base::subclass::prelude::BaseSinkImpl,
{
    let class: *mut GstBaseSinkClass = std::ptr::from_mut(class).cast();
    // SAFETY: `T` is a subclass of GstBaseSink, so its class structure begins with that of GstBaseSink. It is being
    // initialised, so no other thread uses it.
    unsafe {
        (*class).get_times = Some(no_times);
        (*class).prepare = None;
        (*class).prepare_list = None;
    }
}

/// Returns whether a pool waits for a buffer: the buffer, or one that it references as parent, belongs to the pool.
pub(super) fn is_pooled(buffer: &gst::BufferRef) -> bool {
    // SAFETY: the reference is valid, and the pool of a buffer changes only while nothing else has the buffer.
    let pool = unsafe { (*buffer.as_ptr()).pool };
    let mut parents = buffer.iter_meta::<gst::ParentBufferMeta>();
    !pool.is_null() || parents.any(|meta| is_pooled(meta.parent()))
}

unsafe extern "C" fn no_times(
    _: *mut GstBaseSink,
    _: *mut gst::ffi::GstBuffer,
    start: *mut gst::ffi::GstClockTime,
    end: *mut gst::ffi::GstClockTime,
) {
    let none = gst::ClockTime::NONE.into_glib();
    // SAFETY: GstBaseSink passes two valid, writable locations.
    unsafe {
        *start = none;
        *end = none;
    }
}

/// A buffer of read-only memory, as shmsrc makes them.
#[cfg(test)]
pub(super) fn wrapped_to_be_read(bytes: &'static [u8]) -> gst::Buffer {
    // SAFETY: the memory is static, and read-only by its flag.
    unsafe {
        gst::Buffer::from_glib_full(gst::ffi::gst_buffer_new_wrapped_full(
            gst::ffi::GST_MEMORY_FLAG_READONLY,
            bytes.as_ptr().cast_mut().cast(),
            bytes.len(),
            0,
            bytes.len(),
            std::ptr::null_mut(),
            None,
        ))
    }
}
