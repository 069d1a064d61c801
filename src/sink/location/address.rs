// SPDX-License-Identifier: MPL-2.0

//! Parses URLs as users type them. The URL standard reads `http://DOMAIN\user:secret@host/` as a path on the host
//! `DOMAIN`, so that a URL library would show the secret.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::{Host, ParseError, Url};

use super::account::Account;
use super::error::AddressError;
use crate::auth::Password;

/// Separators of account and host: the ASCII character, and those of East Asian input methods.
pub(super) const AT: [char; 3] = ['@', '\u{ff20}', '\u{fe6b}'];

/// Separators of user and password, and of host and port.
pub(super) const COLON: [char; 3] = [':', '\u{ff1a}', '\u{fe55}'];

/// A URL with its parts.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// The URL without user information, zone and fragment.
    pub(super) url: Url,
    pub(super) account: Account,
    /// The interface over which an IPv6 link-local address is reached (RFC 6874).
    pub(super) zone: Option<String>,
}

impl Address {
    /// Parses `text`.
    ///
    /// # Errors
    ///
    /// [`AddressError`], which contains nothing of the account.
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::ControlCharacter);
        }
        if is_windows_path(text) {
            return Err(AddressError::File);
        }
        let (scheme, rest) = split_scheme(text).ok_or(AddressError::NoScheme(None))?;
        let scheme = scheme.to_ascii_lowercase();
        let scheme = scheme.strip_prefix("wmspush+").unwrap_or(&scheme);
        if !matches!(scheme, "http" | "https") {
            return Err(AddressError::of_scheme(scheme));
        }
        Self::of_parts(scheme, rest)
    }

    /// Parses the text behind `://`.
    fn of_parts(scheme: &str, rest: &str) -> Result<Self, AddressError> {
        let (authority, tail) = split_authority(rest);
        let (account, host) = split_last(authority, AT).unwrap_or(("", authority));
        if is_repeated_scheme(host, tail) {
            return Err(AddressError::RepeatedScheme);
        }
        if is_misplaced_at(rest, tail) {
            return Err(AddressError::MisplacedAt);
        }
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        if host.contains('\\') {
            return Err(AddressError::Backslash);
        }
        if let Some(host) = with_brackets(host) {
            return Err(AddressError::BareIpv6(format!("{scheme}://{host}{tail}")));
        }
        let (host, zone) = split_zone(host)?;
        let url = Url::parse(&format!("{scheme}://{host}{tail}")).map_err(AddressError::of_host)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::MisplacedAt);
        }
        if url.port() == Some(0) {
            return Err(AddressError::Port);
        }
        Ok(Self {
            url: normalized(url),
            account: parse_account(account)?,
            zone,
        })
    }

    /// Returns whether both have the same scheme, host, port and zone.
    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin() && self.zone == other.zone
    }

    /// Returns the address without its account.
    pub(super) fn shown(&self) -> String {
        let Some(zone) = &self.zone else {
            return self.url.to_string();
        };
        let zone = utf8_percent_encode(zone, NOT_IN_ZONES);
        self.url.as_str().replacen(']', &format!("%25{zone}]"), 1)
    }
}

/// Splits at the first `://`, if a scheme precedes it (RFC 3986 section 3.1).
pub(super) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|other| other.is_ascii_alphanumeric() || "+-.".contains(other));
    is_scheme.then_some((scheme, rest))
}

/// Splits the authority (RFC 3986 section 3.2) from the rest.
pub(super) fn split_authority(rest: &str) -> (&str, &str) {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.split_at(end)
}

/// Splits at the last of the `separators`.
pub(super) fn split_last(text: &str, separators: [char; 3]) -> Option<(&str, &str)> {
    let (start, separator) = text.rmatch_indices(separators).next()?;
    Some((text.get(..start)?, text.get(start + separator.len()..)?))
}

/// Returns whether the text is a path such as `C:\Videos\a.wmv`, `C:/Videos/a.wmv` or `\\server\share`.
fn is_windows_path(text: &str) -> bool {
    let mut characters = text.chars();
    let drive = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && characters.next() == Some(':')
        && matches!(characters.next(), Some('\\' | '/'));
    text.starts_with(r"\\") || (drive && !text.contains("://"))
}

