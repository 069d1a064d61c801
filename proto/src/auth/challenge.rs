// SPDX-License-Identifier: MPL-2.0

//! The parser of WWW-Authenticate and Proxy-Authenticate (RFC 9110 section 11.6.1).

use http::{HeaderMap, HeaderName};

use super::Scheme;

/// Bytes of challenges read from one response, at most. A field that exceeds the limit is skipped whole.
const MAX_BYTES: usize = 8 * 1024;
/// Challenges read from one response, at most.
const MAX_CHALLENGES: usize = 16;
/// Letters kept of a scheme name, at most.
const MAX_NAME: usize = 32;

/// One challenge (RFC 9110 section 11.3 Challenge and Response): a scheme, and either a token or parameters.
///
/// It has no `Debug`, because tokens and nonces are secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// The scheme name as the peer wrote it.
    pub(super) name: String,
    /// The token68 that follows the scheme name.
    pub(super) token: Option<String>,
    parameters: Vec<(String, Value)>,
}

impl Challenge {
    pub(super) fn scheme(&self) -> Option<Scheme> {
        Scheme::from_name(&self.name)
    }

    /// Returns the value of the first parameter called `name`.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        find(&self.parameters, name)
    }

    /// Returns the same value as text; `None` if it is not UTF-8.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.value(name)?.bytes()).ok()
    }
}

/// The value of a parameter, in any character set.
#[derive(Clone)]
pub(super) struct Value {
    bytes: Vec<u8>,
    quoted: Vec<u8>,
}

impl Value {
    /// Creates a value that the client quotes itself.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut quoted = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                quoted.push(b'\\');
            }
            quoted.push(*byte);
        }
        Self {
            bytes: bytes.to_vec(),
            quoted,
        }
    }

    /// Returns the value without escapes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the text between the quotes, escapes included, as the peer wrote it.
    pub(super) fn quoted(&self) -> &[u8] {
        &self.quoted
    }

    /// Returns the value for display.
    pub(super) fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Value {}

/// Returns all challenges in the fields called `name`, in order, unknown schemes included.
pub(super) fn challenges(headers: &HeaderMap, name: &HeaderName) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut left = MAX_BYTES;
    for value in headers.get_all(name) {
        let Some(rest) = left.checked_sub(value.len()) else {
            continue;
        };
        left = rest;
        split(value.as_bytes(), &mut found);
    }
    found
}

/// Returns parameter `name` of a field that consists of parameters only, such as Authentication-Info.
pub(super) fn lone_parameter(headers: &HeaderMap, field: &HeaderName, name: &str) -> Option<Value> {
    let value = headers.get(field)?;
    if value.len() > MAX_BYTES {
        return None;
    }
    let mut text = Text(value.as_bytes());
    let mut parameters = Vec::new();
    while text.skip_to_element() {
        let token = text.take(is_token_byte);
        match token.is_empty() {
            false if text.take_equals() => {
                parameters.extend(text.value().map(|v| (lower(token), v)))
            }
            _ => text.skip_element(),
        }
    }
    find(&parameters, name).cloned()
}

fn find<'a>(parameters: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    let mut parameters = parameters.iter();
    let (_, value) = parameters.find(|(known, _)| known == name)?;
    Some(value)
}

fn split(field: &[u8], found: &mut Vec<Challenge>) {
    let mut text = Text(field);
    let first = found.len();
    while text.skip_to_element() {
        let token = text.take(is_token_byte);
        if token.is_empty() {
            text.skip_element();
        } else if text.take_equals() {
            // A challenge never continues from one field to the next.
            let challenge = found.get_mut(first..).and_then(<[_]>::last_mut);
            let value = text.value();
            if let (Some(challenge), Some(value)) = (challenge, value) {
                challenge.parameters.push((lower(token), value));
            }
        } else {
            if found.len() >= MAX_CHALLENGES {
                return;
            }
            let name = token
                .iter()
                .copied()
                .map(char::from)
                .take(MAX_NAME)
                .collect();
            found.push(Challenge {
                name,
                token: text.token68(),
                parameters: Vec::new(),
            });
        }
    }
}

