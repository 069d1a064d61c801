// SPDX-License-Identifier: MPL-2.0

//! Addresses as users write them, with whatever they hide in them.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::{ParseError, Url};

use crate::auth::Credentials;
use crate::wmhttp::HResult;

/// The property `location`, with its credentials taken out.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) url: Result<Url, SettingsError>,
    shown: String,
}

impl Location {
    /// Takes any text: what is wrong with it is told when it is to be used.
    pub(super) fn new(text: &str) -> Self {
        let url = parse(text);
        let shown = match &url {
            Ok(url) => url.to_string(),
            Err(_) => without_credentials(text),
        };
        Self { url, shown }
    }

    /// The address in the form that is shown: nothing of user or password is left in it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn error(&self) -> Option<&SettingsError> {
        self.url.as_ref().err()
    }

    /// The form of GStreamer URIs, whose scheme says what element they are for.
    pub(super) fn uri(&self) -> String {
        format!("wmspush+{}", self.shown)
    }
}

/// The property `proxy`, with its credentials taken out.
#[derive(Clone, Debug)]
pub(super) struct ProxyUrl {
    /// `None`: no proxy.
    url: Result<Option<Url>, SettingsError>,
    account: Account,
    shown: String,
}

impl ProxyUrl {
    /// Takes any text, as [`Location::new`]. A bare host and port is what people write.
    pub(super) fn new(text: &str) -> Self {
        if text.is_empty() {
            let (account, shown) = Default::default();
            return Self {
                url: Ok(None),
                account,
                shown,
            };
        }
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = parse_proxy(&with_scheme);
        let shown = match &url {
            Ok(url) => url.to_string(),
            Err(_) => without_credentials(text),
        };
        Self {
            url: url.map(Some),
            account: Account::of_url(&with_scheme).unwrap_or_default(),
            shown,
        }
    }

    /// The proxy that the environment names for `url`, by the rules that curl and most others follow.
    pub(super) fn from_environment(url: &Url) -> Option<Self> {
        let proxy = Matcher::from_env().intercept(&url.as_str().parse().ok()?)?;
        let mut text = proxy.uri().to_string();
        if let (Some((user, password)), Ok(mut url)) = (proxy.raw_auth(), Url::parse(&text)) {
            // Where it cannot be set, there is no host to send it to.
            let _ = url
                .set_username(user)
                .and_then(|()| url.set_password(Some(password)));
            text = url.to_string();
        }
        Some(Self::new(&text))
    }

    pub(super) fn url(&self) -> Result<Option<Url>, SettingsError> {
        self.url.clone()
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// A user and a password, each of which may be missing.
#[derive(Clone, Default)]
pub(super) struct Account {
    pub(super) id: Option<String>,
    pub(super) password: Option<String>,
}

impl Account {
    /// The user information of a URL, decoded.
    pub(super) fn of_url(text: &str) -> Option<Self> {
        let url = Url::parse(text.strip_prefix("wmspush+").unwrap_or(text)).ok()?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        (!url.username().is_empty()).then(|| Self {
            id: Some(decoded(url.username())),
            password: url.password().map(decoded),
        })
    }

    pub(super) fn credentials(&self) -> Option<Credentials> {
        let id = self.id.as_ref().filter(|id| !id.is_empty())?;
        Some(Credentials::new(
            id,
            self.password.clone().unwrap_or_default(),
        ))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn parse_proxy(text: &str) -> Result<Url, SettingsError> {
    let mut url = Url::parse(text).map_err(SettingsError::Proxy)?;
    if url.scheme() != "http" {
        return Err(SettingsError::ProxyScheme);
    }
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| SettingsError::Proxy(ParseError::EmptyHost))?;
    Ok(url)
}

fn parse(text: &str) -> Result<Url, SettingsError> {
    let text = text.strip_prefix("wmspush+").unwrap_or(text);
    let mut url = Url::parse(text).map_err(SettingsError::Location)?;
    match url.scheme() {
        "http" => {}
        "https" if cfg!(feature = "tls") => {}
        "https" => return Err(SettingsError::NoTls),
        _ => return Err(SettingsError::Scheme),
    }
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| SettingsError::Location(ParseError::EmptyHost))?;
    url.set_fragment(None);
    let path = encoded_path(&url);
    url.set_path(&path);
    Ok(url)
}

/// The path as RFC 3986 section 3.3 allows it: the parser leaves some characters alone that no path may have.
fn encoded_path(url: &Url) -> String {
    const NOT_IN_PATHS: &AsciiSet = &CONTROLS
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    let mut parts = url.path().split('%');
    let mut path = utf8_percent_encode(parts.next().unwrap_or_default(), NOT_IN_PATHS).to_string();
    for part in parts {
        let digits = part.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
        path.push_str(if digits == 2 { "%" } else { "%25" });
        path.extend(utf8_percent_encode(part, NOT_IN_PATHS));
    }
    path
}

/// Passwords may hold anything, so everything goes that stands before the last '@'.
fn without_credentials(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    match rest.rsplit_once('@') {
        Some((_, rest)) if scheme.is_empty() => rest.to_owned(),
        Some((_, rest)) => format!("{scheme}://{rest}"),
        None => text.to_owned(),
    }
}

/// 2.2.2.1.1 Template-URL is an absolute path in ASCII; the property may hold one, or a URL on any server.
pub(super) fn template_path(location: &Url, template: &str) -> Result<String, SettingsError> {
    let template = template.strip_prefix("wmspush+").unwrap_or(template);
    let url = if template.starts_with('/') {
        location.join(template)
    } else {
        Url::parse(template)
    };
    let url = url.map_err(|_| SettingsError::Template)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::Template);
    }
    Ok(encoded_path(&url))
}

