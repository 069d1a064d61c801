// SPDX-License-Identifier: MPL-2.0

//! The HTTP header fields that MS-WMHTTP 2.2.1 restrains.

use std::fmt;
use std::time::Duration;

use http::header::{
    COOKIE, HeaderMap, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER, SERVER, SET_COOKIE, VIA,
};

use super::Error;

/// 2.2.1.1 Content-Type of a PushSetup request. Never with a charset: many receivers compare the whole value.
pub const PUSH_SETUP: &str = "application/x-wms-pushsetup";

/// 2.2.1.1 Content-Type of a PushStart request.
pub const PUSH_START: &str = "application/x-wms-pushstart";

/// 2.2.1.9 X-Accept-Authentication
pub const X_ACCEPT_AUTHENTICATION: HeaderName = HeaderName::from_static("x-accept-authentication");

/// The name of the cookie.
const PUSH_ID: &str = "push-id";

/// 2.2.1.3.1 push-id
///
/// It is the only thing that keeps a stranger from taking the session over: neither `Debug` nor anything else shows it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PushId(Box<str>);

impl PushId {
    /// Most characters that a server may assign (3.2.3).
    pub const MAX_LENGTH: usize = 255;

    /// A push-id as it stands in a header: visible ASCII, and nothing that ends a cookie.
    ///
    /// # Errors
    ///
    /// [`Error::PushId`] when it is empty, too long or has other characters.
    pub fn new(value: &str) -> Result<Self, Error> {
        let visible = value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';' && byte != b',');
        if value.is_empty() || value.len() > Self::MAX_LENGTH || !visible {
            return Err(Error::PushId);
        }
        Ok(Self(value.into()))
    }

    /// The value "0" asks the server for a new session.
    pub fn is_new_session(&self) -> bool {
        &*self.0 == "0"
    }

    /// The value as it goes on the wire, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Default for PushId {
    fn default() -> Self {
        Self("0".into())
    }
}

impl fmt::Debug for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_new_session() {
            "PushId(0)"
        } else {
            "PushId(…)"
        })
    }
}

/// What the client sends back in 2.2.1.3 Cookie: the push-id and whatever else the server has set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cookies {
    push_id: PushId,
    others: Vec<(Box<str>, Box<str>)>,
}

impl Cookies {
    /// Most foreign cookies that are kept.
    const MAX_OTHERS: usize = 16;
    /// Most bytes of one foreign cookie.
    const MAX_OTHER: usize = 4096;

    /// The push-id in force.
    pub fn push_id(&self) -> &PushId {
        &self.push_id
    }

    /// Takes over what 2.2.1.6 Set-Cookie fields say. Values that cannot be sent back are passed over.
    pub fn update(&mut self, headers: &HeaderMap) {
        let fields = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        // RFC 2109 allows several cookies in a field, behind commas; what is left of a date there is no cookie.
        for (name, value) in fields
            .flat_map(|field| field.split(','))
            .filter_map(name_value)
        {
            if !name.eq_ignore_ascii_case(PUSH_ID) {
                self.keep(name, value);
            } else if let Ok(push_id) = PushId::new(unquoted(value)) {
                self.push_id = push_id;
            }
        }
    }

    /// The Cookie field; the push-id comes first, since receivers have been seen to look no further.
    pub fn header(&self) -> HeaderValue {
        let mut text = format!("push-id={}", self.push_id.expose());
        for (name, value) in &self.others {
            text.push_str(&format!("; {name}={value}"));
        }
        let mut header =
            HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("push-id=0"));
        header.set_sensitive(true);
        header
    }

    fn keep(&mut self, name: &str, value: &str) {
        let visible = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        };
        if name.is_empty()
            || name.len() + value.len() > Self::MAX_OTHER
            || !visible(name)
            || !visible(value)
        {
            return;
        }
        let others = &mut self.others;
        if let Some((_, known)) = others.iter_mut().find(|(known, _)| **known == *name) {
            *known = value.into();
        } else if others.len() < Self::MAX_OTHERS {
            others.push((name.into(), value.into()));
        }
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies")
            .field("push_id", &self.push_id)
            .field("others", &self.others.len())
            .finish()
    }
}

/// The first `name=value` of a cookie, without its attributes.
fn name_value(cookie: &str) -> Option<(&str, &str)> {
    let (name, value) = cookie.split(';').next()?.split_once('=')?;
    Some((name.trim(), value.trim()))
}

fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
}

/// The push-id among the cookies of a request; other cookies may stand beside it (2.2.1.3).
///
/// # Errors
///
/// [`Error::PushId`] when there is one that no server can have assigned.
pub fn requested_push_id(headers: &HeaderMap) -> Result<Option<PushId>, Error> {
    for value in headers.get_all(COOKIE) {
        let value = value.to_str().map_err(|_| Error::PushId)?;
        for cookie in value.split([';', ',']) {
            match name_value(cookie) {
                Some((name, value)) if name.eq_ignore_ascii_case(PUSH_ID) => {
                    return PushId::new(unquoted(value)).map(Some);
                }
                _ => {}
            }
        }
    }
    Ok(None)
}

/// 2.2.1.5 Server: the whole value when its first token is one of a Windows Media server.
///
/// Versions are not looked at: real builds exceed the grammar, and newer ones are missing from the table (D-6).
///
/// # Errors
///
/// [`Error::IncompatibleServer`] with what the server calls itself.
pub fn windows_media_server(headers: &HeaderMap) -> Result<String, Error> {
    let server = headers
        .get(SERVER)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    match server {
        Some(name) if name.starts_with("Cougar/") || name.starts_with("Rex/") => Ok(name),
        other => Err(Error::IncompatibleServer {
            server: other.unwrap_or_default(),
        }),
    }
}

/// The server's Idle-Timeout, as 2.2.1.4 Pragma announces it; what 3.2.2 says where it does not.
pub fn idle_timeout(headers: &HeaderMap) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(60);
    const LEAST: u64 = 1000;
    let fields = headers.get_all(PRAGMA).iter();
    let tokens = fields
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tokens
        .filter_map(name_value)
        .filter(|(name, _)| name.eq_ignore_ascii_case("timeout"))
        .find_map(|(_, value)| value.parse::<u32>().ok())
        .map(u64::from)
        .filter(|milliseconds| *milliseconds >= LEAST)
        .map_or(DEFAULT, Duration::from_millis)
}

/// RFC 7231 section 7.1.3 Retry-After in seconds. A date is passed over: there is no clock here.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// Whether a user may add this field to the requests: none of those that the protocol, HTTP or authentication is about.
pub fn is_extra_header(name: &HeaderName) -> bool {
    const OWN: [&str; 16] = [
        "authorization",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-accept-authentication",
    ];
    !OWN.contains(&name.as_str())
}

/// Whether a proxy stands in between, as far as Via tells.
pub fn has_via(headers: &HeaderMap) -> bool {
    headers.contains_key(VIA)
}

/// Whether `value` is a User-Agent by 2.2.1.8, as a client has to send it: WMEncoder 9.0, 10.0, 11.0 or 12.0.
pub fn is_encoder_user_agent(value: &str) -> bool {
    let mut products = value.split(' ');
    let encoder = products
        .next()
        .and_then(|product| product.strip_prefix("WMEncoder/"))
        .is_some_and(is_encoder_version);
    encoder && products.all(is_product)
}

