// SPDX-License-Identifier: MPL-2.0

use url::Url;

use super::account::Account;
use super::address::{Address, COLON, split_authority};
use super::error::AddressError;
use super::no_proxy::bypasses_proxy;
use super::redacted::redacted;

/// The property `proxy`, or an environment variable, without its account.
#[derive(Clone, Debug)]
pub(in crate::sink) struct ProxyUrl {
    /// `None`: no proxy.
    address: Result<Option<Address>, AddressError>,
    shown: String,
}

impl ProxyUrl {
    /// Accepts any text. [`url`](Self::url) returns the URL or the defect.
    pub(in crate::sink) fn new(text: &str) -> Self {
        let text = text.trim();
        let address = match text.is_empty() {
            true => Ok(None),
            false => parse(text).map(Some),
        };
        let shown = match &address {
            Ok(address) => address.as_ref().map_or_else(String::new, Address::shown),
            Err(_) => redacted(text),
        };
        Self { address, shown }
    }

    /// Returns the proxy that the environment sets for `url`, and the name of the variable. `variable` reads a
    /// variable.
    ///
    /// Reads http_proxy, https_proxy and no_proxy as curl does. The latter two are also read in capitals; HTTP_PROXY is
    /// not, because a CGI program gets it from its client. An empty variable means no proxy. Unlike in curl, all_proxy
    /// has no effect.
    pub(in crate::sink) fn from_environment(
        url: &Url,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<(Self, &'static str)> {
        let value = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name)?.trim().to_owned();
                (!value.is_empty()).then_some((value, *name))
            })
        };
        let names: &[_] = match url.scheme() {
            "https" => &["https_proxy", "HTTPS_PROXY"],
            _ => &["http_proxy"],
        };
        let (proxy, name) = value(names)?;
        let exceptions = value(&["no_proxy", "NO_PROXY"]);
        let host = url.host()?;
        if exceptions.is_some_and(|(exceptions, _)| bypasses_proxy(&host, &exceptions)) {
            return None;
        }
        Some((Self::new(&proxy), name))
    }

    /// Returns the URL; `None` for no proxy.
    pub(in crate::sink) fn url(&self) -> Result<Option<Url>, AddressError> {
        let address = self.address.as_ref().map_err(Clone::clone)?;
        Ok(address.as_ref().map(|address| address.url.clone()))
    }

    pub(in crate::sink) fn account(&self) -> Account {
        self.address()
            .map_or_else(Account::default, |address| address.account.clone())
    }

    pub(in crate::sink) fn zone(&self) -> Option<&str> {
        self.address()?.zone.as_deref()
    }

    pub(in crate::sink) fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns whether both are the same proxy.
    pub(in crate::sink) fn has_origin_of(&self, other: &Self) -> bool {
        match (self.address(), other.address()) {
            (Some(one), Some(other)) => one.has_origin_of(other),
            _ => false,
        }
    }

    fn address(&self) -> Option<&Address> {
        self.address.as_ref().ok()?.as_ref()
    }
}

/// Parses the address of a proxy, which may be a bare host and port.
fn parse(text: &str) -> Result<Address, AddressError> {
    let address = match Address::parse(text) {
        Err(AddressError::NoScheme(_)) if !split_authority(text).0.ends_with(COLON) => {
            Address::parse(&format!("http://{text}"))?
        }
        parsed => parsed?,
    };
    match address.url.scheme() {
        "http" => Ok(address),
        other => Err(AddressError::OtherScheme(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_account() {
        for (text, shown) in [
            ("", ""),
            (" ", ""),
            ("proxy:3128", "http://proxy:3128/"),
            ("http://user:secret@proxy/", "http://proxy/"),
            ("user:secret@proxy:3128", "http://proxy:3128/"),
            (r"DOM\user:secret@proxy:3128", "http://proxy:3128/"),
            ("socks5://user:secret@proxy/", "socks5://proxy/"),
            ("http://user:se/cret@proxy/", "http://proxy/"),
            ("http:/user:secret@proxy", "proxy"),
            ("proxy:port", "proxy:…"),
            (
                "http://[fe80::1%25eth0]:3128",
                "http://[fe80::1%25eth0]:3128/",
            ),
        ] {
            assert_eq!(ProxyUrl::new(text).shown(), shown, "{text}");
        }
    }

    #[test]
    fn a_proxy_of_another_scheme_is_refused() {
        for (text, error) in [
            (
                "socks5://proxy",
                AddressError::OtherScheme("socks5".to_owned()),
            ),
            (
                "https://proxy",
                AddressError::OtherScheme("https".to_owned()),
            ),
            ("http:/proxy:3128", AddressError::NoScheme(None)),
            ("http://http://proxy", AddressError::RepeatedScheme),
        ] {
            assert_eq!(ProxyUrl::new(text).url(), Err(error), "{text}");
        }
    }

    /// Returns the proxy of a request for `url`, and the variable that sets it.
    fn route(url: &str, variables: &[(&str, &str)]) -> Option<(String, &'static str)> {
        let variable = |name: &str| {
            let mut variables = variables.iter();
            let found = variables.find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = ProxyUrl::from_environment(&Url::parse(url).unwrap(), variable);
        proxy.map(|(proxy, name)| (proxy.shown().to_owned(), name))
    }

    /// The results of curl 7.88.1 with the same variables, except for all_proxy.
    #[test]
    fn the_variables_are_those_of_curl() {
        const A: &str = "http://a:1/";
        let (http, https) = ("http://media/", "https://media/");
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'static str>);
        let rows: &[Row] = &[
            (http, &[("http_proxy", A)], Some("http_proxy")),
            (http, &[("http_proxy", "a:1")], Some("http_proxy")),
            (http, &[("HTTP_PROXY", A)], None),
            (http, &[("http_proxy", ""), ("HTTP_PROXY", A)], None),
            (http, &[("https_proxy", A)], None),
            (http, &[("all_proxy", A)], None),
            (http, &[("ALL_PROXY", A)], None),
            (https, &[("https_proxy", A)], Some("https_proxy")),
            (https, &[("HTTPS_PROXY", A)], Some("HTTPS_PROXY")),
            (
                https,
                &[("https_proxy", ""), ("HTTPS_PROXY", A)],
                Some("HTTPS_PROXY"),
            ),
            (
                https,
                &[("https_proxy", A), ("HTTPS_PROXY", "b")],
                Some("https_proxy"),
            ),
            (https, &[("http_proxy", A)], None),
            (http, &[("http_proxy", A), ("no_proxy", "*")], None),
            (http, &[("http_proxy", A), ("NO_PROXY", "*")], None),
            (
                http,
                &[("http_proxy", A), ("no_proxy", ""), ("NO_PROXY", "*")],
                None,
            ),
            (
                http,
                &[("http_proxy", A), ("no_proxy", "x"), ("NO_PROXY", "*")],
                Some("http_proxy"),
            ),
        ];
        for (url, variables, name) in rows {
            let expected = name.map(|name| (A.to_owned(), name));
            assert_eq!(route(url, variables), expected, "{url} {variables:?}");
        }
    }
}
