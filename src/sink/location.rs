// SPDX-License-Identifier: MPL-2.0

//! The addresses in properties and in the environment, as people type them.
//!
//! An address is taken apart into a URL and an account. Nothing of the account is in the text that properties, messages and
//! the log show. Of a text that cannot be taken apart, everything before the last `@` counts as a secret.

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
    /// Takes any text. [`error`](Self::error) returns what is wrong with it.
    pub(super) fn new(text: &str) -> Self {
        let address = parse(text);
        let shown = match &address {
            Ok(address) => address.shown(),
            Err(_) => redacted(text),
        };
        Self { address, shown }
    }

    /// The location without user and password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The URL of the publishing point, without user information, zone and fragment.
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

    /// The interface that an IPv6 link-local host is reached by.
    pub(super) fn zone(&self) -> Option<&str> {
        self.address.as_ref().ok()?.zone.as_deref()
    }

    /// Returns whether both lead to the same port of the same host, with the same scheme.
    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        match (&self.address, &other.address) {
            (Ok(one), Ok(other)) => one.has_origin_of(other),
            _ => false,
        }
    }

    /// The form of GStreamer URIs, whose scheme names the element; `None` for a text that is no address.
    pub(super) fn uri(&self) -> Option<String> {
        let address = self.address.as_ref().ok()?;
        Some(format!("wmspush+{}", address.shown()))
    }
}

fn parse(text: &str) -> Result<Address, SettingsError> {
    let address = Address::parse(text).map_err(|error| match error {
        AddressError::Empty => SettingsError::NoLocation,
        AddressError::NoScheme(_) => SettingsError::Location(AddressError::NoScheme(meant(text))),
        error => SettingsError::Location(error),
    })?;
    match address.url.scheme() {
        "https" if !cfg!(feature = "tls") => Err(SettingsError::Location(AddressError::NoTls)),
        _ => Ok(address),
    }
}

/// The address of a host that was written without `http://`, such as `localhost:8080/live`.
fn meant(text: &str) -> Option<String> {
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
    /// Takes any text. [`path`](Self::path) returns what is wrong with it.
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

    /// The percent-encoded path.
    pub(super) fn path(&self) -> Result<String, SettingsError> {
        self.path.clone().map_err(SettingsError::Template)
    }

    /// The template without user and password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// The percent-encoded form of an absolute path; `None` for a text that is none.
fn path_of(text: &str) -> Option<String> {
    if !text.starts_with('/') || text.starts_with("//") {
        return None;
    }
    // The same rules as behind a host: an @ is no end of a password.
    let address = Address::parse(&format!("http://host{text}")).ok()?;
    Some(address.url.path().to_owned())
}
