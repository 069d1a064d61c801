// SPDX-License-Identifier: MPL-2.0

//! The properties: one list of their specifications and their fields in [`Settings`].

use glib::value::{FromValue, ToValue};
use gst::prelude::*;
use once_cell::sync::Lazy;

use super::extra_headers;
use super::location::{Accounts, Location, ProxyUrl, Template};
use super::settings::Settings;
use super::{AuthMethods, Leaky, SessionState};

static PROPERTIES: Lazy<Vec<Property>> = Lazy::new(all);

fn all() -> Vec<Property> {
    let groups = [
        session(),
        durations(),
        queue(),
        extras(),
        authentication(),
        proxy(),
        wire(),
        stream(),
        read_only(),
    ];
    groups.into_iter().flatten().collect()
}

struct Property {
    spec: glib::ParamSpec,
    /// `None`: a secret, or not stored in the settings.
    get: Option<Get>,
    /// `None`: read-only.
    set: Option<Set>,
}

type Get = Box<dyn Fn(&mut Settings) -> glib::Value + Send + Sync>;
type Set = Box<dyn Fn(&mut Settings, &glib::Value) + Send + Sync>;

/// Returns a field of the settings.
type Field<T> = fn(&mut Settings) -> &mut T;

/// Returns all properties, in the order of `gst-inspect-1.0`.
pub(super) fn specs() -> Vec<glib::ParamSpec> {
    let specs = PROPERTIES.iter().map(|property| property.spec.clone());
    specs.collect()
}

/// Returns new specifications for a class that forwards the properties: a specification belongs to one class.
pub(crate) fn new_specs() -> Vec<glib::ParamSpec> {
    all().into_iter().map(|property| property.spec).collect()
}

/// Sets a writable property. GObject has checked its name, type and range.
pub(super) fn set(settings: &mut Settings, name: &str, value: &glib::Value) {
    match find(name).and_then(|property| property.set.as_ref()) {
        Some(set) => set(settings, value),
        None => debug_assert!(false, "{name} cannot be written"),
    }
}

/// Returns a property that is stored in the settings.
pub(super) fn get(settings: &mut Settings, name: &str) -> glib::Value {
    match find(name).and_then(|property| property.get.as_ref()) {
        Some(get) => get(settings),
        None => {
            debug_assert!(false, "{name} is not in the settings");
            None::<&str>.to_value()
        }
    }
}

fn find(name: &str) -> Option<&'static Property> {
    let mut properties = PROPERTIES.iter();
    properties.find(|property| property.spec.name() == name)
}

/// A property that is stored in the field `place`. Its default value is that of the settings.
fn in_place<T>(spec: impl FnOnce(T) -> glib::ParamSpec, place: Field<T>) -> Property
where
    T: ToValue + for<'value> FromValue<'value> + Clone + 'static,
{
    Property {
        spec: spec(place(&mut Settings::default()).clone()),
        get: Some(Box::new(move |settings| place(settings).to_value())),
        set: Some(Box::new(move |settings, value| {
            if let Ok(value) = value.get() {
                *place(settings) = value;
            }
        })),
    }
}

/// A string that is read in another form than it was set.
fn converted(
    spec: glib::ParamSpec,
    get: impl Fn(&Settings) -> Option<&str> + Send + Sync + 'static,
    set: impl Fn(&mut Settings, Option<&str>) + Send + Sync + 'static,
) -> Property {
    Property {
        spec,
        get: Some(Box::new(move |settings| get(settings).to_value())),
        set: Some(Box::new(move |settings, value| {
            set(settings, value.get().unwrap_or_default());
        })),
    }
}

/// A property that the element computes.
fn computed(spec: glib::ParamSpec) -> Property {
    Property {
        spec,
        get: None,
        set: None,
    }
}

fn flag(name: &str, nick: &str, blurb: &str, place: Field<bool>) -> Property {
    let builder = glib::ParamSpecBoolean::builder(name)
        .nick(nick)
        .blurb(blurb)
        .mutable_ready();
    in_place(|default| builder.default_value(default).build(), place)
}

/// A number. Durations are in milliseconds.
fn number(name: &str, nick: &str, blurb: &str, place: Field<u32>) -> Property {
    let builder = glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .mutable_ready();
    in_place(|default| builder.default_value(default).build(), place)
}

fn string(name: &str, nick: &str, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .nick(nick)
        .blurb(blurb)
        .mutable_ready()
        .build()
}

fn text(name: &str, nick: &str, blurb: &str, place: Field<Option<String>>) -> Property {
    in_place(|_| string(name, nick, blurb), place)
}

