// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use url::ParseError;

use crate::push::ProxySource;
use crate::wmhttp::HResult;

/// A defect of an address. `Display` writes the predicate of a sentence about the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sink) enum AddressError {
    Empty,
    /// No `http://`, with the probable address.
    NoScheme(Option<String>),
    /// A scheme that players use.
    PlayerScheme(&'static str),
    /// Another scheme.
    OtherScheme(String),
    /// A file path or a `file` URL.
    File,
    RepeatedScheme,
    NoTls,
    NoHost,
    /// A backslash that no `@` follows.
    Backslash,
    Host(ParseError),
    /// An IPv6 address without brackets, with the corrected address.
    BareIpv6(String),
    Port,
    Zone,
    /// An `@` behind the authority that may end a password.
    MisplacedAt,
    /// A user or password whose percent-encoded bytes are not UTF-8.
    NotUtf8,
    /// A percent-encoded `:` in a user.
    ColonInUser,
    ControlCharacter,
}

impl AddressError {
    /// Returns the error for a lower-case scheme that is neither `http` nor `https`.
    pub(super) fn of_scheme(scheme: &str) -> Self {
        const PLAYERS: [&str; 9] = [
            "mms", "mmsh", "mmst", "mmsu", "rtsp", "rtsps", "rtspt", "rtspu", "icyx",
        ];
        match PLAYERS.iter().find(|player| **player == scheme) {
            Some(player) => Self::PlayerScheme(player),
            None if scheme == "file" || scheme.len() == 1 => Self::File,
            None => Self::OtherScheme(scheme.to_owned()),
        }
    }

    fn is_unsupported_protocol(&self) -> bool {
        matches!(
            self,
            Self::PlayerScheme(_) | Self::OtherScheme(_) | Self::File | Self::NoTls
        )
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::PlayerScheme(_) => {
                "Players open mms:// and rtsp:// addresses. A push goes to http://, host, port and publishing point, \
                 such as http://server:8080/live."
            }
            Self::File => {
                "filesink writes files. wmspushsink needs a server, such as http://server:8080/live."
            }
            Self::MisplacedAt => {
                "In a password write %2F for /, %3F for ?, %23 for # and %40 for @, or set user-id and user-pw. In a \
                 path write %40 for @."
            }
            Self::Backslash => {
                "Write / between host and path. DOMAIN\\user stands before an @, as in \
                 http://DOMAIN\\user:password@server:8080/live."
            }
            Self::ColonInUser => {
                "Write a plain : between user and password, and a plain @ behind them, or set user-id and user-pw."
            }
            Self::NotUtf8 => {
                "Percent-encode the UTF-8 form, such as %C3%A4 and not %E4 for ä, or set user-id and user-pw."
            }
            Self::Zone => {
                "Write the interface behind the address, such as http://[fe80::1%25eth0]:8080/live."
            }
            Self::RepeatedScheme => "Write http:// once, such as http://server:8080/live.",
            Self::NoTls => "Use an http URL, or a build of the plugin with the feature tls.",
            _ => "Set location to the publishing point, such as http://server:8080/live.",
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::NoScheme(None) => f.write_str("does not begin with http://"),
            Self::NoScheme(Some(meant)) => {
                write!(f, "does not begin with http://; write {meant}")
            }
            Self::PlayerScheme(scheme) => {
                write!(
                    f,
                    "begins with {scheme}://; players use that, a push uses http://"
                )
            }
            Self::OtherScheme(scheme) => {
                write!(
                    f,
                    "begins with {scheme}://; a push uses http:// or https://"
                )
            }
            Self::File => f.write_str("is a file; a push goes to a server"),
            Self::RepeatedScheme => f.write_str("has a scheme such as http:// twice"),
            Self::NoTls => f.write_str("is an https URL, and this build has no TLS"),
            Self::NoHost => f.write_str("has no host"),
            Self::Backslash => f.write_str("has a \\ in its host"),
            Self::Host(error) => write!(f, "has an unusable host: {error}"),
            Self::BareIpv6(meant) => {
                write!(f, "has an IPv6 address without brackets; write {meant}")
            }
            Self::Port => f.write_str("has a port that is not a number from 1 to 65535"),
            Self::Zone => f.write_str("has an unusable zone behind the address of its host"),
            Self::MisplacedAt => f.write_str(
                "has an @ after a /, ? or #, so that host and password cannot be distinguished",
            ),
            Self::NotUtf8 => {
                f.write_str("has a user or password with percent-encoded bytes that are not UTF-8")
            }
            Self::ColonInUser => f.write_str("has a percent-encoded : in its user"),
            Self::ControlCharacter => {
                f.write_str("contains a line break or another control character")
            }
        }
    }
}

