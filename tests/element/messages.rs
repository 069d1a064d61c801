// SPDX-License-Identifier: MPL-2.0

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, mpsc};

use gst::prelude::*;

use crate::rig::{LONG, Pipeline, Point, text};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

/// The messages of a successful push in their order, each once.
/// C-131, C-172, C-218
#[test]
fn a_push_is_reported_from_connecting_to_closed() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    let messages = pipeline.run();
    assert_eq!(
        messages,
        [
            "PROGRESS connect Start",
            "WMT_LOCATING disconnected→connecting S_OK",
            "PROGRESS connect Continue",
            "WMT_CONNECTING connecting→connecting S_OK",
            "PROGRESS connect Continue",
            "PROGRESS connect Continue",
            "WMT_OPENED connecting→connected S_OK",
            "PROGRESS connect Complete",
            "WMT_STARTED connected→streaming S_OK",
            "WMT_END_OF_STREAMING streaming→ending S_OK",
            "WMT_STOPPED ending→ended S_OK",
            "WMT_CLOSED ended→ended S_OK",
            "EOS",
        ]
    );
    assert_eq!(pipeline.messages_left(), [""; 0]);
}

/// Every message has all fields, with their constant types.
#[test]
fn status_messages_are_flat_and_typed() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    pipeline.play();
    let bus = pipeline.pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Element, gst::MessageType::Eos];
    let mut count = 0;
    while let Some(message) = bus.timed_pop_filtered(gst::ClockTime::from_seconds(30), &wanted) {
        let gst::MessageView::Element(element) = message.view() else {
            break;
        };
        let status = element.structure().unwrap();
        for field in [
            "state",
            "previous-state",
            "wmt-status-name",
            "hresult-name",
            "location",
            "reason",
            "http-reason",
            "hint",
        ] {
            status.get::<&str>(field).unwrap();
        }
        for field in ["hresult", "attempt", "retry-in", "http-status-code"] {
            status.get::<u32>(field).unwrap();
        }
        for field in ["packets-dropped", "running-time"] {
            status.get::<u64>(field).unwrap();
        }
        status.get::<i32>("wmt-status").unwrap();
        status.get::<bool>("resumed").unwrap();
        count += 1;
    }
    assert_eq!(count, 7);
}

/// EOS is posted when the server has received everything, not when it was queued.
#[test]
fn eos_comes_after_the_last_byte() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    pipeline.run();
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    let push = point.ended();
    assert_eq!(stats.get::<u64>("packets-sent").unwrap(), push.data_packets);
    assert_eq!(stats.get::<u64>("queued-time").unwrap(), 0);
    assert_eq!(push.end, Some(gstwmspush::wmhttp::HResult::S_OK));
}

/// A push that was disconnected before it was attempted has no other messages.
#[test]
fn a_disconnection_cancels_progress() {
    use publishing_point::{Fault, Settings, When};

    let faults = vec![(When::EveryPushSetup, Fault::Silent)];
    let point = Point::with(Settings {
        faults,
        ..Settings::default()
    });
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    pipeline.play();
    let mut messages = pipeline.messages_until("WMT_CONNECTING");
    // The bus is flushed in the change to NULL.
    let _ = pipeline.pipeline.set_state(gst::State::Ready);
    messages.extend(pipeline.messages_until("WMT_CLOSED"));
    let ends = messages
        .iter()
        .filter(|line| line.starts_with("PROGRESS") && !line.ends_with("Continue"));
    assert_eq!(
        ends.collect::<Vec<_>>(),
        ["PROGRESS connect Start", "PROGRESS connect Canceled"]
    );
    assert_eq!(
        messages.last().unwrap(),
        "WMT_CLOSED connecting→disconnected S_OK"
    );
    assert_eq!(pipeline.messages_left(), [""; 0]);
}

