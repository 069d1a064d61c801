// SPDX-License-Identifier: MPL-2.0

//! The action `probe` beside pushes.

use gst::prelude::*;

use crate::LONG;
use crate::asf::Stream;
use crate::connection::Connection;
use crate::push::{Push, Stats};
use crate::receiver::Receiver;

fn probe(sink: &gst::Element) -> Stats {
    Stats(sink.emit_by_name("probe", &[]))
}

/// C4: some receivers end a running push for a second PushSetup.
#[test]
fn a_probe_during_a_push_returns_its_server() {
    let challenge = "WWW-Authenticate: Digest realm=\"WMS\", nonce=\"n1\", qop=\"auth\"\r\n\
                     Content-Length: 0\r\n";
    let receiver = Receiver::new(move |mut connection| {
        if connection.number == 0 {
            connection.request()?;
            connection.answer("401 Unauthorized", challenge)?;
        }
        connection.serve()
    });
    let properties = "user-id=alice user-pw=s3cret";
    let mut push = Push::new(&Stream::of(300), &receiver.location(), properties);
    push.play();
    receiver.wait_for_packets(20);
    let answer = probe(&push.sink);
    assert_eq!(answer.0.get("ok"), Ok(true), "{}", answer.0);
    assert_eq!(answer.text("server"), "Cougar/9.01.01.3814");
    assert_eq!(answer.text("authentication"), "Digest");
    assert!(answer.large("rtt") > 0, "{}", answer.0);
    push.end_well();
    let records = receiver.records();
    assert_eq!(records.len(), 1, "{:?}", receiver.requests());
    assert!(receiver.missing(&Stream::of(300)).is_empty());
}

/// C4: a push would meet the failure of the loss.
#[test]
fn a_probe_while_reconnecting_returns_the_loss() {
    let receiver = Receiver::new(|mut connection| {
        connection.let_in()?;
        connection.packets(20)?;
        connection.stop_listening(LONG);
        connection.reset()
    });
    let mut push = Push::new(&Stream::of(1000), &receiver.location(), "");
    push.play();
    push.wait_for("WMT_RECONNECT_START");
    push.wait_for("WMT_RECONNECT_START");
    let answer = probe(&push.sink);
    assert_eq!(answer.0.get("ok"), Ok(false), "{}", answer.0);
    assert_eq!(answer.text("reason"), "connection-refused");
    assert_eq!(answer.text("server"), "Cougar/9.01.01.3814");
    assert!(!answer.text("hint").is_empty());
    assert_eq!(receiver.records().len(), 1);
}

/// A changed location names another server than that of the current push.
#[test]
fn a_probe_asks_the_server_of_another_location() {
    let [receiver, other] = [Connection::serve, Connection::serve].map(Receiver::new);
    let mut push = Push::new(&Stream::of(100), &receiver.location(), "");
    push.play();
    receiver.wait_for_packets(20);
    push.sink.set_property("location", other.location());
    assert_eq!(probe(&push.sink).0.get("ok"), Ok(true));
    assert_eq!(other.requests(), ["setup new"]);
    push.end_well();
}
