// SPDX-License-Identifier: MPL-2.0

//! `docs/plugins/gst_plugins_cache.json`, the source of GStreamer's documentation, describes the plugin.
//!
//! It has the format of GStreamer's own tool, with two differences: unsigned numbers do not turn negative, and versions
//! are omitted, so that only a change of the plugin changes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use glib::subclass::{SignalId, SignalQuery};
use glib::translate::IntoGlib;
use glib::{ParamFlags, SignalFlags};
use gst::prelude::*;
use serde_json::{Map, Value, json};

const CACHE: &str = "docs/plugins/gst_plugins_cache.json";
const UPDATE: &str = "WMSPUSH_UPDATE_DOCS";

/// The types that the cache refers to: enumerations and flags, by name.
type OtherTypes = BTreeMap<String, Value>;

#[test]
fn the_documentation_cache_is_up_to_date() {
    gst::init().unwrap();
    gstwmspush::plugin_register_static().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(CACHE);
    let cache = json!({ "wmspush": plugin("wmspush") });
    let cache = serde_json::to_string_pretty(&cache).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, cache).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if let Some((number, line)) = first_difference(&committed, &cache) {
        panic!(
            "{CACHE} is out of date from line {number}, which should be\n{line}\n\
             `{UPDATE}=1 cargo test --test documentation` writes it again"
        );
    }
}

/// Returns the first line that differs.
fn first_difference<'a>(is: &str, should_be: &'a str) -> Option<(usize, &'a str)> {
    if is == should_be {
        return None;
    }
    let lines = is.lines().map(Some).chain(std::iter::repeat(None));
    let different = should_be.lines().zip(lines).enumerate();
    let mut different = different.filter(|(_, (should_be, is))| *is != Some(*should_be));
    let first = different.next().map(|(index, (line, _))| (index + 1, line));
    Some(first.unwrap_or((should_be.lines().count() + 1, "the end")))
}

fn plugin(name: &str) -> Value {
    let registry = gst::Registry::get();
    let plugin = registry.find_plugin(name).expect("a plugin");
    let (mut elements, mut tracers, mut types) = (Map::new(), Map::new(), OtherTypes::new());
    for feature in registry.features_by_plugin(name) {
        let name = feature.name().to_string();
        if feature.type_().name() == "GstTracerFactory" {
            tracers.insert(name, json!({}));
        } else if let Ok(factory) = feature.downcast::<gst::ElementFactory>() {
            elements.insert(name, element(&factory, &mut types));
        }
    }
    json!({
        "description": plugin.description().as_str(),
        "elements": elements,
        "filename": format!("gst{name}"),
        "license": plugin.license().as_str(),
        "other-types": types,
        "package": plugin.package().as_str(),
        "source": plugin.source().as_str(),
        "tracers": tracers,
        "url": plugin.origin().as_str(),
    })
}

fn element(factory: &gst::ElementFactory, types: &mut OtherTypes) -> Value {
    let element = factory.create().build().unwrap();
    let mut described = Map::new();
    for key in factory.metadata_keys() {
        described.insert(key.to_string(), json!(factory.metadata(&key)));
    }
    let type_ = element.type_();
    let ancestors = std::iter::successors(Some(type_), |type_| type_.parent());
    let interfaces = type_.interfaces();
    let templates = element.pad_template_list();
    for (name, value) in [
        ("rank", json!(rank(factory.rank()))),
        ("hierarchy", ancestors.map(glib::Type::name).collect()),
        (
            "interfaces",
            interfaces
                .iter()
                .map(|interface| interface.name())
                .collect(),
        ),
        (
            "pad-templates",
            templates.iter().map(pad_template).collect(),
        ),
        ("properties", properties(&element, types)),
        ("signals", signals(type_, types)),
    ] {
        let nothing = value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty);
        if !nothing {
            described.insert(name.to_owned(), value);
        }
    }
    described.into()
}

/// Returns the nearest named rank, and the difference to it.
fn rank(rank: gst::Rank) -> String {
    let names = [
        (gst::Rank::NONE, "none"),
        (gst::Rank::MARGINAL, "marginal"),
        (gst::Rank::SECONDARY, "secondary"),
        (gst::Rank::PRIMARY, "primary"),
    ];
    let distance = |named: gst::Rank| rank.into_glib() - named.into_glib();
    let nearest = names
        .into_iter()
        .min_by_key(|(named, _)| distance(*named).abs());
    let (named, name) = nearest.expect("some names");
    match distance(named) {
        0 => name.to_owned(),
        more @ 1.. => format!("{name} + {more}"),
        less => format!("{name} - {}", -less),
    }
}