/// The unread part of a field.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn take(&mut self, wanted: fn(u8) -> bool) -> &'a [u8] {
        let length = self.0.iter().take_while(|byte| wanted(**byte)).count();
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }

    /// Skips separators. Returns whether another element of the list follows.
    fn skip_to_element(&mut self) -> bool {
        self.take(|byte| is_space(byte) || byte == b',');
        !self.0.is_empty()
    }

    /// Skips an element that cannot be parsed, at least one byte of it.
    fn skip_element(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
        self.take(|byte| byte != b',' && !is_space(byte));
    }

    /// Consumes `=` and the whitespace around it. Returns whether there was one.
    fn take_equals(&mut self) -> bool {
        let mut ahead = Text(self.0);
        ahead.take(is_space);
        let Some(rest) = ahead.0.strip_prefix(b"=") else {
            return false;
        };
        self.0 = rest;
        self.take(is_space);
        true
    }

    /// Reads a token or a quoted string; `None` if its end is missing.
    fn value(&mut self) -> Option<Value> {
        let Some(quoted) = self.0.strip_prefix(b"\"") else {
            return Some(Value::new(
                self.take(|byte| byte != b',' && !is_space(byte)),
            ));
        };
        let found = unquote(quoted, Charset::Utf8)
            .filter(|found| std::str::from_utf8(&found.quoted).is_ok())
            .or_else(|| unquote(quoted, Charset::Other));
        let end = found.as_ref().map(|found| found.quoted.len());
        let rest = end.and_then(|end| quoted.get(end.saturating_add(1)..));
        self.0 = rest.unwrap_or_default();
        found
    }

    /// Reads a token68 that fills its whole element; `None` for anything else.
    fn token68(&mut self) -> Option<String> {
        let mut ahead = Text(self.0);
        ahead.take(is_space);
        let start = ahead.0;
        ahead.take(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        ahead.take(|byte| byte == b'=');
        let length = start.len().checked_sub(ahead.0.len())?;
        ahead.take(is_space);
        if length == 0 || !(ahead.0.is_empty() || ahead.0.starts_with(b",")) {
            return None;
        }
        self.0 = ahead.0;
        String::from_utf8(start.get(..length)?.to_vec()).ok()
    }
}

/// The character set of a quoted string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    /// Possibly Shift-JIS: a backslash that is the second byte of a character escapes nothing.
    Other,
}

/// Reads a string up to the closing quote; `None` if that is missing.
fn unquote(quoted: &[u8], charset: Charset) -> Option<Value> {
    let mut value = Vec::new();
    let mut bytes = quoted.iter();
    let mut is_half = false;
    loop {
        match *bytes.next()? {
            b'"' => break,
            b'\\' if !is_half => value.push(*bytes.next()?),
            byte => {
                let is_lead = matches!(byte, 0x81..=0x9F | 0xE0..=0xFC);
                is_half = charset == Charset::Other && is_lead && !is_half;
                value.push(byte);
            }
        }
    }
    let end = quoted.len().checked_sub(bytes.as_slice().len())?;
    let end = end.checked_sub(1)?;
    Some(Value {
        bytes: value,
        quoted: quoted.get(..end)?.to_vec(),
    })
}

