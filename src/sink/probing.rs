// SPDX-License-Identifier: MPL-2.0

//! The action `probe`.

use gst::prelude::*;

use super::WmsPushSink;
use super::bus::{self, Origin};
use super::callback::ProbeCallback;
use super::location::SettingsError;
use super::log;
use crate::push::{self, Connection};

/// Probes the server. While `connection` stands or is reconnecting, answers from its known facts instead, because some
/// receivers end a running push at a second PushSetup.
pub(super) fn probe(
    origin: Origin<'_>,
    connection: Option<&Connection>,
    settings: impl FnOnce() -> Result<push::Settings, SettingsError>,
) -> gst::Structure {
    if let Some(known) = connection.and_then(Connection::known_server) {
        return bus::probe_known(origin, &known.server, known.lost.as_deref());
    }
    let settings = match settings() {
        Ok(settings) => settings,
        Err(error) => return bus::probe_settings_error(origin, &error),
    };
    let element: &WmsPushSink = origin.element;
    let callback = ProbeCallback(element.downgrade());
    let dispatch = log::dispatch(element);
    let outcome = tracing::dispatcher::with_default(&dispatch, || push::probe(settings, callback));
    bus::probe(origin, outcome)
}
