// SPDX-License-Identifier: MPL-2.0

//! What a peer may know of a request and must not have repeated to the user.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{HeaderMap, HeaderValue, SERVER, SET_COOKIE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Response;
use crate::auth::Credentials;

/// Stands in place of a secret.
const REDACTED: &str = "…";

/// Bytes from which a secret is one wherever it stands. A shorter one has to stand by itself: push-id 1 is not in "10".
const LONG: usize = 6;

/// Bytes from which a part of an Authorization value is a secret by itself: a hash, a token.
const TOKEN: usize = 16;

/// The passwords, Authorization values, cookies and push-ids of a request. `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<[String]>);

impl Secrets {
    /// The secrets in header fields that are marked sensitive, and those of `credentials`.
    pub(super) fn new<'a>(
        headers: &HeaderMap,
        credentials: impl Iterator<Item = &'a Credentials>,
    ) -> Self {
        let sensitive = headers.values().filter(|value| value.is_sensitive());
        let mut secrets: Vec<String> = sensitive.flat_map(of_field).collect();
        secrets.extend(credentials.flat_map(of_credentials));
        secrets.retain(|secret| !secret.is_empty() && secret != "0");
        // A whole value before its parts.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets.into())
    }

    /// The secrets of `credentials` alone.
    pub fn of_credentials<'a>(credentials: impl Iterator<Item = &'a Credentials>) -> Self {
        Self::new(&HeaderMap::new(), credentials)
    }

    /// Returns `text` without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Nothing is everywhere.
        for secret in self.0.iter().filter(|secret| !secret.is_empty()) {
            text = without(&text, secret);
        }
        text
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Response {
    /// Removes the secrets of the request, and the push-id that the response assigns, from what is shown of the response:
    /// its reason phrase and its Server field.
    #[must_use]
    pub fn redacted(mut self, secrets: &Secrets) -> Self {
        let cookies = self.headers.get_all(SET_COOKIE).into_iter();
        let assigned = Secrets(cookies.flat_map(of_field).filter(|id| id != "0").collect());
        let redact = |text: &str| assigned.redact(&secrets.redact(text));
        self.reason = redact(&self.reason);
        if let Some(server) = self.headers.get_mut(SERVER) {
            let text = String::from_utf8_lossy(server.as_bytes()).into_owned();
            let shown = redact(&text);
            if shown != text
                && let Ok(value) = HeaderValue::from_bytes(shown.as_bytes())
            {
                *server = value;
            }
        }
        self
    }
}

/// A value, the values of its cookies, and its parts that are long enough to be secrets.
fn of_field(value: &HeaderValue) -> Vec<String> {
    let text = String::from_utf8_lossy(value.as_bytes());
    let cookies = text.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (!name.trim().contains([' ', ','])).then(|| value.trim().to_owned())
    });
    let parts = text.split([' ', ',', ';', '"', '=']);
    let tokens = parts.filter(|part| part.len() >= TOKEN).map(str::to_owned);
    let whole = std::iter::once(text.clone().into_owned());
    whole.chain(cookies).chain(tokens).collect()
}

fn of_credentials(credentials: &Credentials) -> Vec<String> {
    let password = credentials.password().expose();
    if password.is_empty() {
        return Vec::new();
    }
    let pair = format!("{}:{password}", credentials.user_id());
    vec![
        password.to_owned(),
        utf8_percent_encode(password, NON_ALPHANUMERIC).to_string(),
        BASE64_STANDARD.encode(password),
        BASE64_STANDARD.encode(pair),
    ]
}

/// Returns `text` with something else in place of `secret`.
fn without(text: &str, secret: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(secret) {
        shown.push_str(before);
        let alone =
            !before.ends_with(char::is_alphanumeric) && !behind.starts_with(char::is_alphanumeric);
        shown.push_str(if alone || secret.len() >= LONG {
            REDACTED
        } else {
            secret
        });
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

    fn secrets() -> Secrets {
        let mut headers = HeaderMap::new();
        let fields = [
            ("cookie", "push-id=17; session=abc"),
            ("authorization", "Basic YWxpY2U6R2VoM2lt"),
            (
                "proxy-authorization",
                r#"Digest username="bob", response="0123456789abcdef0123456789abcdef""#,
            ),
        ];
        for (name, value) in fields {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert("user-agent", HeaderValue::from_static("WMEncoder/12.0"));
        let alice = Credentials::new("alice", "Geh 3im!");
        Secrets::new(&headers, [&alice].into_iter())
    }

    #[test]
    fn a_peer_cannot_have_a_secret_repeated() {
        for (said, shown) in [
            ("password Geh 3im! refused", "password … refused"),
            ("Geh%203im%21", "…"),
            ("no Basic YWxpY2U6R2VoM2lt", "no …"),
            ("no YWxpY2U6R2VoM2lt", "no …"),
            ("unknown push-id=17", "unknown push-id=…"),
            ("unknown push-id 17.", "unknown push-id …."),
            ("0123456789abcdef0123456789abcdef", "…"),
            ("session abc", "session …"),
            ("Error 117", "Error 117"),
            ("Forbidden to bob", "Forbidden to bob"),
            ("WMEncoder/12.0", "WMEncoder/12.0"),
        ] {
            assert_eq!(secrets().redact(said), shown);
        }
    }

    #[test]
    fn a_response_does_not_show_the_push_id_that_it_assigns() {
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, HeaderValue::from_static("push-id=X4711"));
        headers.insert(SERVER, HeaderValue::from_static("Cougar/9.5 (X4711)"));
        let response = Response {
            status: StatusCode::NO_CONTENT,
            reason: "ok X4711".to_owned(),
            headers,
            body: Bytes::new(),
        };
        let response = response.redacted(&Secrets::default());
        assert_eq!(response.reason, "ok …");
        assert_eq!(
            response.headers[SERVER].as_bytes(),
            "Cougar/9.5 (…)".as_bytes()
        );
        assert_eq!(response.headers[SET_COOKIE], "push-id=X4711");
    }

    #[test]
    fn an_empty_cookie_is_no_secret() {
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, HeaderValue::from_static("push-id="));
        let response = Response {
            status: StatusCode::NO_CONTENT,
            reason: "ok".to_owned(),
            headers,
            body: Bytes::new(),
        };
        assert_eq!(response.redacted(&Secrets::default()).reason, "ok");
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(
            format!("{:?}", Secrets(["Geh3im".to_owned()].into())),
            "1 secrets"
        );
    }
}
