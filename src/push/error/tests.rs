// SPDX-License-Identifier: MPL-2.0

//! The whole table: each kind of failure in each phase and in all circumstances.

use super::table::{Symptom, When};
use super::*;
use crate::auth::Role;
use crate::push::ProxySource;
use samples::{all_failures, circumstances, denied, examples, refused};

mod documentation;
mod samples;

const LOCATION: &str = "http://media/live";

/// `cargo test --lib push::error -- --nocapture` prints the table.
#[test]
fn each_text_is_a_sentence_and_each_hint_as_well() {
    for failure in all_failures() {
        let (text, hint) = (failure.sentence(LOCATION), failure.hint());
        for sentence in [&text, &hint] {
            assert_is_prose(sentence);
        }
        assert_is_about_the_peer(&failure, &text, &hint);
        assert!(text.contains(LOCATION), "{text}");
        // A redirection adds a sentence.
        let longest = failure
            .circumstances
            .redirected
            .as_ref()
            .map_or(340, |_| 420);
        assert!(hint.chars().count() <= longest, "{hint}");
    }
    for failure in examples().values() {
        let (reason, phase) = (failure.reason(), failure.phase.name());
        println!("{reason} ({phase}): {failure}\n    {}", failure.hint());
    }
}

fn assert_is_prose(text: &str) {
    // A pipeline to be completed ends with an ellipsis.
    assert!(text.ends_with(['.', '…']), "{text:?}");
    assert!(
        text.starts_with(|first: char| first.is_uppercase() || first == 'n' || first == 's'),
        "{text:?}"
    );
    for wrong in ["..", "  ", " .", ": .", " ,", "{", "}", "()", "\n"] {
        assert!(!text.contains(wrong), "{wrong:?} in {text:?}");
    }
    let words: Vec<_> = text
        .split(|other: char| !other.is_alphanumeric())
        .map(str::to_lowercase)
        .collect();
    for wrong in ["nobody", "somebody", "whoever", "anybody", "gets told"] {
        assert!(
            !words.iter().any(|word| word == wrong),
            "{wrong} in {text:?}"
        );
    }
}

#[test]
fn each_hint_of_the_table_has_a_failure() {
    let examples = examples();
    for symptom in Symptom::ALL {
        let hints = symptom.row().hints;
        for (place, hint) in hints.iter().enumerate() {
            let found = examples.contains_key(&(*symptom as usize, place));
            assert!(found, "{symptom:?}: {hint:?}");
        }
        let (last, _) = hints.last().unwrap();
        assert!(
            last.is_empty(),
            "{symptom:?} has no hint for the other cases"
        );
    }
}

/// Hints name properties of the element, and only these properties of other elements.
#[test]
fn each_setting_in_a_hint_exists() {
    const OTHERS: [&str; 6] = [
        "ca-certificates",
        "gst-launch-1.0",
        "packet-size",
        "plug-in",
        "self-signed",
        "single-segment",
    ];
    gst::init().unwrap();
    let sink = glib::Object::new::<crate::WmsPushSink>();
    for failure in examples().values() {
        let hint = failure.hint();
        let words = hint.split(|other: char| !other.is_alphanumeric() && !"-.".contains(other));
        for word in words.map(|word| word.trim_matches('.')) {
            let is_name = word.contains('-') && word.chars().all(|one| !one.is_uppercase());
            if is_name && !word.starts_with('-') && !OTHERS.contains(&word) {
                assert!(
                    glib::prelude::ObjectExt::has_property(&sink, word),
                    "{word}: {hint}"
                );
            }
        }
    }
}

/// Texts name the proxy where the proxy fails, and the server where the server does.
fn assert_is_about_the_peer(failure: &Failure, text: &str, hint: &str) {
    let is_proxys = matches!(
        &failure.error,
        Error::Protocol(wmhttp::Error::Denied {
            role: Role::Proxy,
            ..
        })
    );
    let is_unknown_proxys = text.contains("a proxy in front of");
    assert!(!is_proxys || !hint.contains("user-"), "{hint}");
    assert!(
        is_proxys || is_unknown_proxys || !hint.contains("proxy-"),
        "{text}: {hint}"
    );
    let tells = text.contains("the proxy") || hint.contains("he proxy");
    assert!(
        !tells || failure.circumstances.proxy.is_some(),
        "{text}: {hint}"
    );
    let is_tls = failure.reason() == "tls";
    assert!(is_tls || !hint.contains("ssl-ca-file"), "{text}: {hint}");
}

