// SPDX-License-Identifier: MPL-2.0

//! The HTTP header fields of MS-WMHTTP 2.2.1.

use std::fmt;
use std::time::Duration;

use http::header::{
    COOKIE, HeaderMap, HeaderName, HeaderValue, PRAGMA, RETRY_AFTER, SERVER, SET_COOKIE, VIA,
};

use super::Error;

/// 2.2.1.1 Content-Type of a PushSetup request. It has no charset, because many receivers compare the whole value.
pub const PUSH_SETUP: &str = "application/x-wms-pushsetup";

/// 2.2.1.1 Content-Type of a PushStart request.
pub const PUSH_START: &str = "application/x-wms-pushstart";

/// 2.2.1.9 X-Accept-Authentication
pub const X_ACCEPT_AUTHENTICATION: HeaderName = HeaderName::from_static("x-accept-authentication");

/// The name of the cookie.
const PUSH_ID: &str = "push-id";

/// 2.2.1.3.1 push-id
///
/// Only its secrecy keeps a stranger from taking over the session, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PushId(Box<str>);

impl PushId {
    /// Characters that a server may assign, at most (3.2.3 Initialization).
    pub const MAX_LENGTH: usize = 255;

    /// Parses a push-id: visible ASCII without the delimiters of cookies.
    ///
    /// # Errors
    ///
    /// [`BadPushId`] if it is empty, longer than [`MAX_LENGTH`](Self::MAX_LENGTH), or has other characters.
    pub fn new(value: &str) -> Result<Self, BadPushId> {
        let visible = value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';' && byte != b',');
        if value.is_empty() || value.len() > Self::MAX_LENGTH || !visible {
            return Err(BadPushId);
        }
        Ok(Self(value.into()))
    }

    /// Returns whether the value is "0", which asks the server for a new session.
    pub fn is_new_session(&self) -> bool {
        &*self.0 == "0"
    }

    /// Returns the secret value. Use it only on the wire.
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

/// The push-id is empty, longer than [`PushId::MAX_LENGTH`], or not visible ASCII without the delimiters of cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPushId;

impl fmt::Display for BadPushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad push-id")
    }
}

impl std::error::Error for BadPushId {}

/// The cookies to send in 2.2.1.3 Cookie: the push-id, and others that the server has set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cookies {
    push_id: PushId,
    others: Vec<(Box<str>, Box<str>)>,
}

impl Cookies {
    /// Other cookies kept, at most.
    const MAX_OTHERS: usize = 16;
    /// Size of another cookie in bytes, at most.
    const MAX_OTHER: usize = 4096;

    /// Returns the current push-id.
    pub fn push_id(&self) -> &PushId {
        &self.push_id
    }

    /// Applies the 2.2.1.6 Set-Cookie fields of a response. Values that cannot be sent back are ignored.
    pub fn update(&mut self, headers: &HeaderMap) {
        let fields = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        // RFC 2109 allows several cookies in a field, separated by commas. The rest of a date after its comma is no
        // cookie.
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

    /// Returns the Cookie field. The push-id comes first, because some receivers read only the first cookie.
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
            || name.len().saturating_add(value.len()) > Self::MAX_OTHER
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

/// Returns name and value of a cookie without its attributes.
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

/// Returns the push-id among the cookies of a request (2.2.1.3).
///
/// # Errors
///
/// [`BadPushId`] if no server can have assigned it.
pub fn requested_push_id(headers: &HeaderMap) -> Result<Option<PushId>, BadPushId> {
    for value in headers.get_all(COOKIE) {
        let value = value.to_str().map_err(|_| BadPushId)?;
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

/// Returns 2.2.1.5 Server, if its first token is that of a Windows Media server.
///
/// Versions are ignored, because real builds exceed the grammar, and newer ones are missing from the table (D-6).
///
/// # Errors
///
/// [`Error::IncompatibleServer`] with the value of the field.
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

/// Returns the Idle-Timeout that 2.2.1.4 Pragma announces; the default of 3.2.2 Timers if it does not.
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

/// Returns RFC 7231 section 7.1.3 Retry-After in seconds. A date is ignored, because there is no clock here.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    decimal(seconds).map(Duration::from_secs)
}

/// Parses a number of digits alone, as in Content-Length (RFC 9110 section 8.6). `str::parse` accepts a sign as well.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// Returns whether the application may add this field to requests. Fields of the protocol, of HTTP and of
/// authentication are reserved.
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

/// Returns whether Via shows a proxy before the server.
pub fn has_via(headers: &HeaderMap) -> bool {
    headers.contains_key(VIA)
}

/// Returns whether `value` is a client's User-Agent by 2.2.1.8: WMEncoder 9.0, 10.0, 11.0 or 12.0.
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

/// RFC 2616 section 3.8 Product Tokens: `token ["/" product-version]`.
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

/// Returns `Content-Length` for `content-length`, because old encoders and servers know only the former.
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
            assert_eq!(PushId::new(bad), Err(BadPushId), "{bad:?}");
        }
    }

    /// C-252
    #[test]
    fn debug_output_hides_the_push_id() {
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
    fn cookies_are_sent_back_as_they_were_set() {
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
        assert_eq!(found("push-id="), Err(BadPushId));
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
    fn an_encoder_user_agent_follows_the_grammar() {
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

    /// RFC 7231 section 7.1.3 Retry-After
    #[test]
    fn retry_after_is_read_in_seconds_only() {
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

    /// 2.2.1.4 Pragma, 3.2.2 Timers
    #[test]
    fn pragma_announces_the_idle_timeout() {
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
