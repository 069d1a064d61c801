// SPDX-License-Identifier: MPL-2.0

//! `GstBaseSinkClass.get_times`, which the bindings leave out, and `prepare`, which they do not.
#![allow(
    unsafe_code,
    reason = "the bindings have no safe way to set get_times, nor to leave prepare alone"
)]

use glib::translate::IntoGlib;
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
    // being initialised: nobody else looks at it.
    unsafe {
        (*class).get_times = Some(no_times);
        (*class).prepare = None;
        (*class).prepare_list = None;
    }
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
