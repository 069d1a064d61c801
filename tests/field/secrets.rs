// SPDX-License-Identifier: MPL-2.0

//! Servers that repeat secrets in their responses.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::asf::Stream;
use crate::push::{Pace, Push};
use crate::receiver::Receiver;

const PASSWORD: &str = "Geh3im/1";
/// `alice:Geh3im/1`
const TOKEN: &str = "YWxpY2U6R2VoM2ltLzE=";

/// Demands Basic, and then responds to each request with `status` and another field.
fn echoes(status: &'static str, field: &'static str) -> Receiver {
    Receiver::new(move |mut connection| {
        loop {
            let request = connection.request()?;
            let fields = match request.field("Authorization") {
                None => "WWW-Authenticate: Basic realm=\"x\"\r\n".to_owned(),
                Some(_) => format!("{field}Set-Cookie: push-id=PUSHIDX123\r\n"),
            };
            let status = match request.field("Authorization") {
                None => "401 Unauthorized",
                Some(_) => status,
            };
            connection.answer(status, &(fields + "Content-Length: 0\r\n"))?;
        }
    })
}

/// C1: the reason phrase, the Server field and the names of schemes are shown as the peer sent them.
#[test]
fn repeated_secrets_are_never_shown() {
    let log = Arc::new(Mutex::new(String::new()));
    let written = log.clone();
    crate::push::init();
    gst::log::set_threshold_for_name("wmspushsink", gst::DebugLevel::Memdump);
    let function = gst::log::add_log_function(move |category, _, _, _, _, _, message| {
        if category.name() == "wmspushsink"
            && let Some(text) = message.get()
        {
            *written.lock().unwrap() += &format!("{text}\n");
        }
    });
    for (status, field) in [
        ("403 user alice with password Geh3im/1 refused", ""),
        ("403 no Basic YWxpY2U6R2VoM2ltLzE=", ""),
        ("403 Geh3im%2F1", ""),
        ("400 unknown push-id=PUSHIDX123", ""),
        ("204 ok PUSHIDX123", "Server: Foo/Geh3im/1\r\n"),
        ("404 Not Found", "Server: Foo/Geh3im/1\r\n"),
        ("401 Unauthorized", "WWW-Authenticate: Geh3im/1 realm=x\r\n"),
    ] {
        let receiver = echoes(status, field);
        let properties = format!("user-id=alice user-pw={PASSWORD} allow-cleartext-auth=true");
        let mut push = Push::with(
            Pace::Flood,
            &Stream::of(5),
            &receiver.location(),
            &properties,
        );
        let probe = push.sink.emit_by_name::<gst::Structure>("probe", &[]);
        push.play();
        push.end();
        let said = format!("{} {probe:?} {:?}", push.story(), push.stats().0);
        let said = said + &log.lock().unwrap();
        for secret in [
            PASSWORD,
            TOKEN,
            TOKEN.trim_end_matches('='),
            "Geh3im%2F1",
            "PUSHIDX123",
        ] {
            assert!(!said.contains(secret), "{status}: {said}");
        }
    }
    gst::log::remove_log_function(function);
}
