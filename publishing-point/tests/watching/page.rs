// SPDX-License-Identifier: MPL-2.0

//! `GET /` in a browser.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use publishing_point::{Event, Handle, Settings};
use wmspush_proto::wmhttp::server::Points;

use crate::browser::Browser;
use crate::client::{Client, ENDLESS, data_packets, event, packet, request, serve};
use crate::stream::{AUDIO_VIDEO, Pusher, Stream};
use crate::viewer::{NEW, Viewer, joined};

const HOSTILE: &str = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>";

fn listed(settings: &mut Settings, point: &str) {
    let points = ["/live".to_owned(), "/other".to_owned(), point.to_owned()];
    settings.points = Points::Listed(BTreeSet::from(points));
}

/// Checks the displayed addresses and commands.
fn assert_text(browser: &mut Browser, address: SocketAddr) {
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().unwrap();
    for expected in [
        format!("mmsh://{address}/live"),
        format!("http://{address}/live"),
        format!("ffplay mmsh://{address}/live"),
        format!("vlc mmsh://{address}/live"),
        "WMEncoder/12.0 GStreamer/1.22, since ".to_owned(),
        "streaming".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\n{text}");
    }
}

#[test]
fn the_page_follows_a_push() {
    let point = serve(|_| {});
    let mut browser = Browser::start("push");
    browser.screen(1100, false);
    browser.open(&point.url(""));
    browser.wait_for("document.body.innerText.includes('No encoder pushes at present')");
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    pusher.send(&unpadded[..unpadded.len() / 2]);
    // The page updates itself without a reload.
    browser.wait_for("document.querySelector('.state.receiving')");
    let _viewer = Viewer::play(&point, "/live", NEW);
    joined(&point);
    browser.wait_for("document.body.innerText.includes('1 viewer')");
    browser.wait_for("document.querySelector('.rate').getAttribute('points')");
    pusher.send(&unpadded[unpadded.len() / 2..]);
    browser.wait_for(
        "document.querySelectorAll('.packets')[0].getAttribute('points').split(' ').length > 2",
    );
    assert_text(&mut browser, point.local_addr());
    let links = browser.evaluate("[...document.links].map((link) => link.pathname).join()");
    assert_eq!(links, "/status,/metrics");
    pusher.end();
    browser.wait_for("document.querySelector('.state').textContent === 'idle'");
    assert!(
        browser.complaints().is_empty(),
        "{:?}",
        browser.complaints()
    );
    let own = point.url("");
    for url in browser.requested() {
        assert!(url.starts_with(&own) || url.starts_with("data:"), "{url}");
    }
    point.shutdown();
    browser.wait_for(
        "document.querySelector('#summary[role=alert]')?.textContent.includes('No answer')",
    );
}

/// Pushes one packet as an encoder with this User-Agent. Returns the client and its push-id.
fn push_as(point: &Handle, encoder: &str) -> (Client, String) {
    let mut client = Client::connect(point);
    let of = |kind: &str, id: &str, length| {
        request("/live", kind, id, length).replace("WMEncoder/12.0 GStreamer/1.22", encoder)
    };
    client.send(of("pushsetup", "0", 0));
    let response = client.response();
    let push_id = response.field("Set-Cookie").unwrap();
    let push_id = push_id.strip_prefix("push-id=").unwrap().to_owned();
    client.send(of("pushstart", &push_id, ENDLESS));
    let stream = Stream::of(AUDIO_VIDEO);
    client.send(packet(b'H', stream.header.as_bytes()));
    client.send(packet(b'D', &stream.unpadded()[0]));
    data_packets(point, 1);
    (client, push_id)
}

