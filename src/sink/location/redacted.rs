// SPDX-License-Identifier: MPL-2.0

use percent_encoding::percent_decode_str;

use super::address::{AT, COLON, split_authority, split_last, split_scheme};

/// Returns an invalid address without anything that may be a password: everything between the scheme and the last `@`,
/// and everything behind a colon that no port follows. Decodes percent-encoding first, because either may be encoded.
pub(super) fn redacted(text: &str) -> String {
    let text = percent_decode_str(text.trim()).decode_utf8_lossy();
    let text: String = text.chars().filter(|other| !other.is_control()).collect();
    let (scheme, rest) = match split_scheme(&text) {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text.as_str()),
    };
    let rest = split_last(rest, AT).map_or(rest, |(_, behind)| behind);
    scheme + &without_unusable_port(rest)
}

fn without_unusable_port(rest: &str) -> String {
    let (authority, _) = split_authority(rest);
    let literal = match authority.starts_with('[') {
        true => authority.find(']').unwrap_or_default(),
        false => 0,
    };
    let behind = authority.get(literal..).unwrap_or_default();
    let Some((start, colon)) = behind.match_indices(COLON).next() else {
        return rest.to_owned();
    };
    let port = behind.get(start + colon.len()..).unwrap_or_default();
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_port {
        return rest.to_owned();
    }
    format!("{}:…", rest.get(..literal + start).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_before_the_last_at_is_left() {
        for (text, shown) in [
            ("user:secret@media", "media"),
            ("ftp://user:secret@media/x", "ftp://media/x"),
            ("http://user:p@ss@media:99/x", "http://media:99/x"),
            ("http://user:a/b?c#d@media/x", "http://media/x"),
            ("http://http://user:secret@media/", "http://media/"),
            (" http:\n//user:secret@media ", "http://media"),
            ("http:user:secret@media", "media"),
            ("http://user%3Asecret%40media/x", "http://media/x"),
            ("http://ユーザ：secret＠media/x", "http://media/x"),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
        }
    }

    #[test]
    fn nothing_behind_a_colon_without_a_port_is_left() {
        for (text, shown) in [
            ("http://alice:secret", "http://alice:…"),
            ("http://alice:se/cret", "http://alice:…"),
            ("http://alice:123456/x", "http://alice:…"),
            ("alice：secret", "alice:…"),
            ("http://alice%3Asecret", "http://alice:…"),
            (r"C:\Videos\a.wmv", "C:…"),
            ("ftp://[::1]:secret/", "ftp://[::1]:…"),
            ("ftp://[::1]:80/", "ftp://[::1]:80/"),
            ("127.0.0.1:8080/live", "127.0.0.1:8080/live"),
            ("media/live:1", "media/live:1"),
        ] {
            assert_eq!(redacted(text), shown, "{text}");
        }
    }
}