fn lower(token: &[u8]) -> String {
    String::from_utf8_lossy(token).to_ascii_lowercase()
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::WWW_AUTHENTICATE;
    use proptest::prelude::*;

    use super::*;

    fn fields(values: &[&[u8]]) -> Vec<Challenge> {
        let headers: HeaderMap = values
            .iter()
            .filter_map(|value| Some((WWW_AUTHENTICATE, HeaderValue::from_bytes(value).ok()?)))
            .collect();
        challenges(&headers, &WWW_AUTHENTICATE)
    }

    /// Returns each challenge as `scheme|token|name=value|…`.
    fn shown(values: &[&str]) -> Vec<String> {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        let show = |challenge: Challenge| {
            let mut text = format!("{}|{}", challenge.name, challenge.token.unwrap_or_default());
            for (name, value) in challenge.parameters {
                text.push_str(&format!("|{name}={}", value.to_text()));
            }
            text
        };
        fields(&values).into_iter().map(show).collect()
    }

    #[test]
    fn one_field_may_have_several_challenges() {
        let field = r#"Negotiate, NTLM, Digest realm="a, b", nonce="x\"y", qop="auth,auth-int", Basic realm=x"#;
        assert_eq!(
            shown(&[field]),
            [
                "Negotiate|",
                "NTLM|",
                r#"Digest||realm=a, b|nonce=x"y|qop=auth,auth-int"#,
                "Basic||realm=x",
            ]
        );
    }

    #[test]
    fn several_fields_are_read_in_order() {
        assert_eq!(
            shown(&["NTLM", "", "Bearer", r#"Digest realm="r",nonce=n"#]),
            ["NTLM|", "Bearer|", "Digest||realm=r|nonce=n"]
        );
        // Parameters without a scheme belong to no challenge.
        assert_eq!(shown(&["Digest realm=r", "nonce=n"]), ["Digest||realm=r"]);
    }

    #[test]
    fn a_token68_is_not_a_parameter() {
        assert_eq!(shown(&["NTLM TlRMTVNTUAAC"]), ["NTLM|TlRMTVNTUAAC"]);
        assert_eq!(
            shown(&["Negotiate a+/b==  , NTLM c="]),
            ["Negotiate|a+/b==", "NTLM|c="]
        );
        assert_eq!(shown(&["Basic realm=\"\""]), ["Basic||realm="]);
        assert_eq!(shown(&["Basic realm = x"]), ["Basic||realm=x"]);
    }

    #[test]
    fn commas_may_be_missing_or_too_many() {
        assert_eq!(
            shown(&[r#" ,, Digest realm="r" nonce="n" ,, stale=TRUE, "#]),
            ["Digest||realm=r|nonce=n|stale=TRUE"]
        );
    }

    #[test]
    fn an_unterminated_string_discards_the_rest_of_the_field() {
        assert_eq!(
            shown(&[r#"Digest realm="r", nonce="n, NTLM"#]),
            ["Digest||realm=r"]
        );
        assert_eq!(shown(&[r#"Digest realm="r\"#]), ["Digest|"]);
    }

    /// RFC 9110 section 5.5: fields are bytes, and old servers write them in the character set of their country.
    #[test]
    fn a_value_is_in_the_character_set_of_the_peer() {
        for (field, bytes, quoted) in [
            // Latin-1
            (
                &b"Digest realm=\"caf\xE9 \\\"x\\\"\", nonce=n"[..],
                &b"caf\xE9 \"x\""[..],
                &b"caf\xE9 \\\"x\\\""[..],
            ),
            // Shift-JIS, whose second bytes may be backslashes
            (
                b"Digest realm=\"\x83\x5C\x95\x5C\", nonce=n",
                b"\x83\x5C\x95\x5C",
                b"\x83\x5C\x95\x5C",
            ),
            // UTF-8 with a last byte that would be a first one in Shift-JIS
            (
                b"Digest realm=\"\xE3\x82\x81\\\"\", nonce=n",
                b"\xE3\x82\x81\"",
                b"\xE3\x82\x81\\\"",
            ),
            (b"Digest realm=\xFCber, nonce=n", b"\xFCber", b"\xFCber"),
        ] {
            let found = fields(&[field]);
            let realm = found[0].value("realm").unwrap();
            assert_eq!((realm.bytes(), realm.quoted()), (bytes, quoted));
            assert_eq!(found[0].parameter("nonce"), Some("n"));
        }
    }

    #[test]
    fn challenges_beyond_the_limits_are_ignored() {
        assert_eq!(fields(&[&b"NTLM,".repeat(100)]).len(), MAX_CHALLENGES);
        let long = format!("NTLM {}", "A".repeat(MAX_BYTES));
        assert_eq!(shown(&[&long, "Basic realm=r"]), ["Basic||realm=r"]);
        assert_eq!(shown(&[&"x".repeat(100)]), [format!("{}|", "x".repeat(32))]);
    }

    #[test]
    fn a_field_may_consist_of_parameters_only() {
        let field = HeaderName::from_static("authentication-info");
        let value = r#"rspauth="a", cnonce="b", nextnonce="c, d", nc=00000001"#;
        let headers = HeaderMap::from_iter([(field.clone(), HeaderValue::from_static(value))]);
        let found = |name| lone_parameter(&headers, &field, name);
        assert_eq!(found("nextnonce").unwrap().bytes(), b"c, d");
        assert_eq!(found("nc").unwrap().bytes(), b"00000001");
        assert!(found("qop").is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_fields_never_panic(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
            text in "[ ,=\"\\\\A-Za-z0-9é]{0,60}",
        ) {
            let mut values: Vec<_> = values.iter().map(Vec::as_slice).collect();
            values.push(text.as_bytes());
            for challenge in fields(&values) {
                prop_assert!(!challenge.name.is_empty());
            }
            let headers: HeaderMap = values
                .iter()
                .filter_map(|value| Some((WWW_AUTHENTICATE, HeaderValue::from_bytes(value).ok()?)))
                .collect();
            let _ = lone_parameter(&headers, &WWW_AUTHENTICATE, "nextnonce");
        }
    }
}