fn pad_template(template: &gst::PadTemplate) -> (String, Value) {
    let direction = match template.direction() {
        gst::PadDirection::Src => "src",
        gst::PadDirection::Sink => "sink",
        _ => "unknown",
    };
    let presence = match template.presence() {
        gst::PadPresence::Always => "always",
        gst::PadPresence::Sometimes => "sometimes",
        gst::PadPresence::Request => "request",
    };
    let described = json!({
        "caps": caps(template.documentation_caps()),
        "direction": direction,
        "presence": presence,
    });
    (template.name_template().to_owned(), described)
}

/// Returns caps with a line for each field.
fn caps(caps: &gst::CapsRef) -> String {
    if caps.is_any() || caps.is_empty() {
        return caps.to_string();
    }
    let mut text = String::new();
    for (structure, features) in caps.iter_with_features() {
        let plain = features.is_equal(&gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY);
        let features = if plain {
            String::new()
        } else {
            format!("({features})")
        };
        text += &format!("{}{features}:\n", structure.name());
        for (field, value) in structure.iter() {
            let value = value.serialize().unwrap_or_default();
            text += &format!("{field:>15}: {value}\n");
        }
    }
    text
}

/// Returns the properties that the element has not inherited.
fn properties(element: &gst::Element, types: &mut OtherTypes) -> Value {
    let specs = element.list_properties();
    let own = specs
        .iter()
        .filter(|spec| spec.owner_type() == element.type_());
    own.map(|spec| {
        note_type(spec.value_type(), types);
        (spec.name().to_owned(), property(element, spec))
    })
    .collect()
}

fn property(element: &gst::Element, spec: &glib::ParamSpec) -> Value {
    let flags = spec.flags();
    let mutable = [
        (gst::PARAM_FLAG_MUTABLE_PLAYING, "playing"),
        (gst::PARAM_FLAG_MUTABLE_PAUSED, "paused"),
        (gst::PARAM_FLAG_MUTABLE_READY, "ready"),
    ];
    let mutable = mutable.iter().find(|(flag, _)| flags.contains(*flag));
    let mut described = json!({
        "blurb": spec.blurb(),
        "conditionally-available": flags.contains(gst::PARAM_FLAG_CONDITIONALLY_AVAILABLE),
        "construct": flags.contains(ParamFlags::CONSTRUCT),
        "construct-only": flags.contains(ParamFlags::CONSTRUCT_ONLY),
        "controllable": flags.contains(gst::PARAM_FLAG_CONTROLLABLE),
        "mutable": mutable.map_or("null", |(_, state)| state),
        "readable": flags.contains(ParamFlags::READABLE),
        "type": spec.value_type().name(),
        "writable": flags.contains(ParamFlags::WRITABLE),
    });
    // The value of a new element, which may differ from the default of its class.
    let read =
        flags.contains(ParamFlags::READABLE) && !flags.contains(gst::PARAM_FLAG_DOC_SHOW_DEFAULT);
    let default = if read {
        element.property_value(spec.name())
    } else {
        spec.default_value().clone()
    };
    if let Some(default) = shown(&default) {
        described["default"] = without_versions(&default).into();
    }
    if let Some((minimum, maximum)) = range(spec) {
        described["min"] = minimum.into();
        described["max"] = maximum.into();
    }
    described
}

/// Removes the versions of GStreamer and of the plugin from the user agent.
fn without_versions(text: &str) -> String {
    let (major, minor, micro, _) = gst::version();
    let gstreamer = format!("GStreamer/{major}.{minor}.{micro}");
    let plugin = concat!("wmspushsink/", env!("CARGO_PKG_VERSION"));
    text.replace(&gstreamer, "GStreamer/…")
        .replace(plugin, "wmspushsink/…")
}

/// Returns a value as text, if its type has one.
fn shown(value: &glib::Value) -> Option<String> {
    macro_rules! plain {
        ($($type:ty),*) => {
            $(if let Ok(value) = value.get::<$type>() {
                return Some(value.to_string());
            })*
        };
    }
    macro_rules! nullable {
        ($($type:ty),*) => {
            $(if let Ok(value) = value.get::<Option<$type>>() {
                return value.map(|value| value.to_string());
            })*
        };
    }
    if let Ok(text) = value.get::<Option<String>>() {
        return Some(text.unwrap_or_else(|| "NULL".to_owned()));
    }
    plain!(bool, i8, u8, i32, u32, i64, u64, f32, f64);
    nullable!(gst::Structure, gst::Caps);
    if let Ok(value) = value.get::<gst::Fraction>() {
        return Some(fraction(value));
    }
    if let Ok(value) = value.get::<glib::ILong>() {
        return Some(value.0.to_string());
    }
    if let Ok(value) = value.get::<glib::ULong>() {
        return Some(value.0.to_string());
    }
    if let Some((_, value)) = glib::EnumValue::from_value(value) {
        return Some(format!("{} ({})", value.nick(), value.value()));
    }
    glib::FlagsValue::from_value(value).map(|(_, values)| {
        let nicks: Vec<_> = values.iter().rev().map(|value| value.nick()).collect();
        if nicks.is_empty() {
            "(none)".to_owned()
        } else {
            nicks.join("+")
        }
    })
}

