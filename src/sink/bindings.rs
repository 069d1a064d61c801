// SPDX-License-Identifier: MPL-2.0

//! What the bindings of GStreamer leave out: `GstBaseSinkClass.get_times`, a class that does not prepare, and
//! `GstBuffer.pool`.
#![allow(unsafe_code, reason = "the bindings have no safe way to any of it")]

use glib::translate::*;
use gst_base::ffi::{GstBaseSink, GstBaseSinkClass};

/// Lets a class of sinks say that its buffers have no times, so that the base class never waits for one.
///
/// Data leaves by its Send Times. Buffer timestamps cannot be trusted: those of asfmux behind a libav encoder begin at
/// 1000 hours, and a sink that waits for them waits as long.
///
/// Nothing is prepared before that time either: for a class that prepares, as all of the bindings' do, the base class
/// asks and computes it twice for each buffer.
pub(super) fn without_buffer_times<T>(class: &mut glib::subclass::basic::ClassStruct<T>)
where
    T: gst_base::subclass::prelude::BaseSinkImpl,
{
    let class: *mut GstBaseSinkClass = std::ptr::from_mut(class).cast();
    // SAFETY: `T` is a subclass of GstBaseSink, so its class structure begins with that of GstBaseSink, and it is
    // being initialised: no other thread looks at it.
    unsafe {
        (*class).get_times = Some(no_times);
        (*class).prepare = None;
        (*class).prepare_list = None;
    }
}

/// Returns whether a pool waits for a buffer: the buffer is of a pool, or has a reference to one that is.
pub(super) fn is_pooled(buffer: &gst::BufferRef) -> bool {
    // SAFETY: a reference to a buffer is valid, and its pool changes only where nothing else has the buffer.
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
    // SAFETY: GstBaseSink calls this with two places of its own to be written to.
    unsafe {
        *start = none;
        *end = none;
    }
}

/// A buffer around memory that can be read only, as shmsrc makes them.
#[cfg(test)]
pub(super) fn wrapped_to_be_read(bytes: &'static [u8]) -> gst::Buffer {
    // SAFETY: the memory is there for ever, and is not written to.
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
