// SPDX-License-Identifier: MPL-2.0

//! The body of a PushSetup request, MS-WMHTTP 2.2.2.1.

use bytes::Bytes;

use super::Error;

/// WMS-PushSetReq-Body of 2.2.2.1 PushSetup Request: directives about the publishing point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetupBody {
    /// 2.2.2.1.1 Template-URL: the percent-encoded path-absolute (RFC 3986 section 3.3) of an existing publishing
    /// point. A new publishing point inherits its settings.
    pub template_url: Option<String>,
    /// 2.2.2.1.2 AutoDestroy: true to remove the publishing point when the session ends.
    pub auto_destroy: bool,
}

impl SetupBody {
    /// Returns the body as sent. It is empty without directives, because some receivers take any body for the stream.
    ///
    /// A Template-URL is always followed by AutoDestroy (3.1.4.1.1).
    pub fn to_bytes(&self) -> Bytes {
        let auto_destroy = format!("AutoDestroy: {}\r\n", u8::from(self.auto_destroy));
        match &self.template_url {
            Some(path) => Bytes::from(format!("Template-URL: \"{path}\"\r\n{auto_destroy}")),
            None if self.auto_destroy => Bytes::from(auto_destroy),
            None => Bytes::new(),
        }
    }

    /// Parses a received body.
    ///
    /// # Errors
    ///
    /// [`Error::SetupBody`] if it does not follow the grammar of 2.2.2.1.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(body).map_err(|_| Error::SetupBody("not ASCII"))?;
        let mut parsed = Self::default();
        if text.is_empty() {
            return Ok(parsed);
        }
        let mut rest = text;
        if let Some(directive) = rest.strip_prefix("Template-URL:") {
            let (value, after) = line(directive)?;
            parsed.template_url = Some(quoted_path(value)?);
            rest = after;
        }
        let directive = rest
            .strip_prefix("AutoDestroy:")
            .ok_or(Error::SetupBody("AutoDestroy is missing"))?;
        let (value, after) = line(directive)?;
        parsed.auto_destroy = match value {
            "0" => false,
            "1" => true,
            _ => return Err(Error::SetupBody("AutoDestroy is neither 0 nor 1")),
        };
        if after.is_empty() {
            Ok(parsed)
        } else {
            Err(Error::SetupBody("more than the two directives"))
        }
    }
}

/// Splits off `[SP] value CRLF`. Returns the value and the rest.
fn line(text: &str) -> Result<(&str, &str), Error> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    text.split_once("\r\n")
        .ok_or(Error::SetupBody("a directive without CRLF"))
}

fn quoted_path(value: &str) -> Result<String, Error> {
    let path = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .ok_or(Error::SetupBody("Template-URL is not in quotes"))?;
    if path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    {
        Ok(path.to_owned())
    } else {
        Err(Error::SetupBody(
            "Template-URL is not an absolute path in ASCII",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(template_url: Option<&str>, auto_destroy: bool) -> SetupBody {
        SetupBody {
            template_url: template_url.map(str::to_owned),
            auto_destroy,
        }
    }

    /// C-023
    #[test]
    fn no_directives_make_an_empty_body() {
        assert_eq!(body(None, false).to_bytes(), "");
    }

    /// C-023, C-028, C-093
    #[test]
    fn auto_destroy_matches_the_bytes_of_example_4_8() {
        let wire = body(None, true).to_bytes();
        assert_eq!(wire, "AutoDestroy: 1\r\n");
        assert_eq!(wire.len(), 16);
    }

    /// C-023, C-027, C-028, C-092, C-094
    #[test]
    fn a_template_is_followed_by_auto_destroy() {
        assert_eq!(
            body(Some("/pub"), false).to_bytes(),
            "Template-URL: \"/pub\"\r\nAutoDestroy: 0\r\n"
        );
    }

    #[test]
    fn every_body_round_trips() {
        for sent in [
            body(None, false),
            body(None, true),
            body(Some("/a%20b"), false),
            body(Some("/"), true),
        ] {
            assert_eq!(SetupBody::parse(&sent.to_bytes()), Ok(sent));
        }
        assert_eq!(SetupBody::parse(b"AutoDestroy:1\r\n"), Ok(body(None, true)));
    }

    #[test]
    fn bodies_outside_the_grammar_are_errors() {
        for wire in [
            "AutoDestroy: 2\r\n",
            "AutoDestroy: 1",
            "Template-URL: \"/pub\"\r\n",
            "Template-URL: /pub\r\nAutoDestroy: 0\r\n",
            "Template-URL: \"pub\"\r\nAutoDestroy: 0\r\n",
            "AutoDestroy: 0\r\nTemplate-URL: \"/pub\"\r\n",
            "AutoDestroy: 0\r\nAutoDestroy: 0\r\n",
            "\r\n",
        ] {
            assert!(
                matches!(SetupBody::parse(wire.as_bytes()), Err(Error::SetupBody(_))),
                "{wire:?}"
            );
        }
    }
}