/// The user of an account.
fn user(name: &str, nick: &str, blurb: &str, accounts: Field<Accounts>) -> Property {
    Property {
        spec: string(name, nick, blurb),
        get: Some(Box::new(move |settings| accounts(settings).id().to_value())),
        set: Some(Box::new(move |settings, value| {
            accounts(settings).set_id(value.get().unwrap_or_default());
        })),
    }
}

/// The password of an account, which is write-only.
fn password(name: &str, nick: &str, blurb: &str, accounts: Field<Accounts>) -> Property {
    let spec = glib::ParamSpecString::builder(name)
        .nick(nick)
        .blurb(blurb)
        .flags(glib::ParamFlags::WRITABLE)
        .mutable_ready();
    Property {
        spec: spec.build(),
        get: None,
        set: Some(Box::new(move |settings, value| {
            accounts(settings).set_password(value.get().unwrap_or_default());
        })),
    }
}

fn session() -> Vec<Property> {
    let default = Settings::default();
    let user_agent = glib::ParamSpecString::builder("user-agent")
        .nick("User agent")
        .blurb("User-Agent of the requests; must begin with WMEncoder/, or servers treat the push as a player")
        .default_value(Some(default.user_agent.as_str()))
        .mutable_ready();
    vec![
        converted(
            string(
                "location",
                "Location",
                "URL of the publishing point, such as http://server:8080/live; credentials in it are hidden when it is read",
            ),
            |settings| settings.location.as_ref().map(Location::shown),
            Settings::set_location,
        ),
        converted(
            string(
                "template-url",
                "Template URL",
                "URL or absolute path of an existing publishing point from which a new one copies its settings",
            ),
            |settings| settings.template.as_ref().map(Template::shown),
            Settings::set_template,
        ),
        flag(
            "auto-destroy",
            "Auto destroy",
            "Remove the publishing point from the server when the session ends",
            |settings| &mut settings.auto_destroy,
        ),
        converted(
            user_agent.build(),
            |settings| Some(&settings.user_agent),
            |settings, text| {
                settings.user_agent =
                    text.map_or_else(|| Settings::default().user_agent, str::to_owned);
            },
        ),
    ]
}

fn durations() -> Vec<Property> {
    vec![
        number(
            "timeout",
            "Timeout (ms)",
            "Timeout of resolving and connecting, and of each response, in milliseconds; 0: no limit",
            |settings| &mut settings.timeout,
        ),
        number(
            "stall-timeout",
            "Stall timeout (ms)",
            "Longest time without acknowledged bytes while data is unsent or unacknowledged, in milliseconds; 0: no limit",
            |settings| &mut settings.stall_timeout,
        ),
        number(
            "eos-timeout",
            "EOS timeout (ms)",
            "Longest wait at EOS until all data is sent, in milliseconds; 0: no limit",
            |settings| &mut settings.eos_timeout,
        ),
        number(
            "reconnect-timeout",
            "Reconnect timeout (ms)",
            "Longest time to keep reconnecting after a loss, in milliseconds; 0: never reconnect, 4294967295: no limit",
            |settings| &mut settings.reconnect_timeout,
        ),
        flag(
            "retry-first-connect",
            "Retry first connect",
            "Retry a first connection that fails, as after a loss",
            |settings| &mut settings.retry_first_connect,
        ),
        flag(
            "resume",
            "Resume",
            "Resume the session after a loss; false: begin a new one, for receivers that accept data without its header",
            |settings| &mut settings.resume,
        ),
    ]
}

fn queue() -> Vec<Property> {
    let max_size_time = glib::ParamSpecUInt64::builder("max-size-time")
        .nick("Max. size (ns)")
        .blurb("Longest duration of unsent data, by its Send Times, in nanoseconds; 0: no limit")
        .mutable_ready();
    let leaky = |default: Leaky| {
        glib::ParamSpecEnum::builder_with_default("leaky", default)
            .nick("Leaky")
            .blurb("Behaviour when max-size-bytes or max-size-time is reached: block for at most stall-timeout, or drop packets")
            .mutable_ready()
            .build()
    };
    vec![
        number(
            "max-size-bytes",
            "Max. size (bytes)",
            "Largest amount of unsent and unacknowledged data, in bytes of memory; 0: no limit",
            |settings| &mut settings.max_size_bytes,
        ),
        in_place(
            |default| max_size_time.default_value(default).build(),
            |settings| &mut settings.max_size_time,
        ),
        in_place(leaky, |settings| &mut settings.leaky),
    ]
}

