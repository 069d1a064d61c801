// SPDX-License-Identifier: MPL-2.0

//! Servers and proxies that ask viewers for credentials.

use std::sync::{Mutex, mpsc};
use std::time::Instant;

use gst::prelude::*;
use gstwmspush::auth::{Credentials, Guard, RequestLine, Scheme, Schemes};
use http::{HeaderMap, HeaderValue, Method};

use crate::front::{Front, Way};
use crate::rig::{Pipeline, Point, init};
use crate::{address, assert_seen, assert_unseen, on_air, response, verify};

/// The second message of example 4.8 of MS-WMHTTP.
const TYPE_2: &str = "TlRMTVNTUAACAAAADgAOADgAAAAFgoqio8hNyf74ihkAAAAAAAAAAFgAWABGAAAABgBkFgAAAA9XAE0AUwAyADIAMAA1AAIADgBXAE0AUwAyADIAMAA1AAEADgBXAE0AUwAyADIAMAA1AAQADgBXAE0AUwAyADIAMAA1AAMADgBXAE0AUwAyADIAMAA1AAcACABEkqlgclfHAQAAAAA=";

/// Answers `acquire-credentials` for viewers with an account.
fn give_account(pipeline: &Pipeline) -> mpsc::Receiver<(Option<String>, Vec<String>)> {
    let (asking, asked) = mpsc::channel();
    let answer = move |arguments: &[glib::Value]| {
        let flags = glib::FlagsValue::from_value(&arguments[4]);
        let names = flags.map(|(_, values)| {
            values
                .iter()
                .map(|value| value.nick().to_owned())
                .collect::<Vec<_>>()
        });
        asking
            .send((arguments[1].get().unwrap(), names.unwrap()))
            .unwrap();
        let answer = gst::Structure::builder("credentials")
            .field("user", "bob")
            .field("password", "pw2");
        Some(Some(answer.build()).to_value())
    };
    pipeline.sink.connect("acquire-credentials", false, answer);
    asked
}

/// Returns a 401 with these challenges.
fn challenge(challenges: &[&str]) -> Vec<u8> {
    let fields: String = challenges
        .iter()
        .map(|challenge| format!("WWW-Authenticate: {challenge}\r\n"))
        .collect();
    response(
        "401 Unauthorized",
        &format!("{fields}Content-Length: 0\r\n"),
        b"",
    )
}

/// Returns the value of a field in a request.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut fields = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    fields.next().map(|(_, value)| value)
}

#[test]
fn viewers_log_in_with_basic_credentials_of_their_own() {
    let point = Point::new();
    let to = address(&point);
    let front = Front::new(to, move |head| {
        match field(head, "authorization") == Some("Basic Ym9iOnB3Mg==") {
            true => Way::To(to),
            false => Way::Answer(challenge(&["Basic realm=\"viewers\""])),
        }
    });
    let properties = "user-id=alice user-pw=s3cret";
    let pipeline = on_air(&point, &front.location(), properties);
    let verified = verify(&pipeline.sink);
    assert_unseen(&verified, "among Basic", "allow-cleartext-auth=true");
    drop(pipeline);
    let properties = format!("{properties} allow-cleartext-auth=true");
    let pipeline = on_air(&point, &front.location(), &properties);
    let verified = verify(&pipeline.sink);
    assert_unseen(&verified, "401", "acquire-credentials when its flags");
    let asked = give_account(&pipeline);
    let verified = verify(&pipeline.sink);
    assert_seen(&verified);
    assert!(!verified.to_string().contains("pw2"));
    let (realm, flags) = asked.try_recv().unwrap();
    assert_eq!(realm.as_deref(), Some("viewers"));
    assert_eq!(flags, ["clear-text", "viewer"]);
}

#[test]
fn refused_credentials_of_viewers_are_returned() {
    let point = Point::new();
    let front = Front::new(address(&point), |_| {
        Way::Answer(challenge(&["Basic realm=\"viewers\""]))
    });
    let pipeline = on_air(&point, &front.location(), "allow-cleartext-auth=true");
    let _asked = give_account(&pipeline);
    let verified = verify(&pipeline.sink);
    assert_unseen(
        &verified,
        "401 Unauthorized: the credentials were refused",
        "the handler of acquire-credentials",
    );
}