/// Returns the minimum and the maximum of a number.
fn range(spec: &glib::ParamSpec) -> Option<(String, String)> {
    macro_rules! ranges {
        ($($type:ty),*) => {
            $(if let Some(spec) = spec.downcast_ref::<$type>() {
                return Some((spec.minimum().to_string(), spec.maximum().to_string()));
            })*
        };
    }
    ranges!(
        glib::ParamSpecChar,
        glib::ParamSpecUChar,
        glib::ParamSpecInt,
        glib::ParamSpecUInt,
        glib::ParamSpecLong,
        glib::ParamSpecULong,
        glib::ParamSpecInt64,
        glib::ParamSpecUInt64,
        glib::ParamSpecFloat,
        glib::ParamSpecDouble
    );
    let spec = spec.downcast_ref::<gst::ParamSpecFraction>()?;
    Some((fraction(spec.minimum()), fraction(spec.maximum())))
}

/// Returns the fraction as text, also with a denominator of 1.
fn fraction(fraction: gst::Fraction) -> String {
    format!("{}/{}", fraction.numer(), fraction.denom())
}

/// Returns the signals that the element has not inherited.
fn signals(type_: glib::Type, types: &mut OtherTypes) -> Value {
    let described = own_signals(type_).into_iter().map(|signal| {
        let described = self::signal(&signal, types);
        (signal.signal_name().to_owned(), described)
    });
    described.collect()
}

fn signal(signal: &SignalQuery, types: &mut OtherTypes) -> Value {
    let parameters = signal.param_types().iter().map(|type_| type_.type_());
    parameters.clone().for_each(|type_| note_type(type_, types));
    note_type(signal.return_type().type_(), types);
    let argument = |(index, type_): (usize, glib::Type)| json!({ "name": format!("arg{index}"), "type": type_.name() });
    let mut described = json!({
        "args": parameters.enumerate().map(argument).collect::<Vec<_>>(),
        "return-type": signal.return_type().type_().name(),
    });
    let flags = signal.flags();
    let when = [
        (SignalFlags::RUN_FIRST, "first"),
        (SignalFlags::RUN_LAST, "last"),
        (SignalFlags::RUN_CLEANUP, "cleanup"),
    ];
    if let Some((_, when)) = when.iter().find(|(flag, _)| flags.contains(*flag)) {
        described["when"] = json!(when);
    }
    let marks = [
        (SignalFlags::ACTION, "action"),
        (SignalFlags::DETAILED, "detailed"),
        (SignalFlags::NO_RECURSE, "no-recurse"),
        (SignalFlags::NO_HOOKS, "no-hooks"),
    ];
    for (_, mark) in marks.iter().filter(|(flag, _)| flags.contains(*flag)) {
        described[mark] = json!(true);
    }
    described
}

#[allow(unsafe_code, reason = "the bindings look signals up by name only")]
fn own_signals(type_: glib::Type) -> Vec<SignalQuery> {
    let mut count = 0;
    // SAFETY: The type is one of a living object. The array has `count` ids, none of which is 0, and is freed once.
    unsafe {
        let ids = glib::gobject_ffi::g_signal_list_ids(type_.into_glib(), &mut count);
        let signals = (0..count as usize).map(|index| {
            let id = (*ids.add(index)).try_into().expect("an id");
            SignalId::new(id).query()
        });
        let signals = signals.collect();
        glib::ffi::g_free(ids.cast());
        signals
    }
}

/// Records an enumeration or flags of the plugin's own.
fn note_type(type_: glib::Type, types: &mut OtherTypes) {
    let value = |name: &str, nick: &str, value: String| json!({ "desc": name, "name": nick, "value": value });
    let (kind, values): (_, Vec<_>) = if let Some(class) = glib::EnumClass::with_type(type_) {
        let values = class.values().iter();
        (
            "enum",
            values
                .map(|it| value(it.name(), it.nick(), it.value().to_string()))
                .collect(),
        )
    } else if let Some(class) = glib::FlagsClass::with_type(type_) {
        let values = class.values().iter();
        (
            "flags",
            values
                .map(|it| value(it.name(), it.nick(), format!("{:#010x}", it.value())))
                .collect(),
        )
    } else {
        return;
    };
    if type_.plugin_api_flags().is_some() {
        types.insert(
            type_.name().to_owned(),
            json!({ "kind": kind, "values": values }),
        );
    } else {
        let name = type_.name();
        assert!(
            !name.starts_with("GstWmsPush"),
            "{name} is not marked as the plugin's own"
        );
    }
}