/// D3
#[test]
fn a_proxy_is_named_with_its_setting() {
    let error = Error::CannotConnect {
        kind: io::ErrorKind::ConnectionRefused,
        message: "Connection refused (os error 111)".to_owned(),
    };
    let say = |source| {
        let mut failure = Failure::new(Phase::Proxy, error.clone());
        *failure.circumstances = circumstances();
        failure.circumstances.proxy = Some(Proxy {
            peer: samples::peer("proxy", 3128),
            source,
        });
        failure.sentence(LOCATION) + " " + &failure.hint()
    };
    assert_eq!(
        say(Some(ProxySource::Environment("http_proxy"))),
        "Cannot push to http://media/live: the proxy proxy:3128 (from http_proxy) refused the connection. Start the \
         proxy, or check its address in http_proxy. To push without it, unset http_proxy, or add media to no_proxy."
    );
    assert_eq!(
        say(Some(ProxySource::Property)),
        "Cannot push to http://media/live: the proxy proxy:3128 (property proxy) refused the connection. Start \
         the proxy, or check its address in the property proxy. To push without it, set proxy to an empty \
         string (gst-launch-1.0: proxy='\"\"')."
    );
    assert!(say(None).contains("(named by the server)"));
}

/// D5
#[test]
fn iis_is_named_with_the_port_of_the_control_protocol() {
    let hint = |status, server| {
        let mut failure = Failure::new(Phase::Setup, refused(status, server));
        *failure.circumstances = circumstances();
        failure.hint()
    };
    for status in [404, 405, 411, 501] {
        let iis = hint(status, "Microsoft-IIS/6.0");
        assert!(
            iis.starts_with("Microsoft-IIS/6.0 answers on port 80."),
            "{iis}"
        );
        assert!(iis.contains("another port, often 8080"), "{iis}");
    }
    assert!(hint(405, "").starts_with("The server on port 80 does not accept a push."));
    assert!(hint(404, "Cougar/9.6").contains("Create the publishing point"));
    assert!(hint(404, "Twisted/22.4").starts_with("Check the port: Twisted/22.4"));
}

/// D5
#[test]
fn a_web_server_is_named_for_403_and_500() {
    for status in [403, 500] {
        for server in ["Microsoft-IIS/7.5", "Apache/2.4", "nginx", "lighttpd/1.4"] {
            let hint = setup_hint(refused(status, server), |_| ());
            assert!(
                hint.starts_with(&format!("{server} answers on port 80.")),
                "{hint}"
            );
        }
    }
    let hint = setup_hint(refused(403, "Cougar/9.6"), |_| ());
    assert!(hint.contains("Write and Create"), "{hint}");
    let hint = |server| setup_hint(refused(500, server), |_| ());
    assert_eq!(hint("Cougar/9.6"), "See the event log of the server.");
    assert_eq!(hint("Twisted/22.4"), "See the log of the server.");
    for status in [405, 411, 501] {
        let hint = setup_hint(refused(status, "Cougar/9.6"), |_| ());
        assert!(
            hint.starts_with("This server takes no push at that path"),
            "{hint}"
        );
    }
}

#[test]
fn a_proxy_that_answers_itself_is_no_web_server() {
    let incompatible = Error::Protocol(wmhttp::Error::IncompatibleServer {
        server: "squid/5.7".to_owned(),
    });
    for error in [
        refused(400, "squid/5.7"),
        refused(405, "squid"),
        refused(411, "squid/3"),
        incompatible,
    ] {
        let proxied = |circumstances: &mut Circumstances| circumstances.proxy = Some(squid());
        let hint = setup_hint(error.clone(), proxied);
        assert!(hint.starts_with("The proxy has answered itself"), "{hint}");
        let hint = setup_hint(error, |_| ());
        assert!(
            hint.contains("is a proxy: set proxy to its address"),
            "{hint}"
        );
    }
}

#[test]
fn a_web_server_may_stand_in_place_of_the_proxy() {
    for status in [400, 403, 404, 405, 500] {
        let proxied = |circumstances: &mut Circumstances| circumstances.proxy = Some(squid());
        let hint = setup_hint(refused(status, "Apache/2.4"), proxied);
        let expected = "Apache/2.4 answers on port 80, or at the address in the property proxy";
        assert!(hint.starts_with(expected), "{status}: {hint}");
    }
}