/// RFC 7616: `stale` demands another answer with the same credentials.
#[test]
fn endless_challenges_are_no_redirections() {
    let point = Point::new();
    let front = Front::new(address(&point), |_| {
        Way::Answer(challenge(&[
            "Digest realm=\"viewers\", nonce=\"n\", qop=\"auth\", stale=true",
        ]))
    });
    let pipeline = on_air(&point, &front.location(), "");
    let _asked = give_account(&pipeline);
    let verified = verify(&pipeline.sink);
    assert_unseen(&verified, "401 Unauthorized: the ", "");
    assert!(!verified.to_string().contains("redirect"), "{verified}");
}

/// RFC 7616
#[test]
fn viewers_log_in_with_digest() {
    let point = Point::new();
    let to = address(&point);
    let accounts = vec![Credentials::new("bob", "pw2")];
    let guard = Mutex::new(Guard::new("viewers", accounts, [7; 32]));
    let start = Instant::now();
    let front = Front::new(to, move |head| {
        let mut headers = HeaderMap::new();
        if let Some(value) = field(head, "authorization") {
            headers.insert("authorization", HeaderValue::from_str(value).unwrap());
        }
        let request = RequestLine {
            method: &Method::GET,
            uri: head.split(' ').nth(1).unwrap(),
            is_push_start: false,
        };
        let mut guard = guard.lock().unwrap();
        match guard.check(
            request,
            &headers,
            Schemes::NONE.with(Scheme::Digest),
            start.elapsed(),
        ) {
            Ok(()) => Way::To(to),
            Err(challenged) => {
                let challenges = challenged.0.iter().map(|value| value.to_str().unwrap());
                Way::Answer(challenge(&challenges.collect::<Vec<_>>()))
            }
        }
    });
    let pipeline = on_air(&point, &front.location(), "");
    let asked = give_account(&pipeline);
    assert_seen(&verify(&pipeline.sink));
    let (realm, _) = asked.try_recv().unwrap();
    assert_eq!(realm.as_deref(), Some("viewers"));
}

/// MS-NLMP: the three messages belong to one connection, and so does the stream behind them.
#[test]
fn viewers_log_in_with_ntlm_on_one_connection() {
    let point = Point::new();
    let to = address(&point);
    let front = Front::new(to, move |head| match field(head, "authorization") {
        Some(value) if value.starts_with("NTLM TlRMTVNTUAAB") => {
            let type_2 = challenge(&[&format!("NTLM {TYPE_2}")]);
            let last = move |head: &str| {
                let answer = field(head, "authorization").unwrap_or_default();
                match answer.starts_with("NTLM TlRMTVNTUAAD") {
                    true => Way::To(to),
                    false => Way::Answer(challenge(&["NTLM"])),
                }
            };
            Way::Next(type_2, Box::new(last))
        }
        _ => Way::Answer(challenge(&["NTLM"])),
    });
    let pipeline = on_air(&point, &front.location(), "");
    let _asked = give_account(&pipeline);
    assert_seen(&verify(&pipeline.sink));
}

/// Over `https` the HTTP library that verifies opens the tunnel, and knows Basic only.
#[test]
fn a_tunnel_that_demands_digest_is_returned() {
    init();
    let (asking, asked) = mpsc::channel();
    let asking = Mutex::new(asking);
    let proxy = Front::all(move |head| {
        asking.lock().unwrap().send(head.to_owned()).unwrap();
        let fields = "Proxy-Authenticate: Digest realm=\"proxy\", nonce=\"n\", qop=\"auth\"\r\nContent-Length: 0\r\n";
        Way::Answer(response("407 Proxy Authentication Required", fields, b""))
    });
    let element = gst::ElementFactory::make("wmspushsink")
        .property("location", "https://media.invalid/live")
        .property("proxy", format!("http://{}", proxy.address))
        .property("proxy-id", "alice")
        .property("proxy-pw", "s3cret");
    let verified = verify(&element.build().unwrap());
    assert_unseen(
        &verified,
        "opened no tunnel to media.invalid",
        "Basic alone",
    );
    let head = asked.try_recv().unwrap();
    assert!(head.starts_with("CONNECT media.invalid:443 "), "{head}");
    assert!(field(&head, "proxy-authorization").is_none());
}
