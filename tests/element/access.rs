// SPDX-License-Identifier: MPL-2.0

//! Redirections and challenges over TCP: the messages for applications, and the requests to servers.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gst::prelude::*;
use gstwmspush::auth::Credentials;
use gstwmspush::wmhttp::HResult;
use publishing_point::{Fault, RequestSeen, Settings, When};

use crate::rig::{LONG, Pipeline, Point, text};
use crate::wire::Server;

pub const AUDIO: &str = "audio_ffmpeg_p3200.asf";
pub const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

pub const BASIC: &str = r#"Basic realm="WMS""#;
pub const DIGEST: &str = r#"Digest realm="WMS", nonce="n1", qop="auth""#;

pub const ALICE: &str = "user-id=alice user-pw=s3cret";

pub fn with_faults(faults: Vec<(When, Fault)>) -> Point {
    Point::with(Settings {
        faults,
        ..Settings::default()
    })
}

pub fn challenge(field: &str) -> Fault {
    Fault::Challenge(vec![field.to_owned()])
}

fn redirect(location: String) -> Fault {
    Fault::Redirect {
        status: 302,
        location,
    }
}

/// Returns `alice` and her password as Basic sends them.
pub fn token() -> String {
    format!("Basic {}", BASE64_STANDARD.encode("alice:s3cret"))
}

/// Returns the Authorization fields of all requests so far.
pub fn authorizations(point: &Point) -> Vec<Option<String>> {
    let requests = point.handle.requests();
    let field = |request: &RequestSeen| request.field("authorization").map(str::to_owned);
    requests.iter().map(field).collect()
}

pub fn errors(messages: &[String]) -> Vec<&str> {
    let lines = messages.iter().map(String::as_str);
    lines.filter(|line| line.starts_with("ERROR")).collect()
}

/// 3.1.5.1, 3.1.5.2: C-087, C-125, C-208, C-210: nothing before the challenge, and then in each request.
#[test]
fn basic_is_sent_after_a_challenge_only() {
    let point = with_faults(vec![(When::PushSetup(0), challenge(BASIC))]);
    let properties = format!("{ALICE} allow-cleartext-auth=true");
    let messages = Pipeline::file(AUDIO, &point.location(), &properties).run();
    assert_eq!(errors(&messages), [""; 0]);
    assert_eq!(authorizations(&point), [None, Some(token()), Some(token())]);
    assert_eq!(point.ended().data_packets, 7);
}

/// C-208: a password that may not be sent in clear text is not sent.
#[test]
fn a_password_is_not_sent_by_basic_in_clear_text() {
    let point = with_faults(vec![(When::Always, challenge(BASIC))]);
    let (details, messages) = Pipeline::file(AUDIO, &point.location(), ALICE).fail();
    assert_eq!(
        errors(&messages),
        ["ERROR RESOURCE/NotAuthorized setup denied NS_E_SERVER_ACCESSDENIED"]
    );
    assert_eq!(details.get::<u32>("http-status-code"), Ok(401));
    assert_eq!(authorizations(&point), [None]);
}

/// RFC 2616 section 11: C-208: each scheme is tried once, and the application is called once.
#[test]
fn wrong_credentials_are_one_error() {
    let fields = vec![DIGEST.to_owned(), BASIC.to_owned()];
    let point = with_faults(vec![(When::Always, Fault::Challenge(fields))]);
    let properties = format!("{ALICE} allow-cleartext-auth=true");
    let pipeline = Pipeline::file(AUDIO, &point.location(), &properties);
    let (_, mut messages) = pipeline.fail();
    messages.extend(pipeline.messages_until("PROGRESS connect Error"));
    messages.extend(pipeline.messages_left());
    assert_eq!(
        errors(&messages),
        ["ERROR RESOURCE/NotAuthorized setup denied NS_E_SERVER_ACCESSDENIED"]
    );
    let schemes = authorizations(&point).into_iter().map(|field| {
        let scheme = field?.split(' ').next()?.to_owned();
        Some(scheme)
    });
    let expected = [None, Some("Digest".to_owned()), Some("Basic".to_owned())];
    assert_eq!(schemes.collect::<Vec<_>>(), expected);
}