/// Apache and nginx answer 400 to plain HTTP on a port with TLS.
#[test]
fn a_web_server_with_tls_is_named_for_400() {
    let hint = |is_encrypted| {
        setup_hint(refused(400, "nginx/1.22"), |circumstances| {
            circumstances.encrypted = is_encrypted;
        })
    };
    let https = "If it speaks TLS there, write https:// in location.";
    assert!(hint(false).contains(https), "{}", hint(false));
    assert!(!hint(true).contains("https"), "{}", hint(true));
}

/// tinyproxy answers 500 if it cannot reach the server.
#[test]
fn a_proxy_that_answers_500_cannot_reach_the_server() {
    let expected = "The proxy cannot reach the server: check host and port in location.";
    let proxied = |circumstances: &mut Circumstances| circumstances.proxy = Some(squid());
    let hint = setup_hint(refused(500, "tinyproxy/1.11"), proxied);
    assert_eq!(hint, expected);
    let mut failure = Failure::new(Phase::Proxy, samples::refusal(Role::Proxy, 500, ""));
    failure.circumstances.proxy = Some(squid());
    assert_eq!(failure.hint(), expected);
}

#[test]
fn a_proxy_that_does_not_answer_connect_is_named() {
    for (error, text) in [
        (
            Error::ResponseTimeout(Duration::from_secs(10)),
            "did not respond within 10 s",
        ),
        (
            Error::BadResponse("invalid HTTP version".to_owned()),
            "did not respond with HTTP: invalid HTTP version",
        ),
        (Error::Closed, "closed the connection"),
    ] {
        let mut failure = Failure::new(Phase::Proxy, error);
        *failure.circumstances = circumstances();
        failure.circumstances.encrypted = true;
        failure.circumstances.proxy = Some(squid());
        let sentence = failure.sentence(LOCATION);
        let expected = format!("the proxy squid:3128 (property proxy) {text}.");
        assert!(sentence.ends_with(&expected), "{sentence}");
        assert!(!sentence.contains("media:80"), "{sentence}");
    }
}

#[test]
fn a_redirection_is_named_with_its_url() {
    let redirected = |circumstances: &mut Circumstances| {
        circumstances.redirected = Some(Redirected {
            home: samples::peer("portal", 80),
            url: "http://media/live".to_owned(),
        });
    };
    let no_credentials = denied(Role::Server, crate::auth::Denied::NoCredentials);
    assert_eq!(
        setup_hint(no_credentials, redirected),
        "Set location to http://media/live: portal:80 redirects there, and user-id and user-pw are for portal:80 alone."
    );
    let unknown = Error::Unresolvable("no such name".to_owned());
    let hint = setup_hint(unknown, redirected);
    assert!(hint.contains("portal:80 to http://media/live"), "{hint}");
    let hint = setup_hint(Error::Closed, redirected);
    assert!(
        hint.ends_with("portal:80 has redirected the push to http://media/live."),
        "{hint}"
    );
    let url = "http://plain/live".to_owned();
    let hint = setup_hint(
        Error::Protocol(wmhttp::Error::InsecureRedirect { url }),
        |_| (),
    );
    assert!(
        hint.ends_with("set location to http://plain/live."),
        "{hint}"
    );
}

#[test]
fn a_scheme_that_the_settings_leave_out_is_named() {
    let offers = |offered: &[&str], without_basic| {
        let offered = offered.iter().map(|scheme| (*scheme).to_owned()).collect();
        let denied = denied(
            Role::Server,
            crate::auth::Denied::NoUsableScheme { offered },
        );
        setup_hint(denied, |circumstances| {
            circumstances.without_basic = without_basic
        })
    };
    let hint = offers(&["Digest", "Basic", "Bearer"], true);
    assert_eq!(hint, "Allow Digest or Basic with auth-methods.");
    let hint = offers(&["Basic"], true);
    assert!(
        hint.starts_with("Allow Basic with auth-methods, and set allow-cleartext-auth=true"),
        "{hint}"
    );
    assert!(offers(&["Basic"], false).starts_with("Set allow-cleartext-auth=true"));
    assert!(offers(&["Bearer"], false).starts_with("The element knows"));
}

#[test]
fn a_missing_password_is_named() {
    let wrong = denied(Role::Server, crate::auth::Denied::WrongCredentials);
    let mut failure = Failure::new(Phase::Authenticate, wrong);
    failure.circumstances.no_password = true;
    assert!(
        failure
            .to_string()
            .ends_with("refused the user, because user-pw is not set")
    );
    assert_eq!(failure.hint(), "Set user-pw.");
}