/// A property with an unusable value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sink) enum SettingsError {
    NoLocation,
    Location(AddressError),
    Proxy {
        source: ProxySource,
        error: AddressError,
    },
    Template(AddressError),
    UserAgent,
    /// The file and the reason.
    CaFile(String),
    /// The name of the field.
    ExtraHeader(String),
}

impl SettingsError {
    pub(in crate::sink) fn hresult(&self) -> HResult {
        match self {
            Self::Location(AddressError::Port) => HResult::NS_E_INVALID_PORT,
            Self::Location(error) | Self::Proxy { error, .. }
                if error.is_unsupported_protocol() =>
            {
                HResult::NS_E_UNKNOWN_PROTOCOL
            }
            Self::Location(_) => HResult::NS_E_INVALID_NAME,
            Self::Proxy { .. } => HResult::NS_E_PROXY_NOT_FOUND,
            Self::Template(_) => HResult::NS_E_INVALID_PUSH_TEMPLATE,
            Self::NoLocation | Self::UserAgent | Self::CaFile(_) | Self::ExtraHeader(_) => {
                HResult::E_INVALIDARG
            }
        }
    }

    /// Returns whether the location has a scheme that the element does not handle.
    pub(in crate::sink) fn is_unsupported_protocol(&self) -> bool {
        matches!(self, Self::Location(error) if error.is_unsupported_protocol())
    }

    pub(in crate::sink) fn hint(&self) -> &'static str {
        match self {
            Self::NoLocation => {
                "Set location to the publishing point, such as http://server:8080/live."
            }
            Self::Location(error) => error.hint(),
            Self::Proxy { source, .. } => match source {
                ProxySource::Property => {
                    "Set proxy to a URL such as http://proxy:3128, or to an empty string for none."
                }
                ProxySource::Environment(_) => {
                    "Set the environment variable to a URL such as http://proxy:3128, or the property proxy to an \
                     empty string for none."
                }
            },
            Self::Template(AddressError::MisplacedAt) => AddressError::MisplacedAt.hint(),
            Self::Template(_) => {
                "Set template-url to a path such as /template, or to the URL of a publishing point."
            }
            Self::CaFile(_) => {
                "Set ssl-ca-file to a PEM file with the certificate of the authority, or with the server's own."
            }
            Self::ExtraHeader(_) => {
                "Use field names that neither the protocol nor authentication sets, and values without line breaks."
            }
            Self::UserAgent => {
                "Leave user-agent unset, or begin it with WMEncoder/12.0. Servers take other products for players."
            }
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation => f.write_str("no location is set"),
            Self::Location(error) => write!(f, "the location {error}"),
            Self::Proxy { source, error } => {
                match source {
                    ProxySource::Property => f.write_str("the proxy ")?,
                    ProxySource::Environment(name) => write!(f, "the proxy from {name} ")?,
                }
                match error {
                    AddressError::PlayerScheme(scheme) => proxy_scheme(scheme, f),
                    AddressError::OtherScheme(scheme) => proxy_scheme(scheme, f),
                    AddressError::File => f.write_str("is a file"),
                    error => fmt::Display::fmt(error, f),
                }
            }
            Self::Template(AddressError::NoScheme(_)) => {
                f.write_str("template-url is neither an absolute path nor an http URL")
            }
            Self::Template(error) => write!(f, "template-url {error}"),
            Self::CaFile(reason) => write!(f, "ssl-ca-file cannot be used: {reason}"),
            Self::ExtraHeader(name) => {
                write!(f, "extra-headers has a field {name:?} that cannot be sent")
            }
            Self::UserAgent => {
                f.write_str("user-agent does not begin with WMEncoder/9.0, 10.0, 11.0 or 12.0")
            }
        }
    }
}

fn proxy_scheme(scheme: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "begins with {scheme}://; only proxies with http:// are supported"
    )
}