fn is_encoder_version(version: &str) -> bool {
    let mut parts = version.split('.');
    let (Some(major), Some(minor)) = (parts.next(), parts.next()) else {
        return false;
    };
    let build: Vec<_> = parts.collect();
    let digits = |part: &&str| {
        (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(major, "9" | "09" | "10" | "11" | "12")
        && matches!(minor, "0" | "00")
        && matches!(build.len(), 0 | 2)
        && build.iter().all(digits)
}

/// RFC 2616 section 3.8: `token ["/" product-version]`.
fn is_product(product: &str) -> bool {
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_token_byte);
    match product.split_once('/') {
        Some((name, version)) => is_token(name) && is_token(version),
        None => is_token(product),
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&byte)
}

/// `Content-Length`, not `content-length`: old encoders and servers do not know the latter.
pub fn title_case(name: &HeaderName) -> String {
    if name == http::header::WWW_AUTHENTICATE {
        return "WWW-Authenticate".to_owned();
    }
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    let words: Vec<_> = name.as_str().split('-').map(word).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    /// C-012
    #[test]
    fn a_push_id_is_any_visible_text() {
        for good in ["0", "4124758405", "aZ09-_~", &"x".repeat(255)] {
            assert_eq!(PushId::new(good).unwrap().expose(), good);
        }
        for bad in ["", "a b", "a;b", "ä", &"x".repeat(256)] {
            assert_eq!(PushId::new(bad), Err(Error::PushId), "{bad:?}");
        }
    }

    /// C-252
    #[test]
    fn a_push_id_does_not_show() {
        assert_eq!(
            format!("{:?}", PushId::new("4124758405").unwrap()),
            "PushId(…)"
        );
        let mut cookies = Cookies::default();
        cookies.update(&headers(
            SET_COOKIE,
            &["push-id=4124758405", "other=secret"],
        ));
        let shown = format!("{cookies:?} {:?}", cookies.header());
        assert!(
            !shown.contains("4124758405") && !shown.contains("secret"),
            "{shown}"
        );
    }

    /// C-010…C-012, C-214, C-215
    #[test]
    fn cookies_go_back_as_they_were_set() {
        let mut cookies = Cookies::default();
        assert_eq!(cookies.header(), "push-id=0");
        cookies.update(&headers(
            SET_COOKIE,
            &[
                "push-id=12; path=/",
                "__utma=1.2; expires=never",
                "__utma=3",
            ],
        ));
        assert_eq!(cookies.header(), "push-id=12; __utma=3");
        cookies.update(&headers(SET_COOKIE, &["push-id=\"13\"", "no equals sign"]));
        assert_eq!(cookies.header(), "push-id=13; __utma=3");
    }

    #[test]
    fn a_server_finds_the_push_id_among_other_cookies() {
        let found = |value| requested_push_id(&headers(COOKIE, &[value]));
        assert_eq!(found("push-id=7").unwrap().unwrap().expose(), "7");
        assert_eq!(
            found("__utma=1.2; push-id=8").unwrap().unwrap().expose(),
            "8"
        );
        assert_eq!(found("__utma=1.2"), Ok(None));
        assert_eq!(found("push-id="), Err(Error::PushId));
    }

    /// C-212
    #[test]
    fn only_cougar_and_rex_are_windows_media_servers() {
        let accepted = |value| windows_media_server(&headers(SERVER, &[value])).is_ok();
        for server in [
            "Cougar/9.5.5732.6324",
            "Cougar/9.6.7600.16564",
            "Rex/12.0",
            "Cougar/9.01.01.3814 (Flumotion)",
        ] {
            assert!(accepted(server), "{server}");
        }
        for server in ["Apache/2.4", "cougar/9.1", "Cougars/1.0", "Cougar"] {
            assert!(!accepted(server), "{server}");
        }
        let missing = windows_media_server(&HeaderMap::new());
        assert_eq!(
            missing,
            Err(Error::IncompatibleServer {
                server: String::new()
            })
        );
    }

    /// C-016, C-017
    #[test]
    fn an_encoder_says_so_in_user_agent() {
        for good in [
            "WMEncoder/9.0",
            "WMEncoder/11.0.5721.5145",
            "WMEncoder/12.0 GStreamer/1.22.0 wmspushsink/0.1.0",
        ] {
            assert!(is_encoder_user_agent(good), "{good}");
        }
        for bad in [
            "",
            "WMEncoder",
            "WMEncoder/13.0",
            "WMEncoder/12.1",
            "WMEncoder/12.0.10011.16384",
            "WMEncoder/12.0  x",
            "WMEncoder/12.0 (x)",
            "NSPlayer/9.0",
        ] {
            assert!(!is_encoder_user_agent(bad), "{bad}");
        }
    }

    /// RFC 7231 section 7.1.3
    #[test]
    fn the_time_to_stay_away_is_one_in_seconds() {
        for (value, wanted) in [
            ("120", Some(Duration::from_secs(120))),
            (" 0 ", Some(Duration::ZERO)),
            ("-1", None),
            ("soon", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            assert_eq!(retry_after(&headers), wanted, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    /// 2.2.1.4, 3.2.2
    #[test]
    fn the_server_s_idle_timeout_stands_in_pragma() {
        for (value, seconds) in [
            ("no-cache, timeout=60000", 60),
            ("no-cache,TIMEOUT=5000", 5),
            ("no-cache", 60),
            ("timeout=999", 60),
            ("timeout=99999999999", 60),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PRAGMA, HeaderValue::from_str(value).unwrap());
            assert_eq!(idle_timeout(&headers).as_secs(), seconds, "{value}");
        }
    }
}