/// The arguments of an `acquire-credentials` call: realm, site, user, the nicks of flags, and hresult.
type Asked = (Option<String>, String, Option<String>, Vec<String>, u32);

/// Installs a handler that returns `answers` in order, and then NULL.
fn answer(
    pipeline: &Pipeline,
    answers: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> Arc<Mutex<Vec<Asked>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answers: Vec<_> = answers.into_iter().collect();
    let mut answers = answers.into_iter();
    let answers = Mutex::new(std::iter::from_fn(move || answers.next()));
    pipeline.sink.connect("acquire-credentials", false, {
        let asked = asked.clone();
        move |arguments| {
            let [_, realm, site, user, flags, hresult] = arguments else {
                panic!("{arguments:?}")
            };
            asked.lock().unwrap().push((
                realm.get().unwrap(),
                site.get().unwrap(),
                user.get().unwrap(),
                nicks(flags),
                hresult.get().unwrap(),
            ));
            let answer = answers.lock().unwrap().next().map(|(user, password)| {
                gst::Structure::builder("credentials")
                    .field("user", user)
                    .field("password", password)
                    .build()
            });
            Some(answer.to_value())
        }
    });
    asked
}

fn nicks(flags: &glib::Value) -> Vec<String> {
    let (_, set) = glib::FlagsValue::from_value(flags).unwrap();
    set.iter().map(|flag| flag.nick().to_owned()).collect()
}

/// C-087, C-208
#[test]
fn an_application_is_asked_for_credentials() {
    let point = with_faults(vec![
        (When::PushSetup(0), challenge(BASIC)),
        (When::PushSetup(1), challenge(BASIC)),
    ]);
    let pipeline = Pipeline::file(AUDIO, &point.location(), "allow-cleartext-auth=true");
    let asked = answer(&pipeline, [("bob", "guess"), ("alice", "s3cret")]);
    let messages = pipeline.run();
    assert_eq!(errors(&messages), [""; 0]);
    let question = |user: Option<&str>, hresult: HResult| {
        let (realm, site) = (Some("WMS".to_owned()), "127.0.0.1".to_owned());
        let user = user.map(str::to_owned);
        (realm, site, user, vec!["clear-text".to_owned()], hresult.0)
    };
    assert_eq!(
        *asked.lock().unwrap(),
        [
            question(None, HResult::S_OK),
            question(Some("bob"), HResult::NS_E_SERVER_ACCESSDENIED)
        ]
    );
    let wrong = format!("Basic {}", BASE64_STANDARD.encode("bob:guess"));
    let [none, first, second, start] = &authorizations(&point)[..] else {
        panic!("{}", point.handle.requests().len())
    };
    assert_eq!((none, first), (&None, &Some(wrong)));
    assert_eq!((second, start), (&Some(token()), &Some(token())));
}

/// C-208: without a handler, or with one that returns NULL.
#[test]
fn a_missing_answer_is_an_error() {
    for handles in [false, true] {
        let point = with_faults(vec![(When::Always, challenge(DIGEST))]);
        let pipeline = Pipeline::file(AUDIO, &point.location(), "");
        let asked = handles.then(|| answer(&pipeline, []));
        let (_, messages) = pipeline.fail();
        assert_eq!(
            errors(&messages),
            ["ERROR RESOURCE/NotAuthorized setup denied NS_E_SERVER_ACCESSDENIED"]
        );
        assert_eq!(authorizations(&point), [None]);
        if let Some(asked) = asked {
            let question = (
                Some("WMS".to_owned()),
                "127.0.0.1".to_owned(),
                None,
                Vec::new(),
                HResult::S_OK.0,
            );
            assert_eq!(*asked.lock().unwrap(), [question]);
        }
    }
}