#[test]
fn a_push_without_any_connection_is_no_loss() {
    let refused = Error::CannotConnect {
        kind: io::ErrorKind::ConnectionRefused,
        message: String::new(),
    };
    let mut failure = Failure::new(Phase::Connect, refused);
    *failure.circumstances = circumstances();
    failure.circumstances.attempts = 8;
    failure.circumstances.drained_for = Some(Duration::from_secs(5));
    failure.circumstances.never_opened = true;
    assert_eq!(
        failure.sentence(LOCATION),
        "Cannot push to http://media/live: media:80 refused the connection, 8 times, until the stream ended. Nothing was \
         sent."
    );
}

#[test]
fn bad_input_has_the_same_text_in_every_early_phase() {
    for phase in [Phase::Setup, Phase::Start] {
        let input = Error::Input(asf::Error::Incomplete { bytes: 0 });
        assert_eq!(
            Failure::new(phase, input).sentence(LOCATION),
            "Cannot push to http://media/live: input is empty."
        );
    }
}

#[test]
fn a_refusal_is_no_loss() {
    let mut failure = Failure::new(Phase::Start, refused(403, "Cougar/9.6"));
    assert_eq!(
        failure.refusal(LOCATION).unwrap(),
        "The server refused the push to http://media/live: 403 Forbidden."
    );
    failure.circumstances.proxy = Some(squid());
    let refusal = failure.refusal(LOCATION).unwrap();
    assert!(
        refusal.starts_with("The server or the proxy refused"),
        "{refusal}"
    );
    assert_eq!(
        Failure::new(Phase::Start, Error::Reset).refusal(LOCATION),
        None
    );
}

fn squid() -> Proxy {
    Proxy {
        peer: samples::peer("squid", 3128),
        source: Some(ProxySource::Property),
    }
}

/// The hint for an error of PushSetup, in circumstances that `change` makes.
fn setup_hint(error: Error, change: impl FnOnce(&mut Circumstances)) -> String {
    let mut failure = Failure::new(Phase::Setup, error);
    *failure.circumstances = circumstances();
    change(&mut failure.circumstances);
    failure.hint()
}

/// A9
#[test]
fn the_hint_about_a_resting_receiver_appears_once() {
    let mut failure = Failure::new(Phase::Setup, refused(503, ""));
    assert!(
        failure
            .hint()
            .ends_with("next: set retry-first-connect=true.")
    );
    failure.circumstances.retries_first = true;
    assert!(failure.hint().ends_with("before it accepts the next."));
}

#[test]
fn the_hint_for_a_plain_user_explains_backslashes() {
    let wrong = denied(Role::Server, crate::auth::Denied::WrongCredentials);
    let mut failure = Failure::new(Phase::Authenticate, wrong);
    assert!(!failure.hint().contains("gst-launch"));
    failure.circumstances.plain_user = true;
    let hint = failure.hint();
    assert!(hint.contains(r"user-id='DOMAIN\\user'"), "{hint}");
    assert!(hint.contains(r"DOMAIN\\\\user"), "{hint}");
}

#[test]
fn an_end_while_offline_names_the_loss_and_the_timeout() {
    let mut failure = Failure::new(Phase::Connect, Error::Closed);
    *failure.circumstances = circumstances();
    failure.circumstances.accepted = true;
    failure.circumstances.attempts = 3;
    assert_eq!(
        failure.sentence(LOCATION),
        "The push to http://media/live failed after 3 attempts to reconnect: media:80 closed the connection."
    );
    failure.circumstances.drained_for = Some(Duration::from_millis(1500));
    assert_eq!(
        failure.sentence(LOCATION),
        "The push to http://media/live ended incomplete after 3 attempts to reconnect: media:80 closed the \
         connection, and nothing else was sent within 1500 ms (eos-timeout)."
    );
}

#[test]
fn text_of_a_peer_is_one_short_line() {
    let mut reason = "Not\r\n here ".to_owned();
    reason += &"x".repeat(1000);
    let error = Error::Protocol(wmhttp::Error::Refused {
        role: Role::Server,
        status: StatusCode::NOT_FOUND,
        reason,
        server: "y".repeat(1000),
        retry_after: None,
    });
    let text = error.to_string();
    assert!(text.chars().count() < 250 && !text.contains('\n'), "{text}");
}
