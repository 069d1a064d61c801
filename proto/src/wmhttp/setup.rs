// SPDX-License-Identifier: MPL-2.0

//! The body of a PushSetup request, MS-WMHTTP 2.2.2.1.

use std::fmt;

use bytes::Bytes;

/// WMS-PushSetReq-Body of 2.2.2.1 PushSetup Request: directives about the publishing point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetupBody {
    /// 2.2.2.1.1 Template-URL: the percent-encoded path-absolute (RFC 3986 section 3.3) of an existing publishing
    /// point. A new publishing point inherits its settings.
    pub template_url: Option<String>,
    /// 2.2.2.1.2 AutoDestroy: true to remove the publishing point when the session ends.
    pub auto_destroy: bool,
}

/// The reason why bytes are not the body of a PushSetup request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSetupBody {
    /// The body has a byte beyond ASCII.
    NotAscii,
    /// A directive does not end with CRLF.
    NoLineEnd,
    /// 2.2.2.1.1 Template-URL: the value is not in quotes.
    TemplateNotQuoted,
    /// 2.2.2.1.1 Template-URL: the value is not an absolute path.
    TemplateNotAPath,
    /// 2.2.2.1.2 AutoDestroy is missing, or does not come where it has to.
    NoAutoDestroy,
    /// 2.2.2.1.2 AutoDestroy: the value is neither 0 nor 1.
    AutoDestroyValue,
    /// There is more behind AutoDestroy.
    MoreDirectives,
}

impl fmt::Display for BadSetupBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad PushSetup body: ")?;
        f.write_str(match self {
            Self::NotAscii => "not ASCII",
            Self::NoLineEnd => "a directive without CRLF",
            Self::TemplateNotQuoted => "Template-URL is not in quotes",
            Self::TemplateNotAPath => "Template-URL is not an absolute path in ASCII",
            Self::NoAutoDestroy => "AutoDestroy is missing",
            Self::AutoDestroyValue => "AutoDestroy is neither 0 nor 1",
            Self::MoreDirectives => "more than the two directives",
        })
    }
}

impl std::error::Error for BadSetupBody {}

impl SetupBody {
    /// Returns the body as sent. It is empty without directives, because some receivers take any body for the stream.
    ///
    /// A Template-URL is always followed by AutoDestroy (3.1.4.1.1 Sending the PushSetup Request).
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
    /// [`BadSetupBody`] if it does not follow the grammar of 2.2.2.1 PushSetup Request.
    pub fn parse(body: &[u8]) -> Result<Self, BadSetupBody> {
        let text = std::str::from_utf8(body).map_err(|_| BadSetupBody::NotAscii)?;
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
            .ok_or(BadSetupBody::NoAutoDestroy)?;
        let (value, after) = line(directive)?;
        parsed.auto_destroy = match value {
            "0" => false,
            "1" => true,
            _ => return Err(BadSetupBody::AutoDestroyValue),
        };
        if after.is_empty() {
            Ok(parsed)
        } else {
            Err(BadSetupBody::MoreDirectives)
        }
    }
}

/// Splits off `[SP] value CRLF`. Returns the value and the rest.
fn line(text: &str) -> Result<(&str, &str), BadSetupBody> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    text.split_once("\r\n").ok_or(BadSetupBody::NoLineEnd)
}

fn quoted_path(value: &str) -> Result<String, BadSetupBody> {
    let path = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .ok_or(BadSetupBody::TemplateNotQuoted)?;
    if path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    {
        Ok(path.to_owned())
    } else {
        Err(BadSetupBody::TemplateNotAPath)
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
        use BadSetupBody::*;
        for (wire, error) in [
            ("AutoDestroy: 2\r\n", AutoDestroyValue),
            ("AutoDestroy: 1", NoLineEnd),
            ("Template-URL: \"/pub\"\r\n", NoAutoDestroy),
            (
                "Template-URL: /pub\r\nAutoDestroy: 0\r\n",
                TemplateNotQuoted,
            ),
            (
                "Template-URL: \"pub\"\r\nAutoDestroy: 0\r\n",
                TemplateNotAPath,
            ),
            (
                "AutoDestroy: 0\r\nTemplate-URL: \"/pub\"\r\n",
                MoreDirectives,
            ),
            ("AutoDestroy: 0\r\nAutoDestroy: 0\r\n", MoreDirectives),
            ("\r\n", NoAutoDestroy),
        ] {
            assert_eq!(SetupBody::parse(wire.as_bytes()), Err(error), "{wire:?}");
        }
        assert_eq!(SetupBody::parse(b"\xe4"), Err(NotAscii));
    }
}
