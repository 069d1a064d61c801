// SPDX-License-Identifier: MPL-2.0

//! Forwards the properties and signals of `wmspushsink` on the bin.

use glib::prelude::*;
use glib::subclass::Signal;
use gst::prelude::*;
use once_cell::sync::Lazy;

use super::WmsPushBin;
use crate::sink::{self, WmsPushSink};

/// The property of #GstBaseSink that is forwarded as well.
const SYNC: &str = "sync";

/// Returns the properties of the sink, as new specifications for another class.
pub(super) fn specs() -> Vec<glib::ParamSpec> {
    let sync = glib::ParamSpecBoolean::builder(SYNC)
        .nick("Sync")
        .blurb("Send data at its time when upstream is not live; false: send as fast as the server accepts it")
        .default_value(true)
        .mutable_playing()
        .build();
    sink::new_specs().into_iter().chain([sync]).collect()
}

/// Returns the signals of the sink. Actions call the sink's; other signals are emitted when the sink emits them.
pub(super) fn signals() -> &'static [Signal] {
    static SIGNALS: Lazy<Vec<Signal>> =
        Lazy::new(|| sink::signals().iter().map(forwarded).collect());
    &SIGNALS
}

fn is_action(signal: &Signal) -> bool {
    signal.flags().contains(glib::SignalFlags::ACTION)
}

fn forwarded(signal: &Signal) -> Signal {
    let name = signal.name().to_owned();
    let builder = Signal::builder(&name)
        .param_types(signal.param_types().iter().copied())
        .return_type_from(signal.return_type())
        .flags(signal.flags());
    if !is_action(signal) {
        return builder.build();
    }
    let call = move |arguments: &[glib::Value]| {
        let bin = arguments.first()?.get::<WmsPushBin>().ok()?;
        bin.sink().emit_by_name_with_values(&name, &arguments[1..])
    };
    builder.class_handler(call).build()
}

/// Connects the sink's notifications and signals to those of the bin.
pub(super) fn connect(bin: &WmsPushBin, sink: &WmsPushSink) {
    let weak = bin.downgrade();
    sink.connect_notify(None, move |_, spec| {
        let is_forwarded = spec.owner_type() == WmsPushSink::static_type() || spec.name() == SYNC;
        if let Some(bin) = weak.upgrade().filter(|_| is_forwarded) {
            bin.notify(spec.name());
        }
    });
    for signal in sink::signals().iter().filter(|signal| !is_action(signal)) {
        let (weak, name) = (bin.downgrade(), signal.name().to_owned());
        let none = signal.return_type().type_();
        sink.connect(signal.name(), false, move |arguments| {
            let emitted = weak
                .upgrade()
                .and_then(|bin| bin.emit_by_name_with_values(&name, &arguments[1..]));
            let has_result = none != glib::Type::UNIT;
            emitted.or_else(|| has_result.then(|| glib::Value::from_type(none)))
        });
    }
}
