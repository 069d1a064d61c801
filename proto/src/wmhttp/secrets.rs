// SPDX-License-Identifier: MPL-2.0

//! Secrets of a request that a peer may repeat, and their removal from messages to the user.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{HeaderMap, HeaderValue, SERVER, SET_COOKIE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Response;
use crate::auth::Credentials;

/// Replaces a secret.
const REDACTED: &str = "…";

/// Bytes from which a secret is removed wherever it occurs. A shorter one has to be a whole word: push-id 1 is not in
/// "10".
const LONG: usize = 6;

/// Bytes from which a part of an Authorization value, such as a hash or a token, is a secret of its own.
const TOKEN: usize = 16;

/// The passwords, Authorization values, cookies and push-ids of a request. `Debug` hides them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<[String]>);

impl Secrets {
    /// Collects the secrets in sensitive header fields, and those of `credentials`.
    pub(super) fn new<'a>(
        headers: &HeaderMap,
        credentials: impl Iterator<Item = &'a Credentials>,
    ) -> Self {
        let sensitive = headers.values().filter(|value| value.is_sensitive());
        let mut secrets: Vec<String> = sensitive.flat_map(of_field).collect();
        secrets.extend(credentials.flat_map(of_credentials));
        Self::sorted(secrets)
    }

    /// Returns these secrets and the values of the user's header fields: any of them may be an API key. A short value is
    /// left out, because it may be a part of a version in the Server field.
    pub(super) fn and_extra(&self, headers: &HeaderMap) -> Self {
        let extra = headers.values().flat_map(of_field);
        let extra = extra.filter(|value| value.len() >= LONG);
        Self::sorted(self.0.iter().cloned().chain(extra).collect())
    }

    fn sorted(mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| !secret.is_empty() && secret != "0");
        // Longest first, so that a whole value is removed before its parts.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets.into())
    }

    /// Collects the secrets of `credentials` only.
    pub fn of_credentials<'a>(credentials: impl Iterator<Item = &'a Credentials>) -> Self {
        Self::new(&HeaderMap::new(), credentials)
    }

    /// Returns `text` without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // An empty string would match everywhere.
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
    /// Removes the secrets of the request, and the push-id that the response assigns, from the texts that the user may
    /// see: the reason phrase and the Server field.
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

/// Returns a value, the values of its cookies, and its parts that are long enough to be secrets.
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

/// Returns `text` with `secret` replaced.
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

    #[test]
    fn values_of_extra_fields_are_secrets_unless_short() {
        let mut extra = HeaderMap::new();
        extra.insert("x-token", HeaderValue::from_static("s3cr@t"));
        extra.insert("x-take", HeaderValue::from_static("9"));
        extra.insert("x-api", HeaderValue::from_static("Bearer 0123456789abcdef"));
        let secrets = secrets().and_extra(&extra);
        for (text, expected) in [
            ("no s3cr@t here", "no … here"),
            ("Cougar/9.6", "Cougar/9.6"),
            ("0123456789abcdef", "…"),
            ("push-id=17", "push-id=…"),
        ] {
            assert_eq!(secrets.redact(text), expected);
        }
    }

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
    fn secrets_repeated_by_a_peer_are_removed() {
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
    fn the_assigned_push_id_is_removed_from_the_response() {
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
    fn an_empty_cookie_is_not_a_secret() {
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
    fn debug_output_hides_secrets() {
        assert_eq!(
            format!("{:?}", Secrets(["Geh3im".to_owned()].into())),
            "1 secrets"
        );
    }
}
