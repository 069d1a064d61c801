// SPDX-License-Identifier: MPL-2.0

//! The signals: `acquire-credentials`, and the actions.

use glib::prelude::*;
use glib::subclass::Signal;

use super::{CredentialFlags, WmsPushSink};

pub(super) const ACQUIRE_CREDENTIALS: &str = "acquire-credentials";

/// The signal `acquire-credentials`.
pub(super) fn acquire_credentials() -> Signal {
    Signal::builder(ACQUIRE_CREDENTIALS)
        .param_types([
            String::static_type(),
            String::static_type(),
            String::static_type(),
            CredentialFlags::static_type(),
            u32::static_type(),
        ])
        .return_type::<Option<gst::Structure>>()
        .run_last()
        .build()
}

/// An action signal without arguments, which returns the result of `run`.
pub(super) fn action<T>(name: &str, run: fn(&WmsPushSink) -> T) -> Signal
where
    T: ToValue + StaticType + 'static,
{
    Signal::builder(name)
        .run_last()
        .action()
        .return_type::<T>()
        .class_handler(move |arguments| {
            let element = arguments.first()?.get::<WmsPushSink>().ok()?;
            Some(run(&element).to_value())
        })
        .build()
}
