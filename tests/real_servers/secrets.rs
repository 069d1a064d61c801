// SPDX-License-Identifier: MPL-2.0

//! Secrets are never shown.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::apache::Apache;
use crate::push::{AUDIO, PASSWORD, WRONG, as_alice, origin};
use crate::rig::{LONG, Pipeline, Point};

/// Returns every message on the bus with all fields, up to the last.
fn told(pipeline: &Pipeline) -> String {
    pipeline.play();
    let bus = pipeline.pipeline.bus().unwrap();
    let mut told = String::new();
    loop {
        let message = bus
            .timed_pop(gst::ClockTime::try_from(LONG).unwrap())
            .expect("EOS or ERROR");
        told += &format!("{message:?}\n");
        match message.view() {
            gst::MessageView::Eos(_) => return told,
            gst::MessageView::Progress(progress)
                if progress.get().0 == gst::ProgressType::Error =>
            {
                return told;
            }
            gst::MessageView::Error(error) => {
                told += &format!("{}\n{:?}\n", error.error(), error.debug())
            }
            _ => {}
        }
    }
}

/// Records everything that the element logs from now on, at every level.
fn logged() -> Arc<Mutex<String>> {
    crate::rig::init();
    let lines = Arc::new(Mutex::new(String::new()));
    let kept = lines.clone();
    gst::log::set_threshold_for_name("wmspushsink", gst::DebugLevel::Memdump);
    gst::log::add_log_function(move |category, _, file, _, _, _, message| {
        if category.name() == "wmspushsink" {
            let mut lines = kept.lock().unwrap();
            *lines += &format!("{file}: {}\n", message.get().unwrap_or_default());
        }
    });
    lines
}

#[test]
fn no_message_or_log_line_contains_a_secret() {
    let log = logged();
    let mut told = String::new();
    let mut secrets = vec![PASSWORD.to_owned(), WRONG.to_owned()];
    for path in ["basic", "digest", "ntlm"] {
        for password in [PASSWORD, WRONG] {
            let point = Point::new();
            let apache = Apache::in_front_of(&origin(&point));
            let location = apache.location(path);
            let pipeline = as_alice(AUDIO, &location, password, "allow-cleartext-auth=true");
            let lines = self::told(&pipeline);
            let refused = lines.contains("NS_E_SERVER_ACCESSDENIED");
            assert_eq!(refused, password == WRONG, "{path}: {lines}");
            told += &lines;
            let authorized = apache
                .requests(2)
                .into_iter()
                .map(|request| request.authorization);
            secrets
                .extend(authorized.filter_map(|value| Some(value.split_once(' ')?.1.to_owned())));
        }
    }
    let log = log.lock().unwrap();
    assert!(!log.is_empty() && told.contains("WMT_CLOSED"));
    assert!(secrets.len() > 7, "{}", secrets.len());
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret}: {told}");
        assert!(!log.contains(&secret), "{secret}");
    }
}
