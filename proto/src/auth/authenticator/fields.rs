// SPDX-License-Identifier: MPL-2.0

//! The header fields of authentication.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::Scheme;

/// Returns the value of an Authorization field, marked sensitive.
pub(super) fn header(scheme: Scheme, answer: &[u8]) -> Option<HeaderValue> {
    let value = [scheme.as_str().as_bytes(), b" ", answer].concat();
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns whether the peer closes the connection after this response.
pub(super) fn says_close(headers: &HeaderMap) -> bool {
    let fields = [CONNECTION, HeaderName::from_static("proxy-connection")];
    let mut values = fields.iter().flat_map(|field| headers.get_all(field));
    values.any(|value| has_word(value, "close"))
}

/// Returns whether the connection stays authenticated (MS-N2HT 2.2.3 Persistent-Auth). By RFC 4559 each request is
/// authenticated alone, and a server that follows it may read the whole body before it refuses the request.
pub(super) fn says_persistent(headers: &HeaderMap) -> bool {
    let field = HeaderName::from_static("persistent-auth");
    let mut values = headers.get_all(field).iter();
    values.any(|value| has_word(value, "true"))
}

fn has_word(value: &HeaderValue, word: &str) -> bool {
    value.to_str().is_ok_and(|value| {
        value
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    })
}