#[test]
fn session_state_notifies() {
    use std::sync::Arc;

    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    let seen = Arc::new(Mutex::new(Vec::new()));
    pipeline.sink.connect_notify(Some("session-state"), {
        let seen = seen.clone();
        move |sink, _| {
            let state = sink.property_value("session-state");
            seen.lock()
                .unwrap()
                .push(state.get::<gstwmspush::SessionState>().unwrap());
        }
    });
    pipeline.run();
    use gstwmspush::SessionState::{Connected, Connecting, Ended, Ending, Streaming};
    // The handler reads the newest state, which may be later than the notified one.
    let order = [Connecting, Connected, Streaming, Ending, Ended];
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), order.len(), "{seen:?}");
    let place = |state| order.iter().position(|&other| other == state);
    let is_late = |(&seen, told)| place(seen) >= place(told);
    assert!(seen.iter().zip(order).all(is_late), "{seen:?}");
    assert_eq!(seen.last(), Some(&Ended));
}

/// Returns the text and the hint of the ERROR of a push.
fn said(location: &str, properties: &str) -> [String; 2] {
    said_by(&Pipeline::file(AUDIO, location, properties))
}

fn said_by(pipeline: &Pipeline) -> [String; 2] {
    pipeline.play();
    let bus = pipeline.pipeline.bus().unwrap();
    let long = gst::ClockTime::try_from(LONG).unwrap();
    let message = bus.timed_pop_filtered(long, &[gst::MessageType::Error]);
    let message = message.expect("an ERROR");
    let gst::MessageView::Error(error) = message.view() else {
        unreachable!()
    };
    let hint = text(error.details().unwrap(), "hint").to_owned();
    let debug = error.debug().unwrap().to_string();
    assert!(debug.contains(&hint), "{debug}");
    let text = error.error().to_string();
    for secret in ["wonderland", "builder"] {
        assert!(
            !format!("{text} {debug}").contains(secret),
            "{text} {debug}"
        );
    }
    [text, hint]
}

/// Returns the host and port of a server that answers each connection with `response`.
fn answering(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // With a thread for each connection, one that stays open does not keep the next one waiting.
            std::thread::spawn(move || {
                if stream.read(&mut [0; 4096])? == 0 {
                    return Ok(0);
                }
                stream.write_all(response.as_bytes())?;
                // Closing with bytes unread would reset the connection, which may overtake the response.
                stream.shutdown(std::net::Shutdown::Write)?;
                std::io::copy(&mut stream, &mut std::io::sink())
            });
        }
    });
    address.to_string()
}

/// Returns a host and port that refuse connections.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A9
#[test]
fn an_error_names_the_host_and_the_next_step() {
    let peer = refusing();
    let [text, hint] = said(&format!("http://{peer}/live"), "");
    let expected = format!("Cannot push to http://{peer}/live: {peer} refused the connection.");
    assert_eq!(text, expected);
    assert!(hint.starts_with("Check the port"), "{hint}");
    assert!(hint.contains("retry-first-connect=true"), "{hint}");
}

#[test]
fn an_end_before_the_first_response_names_the_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = silent.local_addr().unwrap();
    let schemes = [
        ("http", "respond"),
        #[cfg(feature = "tls")]
        ("https", "answer the TLS handshake"),
    ];
    for (scheme, awaited) in schemes {
        let [text, hint] = said(&format!("{scheme}://{peer}/live"), "eos-timeout=300");
        let expected = format!(
            "Cannot push to {scheme}://{peer}/live: {peer} did not {awaited} within 300 ms of the end of the stream."
        );
        assert_eq!(text, expected);
        assert!(hint.contains("raise eos-timeout"), "{hint}");
    }
}

