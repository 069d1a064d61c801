// SPDX-License-Identifier: MPL-2.0

//! The properties as the element keeps them, and what a push makes of them.

use std::fmt;
use std::time::Duration;

use url::{ParseError, Url};

use crate::push;
use crate::wmhttp::{HResult, SessionConfig, SetupBody, is_encoder_user_agent};

pub(super) const DEFAULT_TIMEOUT: u32 = 10_000;
pub(super) const DEFAULT_STALL_TIMEOUT: u32 = 15_000;
pub(super) const DEFAULT_EOS_TIMEOUT: u32 = 5_000;

/// What may wait unsent inside the element.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The values of the properties.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) location: Option<Location>,
    pub(super) template_url: Option<String>,
    pub(super) auto_destroy: bool,
    pub(super) user_agent: String,
    /// Milliseconds, as the other durations.
    pub(super) timeout: u32,
    pub(super) stall_timeout: u32,
    pub(super) eos_timeout: u32,
    pub(super) remove_padding: bool,
    pub(super) live_header: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: None,
            template_url: None,
            auto_destroy: false,
            user_agent: default_user_agent(),
            timeout: DEFAULT_TIMEOUT,
            stall_timeout: DEFAULT_STALL_TIMEOUT,
            eos_timeout: DEFAULT_EOS_TIMEOUT,
            remove_padding: true,
            live_header: true,
        }
    }
}

impl Settings {
    /// What the connection is told.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] when a property has a value that cannot be used.
    pub(super) fn connection(&self) -> Result<push::Settings, SettingsError> {
        let location = self.location.as_ref().ok_or(SettingsError::NoLocation)?;
        let url = location.url.clone()?;
        if !is_encoder_user_agent(&self.user_agent) {
            return Err(SettingsError::UserAgent);
        }
        let template_url = self
            .template_url
            .as_deref()
            .map(|template| template_path(&url, template))
            .transpose()?;
        let milliseconds = |value: u32| Duration::from_millis(value.into());
        Ok(push::Settings {
            session: SessionConfig {
                url,
                setup: SetupBody {
                    template_url,
                    auto_destroy: self.auto_destroy,
                },
                user_agent: self.user_agent.clone(),
                content_length: None,
                remove_padding: self.remove_padding,
            },
            timeout: milliseconds(self.timeout),
            stall_timeout: milliseconds(self.stall_timeout),
            max_bytes: MAX_BYTES,
        })
    }

    /// The location without credentials; empty when there is none.
    pub(super) fn shown_location(&self) -> &str {
        self.location
            .as_ref()
            .map_or("", |location| &location.shown)
    }
}

/// `WMEncoder/12.0 GStreamer/<version> wmspushsink/<version>`
fn default_user_agent() -> String {
    let (major, minor, micro, _) = gst::version();
    format!(
        "WMEncoder/12.0 GStreamer/{major}.{minor}.{micro} wmspushsink/{}",
        env!("CARGO_PKG_VERSION")
    )
}

/// The property `location`, with its credentials taken out.
#[derive(Clone, Debug)]
pub(super) struct Location {
    url: Result<Url, SettingsError>,
    shown: String,
}

impl Location {
    /// Takes any text: what is wrong with it is told when it is to be used.
    pub(super) fn new(text: &str) -> Self {
        let url = parse(text);
        let shown = match &url {
            Ok(url) => url.to_string(),
            Err(_) => without_credentials(text),
        };
        Self { url, shown }
    }

    /// The address in the form that is shown: nothing of user or password is left in it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn error(&self) -> Option<&SettingsError> {
        self.url.as_ref().err()
    }

    /// The form of GStreamer URIs, whose scheme says what element they are for.
    pub(super) fn uri(&self) -> String {
        format!("wmspush+{}", self.shown)
    }
}

fn parse(text: &str) -> Result<Url, SettingsError> {
    let text = text.strip_prefix("wmspush+").unwrap_or(text);
    let mut url = Url::parse(text).map_err(SettingsError::Location)?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(SettingsError::NoTls),
        _ => return Err(SettingsError::Scheme),
    }
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    cleared.map_err(|()| SettingsError::Location(ParseError::EmptyHost))?;
    url.set_fragment(None);
    Ok(url)
}

/// Passwords may hold anything, so everything goes that stands before the last '@'.
fn without_credentials(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    match rest.rsplit_once('@') {
        Some((_, rest)) if scheme.is_empty() => rest.to_owned(),
        Some((_, rest)) => format!("{scheme}://{rest}"),
        None => text.to_owned(),
    }
}