fn extras() -> Vec<Property> {
    let spec = glib::ParamSpecBoxed::builder::<gst::Structure>("extra-headers")
        .nick("Extra headers")
        .blurb("Additional header fields of the requests, as the fields of a structure")
        .mutable_ready();
    let stats_interval = glib::ParamSpecUInt::builder("stats-interval")
        .nick("Statistics interval (ms)")
        .blurb(
            "Interval at which stats are posted as an element message, in milliseconds; 0: never",
        )
        .mutable_playing();
    let verify_interval = glib::ParamSpecUInt::builder("verify-interval")
        .nick("Verify interval (ms)")
        .blurb("Interval at which the stream is pulled as a player does and checked, in milliseconds; 0: never")
        .mutable_playing();
    vec![
        number(
            "bitrate",
            "Bit rate (bit/s)",
            "Total bits per second, for ASF file headers without it; 0: from the tags and formats in the stream",
            |settings| &mut settings.bitrate,
        ),
        Property {
            get: Some(Box::new(|settings| {
                let structure = settings.extra_headers.as_deref();
                structure.map(extra_headers::shown).to_value()
            })),
            ..in_place(|_| spec.build(), |settings| &mut settings.extra_headers)
        },
        in_place(
            |default| stats_interval.default_value(default).build(),
            |settings| &mut settings.stats_interval,
        ),
        in_place(
            |default| verify_interval.default_value(default).build(),
            |settings| &mut settings.verify_interval,
        ),
    ]
}

fn authentication() -> Vec<Property> {
    let auth_methods = |default: AuthMethods| {
        glib::ParamSpecFlags::builder::<AuthMethods>("auth-methods")
            .nick("Authentication methods")
            .blurb("Allowed authentication schemes; the strongest one that the server offers is used first")
            .default_value(default)
            .mutable_ready()
            .build()
    };
    vec![
        user(
            "user-id",
            "User",
            "User for the server, as user, DOMAIN\\user or user@REALM; a password behind a colon counts as user-pw",
            |settings| &mut settings.user,
        ),
        password(
            "user-pw",
            "Password",
            "Password for the server",
            |settings| &mut settings.user,
        ),
        in_place(auth_methods, |settings| &mut settings.auth_methods),
        flag(
            "allow-cleartext-auth",
            "Allow cleartext authentication",
            "Allow Basic to send the password over an unencrypted connection",
            |settings| &mut settings.allow_cleartext_auth,
        ),
    ]
}

fn proxy() -> Vec<Property> {
    vec![
        converted(
            string(
                "proxy",
                "Proxy",
                "URL of the HTTP proxy; NULL: from http_proxy, https_proxy and no_proxy; empty: no proxy",
            ),
            |settings| settings.proxy.as_ref().map(ProxyUrl::shown),
            Settings::set_proxy,
        ),
        user(
            "proxy-id",
            "Proxy user",
            "User for the proxy; a password behind a colon counts as proxy-pw",
            |settings| &mut settings.proxy_user,
        ),
        password(
            "proxy-pw",
            "Proxy password",
            "Password for the proxy",
            |settings| &mut settings.proxy_user,
        ),
    ]
}

fn wire() -> Vec<Property> {
    let content_length = glib::ParamSpecUInt::builder("content-length")
        .nick("Content length (bytes)")
        .blurb("Body size of each PushStart in bytes, raised to the protocol's minimum; 0: the protocol's default")
        .maximum(i32::MAX.unsigned_abs())
        .mutable_ready();
    vec![
        in_place(
            |default| content_length.default_value(default).build(),
            |settings| &mut settings.content_length,
        ),
        flag(
            "ssl-strict",
            "Strict TLS",
            "Refuse https servers whose certificate is not trusted",
            |settings| &mut settings.ssl_strict,
        ),
        text(
            "ssl-ca-file",
            "TLS authorities",
            "PEM file with certificates of authorities or servers that are trusted in addition to the system's",
            |settings| &mut settings.ssl_ca_file,
        ),
    ]
}

fn stream() -> Vec<Property> {
    vec![
        flag(
            "remove-padding",
            "Remove padding",
            "Remove ASF Padding Data from packets, as the protocol recommends",
            |settings| &mut settings.remove_padding,
        ),
        flag(
            "live-header",
            "Live header",
            "Rewrite the ASF file header to describe a live stream, as some servers require",
            |settings| &mut settings.live_header,
        ),
    ]
}

fn read_only() -> Vec<Property> {
    let stats = glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
        .nick("Statistics")
        .blurb("Counters of sent and waiting data, readable in every state")
        .read_only();
    let default = SessionState::Disconnected;
    let session_state = glib::ParamSpecEnum::builder_with_default("session-state", default)
        .nick("Session state")
        .blurb("State of the push session; notifies changes")
        .read_only();
    vec![computed(stats.build()), computed(session_state.build())]
}
