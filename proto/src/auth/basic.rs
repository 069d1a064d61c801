// SPDX-License-Identifier: MPL-2.0

//! Basic (RFC 7617), always in UTF-8.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

use super::Credentials;

/// Returns the credentials that follow the scheme name; `None` if Basic cannot carry the user name or the password.
pub(super) fn token(credentials: &Credentials) -> Option<String> {
    let user = credentials.user_id();
    let password = credentials.password().expose();
    if user.contains(':') || user.chars().chain(password.chars()).any(char::is_control) {
        return None;
    }
    Some(BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// Returns an Authorization value for use before any challenge, marked sensitive; `None` if Basic cannot carry the user
/// name or the password (RFC 7617 section 2 The 'Basic' Authentication Scheme).
pub fn basic_authorization(credentials: &Credentials) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", token(credentials)?)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7617 sections 2 The 'Basic' Authentication Scheme, 2.1 The 'charset' auth-param
    #[test]
    fn the_examples_of_rfc_7617_are_reproduced() {
        let token = |user: &str, password: &str| token(&Credentials::new(user, password));
        assert_eq!(
            token("Aladdin", "open sesame").unwrap(),
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(token("test", "123£").unwrap(), "dGVzdDoxMjPCow==");
        assert_eq!(token("a:b", "c"), None);
        assert_eq!(token("a", "b\n"), None);
    }
}
