// SPDX-License-Identifier: MPL-2.0

//! 2.2.1.4 Pragma

use http::HeaderMap;
use http::header::PRAGMA;

/// Returns the value of a token; empty for a token without a value. Names are compared without case.
///
/// Values are split at commas: in requests only quoted `features` would contain one, and no request has them.
/// `stream-switch-entry` contains colons and spaces, and has a field of its own.
pub(super) fn token<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(PRAGMA).iter();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .find_map(|token| {
            let (found, value) = token.split_once('=').unwrap_or((token, ""));
            found
                .trim()
                .eq_ignore_ascii_case(name)
                .then_some(value.trim())
        })
}

/// Returns the value of a token as a number.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u32> {
    token(headers, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_may_share_a_field() {
        let mut headers = HeaderMap::new();
        for field in [
            "no-cache,rate=1.000, stream-time=0,stream-offset=0:0",
            "XPLAYSTRM=1",
            "stream-switch-entry=ffff:1:0 ffff:2:0",
            "client-id=2338761264",
        ] {
            headers.append(PRAGMA, field.parse().unwrap());
        }
        assert_eq!(token(&headers, "no-cache"), Some(""));
        assert_eq!(token(&headers, "stream-time"), Some("0"));
        assert_eq!(token(&headers, "xPlayStrm"), Some("1"));
        assert_eq!(
            token(&headers, "stream-switch-entry"),
            Some("ffff:1:0 ffff:2:0")
        );
        assert_eq!(token(&headers, "speed"), None);
        assert_eq!(number(&headers, "client-id"), Some(2_338_761_264));
        assert_eq!(number(&headers, "rate"), None);
    }
}