/// Returns whether the URL is like `http://http://host/` or `http://http//host/`.
fn is_repeated_scheme(host: &str, tail: &str) -> bool {
    let name = host.trim_end_matches(COLON);
    tail.starts_with("//")
        && (name.len() < host.len()
            || ["http", "https"].contains(&name.to_ascii_lowercase().as_str()))
}

/// Returns whether an `@` behind the authority may end a password that contains a `/`, `?` or `#`: a `:` precedes it.
fn is_misplaced_at(rest: &str, tail: &str) -> bool {
    let Some((before, _)) = split_last(rest, AT).filter(|_| tail.contains(AT)) else {
        return false;
    };
    let literal = before
        .strip_prefix('[')
        .and_then(|host| host.split_once(']'));
    let before = literal.map_or(before, |(_, behind)| behind);
    percent_decode_str(before)
        .decode_utf8_lossy()
        .contains(COLON)
}

/// Returns the host with brackets if it is an IPv6 address without them, such as `fe80::1:9`. A possible port behind a
/// complete address counts as a port.
fn with_brackets(host: &str) -> Option<String> {
    let is_address = |text: &str| {
        let bare = text.split_once('%').map_or(text, |(address, _)| address);
        Host::parse(&format!("[{bare}]")).is_ok()
    };
    if host.matches(':').count() < 2 || host.starts_with('[') {
        return None;
    }
    let split = host.rsplit_once(':');
    let split = split.filter(|(address, port)| is_address(address) && port.parse::<u16>().is_ok());
    match split {
        Some((address, port)) => Some(format!("[{address}]:{port}")),
        None => is_address(host).then(|| format!("[{host}]")),
    }
}

/// Splits the zone of an address from a host (RFC 6874 section 2). Like curl, accepts a bare `%`.
fn split_zone(host: &str) -> Result<(String, Option<String>), AddressError> {
    let literal = host.strip_prefix('[').and_then(|host| host.split_once(']'));
    let Some(((address, zone), port)) =
        literal.and_then(|(literal, port)| Some((literal.split_once('%')?, port)))
    else {
        return Ok((host.to_owned(), None));
    };
    let zone = match zone.strip_prefix("25") {
        Some(zone) if !zone.is_empty() => zone,
        _ => zone,
    };
    let zone = percent_decode_str(zone).decode_utf8();
    let zone = zone.map_err(|_| AddressError::Zone)?;
    let usable = |character: char| !character.is_control() && !" /\\[]%".contains(character);
    if zone.is_empty() || !zone.chars().all(usable) {
        return Err(AddressError::Zone);
    }
    Ok((format!("[{address}]{port}"), Some(zone.into_owned())))
}

fn parse_account(text: &str) -> Result<Account, AddressError> {
    let (id, password) = match text.match_indices(COLON).next() {
        Some((start, colon)) => (
            text.get(..start).unwrap_or_default(),
            text.get(start + colon.len()..).unwrap_or_default(),
        ),
        None => (text, ""),
    };
    let id = decoded(id)?;
    // A user contains no colon (RFC 7617 section 2), but a whole account may have been percent-encoded.
    if id.as_ref().is_some_and(|id| id.contains(COLON)) {
        return Err(AddressError::ColonInUser);
    }
    Ok(Account {
        id,
        password: decoded(password)?.map(Password::from),
    })
}

/// Returns a percent-decoded user or password; `None` if it is empty.
fn decoded(half: &str) -> Result<Option<String>, AddressError> {
    let half = String::from_utf8(percent_decode_str(half).collect());
    let half = half.map_err(|_| AddressError::NotUtf8)?;
    if half.chars().any(char::is_control) {
        return Err(AddressError::ControlCharacter);
    }
    Ok(Some(half).filter(|half| !half.is_empty()))
}

fn normalized(mut url: Url) -> Url {
    url.set_fragment(None);
    let path = encoded_path(&url);
    url.set_path(&path);
    url
}

/// Returns the path as RFC 3986 section 3.3 allows it, because the URL parser leaves some illegal characters.
pub(super) fn encoded_path(url: &Url) -> String {
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

/// RFC 6874 section 2: a zone consists of unreserved characters.
const NOT_IN_ZONES: &AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl AddressError {
    fn of_host(error: ParseError) -> Self {
        match error {
            ParseError::InvalidPort => Self::Port,
            ParseError::EmptyHost => Self::NoHost,
            error => Self::Host(error),
        }
    }
}