/// Names come from the network. They are displayed as text, never executed.
#[test]
fn hostile_names_are_text_on_the_page() {
    let point = serve(|settings| listed(settings, &format!("/{HOSTILE}")));
    let encoder = format!("WMEncoder/12.0 {HOSTILE}");
    let (_client, push_id) = push_as(&point, &encoder);
    let _viewer = Viewer::ask(
        &point,
        &format!("GET /live HTTP/1.1\nHost: a\nUser-Agent: {HOSTILE}"),
    );
    joined(&point);
    let refused = Viewer::ask(&point, "GET /%3Cscript%3E HTTP/1.1\nHost: a");
    assert_eq!(refused.status(), 404);
    let mut browser = Browser::start("hostile");
    browser.screen(390, true);
    browser.open(&point.url(""));
    browser.wait_for("document.querySelectorAll('.card').length === 3");
    browser.evaluate("document.querySelectorAll('details').forEach((all) => { all.open = true; })");
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().unwrap();
    assert!(text.contains(&format!("/{HOSTILE}")), "{text}");
    assert!(text.contains(&encoder), "{text}");
    assert!(text.contains(&format!("{HOSTILE} – HTTP")), "{text}");
    assert!(!text.contains(&push_id));
    // The command is safe to paste into a shell.
    let command = "/%3Cscript%3Ewindow.hacked%20=%201%3C/script%3E%3Cimg%20src=x%20onerror=%27window.hacked%20=%202%27%3E";
    assert!(text.contains(command), "{text}");
    assert_eq!(browser.evaluate("typeof window.hacked"), "undefined");
    assert_eq!(browser.evaluate("document.scripts.length"), 1);
    assert_eq!(browser.evaluate("document.images.length"), 0);
    assert!(
        browser.complaints().is_empty(),
        "{:?}",
        browser.complaints()
    );
    // Even an injected element would not run.
    browser.evaluate(
        "(() => { const script = document.createElement('script');
           script.textContent = 'window.hacked = 3'; document.body.append(script); })()",
    );
    assert_eq!(browser.evaluate("typeof window.hacked"), "undefined");
}

/// Screenshots are left in the directory of the tests, for inspection.
#[test]
fn the_page_fits_desktops_and_phones_in_light_and_dark() {
    let point = serve(|settings| listed(settings, &format!("/{}", "long-name".repeat(30))));
    let stream = Stream::of(AUDIO_VIDEO);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let agents = ["Lavf/59.27.100", "VLC/3.0.21 LibVLC/3.0.21"];
    let _viewers = agents.map(|agent| {
        let viewer = Viewer::ask(
            &point,
            &format!("GET /live HTTP/1.1\nHost: a\nUser-Agent: {agent}"),
        );
        joined(&point);
        viewer
    });
    pusher.send(&stream.unpadded());
    assert_eq!(Client::connect(&point).setup("/live").status(), 409);
    event(&point, |event| matches!(event, Event::Refused { .. }));
    let mut browser = Browser::start("sizes");
    let screens = [
        (1100, false),
        (1100, true),
        (390, false),
        (390, true),
        (320, false),
    ];
    let backgrounds: BTreeSet<_> = screens
        .into_iter()
        .map(|(width, dark)| look(&mut browser, &point.url(""), width, dark))
        .collect();
    assert_eq!(backgrounds.len(), 2);
}

/// Takes a screenshot of the page with these settings. Returns the background colour.
fn look(browser: &mut Browser, url: &str, width: u32, dark: bool) -> String {
    browser.screen(width, dark);
    browser.open(url);
    browser.wait_for("document.querySelector('.rate')?.getAttribute('points')");
    browser.evaluate("document.querySelectorAll('details').forEach((all) => { all.open = true; })");
    let wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
    assert_eq!(wide, 0, "{width}");
    let colours = if dark { "dark" } else { "light" };
    browser.screenshot(&format!("page-{width}-{colours}.png"));
    let background = browser.evaluate("getComputedStyle(document.body).backgroundColor");
    background.to_string()
}

/// Peers choose the names, so the page shows a bounded number of them in a bounded space.
#[test]
fn many_points_and_long_names_leave_the_page_usable() {
    let name = |number| format!("/{number}-{}", "long-name".repeat(100));
    let points: BTreeSet<_> = (0..150).map(name).collect();
    let point = serve(|settings| settings.points = Points::Listed(points));
    let mut browser = Browser::start("many");
    browser.screen(390, false);
    browser.open(&point.url(""));
    browser.wait_for("document.body.innerText.includes('… and 50 more publishing points.')");
    let cards = browser.evaluate("document.querySelectorAll('.card').length");
    assert_eq!(cards, 100);
    let tallest =
        "Math.max(...[...document.querySelectorAll('.card')].map((card) => card.offsetHeight))";
    let tallest = browser.evaluate(tallest).as_u64().unwrap();
    assert!(tallest < 800, "{tallest}");
}
