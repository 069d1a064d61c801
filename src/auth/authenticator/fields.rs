// SPDX-License-Identifier: MPL-2.0

//! Header fields, as far as a conversation is about them.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::Scheme;

/// The value of an Authorization field, which does not show.
pub(super) fn header(scheme: Scheme, answer: &[u8]) -> Option<HeaderValue> {
    let value = [scheme.as_str().as_bytes(), b" ", answer].concat();
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether the connection will be closed behind this response.
pub(super) fn says_close(headers: &HeaderMap) -> bool {
    let fields = [CONNECTION, HeaderName::from_static("proxy-connection")];
    let mut values = fields.iter().flat_map(|field| headers.get_all(field));
    values.any(|value| has_word(value, "close"))
}

/// MS-N2HT 2.2.3 Persistent-Auth: whether the connection stays authenticated. RFC 4559 has each request authenticated
/// alone, and a server that wants it so may read a whole body before it says so.
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
