// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use http::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, PRAGMA, USER_AGENT,
};
use http::{Method, Request};

use super::request::text;
use crate::wmhttp::header::X_ACCEPT_AUTHENTICATION;
use crate::wmhttp::{is_encoder_user_agent, requested_push_id};

/// The severity of a [`Violation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Breaks a MUST, or the grammar.
    Must,
    /// Ignores a SHOULD.
    Should,
    /// Follows the specification, but some servers refuse it.
    Interoperability,
}

/// A departure of the client from the specification that does not keep the server from serving it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Severity.
    pub weight: Weight,
    /// Number of the section that it breaks.
    pub section: &'static str,
    /// Description of the departure.
    pub text: String,
}

impl Violation {
    pub(super) fn must(section: &'static str, text: impl Into<String>) -> Self {
        Self {
            weight: Weight::Must,
            section,
            text: text.into(),
        }
    }

    pub(super) fn should(section: &'static str, text: impl Into<String>) -> Self {
        Self {
            weight: Weight::Should,
            section,
            text: text.into(),
        }
    }

    pub(super) fn interoperability(section: &'static str, text: impl Into<String>) -> Self {
        Self {
            weight: Weight::Interoperability,
            section,
            text: text.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Must => "MUST",
            Weight::Should => "SHOULD",
            Weight::Interoperability => "interoperability",
        };
        write!(f, "{} ({weight}): {}", self.section, self.text)
    }
}

/// Returns the departures from 2.2.1 HTTP Header Fields and 3.1.4 Higher-Layer Triggered Events in the head of a
/// PushSetup or PushStart request.
pub fn violations(request: &Request<()>) -> Vec<Violation> {
    if request.method() != Method::POST {
        return Vec::new();
    }
    let headers = request.headers();
    let content_type = text(headers, CONTENT_TYPE).unwrap_or_default();
    let is_setup = content_type.to_ascii_lowercase().contains("pushsetup");
    let (section, cookies) = if is_setup {
        ("3.1.4.1.1", cookie(headers, Violation::should, "3.1.4.1.1"))
    } else {
        ("3.1.4.2.1", cookie(headers, Violation::must, "3.1.4.2.1"))
    };
    let mut found = Vec::new();
    found.extend(content_type_parameter(content_type));
    found.extend(user_agent(headers));
    found.extend(cookies);
    if !headers.contains_key(X_ACCEPT_AUTHENTICATION) {
        let text = "X-Accept-Authentication is missing";
        found.push(Violation::should(section, text));
    }
    found.extend(response_fields(headers, section));
    if !is_setup && offers_ntlm(headers) {
        let text = "Authorization with NTLM in a PushStart request";
        found.push(Violation::must("3.2.5.2", text));
    }
    found
}

/// 2.2.1.1 Content-Type
fn content_type_parameter(content_type: &str) -> Option<Violation> {
    let (_, parameter) = content_type.split_once(';')?;
    Some(if parameter.trim().eq_ignore_ascii_case("charset=utf-8") {
        let text = "Content-Type with a charset, which many receivers refuse";
        Violation::interoperability("2.2.1.1", text)
    } else {
        let text = format!("Content-Type with the parameter {:?}", parameter.trim());
        Violation::must("2.2.1.1", text)
    })
}

/// 2.2.1.8 User-Agent
fn user_agent(headers: &HeaderMap) -> Option<Violation> {
    let value = text(headers, USER_AGENT).unwrap_or_default();
    (!is_encoder_user_agent(value))
        .then(|| Violation::must("2.2.1.8", format!("User-Agent is {value:?}")))
}

/// 2.2.1.3 Cookie. The text never contains the value.
fn cookie(
    headers: &HeaderMap,
    weigh: fn(&'static str, &'static str) -> Violation,
    section: &'static str,
) -> Option<Violation> {
    match requested_push_id(headers) {
        Ok(Some(_)) => None,
        Ok(None) if headers.contains_key(COOKIE) => {
            let text = "Cookie without a push-id";
            Some(Violation::must("2.2.1.3", text))
        }
        Ok(None) => Some(weigh(section, "Cookie is missing")),
        Err(error) => Some(Violation::must("2.2.1.3.1", error.to_string())),
    }
}

/// Fields that 2.2.1 HTTP Header Fields defines for responses only. By 2.2.1.2 Cache-Control is one of them, but the
/// grammar of both requests and example 4.8 have it (D-3).
fn response_fields(headers: &HeaderMap, section: &'static str) -> impl Iterator<Item = Violation> {
    [
        PRAGMA,
        HeaderName::from_static("supported"),
        http::header::SERVER,
        http::header::SET_COOKIE,
    ]
    .into_iter()
    .filter(|name| headers.contains_key(name))
    .map(move |name| Violation::must(section, format!("{name} is for responses only")))
}

fn offers_ntlm(headers: &HeaderMap) -> bool {
    text(headers, AUTHORIZATION)
        .and_then(|value| value.split(' ').next())
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("NTLM"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wmhttp::server::testing::request;
    use crate::wmhttp::{PUSH_SETUP, PUSH_START};

    fn found(content_type: &str, change: impl FnOnce(&mut HeaderMap)) -> Vec<String> {
        let mut request = request(content_type, "4711", 0);
        change(request.headers_mut());
        let found = violations(&request);
        found.iter().map(Violation::to_string).collect()
    }

    #[test]
    fn a_conforming_client_has_no_violations() {
        assert_eq!(found(PUSH_SETUP, |_| {}), [""; 0]);
        assert_eq!(found(PUSH_START, |_| {}), [""; 0]);
    }

    /// 3.1.4.1.1 Sending the PushSetup Request, 3.1.4.2.1 Sending the PushStart Request
    #[test]
    fn a_missing_cookie_weighs_more_in_push_start() {
        let remove = |headers: &mut HeaderMap| {
            headers.remove(COOKIE);
        };
        assert_eq!(
            found(PUSH_SETUP, remove),
            ["3.1.4.1.1 (SHOULD): Cookie is missing"]
        );
        assert_eq!(
            found(PUSH_START, remove),
            ["3.1.4.2.1 (MUST): Cookie is missing"]
        );
        let other = |headers: &mut HeaderMap| {
            headers.insert(COOKIE, "a=b".parse().unwrap());
        };
        assert_eq!(
            found(PUSH_START, other),
            ["2.2.1.3 (MUST): Cookie without a push-id"]
        );
    }

    /// 2.2.1.1 Content-Type, 2.2.1.8 User-Agent, 2.2.1.9 X-Accept-Authentication, 3.1.4.1.1 Sending the PushSetup
    /// Request
    #[test]
    fn each_departure_is_named_with_its_section() {
        let seen = found(PUSH_SETUP, |headers| {
            headers.remove(X_ACCEPT_AUTHENTICATION);
            let user_agent = "WMEncoder/12.0.10011.16384".parse().unwrap();
            headers.insert(USER_AGENT, user_agent);
            let content_type = format!("{PUSH_SETUP};charset=UTF-8").parse().unwrap();
            headers.insert(CONTENT_TYPE, content_type);
            headers.insert(PRAGMA, "no-cache".parse().unwrap());
        });
        assert_eq!(
            seen,
            [
                "2.2.1.1 (interoperability): Content-Type with a charset, which many receivers refuse",
                "2.2.1.8 (MUST): User-Agent is \"WMEncoder/12.0.10011.16384\"",
                "3.1.4.1.1 (SHOULD): X-Accept-Authentication is missing",
                "3.1.4.1.1 (MUST): pragma is for responses only",
            ]
        );
    }
}