/// C-087: the flags say that a proxy demands credentials, also after a refusal.
#[test]
fn an_application_is_asked_for_a_proxy() {
    const CHALLENGE: &str = "HTTP/1.1 407 Proxy\r\nProxy-Authenticate: Digest realm=\"P\", nonce=\"p\", qop=\"auth\"\r\n\
                             Content-Length: 0\r\n\r\n";
    let server = Server::new();
    let proxy = server.location();
    let location = "http://media.invalid/live";
    let pipeline = Pipeline::file(AUDIO, location, &format!("proxy={proxy}"));
    let asked = answer(&pipeline, [("bob", "guess")]);
    pipeline.play();
    let mut socket = server.accept();
    let head = socket.head();
    assert!(
        head.starts_with("POST http://media.invalid/live HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(!head.contains("Proxy-Authorization"), "{head}");
    socket.say(CHALLENGE);
    let head = socket.head();
    assert!(
        head.contains("\r\nProxy-Authorization: Digest username=\"bob\""),
        "{head}"
    );
    socket.say(CHALLENGE);
    let messages = pipeline.messages_until("ERROR");
    assert_eq!(
        errors(&messages),
        ["ERROR RESOURCE/NotAuthorized proxy denied NS_E_PROXY_ACCESSDENIED"]
    );
    let question = |user: Option<&str>, hresult: HResult| {
        let (realm, site) = (Some("P".to_owned()), "127.0.0.1".to_owned());
        let user = user.map(str::to_owned);
        (realm, site, user, vec!["proxy".to_owned()], hresult.0)
    };
    assert_eq!(
        *asked.lock().unwrap(),
        [
            question(None, HResult::S_OK),
            question(Some("bob"), HResult::NS_E_PROXY_ACCESSDENIED)
        ]
    );
}

/// A handler that blocks delays no other element.
#[test]
fn a_handler_may_block() {
    let point = with_faults(vec![(When::EveryPushSetup, challenge(DIGEST))]);
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    let (asking, asked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (left, leaving) = mpsc::channel();
    let released = Mutex::new(released);
    pipeline
        .sink
        .connect("acquire-credentials", false, move |_| {
            let _ = asking.send(());
            // Ends when the test drops the sender.
            let _ = released.lock().unwrap().recv();
            let _ = left.send(());
            Some(None::<gst::Structure>.to_value())
        });
    pipeline.play();
    asked.recv_timeout(LONG).unwrap();

    let other = Point::new();
    let messages = Pipeline::file(AUDIO, &other.location(), "").run();
    assert_eq!(errors(&messages), [""; 0]);
    assert_eq!(other.ended().data_packets, 7);

    let begun = Instant::now();
    pipeline.pipeline.set_state(gst::State::Null).unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert!(leaving.try_recv().is_err(), "the handler is still busy");
    drop(release);
    leaving.recv_timeout(LONG).unwrap();
    assert_eq!(authorizations(&point), [None]);
}

/// Returns every message of the sink up to the end of PROGRESS, with all fields.
fn told(pipeline: &Pipeline) -> Vec<String> {
    pipeline.play();
    let bus = pipeline.pipeline.bus().unwrap();
    let mut told = Vec::new();
    let wanted = [
        gst::MessageType::Element,
        gst::MessageType::Progress,
        gst::MessageType::Error,
        gst::MessageType::Warning,
        gst::MessageType::Eos,
    ];
    while let Some(message) = bus.timed_pop_filtered(gst::ClockTime::from_seconds(30), &wanted) {
        let mut line = format!("{:?}", message.structure().map(ToString::to_string));
        let over = match message.view() {
            gst::MessageView::Eos(_) => true,
            gst::MessageView::Progress(progress) => {
                let (type_, _, text) = progress.get();
                line += &format!("{type_:?} {text}");
                type_ == gst::ProgressType::Error
            }
            gst::MessageView::Error(error) => {
                line += &format!(
                    "{:?} {:?} {:?}",
                    error.error(),
                    error.debug(),
                    error.details()
                );
                false
            }
            _ => false,
        };
        told.push(line);
        if over {
            return told;
        }
    }
    panic!("no end of {told:#?}")
}

/// The account in a URL is used, right or wrong, and shown nowhere.
#[test]
fn credentials_in_a_location_are_used_and_never_shown() {
    let secrets = [
        "s3cr",
        "WMDOM",
        "alice",
        &BASE64_STANDARD.encode(r"WMDOM\alice:s3cr@t"),
    ];
    for refuses in [false, true] {
        let when = if refuses {
            When::EveryPushSetup
        } else {
            When::PushSetup(0)
        };
        let point = with_faults(vec![(when, challenge(BASIC))]);
        let location = point.location();
        let location = location.replace("http://", "http://WMDOM%5Calice:s3cr%40t@");
        let pipeline = Pipeline::file(AUDIO, &location, "allow-cleartext-auth=true");
        let told = told(&pipeline).join("\n");
        let expected = format!("Basic {}", secrets[3]);
        let sent = authorizations(&point);
        assert_eq!(sent[..2], [None, Some(expected)]);
        assert_eq!(sent.len(), if refuses { 2 } else { 3 });
        for secret in secrets {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
        assert_eq!(refuses, told.contains("NS_E_SERVER_ACCESSDENIED"));
        assert!(told.contains("Continue Authenticating"), "{told}");
    }
}

/// 3.1.5.1: C-201, C-203, C-204, C-207: from one publishing point to another. Credentials in the URL of a redirection
/// are neither used nor shown.
#[test]
fn a_redirection_leads_to_another_publishing_point() {
    let second = Point::new();
    let location = second.location();
    let first = with_faults(vec![(
        When::Always,
        redirect(location.replace("http://", "http://mallory:gu3ss@")),
    )]);
    let pipeline = Pipeline::file(AUDIO, &first.location(), ALICE);
    let told = told(&pipeline).join("\n");
    assert!(
        !told.contains("mallory") && !told.contains("gu3ss"),
        "{told}"
    );
    assert_eq!(second.ended().data_packets, 7);
    assert_eq!(first.handle.requests().len(), 1);
    assert_eq!(authorizations(&second), [None, None]);
    let setup = &second.handle.requests()[0];
    assert_eq!(setup.field("cookie"), Some("push-id=0"));
    let host = second.handle.local_addr().to_string();
    assert_eq!(setup.field("host"), Some(&*host));
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u32>("connects"), Ok(2));
    assert_eq!(text(&stats, "location"), first.location());
}

/// 3.1.5.1: C-203, C-204: a new path on the same server, over another connection.
#[test]
fn a_redirection_may_be_relative() {
    let point = with_faults(vec![(When::Request(0), redirect("/other".to_owned()))]);
    let messages = Pipeline::file(AUDIO, &point.location(), "").run();
    assert_eq!(errors(&messages), [""; 0]);
    assert_eq!(point.ended().point, "/other");
    let heads = point.handle.requests();
    let paths = heads.iter().map(|request| {
        let head = std::str::from_utf8(&request.head).unwrap();
        head.split(' ').nth(1).unwrap()
    });
    assert_eq!(paths.collect::<Vec<_>>(), ["/live", "/other", "/other"]);
}

/// Decision D-13: C-201
#[test]
fn redirections_in_a_circle_are_an_error() {
    let point = with_faults(vec![(When::Always, redirect("/live".to_owned()))]);
    let (details, messages) = Pipeline::file(AUDIO, &point.location(), "").fail();
    assert_eq!(
        errors(&messages),
        ["ERROR RESOURCE/OpenWrite setup redirection NS_E_TOO_MANY_HOPS"]
    );
    assert_eq!(text(&details, "location"), point.location());
    assert_eq!(point.handle.requests().len(), 6);
}

/// Accounts of a publishing point: Digest authenticates both requests.
#[test]
fn the_element_logs_in_by_digest() {
    let point = Point::with(Settings {
        accounts: vec![Credentials::new("alice", "s3cret")],
        ..Settings::default()
    });
    let file = crate::rig::fixture(AUDIO_VIDEO);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={file} ! wmspushsink name=sink sync=false {ALICE} location={}",
        point.location()
    ));
    assert_eq!(errors(&pipeline.run()), [] as [&str; 0]);
    assert_eq!(point.ended().data_packets, 27);
    let fields = authorizations(&point);
    let digests = fields
        .iter()
        .flatten()
        .filter(|field| field.starts_with("Digest "));
    assert_eq!(digests.count(), 2);
}
