// SPDX-License-Identifier: MPL-2.0

//! Web servers and proxies forward data at once: otherwise an endless body would never be received.

use std::thread;
use std::time::Duration;

use publishing_point::Push;

use crate::apache::Apache;
use crate::lighttpd::Lighttpd;
use crate::push::{AUDIO, begin_later, origin, patient_point, without_data};
use crate::rig::{LONG, Point};
use crate::squid::{Access, Squid};
use crate::tinyproxy::Tinyproxy;

/// Time until tinyproxy's connection is closed after PushSetup.
const UNTIL_CLOSED: Duration = Duration::from_millis(200);

/// The first packets are received before the last was sent, almost three seconds later. Apache buffers 16 KiB, five
/// packets here; the others buffer nothing.
#[track_caller]
fn assert_streams(point: &Point, location: &str, properties: &str) {
    let pipeline = without_data(location, properties);
    begin_later(&pipeline, AUDIO, UNTIL_CLOSED);
    let begun = |pushes: &[&Push]| pushes.first().is_some_and(|push| push.data_packets > 0);
    let pushes = point.handle.wait_for_pushes(begun, LONG).unwrap();
    assert!(
        pushes[0].data_packets < 7,
        "all at once: {location} {properties}"
    );
}

#[test]
fn web_servers_and_proxies_forward_data_at_once() {
    thread::scope(|scope| {
        scope.spawn(|| {
            let point = Point::new();
            let apache = Apache::in_front_of(&origin(&point));
            assert_streams(&point, &apache.location("open"), "");
        });
        scope.spawn(|| {
            let point = patient_point();
            let lighttpd = Lighttpd::in_front_of(&origin(&point));
            assert_streams(&point, &lighttpd.location("open"), "");
        });
        scope.spawn(|| {
            let point = Point::new();
            let squid = Squid::start(Access::Anonymous);
            assert_streams(&point, &point.location(), &format!("proxy={}", squid.url()));
        });
        scope.spawn(|| {
            let point = Point::new();
            let proxy = Tinyproxy::start(false);
            assert_streams(&point, &point.location(), &format!("proxy={}", proxy.url()));
        });
    });
}
