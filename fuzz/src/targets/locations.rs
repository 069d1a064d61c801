// SPDX-License-Identifier: MPL-2.0

//! Addresses with a password, as users type them, valid or not. The input has five lines:
//!
//! | line | |
//! |---|---|
//! | 1 | the property: `p` for `proxy`, `t` for `template-url`, anything else for `location` |
//! | 2 | the text before the colon and the password |
//! | 3, 4 | more of the password, before and behind the word that is looked for |
//! | rest | the text behind the `@` |

use std::sync::{Mutex, Once, PoisonError};

use gst::prelude::*;
use gstwmspush::WmsPushSink;

/// Occurs in no other word of any output.
const PASSWORD: &str = "swordfish";

/// The log of the element.
static LOG: Mutex<String> = Mutex::new(String::new());

/// No property, message or log line contains the password, for any address.
pub fn run(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let mut lines = input.splitn(5, '\n').map(|line| line.replace('\0', ""));
    let mut line = || lines.next().unwrap_or_default();
    let [property, before, noise, more, after] = [line(), line(), line(), line(), line()];
    let start = format!("{before}:{noise}");
    let user = start.split_once("://").map_or(&*start, |(_, user)| user);
    let told_anyway = [&before, &after].map(|text| text.to_lowercase().contains(PASSWORD));
    // After `http://` alone it is a user name.
    if !user.contains(':') || told_anyway.contains(&true) {
        return;
    }
    let address = format!("{start}{PASSWORD}{more}@{after}");
    let property = match &*property {
        "p" => "proxy",
        "t" => "template-url",
        _ => "location",
    };
    let outputs = outputs(property, &address).to_lowercase();
    assert!(!outputs.contains(PASSWORD), "{outputs}");
}

/// Returns all outputs that an application can see.
fn outputs(property: &str, address: &str) -> String {
    init();
    log().clear();
    let element = glib::Object::new::<WmsPushSink>();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.set_property("location", "http://media/");
    // Prevents any connection.
    element.set_property("ssl-ca-file", "/nonexistent/authorities.pem");
    element.set_property(property, address);
    let mut outputs = String::new();
    for name in [
        "location",
        "proxy",
        "template-url",
        "user-id",
        "proxy-id",
        "stats",
    ] {
        outputs += &format!("{name} {:?}\n", element.property_value(name));
    }
    outputs += &format!("{:?}\n", element.uri());
    assert!(element.set_state(gst::State::Paused).is_err());
    loop {
        let message = bus.timed_pop(gst::ClockTime::from_seconds(10));
        let message = message.expect("an ERROR");
        outputs += &format!("{message:?}\n");
        if message.type_() == gst::MessageType::Error {
            break;
        }
    }
    let _ = element.set_state(gst::State::Null);
    // Messages on the bus hold a reference to the element, which holds one to the bus.
    element.set_bus(None);
    // GStreamer itself refuses the URIs of other elements, and repeats them.
    if address.starts_with("wmspush+http://")
        && let Err(error) = element.set_uri(address)
    {
        outputs += &error.to_string();
    }
    outputs + &log()
}

fn log() -> std::sync::MutexGuard<'static, String> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gst::log::remove_default_log_function();
        gst::log::set_threshold_from_string("wmspushsink:LOG", false);
        gst::log::add_log_function(|category, _, _, _, _, _, message| {
            if category.name() == "wmspushsink" {
                let text = message.get().unwrap_or_default();
                log().push_str(&format!("{text}\n"));
            }
        });
    });
}
