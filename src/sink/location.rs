// SPDX-License-Identifier: MPL-2.0

//! Addresses in properties and environment variables, as users type them.
//!
//! An address is split into a URL and an account. The text that properties, messages and the log show contains nothing
//! of the account. In a text that cannot be split, everything before the last `@` counts as a secret.

use url::Url;

mod account;
mod address;
mod error;
mod no_proxy;
mod proxy;
mod redacted;
#[cfg(test)]
mod tests;

pub(super) use account::{Account, Accounts, split_user};
pub(super) use error::{AddressError, SettingsError};
pub(super) use proxy::ProxyUrl;

use address::{Address, encoded_path};
use redacted::redacted;

/// The property `location`.
#[derive(Clone, Debug)]
pub(super) struct Location {
    address: Result<Address, SettingsError>,
    shown: String,
}

impl Location {
    /// Accepts any text. [`error`](Self::error) returns the defect.
    pub(super) fn new(text: &str) -> Self {
        let address = parse(text);
        let shown = match &address {
            Ok(address) => address.shown(),
            Err(_) => redacted(text),
        };
        Self { address, shown }
    }

    /// Returns the location without user and password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the URL of the publishing point, without user information, zone and fragment.
    pub(super) fn url(&self) -> Result<&Url, SettingsError> {
        let address = self.address.as_ref().map_err(Clone::clone)?;
        Ok(&address.url)
    }

    pub(super) fn error(&self) -> Option<&SettingsError> {
        self.address.as_ref().err()
    }

    pub(super) fn account(&self) -> Account {
        let address = self.address.as_ref();
        address.map_or_else(|_| Account::default(), |address| address.account.clone())
    }

    /// Returns the interface over which an IPv6 link-local host is reached.
    pub(super) fn zone(&self) -> Option<&str> {
        self.address.as_ref().ok()?.zone.as_deref()
    }

    /// Returns whether both have the same scheme, host and port.
    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        match (&self.address, &other.address) {
            (Ok(one), Ok(other)) => one.has_origin_of(other),
            _ => false,
        }
    }

    /// Returns the URI for GStreamer, whose scheme names the element; `None` for an invalid address.
    pub(super) fn uri(&self) -> Option<String> {
        let address = self.address.as_ref().ok()?;
        Some(format!("wmspush+{}", address.shown()))
    }
}

fn parse(text: &str) -> Result<Address, SettingsError> {
    let address = Address::parse(text).map_err(|error| match error {
        AddressError::Empty => SettingsError::NoLocation,
        AddressError::NoScheme(_) => {
            SettingsError::Location(AddressError::NoScheme(probable_address(text)))
        }
        error => SettingsError::Location(error),
    })?;
    match address.url.scheme() {
        "https" if !cfg!(feature = "tls") => Err(SettingsError::Location(AddressError::NoTls)),
        _ => Ok(address),
    }
}

/// Returns the probable meaning of an address without `http://`, such as `localhost:8080/live`.
fn probable_address(text: &str) -> Option<String> {
    let meant = Address::parse(&format!("http://{}", text.trim())).ok()?;
    let host = meant.url.host_str()?;
    let is_likely = host == "localhost" || host.contains(['.', ':']) || meant.url.port().is_some();
    is_likely.then(|| meant.shown())
}

/// The property `template-url`: an absolute path, or a URL on any server. MS-WMHTTP 2.2.2.1.1 Template-URL is a path.
#[derive(Clone, Debug)]
pub(super) struct Template {
    path: Result<String, AddressError>,
    shown: String,
}

impl Template {
    /// Accepts any text. [`path`](Self::path) returns the path or the defect.
    pub(super) fn new(text: &str) -> Self {
        if let Some(path) = path_of(text) {
            return Self {
                path: Ok(path),
                shown: text.to_owned(),
            };
        }
        match Address::parse(text) {
            Ok(address) => Self {
                shown: address.shown(),
                path: Ok(encoded_path(&address.url)),
            },
            Err(error) => Self {
                path: Err(error),
                shown: redacted(text),
            },
        }
    }

    /// Returns the percent-encoded path.
    pub(super) fn path(&self) -> Result<String, SettingsError> {
        self.path.clone().map_err(SettingsError::Template)
    }

    /// Returns the template without user and password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// Returns the percent-encoded form of an absolute path; `None` for any other text.
fn path_of(text: &str) -> Option<String> {
    if !text.starts_with('/') || text.starts_with("//") {
        return None;
    }
    // Parsed like a path behind a host, where an @ does not end a password.
    let address = Address::parse(&format!("http://host{text}")).ok()?;
    Some(address.url.path().to_owned())
}
