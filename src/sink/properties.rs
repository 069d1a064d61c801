// SPDX-License-Identifier: MPL-2.0

//! The properties: what they are, and how they get into [`Settings`] and out again.

use gst::prelude::*;

use super::location::{Location, ProxyUrl};
use super::settings::{
    DEFAULT_EOS_TIMEOUT, DEFAULT_MAX_SIZE_BYTES, DEFAULT_MAX_SIZE_TIME, DEFAULT_RECONNECT_TIMEOUT,
    DEFAULT_STALL_TIMEOUT, DEFAULT_TIMEOUT, Settings,
};
use super::{AuthMethods, Leaky, SessionState};

/// Takes the value of a property that can be written; GObject has checked its name, type and range.
pub(super) fn set(settings: &mut Settings, name: &str, value: &glib::Value) {
    let flag = || value.get().unwrap_or_default();
    let number = || value.get().unwrap_or_default();
    let text = || value.get::<Option<String>>().unwrap_or_default();
    match name {
        "location" => settings.set_location(text().as_deref()),
        "template-url" => settings.template_url = text(),
        "auto-destroy" => settings.auto_destroy = flag(),
        "user-agent" => {
            settings.user_agent = text().unwrap_or_else(|| Settings::default().user_agent);
        }
        "timeout" => settings.timeout = number(),
        "stall-timeout" => settings.stall_timeout = number(),
        "eos-timeout" => settings.eos_timeout = number(),
        "reconnect-timeout" => settings.reconnect_timeout = number(),
        "retry-first-connect" => settings.retry_first_connect = flag(),
        "stats-interval" => settings.stats_interval = number(),
        "max-size-bytes" => settings.max_size_bytes = number(),
        "max-size-time" => settings.max_size_time = value.get().unwrap_or_default(),
        "leaky" => settings.leaky = value.get().unwrap_or_default(),
        "bitrate" => settings.bitrate = number(),
        "extra-headers" => settings.extra_headers = value.get().unwrap_or_default(),
        "user-id" => settings.user.id = text(),
        "user-pw" => settings.user.password = text(),
        "auth-methods" => {
            settings.auth_methods = value.get().unwrap_or_else(|_| AuthMethods::all());
        }
        "allow-cleartext-auth" => settings.allow_cleartext_auth = flag(),
        "proxy" => settings.set_proxy(text().as_deref()),
        "proxy-id" => settings.proxy_user.id = text(),
        "proxy-pw" => settings.proxy_user.password = text(),
        "content-length" => settings.content_length = number(),
        "ssl-strict" => settings.ssl_strict = flag(),
        "ssl-ca-file" => settings.ssl_ca_file = text(),
        "remove-padding" => settings.remove_padding = flag(),
        "live-header" => settings.live_header = flag(),
        _ => debug_assert!(false, "{name} cannot be written"),
    }
}

/// The value of a property that is in the settings.
pub(super) fn get(settings: &Settings, name: &str) -> glib::Value {
    match name {
        "location" => settings.location.as_ref().map(Location::shown).to_value(),
        "template-url" => settings.template_url.to_value(),
        "auto-destroy" => settings.auto_destroy.to_value(),
        "user-agent" => settings.user_agent.to_value(),
        "timeout" => settings.timeout.to_value(),
        "stall-timeout" => settings.stall_timeout.to_value(),
        "eos-timeout" => settings.eos_timeout.to_value(),
        "reconnect-timeout" => settings.reconnect_timeout.to_value(),
        "retry-first-connect" => settings.retry_first_connect.to_value(),
        "stats-interval" => settings.stats_interval.to_value(),
        "max-size-bytes" => settings.max_size_bytes.to_value(),
        "max-size-time" => settings.max_size_time.to_value(),
        "leaky" => settings.leaky.to_value(),
        "bitrate" => settings.bitrate.to_value(),
        "extra-headers" => settings.extra_headers.to_value(),
        "user-id" => settings.user.id.to_value(),
        "auth-methods" => settings.auth_methods.to_value(),
        "allow-cleartext-auth" => settings.allow_cleartext_auth.to_value(),
        "proxy" => settings.proxy.as_ref().map(ProxyUrl::shown).to_value(),
        "proxy-id" => settings.proxy_user.id.to_value(),
        "content-length" => settings.content_length.to_value(),
        "ssl-strict" => settings.ssl_strict.to_value(),
        "ssl-ca-file" => settings.ssl_ca_file.to_value(),
        "remove-padding" => settings.remove_padding.to_value(),
        "live-header" => settings.live_header.to_value(),
        _ => {
            debug_assert!(false, "{name} is not in the settings");
            None::<&str>.to_value()
        }
    }
}

/// A duration in milliseconds.
fn milliseconds(name: &str, nick: &str, blurb: &str, default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .default_value(default)
        .mutable_ready()
        .build()
}

