// SPDX-License-Identifier: MPL-2.0

use proptest::prelude::*;

use super::super::settings::Settings;
use super::*;
use crate::auth::{Credentials, Password};

/// Stands in no other word of any output.
const PASSWORD: &str = "Swordfish7";

fn credentials(text: &str) -> Option<Credentials> {
    let mut accounts = Accounts::default();
    accounts.set_url(Location::new(text).account());
    accounts.credentials()
}

fn error(text: &str) -> AddressError {
    match Location::new(text).error() {
        Some(SettingsError::Location(error)) => error.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_location_is_shown_without_its_account() {
    for (text, shown) in [
        ("http://media/live", "http://media/live"),
        (
            "http://user:pa%40ss@media:8080/live",
            "http://media:8080/live",
        ),
        ("wmspush+http://user@media/live#x", "http://media/live"),
        ("WMSPUSH+HTTP://user@media/live", "http://media/live"),
        ("http://user:p@ss@media:99999/x", "http://media:…"),
        ("user:secret@media", "media"),
        ("ftp://user:secret@media/x", "ftp://media/x"),
        ("http://media/live@home", "http://media/live@home"),
        ("http://[::1]/live@home", "http://[::1]/live@home"),
        ("http://日本/生", "http://xn--wgv71a/%E7%94%9F"),
    ] {
        assert_eq!(Location::new(text).shown(), shown, "{text}");
    }
}

#[test]
fn an_account_is_read_as_users_type_it() {
    for (text, user, password) in [
        (r"http://DOM\user:secret@host/x", r"DOM\user", "secret"),
        ("http://DOM%5Cuser:secret@host/x", r"DOM\user", "secret"),
        ("http://user@REALM:secret@host/x", "user@REALM", "secret"),
        ("http://user:s@cr:t@host/x", "user", "s@cr:t"),
        (r"http://user:s\cret@host/x", "user", r"s\cret"),
        ("http://user:100%@host/x", "user", "100%"),
        ("http://user:100%25@host/x", "user", "100%"),
        ("http://user:a%2Fb%3Fc%23d@host/x", "user", "a/b?c#d"),
        ("http://user:two words@host/x", "user", "two words"),
        ("http://ユーザ:秘密@host/x", "ユーザ", "秘密"),
        ("http://user:%E7%A7%98@host/x", "user", "秘"),
        ("http://user：secret＠host/x", "user", "secret"),
        (" HTTP://user:secret@host/x\n", "user", "secret"),
        ("wmspush+http://user:secret@host/x", "user", "secret"),
        ("http://user:@host/x", "user", ""),
        ("http://user@host/x", "user", ""),
        ("http://host:8080@host/x", "host", "8080"),
    ] {
        assert_eq!(
            credentials(text),
            Some(Credentials::new(user, password)),
            "{text}"
        );
        assert_eq!(Location::new(text).shown(), "http://host/x", "{text}");
    }
    let account = Location::new("http://:secret@host/x").account();
    assert_eq!(
        (account.id, account.password),
        (None, Some(Password::from("secret")))
    );
}

#[test]
fn an_ambiguous_account_is_refused() {
    for (text, expected) in [
        ("http://user:s/cret@host/x", AddressError::MisplacedAt),
        ("http://user:s?cret@host/x", AddressError::MisplacedAt),
        ("http://user:s#cret@host/x", AddressError::MisplacedAt),
        ("http://user:8080/cret@host/x", AddressError::MisplacedAt),
        ("http://user:p@ss/word@host/x", AddressError::MisplacedAt),
        (
            "http://user:secret@host:8080/live@home",
            AddressError::MisplacedAt,
        ),
        (
            "http://http://user:secret@host/",
            AddressError::RepeatedScheme,
        ),
        (
            "http://user:secret@http://host/",
            AddressError::RepeatedScheme,
        ),
        (
            "http://wmspush+http://user:secret@host/",
            AddressError::RepeatedScheme,
        ),
        (
            "http://http//user:secret@host/",
            AddressError::RepeatedScheme,
        ),
        ("http://user:sec\nret@host/", AddressError::ControlCharacter),
        ("http:\n//user:secret@host/", AddressError::ControlCharacter),
        (
            "http://user:sec%0Aret@host/",
            AddressError::ControlCharacter,
        ),
        ("http://user:%E4@host/", AddressError::NotUtf8),
        ("http://us%E4r:x@host/", AddressError::NotUtf8),
        ("http://user%3Asecret@host/", AddressError::ColonInUser),
        ("http://user:secret@/x", AddressError::NoHost),
        ("http://user:secret@", AddressError::NoHost),
        (r"http://user:secret@\host/x", AddressError::Backslash),
        (r"http://DOM\user:secret/x", AddressError::Backslash),
        (r"http://host\live", AddressError::Backslash),
        ("http:/user:secret@host/", AddressError::NoScheme(None)),
        (r"http:\\user:secret@host\x", AddressError::NoScheme(None)),
        ("http:user:secret@host/", AddressError::NoScheme(None)),
        ("user:secret@host", AddressError::NoScheme(None)),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn an_address_of_another_kind_is_named() {
    let meant = |address: &str| AddressError::NoScheme(Some(address.to_owned()));
    for (text, expected) in [
        ("127.0.0.1:8080/live", meant("http://127.0.0.1:8080/live")),
        ("localhost:8080/live", meant("http://localhost:8080/live")),
        ("localhost/live", meant("http://localhost/live")),
        ("media.example/live", meant("http://media.example/live")),
        ("[::1]:8080/live", meant("http://[::1]:8080/live")),
        (
            "user:secret@media:8080/live",
            meant("http://media:8080/live"),
        ),
        ("live", AddressError::NoScheme(None)),
        ("/live", AddressError::NoScheme(None)),
        ("//media/live", AddressError::NoScheme(None)),
        ("mms://media/live", AddressError::PlayerScheme("mms")),
        ("MMSH://media/live", AddressError::PlayerScheme("mmsh")),
        ("rtsp://media/live", AddressError::PlayerScheme("rtsp")),
        (
            "rtmp://media/live",
            AddressError::OtherScheme("rtmp".to_owned()),
        ),
        (
            "wmspush://media/live",
            AddressError::OtherScheme("wmspush".to_owned()),
        ),
        (r"C:\Videos\a.wmv", AddressError::File),
        ("c:/Videos/a.wmv", AddressError::File),
        (r"\\server\share\a.wmv", AddressError::File),
        ("file:///a.wmv", AddressError::File),
        ("http://", AddressError::NoHost),
        ("http:///live", AddressError::NoHost),
        ("http://media:0/", AddressError::Port),
        ("http://media:99999/", AddressError::Port),
        ("http://media:80a/", AddressError::Port),
        (
            "http://me dia/",
            AddressError::Host(url::ParseError::IdnaError),
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
    for text in ["", " "] {
        assert_eq!(
            Location::new(text).error(),
            Some(&SettingsError::NoLocation)
        );
    }
}

#[test]
fn an_error_is_a_sentence_with_a_hint() {
    for (text, sentence) in [
        (
            "127.0.0.1:8080/live",
            "the location does not begin with http://; write http://127.0.0.1:8080/live",
        ),
        (
            "mms://media/live",
            "the location begins with mms://; players use that, a push uses http://",
        ),
        (
            "rtmp://media/live",
            "the location begins with rtmp://; a push uses http:// or https://",
        ),
        (
            r"C:\a.wmv",
            "the location is a file; a push goes to a server",
        ),
        (
            "http://media:0/",
            "the location has a port that is not a number from 1 to 65535",
        ),
    ] {
        let location = Location::new(text);
        let error = location.error().unwrap();
        assert_eq!(error.to_string(), sentence);
        assert!(error.hint().contains("http://"), "{text}: {}", error.hint());
    }
}

#[test]
fn a_zone_is_split_from_the_host() {
    for (text, host, zone) in [
        ("http://[fe80::1%25eth0]:8080/x", "[fe80::1]", Some("eth0")),
        ("http://[fe80::1%eth0]:8080/x", "[fe80::1]", Some("eth0")),
        (
            "http://user:pw@[fe80::1%25eth0]:8080/x",
            "[fe80::1]",
            Some("eth0"),
        ),
        ("http://[fe80::1%253]:8080/x", "[fe80::1]", Some("3")),
        ("http://[fe80::1%25]:8080/x", "[fe80::1]", Some("25")),
        ("http://[fe80::1%25a%2Db]:8080/x", "[fe80::1]", Some("a-b")),
        ("http://[::1]:8080/x", "[::1]", None),
        ("http://media:8080/x%25", "media", None),
    ] {
        let location = Location::new(text);
        assert_eq!(location.url().unwrap().host_str(), Some(host), "{text}");
        assert_eq!(location.zone(), zone, "{text}");
        let again = Location::new(location.shown());
        assert_eq!(again.zone(), zone, "{}", location.shown());
        assert_eq!(again.url(), location.url(), "{}", location.shown());
    }
    for text in [
        "http://[fe80::1%]/x",
        "http://[fe80::1%25%00]/x",
        "http://[fe80::1%25%E4]/x",
    ] {
        assert_eq!(error(text), AddressError::Zone, "{text}");
    }
}

#[test]
fn a_template_is_a_path() {
    for (text, path, shown) in [
        ("/pub point", Some("/pub%20point"), "/pub point"),
        ("/a:b", Some("/a:b"), "/a:b"),
        ("/live@home", Some("/live@home"), "/live@home"),
        (
            "http://other/ä\"",
            Some("/%C3%A4%22"),
            "http://other/%C3%A4%22",
        ),
        ("wmspush+http://other/x", Some("/x"), "http://other/x"),
        ("http://user:secret@other/x", Some("/x"), "http://other/x"),
        (
            r"http://DOM\user:secret@other/x",
            Some("/x"),
            "http://other/x",
        ),
        ("http://user:s/cret@other/x", None, "http://other/x"),
        ("//user:secret@other/x", None, "other/x"),
        ("/user:secret@other/x", None, "other/x"),
        ("user:secret@other/x", None, "other/x"),
        ("pub", None, "pub"),
        ("ftp://other/x", None, "ftp://other/x"),
        ("", None, ""),
    ] {
        let template = Template::new(text);
        assert_eq!(template.path().ok().as_deref(), path, "{text}");
        assert_eq!(template.shown(), shown, "{text}");
    }
}

/// All that the element says about a text: what it shows, and how it fails.
fn outputs(text: &str) -> String {
    gst::init().unwrap();
    let mut settings = Settings::default();
    settings.set_location(Some(text));
    settings.set_proxy(Some(text));
    settings.set_template(Some(text));
    let location = Location::new(text);
    let proxied = Settings {
        location: Some(Location::new("http://media/")),
        template: None,
        ..settings.clone()
    };
    let templated = Settings {
        proxy: None,
        ..proxied.clone()
    };
    let failures = [&settings, &proxied, &templated].map(|settings| match settings.connection() {
        Ok(connection) => format!("{connection:?}"),
        Err(error) => format!("{error:?} {error} {}", error.hint()),
    });
    let shown = [
        settings.shown_location(),
        &location.uri().unwrap_or_default(),
        settings.user.id().unwrap_or_default(),
        settings.proxy_user.id().unwrap_or_default(),
        settings.proxy.as_ref().map_or("", ProxyUrl::shown),
        settings.template.as_ref().map_or("", Template::shown),
    ];
    format!("{settings:?} {location:?} {shown:?} {failures:?}")
}

fn is_told(text: &str) -> bool {
    let outputs = outputs(text).to_lowercase();
    outputs.contains(&PASSWORD.to_lowercase())
}

/// Texts that users write before a password, up to the colon.
const BEFORE: &str = r"( |\n)?(http://|HTTP://|https://|wmspush\+http://|http:/|http:|http:\\\\|http//|http://http://|socks5://|mms://|ftp://|/|//)?(alice|DOM\\alice|DOM/alice|DOM%5Calice|alice@REALM|a b|é|)";

/// Characters of passwords and addresses.
const NOISE: &str = r"([a-z0-9/?#@:%\\ ＠：\[\]é]|%E4|%40|http://|\n){0,6}";

proptest! {
    #[test]
    fn a_password_before_an_at_is_never_shown(
        before in BEFORE,
        colon in "(:|：|%3A)",
        noise in NOISE,
        more in NOISE,
        after in r"(host|host:8080|\[::1\]:8080|host:port|127.0.0.1|)(/live|/a@b|/|\?x=y|)",
    ) {
        let text = format!("{before}{colon}{noise}{PASSWORD}{more}@{after}");
        // Only a scheme and a user: `http` is no user.
        let (start, _) = text.split_once(PASSWORD).unwrap();
        let user = start.split_once("://").map_or(start, |(_, rest)| rest);
        prop_assume!([":", "：", "%3A"].iter().any(|colon| user.contains(colon)));
        prop_assert!(!is_told(&text), "{text}: {}", outputs(&text));
    }

    #[test]
    fn a_password_without_a_host_is_never_shown(
        before in r"(http://|https://|wmspush\+http://|ftp://|)(alice|DOM\\alice|é)",
        colon in "(:|：|%3a)",
        more in r"(%40host|＠|/x|\?|#|é|)",
    ) {
        let text = format!("{before}{colon}{PASSWORD}{more}");
        prop_assert!(!is_told(&text), "{text}: {}", outputs(&text));
    }

    #[test]
    fn the_shown_form_of_a_location_is_the_same_location(text in r"http://([a-z:@%/\\\[\]?# 0-9é]{0,20})") {
        let location = Location::new(&text);
        if let Ok(url) = location.url() {
            let again = Location::new(location.shown());
            prop_assert_eq!(again.url(), Ok(url));
            prop_assert!(again.account().is_empty());
        }
    }
}