/// 2.2.2.1.1 Template-URL is an absolute path in ASCII; the property may hold one, or a URL on any server.
fn template_path(location: &Url, template: &str) -> Result<String, SettingsError> {
    let template = template.strip_prefix("wmspush+").unwrap_or(template);
    let url = if template.starts_with('/') {
        location.join(template)
    } else {
        Url::parse(template)
    };
    let url = url.map_err(|_| SettingsError::Template)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingsError::Template);
    }
    // A quote cannot stand in the directive, and the parser leaves some alone.
    Ok(url.path().replace('"', "%22"))
}

/// A property that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SettingsError {
    NoLocation,
    Location(ParseError),
    Scheme,
    NoTls,
    Template,
    UserAgent,
}

impl SettingsError {
    pub(super) fn hresult(&self) -> HResult {
        match self {
            Self::Location(ParseError::InvalidPort) => HResult::NS_E_INVALID_PORT,
            Self::Location(_) => HResult::NS_E_INVALID_NAME,
            Self::Scheme | Self::NoTls => HResult::NS_E_UNKNOWN_PROTOCOL,
            Self::Template => HResult::NS_E_INVALID_PUSH_TEMPLATE,
            Self::NoLocation | Self::UserAgent => HResult::E_INVALIDARG,
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoLocation | Self::Location(_) | Self::Scheme | Self::NoTls => {
                "Set location to the publishing point, such as http://server:8080/live."
            }
            Self::Template => {
                "Set template-url to a path such as /template, or to the URL of a publishing point."
            }
            Self::UserAgent => {
                "Let user-agent begin with WMEncoder/9.0, 10.0, 11.0 or 12.0, or leave it alone."
            }
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation => f.write_str("no location is set"),
            Self::Location(error) => write!(f, "the location is not a usable URL: {error}"),
            Self::Scheme => f.write_str("the location is neither an http nor a wmspush+http URL"),
            Self::NoTls => f.write_str("https is not supported yet"),
            Self::Template => {
                f.write_str("template-url is neither an absolute path nor an http URL")
            }
            Self::UserAgent => f.write_str("user-agent does not follow MS-WMHTTP 2.2.1.8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(location: &str) -> Settings {
        gst::init().unwrap();
        Settings {
            location: Some(Location::new(location)),
            ..Settings::default()
        }
    }

    #[test]
    fn a_location_is_shown_without_its_credentials() {
        for (text, shown) in [
            ("http://media/live", "http://media/live"),
            (
                "http://user:pa%40ss@media:8080/live",
                "http://media:8080/live",
            ),
            ("wmspush+http://user@media/live#x", "http://media/live"),
            ("http://user:p@ss@media:99999/x", "http://media:99999/x"),
            ("user:secret@media", "media"),
            ("ftp://user:secret@media/x", "ftp://media/x"),
        ] {
            assert_eq!(Location::new(text).shown(), shown, "{text}");
        }
    }

    #[test]
    fn a_path_goes_percent_encoded() {
        let url = settings("http://media/日本;genre;a b")
            .connection()
            .unwrap()
            .session
            .url;
        assert_eq!(url.path(), "/%E6%97%A5%E6%9C%AC;genre;a%20b");
    }

    #[test]
    fn a_template_is_a_path() {
        let location = Url::parse("http://media:8080/live").unwrap();
        assert_eq!(
            template_path(&location, "/pub point"),
            Ok("/pub%20point".to_owned())
        );
        assert_eq!(
            template_path(&location, "http://other/ä\""),
            Ok("/%C3%A4%22".to_owned())
        );
        assert_eq!(
            template_path(&location, "pub"),
            Err(SettingsError::Template)
        );
        assert_eq!(
            template_path(&location, "ftp://other/x"),
            Err(SettingsError::Template)
        );
    }

    #[test]
    fn what_cannot_work_is_said_with_its_hresult() {
        let error = |settings: Settings| settings.connection().map(|_| ()).unwrap_err();
        for (location, name) in [
            ("http://", "NS_E_INVALID_NAME"),
            ("media/live", "NS_E_INVALID_NAME"),
            ("http://media:99999/", "NS_E_INVALID_PORT"),
            ("rtsp://media/", "NS_E_UNKNOWN_PROTOCOL"),
        ] {
            assert_eq!(
                error(settings(location)).hresult().name(),
                name,
                "{location}"
            );
        }
        let user_agent = Settings {
            user_agent: "curl/8".to_owned(),
            ..settings("http://media/")
        };
        assert_eq!(error(user_agent), SettingsError::UserAgent);
        assert_eq!(error(Settings::default()), SettingsError::NoLocation);
    }

    #[test]
    fn the_default_user_agent_is_an_encoder_s() {
        gst::init().unwrap();
        assert!(
            is_encoder_user_agent(&default_user_agent()),
            "{}",
            default_user_agent()
        );
    }
}