/// A secret: it can be set, and never read.
fn password(name: &str, nick: &str, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .nick(nick)
        .blurb(blurb)
        .flags(glib::ParamFlags::WRITABLE)
        .mutable_ready()
        .build()
}

/// All properties, as `gst-inspect-1.0` shows them.
pub(super) fn specs() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecString::builder("location")
            .nick("Location")
            .blurb("URL of the publishing point, such as http://server:8080/live; credentials in it are never shown")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("template-url")
            .nick("Template URL")
            .blurb("URL or absolute path of an existing publishing point whose settings a new one gets")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("auto-destroy")
            .nick("Auto destroy")
            .blurb("Whether the server removes the publishing point when the session ends")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("user-agent")
            .nick("User agent")
            .blurb("User-Agent of the requests; servers want a WMEncoder/ product first")
            .default_value(Some(Settings::default().user_agent.as_str()))
            .mutable_ready()
            .build(),
        milliseconds(
            "timeout",
            "Timeout (ms)",
            "Longest wait for resolving and connecting, and for each response, in milliseconds",
            DEFAULT_TIMEOUT,
        ),
        milliseconds(
            "stall-timeout",
            "Stall timeout (ms)",
            "Longest time without any byte acknowledged while data waits, in milliseconds",
            DEFAULT_STALL_TIMEOUT,
        ),
        milliseconds(
            "eos-timeout",
            "EOS timeout (ms)",
            "Longest wait at EOS until all data is on the wire, in milliseconds",
            DEFAULT_EOS_TIMEOUT,
        ),
        milliseconds(
            "reconnect-timeout",
            "Reconnect timeout (ms)",
            "How long to try again after a loss, in milliseconds; 0 = never, 4294967295 = for ever",
            DEFAULT_RECONNECT_TIMEOUT,
        ),
        glib::ParamSpecBoolean::builder("retry-first-connect")
            .nick("Retry first connect")
            .blurb("Whether a first connection that cannot be made is tried again like a lost one")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("max-size-bytes")
            .nick("Max. size (bytes)")
            .blurb("Most bytes that may wait unsent in the element; 0 = any number")
            .default_value(DEFAULT_MAX_SIZE_BYTES)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt64::builder("max-size-time")
            .nick("Max. size (ns)")
            .blurb("Most stream, by its Send Times, that may wait unsent in the element, in nanoseconds; 0 = any")
            .default_value(DEFAULT_MAX_SIZE_TIME)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("leaky", Leaky::No)
            .nick("Leaky")
            .blurb("What happens when that is full: the writer waits, for stall-timeout at the most, or packets are dropped")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("bitrate")
            .nick("Bit rate (bit/s)")
            .blurb("Total bits per second, for ASF file headers that do not tell; 0 = what the header gives away")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("extra-headers")
            .nick("Extra headers")
            .blurb("More header fields for the requests, as the fields of a structure")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("stats-interval")
            .nick("Statistics interval (ms)")
            .blurb("How often stats are posted as an element message, in milliseconds; 0 = never")
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("user-id")
            .nick("User")
            .blurb("User for the server, as user, DOMAIN\\user or user@REALM")
            .mutable_ready()
            .build(),
        password("user-pw", "Password", "Password for the server"),
        glib::ParamSpecFlags::builder::<AuthMethods>("auth-methods")
            .nick("Authentication methods")
            .blurb("Authentication schemes that may be used, the strongest that is offered first")
            .default_value(AuthMethods::all())
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("allow-cleartext-auth")
            .nick("Allow cleartext authentication")
            .blurb("Whether Basic may send the password over a connection that is not encrypted")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("proxy")
            .nick("Proxy")
            .blurb("URL of the HTTP proxy; not set: http_proxy, https_proxy and no_proxy; empty: none")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("proxy-id")
            .nick("Proxy user")
            .blurb("User for the proxy")
            .mutable_ready()
            .build(),
        password("proxy-pw", "Proxy password", "Password for the proxy"),
        glib::ParamSpecUInt::builder("content-length")
            .nick("Content length (bytes)")
            .blurb("Body size of each PushStart in bytes, raised to the least that the protocol allows; 0 = as it says")
            .maximum(i32::MAX.unsigned_abs())
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("ssl-strict")
            .nick("Strict TLS")
            .blurb("Whether the certificate of an https server has to be trusted")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("ssl-ca-file")
            .nick("TLS authorities")
            .blurb("PEM file of authorities that are trusted beside those that the system trusts")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("remove-padding")
            .nick("Remove padding")
            .blurb("Whether ASF Padding Data is left out, as the protocol recommends")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("live-header")
            .nick("Live header")
            .blurb("Whether the ASF file header is made to describe a live stream, as some servers need it")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("What was sent and what waits, readable in every state")
            .read_only()
            .build(),
        glib::ParamSpecEnum::builder_with_default("session-state", SessionState::Disconnected)
            .nick("Session state")
            .blurb("Where the push session stands; its changes are notified")
            .read_only()
            .build(),
    ]
}