/// A property that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SettingsError {
    NoLocation,
    Location(ParseError),
    Scheme,
    NoTls,
    Proxy(ParseError),
    ProxyScheme,
    Template,
    UserAgent,
    CaFile(String),
    ExtraHeader(String),
}

impl SettingsError {
    pub(super) fn hresult(&self) -> HResult {
        match self {
            Self::Location(ParseError::InvalidPort) => HResult::NS_E_INVALID_PORT,
            Self::Location(_) => HResult::NS_E_INVALID_NAME,
            Self::Scheme | Self::NoTls => HResult::NS_E_UNKNOWN_PROTOCOL,
            Self::Proxy(_) => HResult::NS_E_PROXY_NOT_FOUND,
            Self::ProxyScheme => HResult::NS_E_UNKNOWN_PROTOCOL,
            Self::Template => HResult::NS_E_INVALID_PUSH_TEMPLATE,
            Self::NoLocation | Self::UserAgent | Self::CaFile(_) | Self::ExtraHeader(_) => {
                HResult::E_INVALIDARG
            }
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoLocation | Self::Location(_) | Self::Scheme | Self::NoTls => {
                "Set location to the publishing point, such as http://server:8080/live."
            }
            Self::Proxy(_) | Self::ProxyScheme => {
                "Set proxy, or the environment's http_proxy, to a URL such as http://proxy:3128, or proxy to nothing."
            }
            Self::CaFile(_) => {
                "Let ssl-ca-file name a PEM file with the certificates of authorities."
            }
            Self::ExtraHeader(_) => {
                "Let extra-headers hold fields that neither the protocol nor authentication sets, and texts in them."
            }
            Self::Template => {
                "Set template-url to a path such as /template, or to the URL of a publishing point."
            }
            Self::UserAgent => {
                "Let user-agent begin with WMEncoder/9.0, 10.0, 11.0 or 12.0, or leave it alone."
            }
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation => f.write_str("no location is set"),
            Self::Location(error) => write!(f, "the location is not a usable URL: {error}"),
            Self::CaFile(error) => write!(f, "ssl-ca-file cannot be used: {error}"),
            Self::Scheme => f.write_str("the location is neither an http nor an https URL"),
            Self::NoTls => f.write_str("this build has no https"),
            Self::Proxy(error) => write!(f, "the proxy is not a usable URL: {error}"),
            Self::ProxyScheme => f.write_str("the proxy is no http URL"),
            Self::Template => {
                f.write_str("template-url is neither an absolute path nor an http URL")
            }
            Self::ExtraHeader(name) => write!(f, "extra-headers cannot have {name:?}"),
            Self::UserAgent => f.write_str("user-agent does not follow MS-WMHTTP 2.2.1.8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_shown_without_its_credentials() {
        for (text, shown) in [
            ("http://media/live", "http://media/live"),
            (
                "http://user:pa%40ss@media:8080/live",
                "http://media:8080/live",
            ),
            ("wmspush+http://user@media/live#x", "http://media/live"),
            ("http://user:p@ss@media:99999/x", "http://media:99999/x"),
            ("user:secret@media", "media"),
            ("ftp://user:secret@media/x", "ftp://media/x"),
        ] {
            assert_eq!(Location::new(text).shown(), shown, "{text}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_credentials() {
        for (text, shown) in [
            ("", ""),
            ("proxy:3128", "http://proxy:3128/"),
            ("http://user:secret@proxy/", "http://proxy/"),
            ("socks5://user:secret@proxy/", "socks5://proxy/"),
        ] {
            assert_eq!(ProxyUrl::new(text).shown(), shown, "{text}");
        }
    }

    #[test]
    fn a_template_is_a_path() {
        let location = Url::parse("http://media:8080/live").unwrap();
        let path = |template| template_path(&location, template);
        assert_eq!(path("/pub point"), Ok("/pub%20point".to_owned()));
        assert_eq!(path("http://other/ä\""), Ok("/%C3%A4%22".to_owned()));
        assert_eq!(path("pub"), Err(SettingsError::Template));
        assert_eq!(path("ftp://other/x"), Err(SettingsError::Template));
    }
}