#[test]
fn an_end_during_a_login_names_the_login() {
    let peer = answering(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
    );
    let location = format!("http://{peer}/live");
    let pipeline = Pipeline::file(AUDIO, &location, "eos-timeout=300");
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    pipeline
        .sink
        .connect("acquire-credentials", false, move |_| {
            // Ends when the test drops the sender.
            let _ = released.lock().unwrap().recv();
            Some(None::<gst::Structure>.to_value())
        });
    let [text, hint] = said_by(&pipeline);
    let expected = format!(
        "Cannot push to {location}: the login to {peer} did not end within 300 ms of the end of the stream (eos-timeout)."
    );
    assert_eq!(text, expected);
    assert!(hint.contains("credentials from the application"), "{hint}");
    drop(release);
}

/// D3
#[test]
fn an_error_names_the_proxy_that_failed() {
    let proxy = refusing();
    let [text, hint] = said(
        "http://media.invalid/live",
        &format!("proxy=http://{proxy}"),
    );
    let expected = format!(
        "Cannot push to http://media.invalid/live: the proxy {proxy} (property proxy) refused the connection."
    );
    assert_eq!(text, expected);
    assert!(hint.contains("the property proxy"), "{hint}");
    assert!(!hint.contains("Windows Media Services"), "{hint}");
}

/// D4
#[test]
#[cfg(feature = "tls")]
fn https_at_a_plain_port_is_named() {
    let peer = answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let [text, hint] = said(&format!("https://{peer}/live"), "");
    let expected = format!("Cannot push to https://{peer}/live: {peer} does not speak TLS.");
    assert_eq!(text, expected);
    assert!(hint.contains("http://"), "{hint}");
    assert!(!hint.contains("ssl-ca-file"), "{hint}");
}

/// D5
#[test]
fn iis_at_the_port_is_named() {
    let peer = answering(
        "HTTP/1.1 404 Not Found\r\nServer: Microsoft-IIS/6.0\r\nContent-Length: 0\r\n\r\n",
    );
    let [text, hint] = said(&format!("http://{peer}/live"), "");
    let expected = format!("{peer} (Microsoft-IIS/6.0) answered 404 Not Found.");
    assert!(text.ends_with(&expected), "{text}");
    assert!(
        hint.starts_with("Microsoft-IIS/6.0 answers on port "),
        "{hint}"
    );
    assert!(hint.contains("often 8080"), "{hint}");
}

/// D7
#[test]
fn a_setup_body_that_is_refused_is_named() {
    let peer = answering("HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 0\r\n\r\n");
    let location = format!("http://{peer}/live");
    let [_, hint] = said(&location, "auto-destroy=true");
    assert!(hint.contains("auto-destroy"), "{hint}");
    let [_, hint] = said(&location, "");
    assert!(!hint.contains("auto-destroy"), "{hint}");
}

#[test]
fn refused_credentials_name_the_peer_that_refuses_them() {
    const CHALLENGE: &str = "Digest realm=\"x\", nonce=\"y\"\r\nContent-Length: 0\r\n\r\n";
    let server = answering(Box::leak(
        format!("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {CHALLENGE}").into_boxed_str(),
    ));
    let location = format!("http://{server}/live");
    let [text, hint] = said(&location, "user-id=alice user-pw=wonderland");
    assert!(text.ends_with("refused the user and password."), "{text}");
    assert!(hint.contains(r"user-id='DOMAIN\\user'"), "{hint}");
    let [_, hint] = said(&location, r"user-id='DOM\\alice' user-pw=wonderland");
    assert!(
        hint.contains("user-pw") && !hint.contains("gst-launch"),
        "{hint}"
    );
    let proxy = answering(Box::leak(
        format!("HTTP/1.1 407 And you?\r\nProxy-Authenticate: {CHALLENGE}").into_boxed_str(),
    ));
    let properties = format!("proxy=http://{proxy} proxy-id=bob proxy-pw=builder");
    let [text, hint] = said("http://media.invalid/live", &properties);
    assert!(text.contains(&format!("the proxy {proxy}")), "{text}");
    assert_eq!(hint, "Check proxy-id and proxy-pw.");
}
