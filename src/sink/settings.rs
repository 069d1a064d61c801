// SPDX-License-Identifier: MPL-2.0

//! The properties as the element keeps them, and what a push makes of them.

use std::path::Path;
use std::time::Duration;

use url::Url;

use super::extra_headers::extra_headers;
use super::location::{Account, Location, ProxyUrl, SettingsError, template_path};
use super::{AuthMethods, Leaky};
use crate::push::{self, Limits, Trust};
use crate::wmhttp::{AccessConfig, SessionConfig, SetupBody, is_encoder_user_agent};

pub(super) const DEFAULT_TIMEOUT: u32 = 10_000;
pub(super) const DEFAULT_STALL_TIMEOUT: u32 = 15_000;
pub(super) const DEFAULT_EOS_TIMEOUT: u32 = 5_000;

pub(super) const DEFAULT_RECONNECT_TIMEOUT: u32 = 300_000;
pub(super) const DEFAULT_MAX_SIZE_BYTES: u32 = 8 * 1024 * 1024;
pub(super) const DEFAULT_MAX_SIZE_TIME: u64 = 10_000_000_000;

/// gst-launch-1.0 hangs when an ERROR comes while it still changes the pipeline's state, before its main loop runs.
const EARLIEST_FAILURE: Duration = Duration::from_millis(100);

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
    /// 0: never; the highest value: for ever.
    pub(super) reconnect_timeout: u32,
    pub(super) retry_first_connect: bool,
    pub(super) resume: bool,
    pub(super) stats_interval: u32,
    pub(super) max_size_bytes: u32,
    /// Nanoseconds.
    pub(super) max_size_time: u64,
    pub(super) leaky: Leaky,
    /// Total bits per second; 0: not known.
    pub(super) bitrate: u32,
    pub(super) extra_headers: Option<gst::Structure>,
    pub(super) remove_padding: bool,
    pub(super) live_header: bool,
    pub(super) user: Account,
    pub(super) auth_methods: AuthMethods,
    pub(super) allow_cleartext_auth: bool,
    /// Not set: what the environment says. Empty: none.
    pub(super) proxy: Option<ProxyUrl>,
    pub(super) proxy_user: Account,
    /// 0: as the protocol says.
    pub(super) content_length: u32,
    pub(super) ssl_strict: bool,
    pub(super) ssl_ca_file: Option<String>,
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
            reconnect_timeout: DEFAULT_RECONNECT_TIMEOUT,
            retry_first_connect: false,
            resume: true,
            stats_interval: 0,
            max_size_bytes: DEFAULT_MAX_SIZE_BYTES,
            max_size_time: DEFAULT_MAX_SIZE_TIME,
            leaky: Leaky::Auto,
            bitrate: 0,
            extra_headers: None,
            remove_padding: true,
            live_header: true,
            user: Account::default(),
            auth_methods: AuthMethods::all(),
            allow_cleartext_auth: false,
            proxy: None,
            proxy_user: Account::default(),
            content_length: 0,
            ssl_strict: true,
            ssl_ca_file: None,
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
        let access = self.access(&url)?;
        let ca_file = self.ssl_ca_file.as_deref().map(Path::new);
        let trust = Trust::new(self.ssl_strict, ca_file);
        let trust = trust.map_err(|error| SettingsError::CaFile(error.to_string()))?;
        let extra_headers = self.extra_headers.as_deref().map(extra_headers);
        let milliseconds = |value: u32| Duration::from_millis(value.into());
        Ok(push::Settings {
            session: SessionConfig {
                url,
                setup: SetupBody {
                    template_url,
                    auto_destroy: self.auto_destroy,
                },
                user_agent: self.user_agent.clone(),
                extra_headers: extra_headers.transpose()?.unwrap_or_default(),
                content_length: (self.content_length > 0).then_some(self.content_length.into()),
                remove_padding: self.remove_padding,
                access,
            },
            zone: None,
            proxy_zone: None,
            proxy_source: None,
            timeout: milliseconds(self.timeout),
            stall_timeout: milliseconds(self.stall_timeout),
            reconnect_timeout: match self.reconnect_timeout {
                u32::MAX => Duration::MAX,
                value => milliseconds(value),
            },
            retry_first_connect: self.retry_first_connect,
            resume: self.resume,
            earliest_failure: EARLIEST_FAILURE,
            limits: Limits {
                bytes: usize::try_from(self.max_size_bytes).unwrap_or(usize::MAX),
                time: Duration::from_nanos(self.max_size_time),
                leaky: self.leaky.into(),
            },
            trust,
        })
    }

    /// The property `eos-timeout`.
    pub(super) fn eos_timeout(&self) -> Duration {
        Duration::from_millis(self.eos_timeout.into())
    }

    /// Which proxy, and who may be told what.
    fn access(&self, url: &Url) -> Result<AccessConfig, SettingsError> {
        let environment = self
            .proxy
            .is_none()
            .then(|| ProxyUrl::from_environment(url))
            .flatten();
        let proxy = self.proxy.as_ref().or(environment.as_ref());
        let account = match &environment {
            Some(environment) if self.proxy_user.id.is_none() => environment.account(),
            _ => &self.proxy_user,
        };
        Ok(AccessConfig {
            proxy: proxy.map_or(Ok(None), ProxyUrl::url)?,
            schemes: self.auth_methods.schemes(),
            cleartext_basic: self.allow_cleartext_auth,
            credentials: self.user.credentials(),
            proxy_credentials: account.credentials(),
        })
    }

    /// Takes a new location, and the account in it.
    pub(super) fn set_location(&mut self, text: Option<&str>) {
        self.location = text.map(Location::new);
        if let Some(account) = text.and_then(Account::of_url) {
            self.user = account;
        }
    }

    /// Takes a new proxy, and the account in it.
    pub(super) fn set_proxy(&mut self, text: Option<&str>) {
        self.proxy = text.map(ProxyUrl::new);
        if let Some(proxy) = self
            .proxy
            .as_ref()
            .filter(|proxy| proxy.account().id.is_some())
        {
            self.proxy_user = proxy.account().clone();
        }
    }

    /// The location without credentials; empty when there is none.
    pub(super) fn shown_location(&self) -> &str {
        self.location.as_ref().map_or("", Location::shown)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(location: &str) -> Settings {
        gst::init().unwrap();
        let mut settings = Settings::default();
        settings.set_location(Some(location));
        settings
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
        let mut proxied = settings("http://media/");
        proxied.set_proxy(Some("socks5://proxy"));
        assert_eq!(error(proxied), SettingsError::ProxyScheme);
    }

    #[test]
    fn accounts_come_out_of_urls() {
        let mut settings = settings("http://WMDOM%5Calice:s%40crt@media/");
        settings.set_proxy(Some("bob:pw@proxy:3128"));
        let access = settings.connection().unwrap().session.access;
        assert_eq!(access.credentials.unwrap().user_id(), "WMDOM\\alice");
        assert_eq!(access.proxy_credentials.unwrap().user_id(), "bob");
        assert_eq!(access.proxy.unwrap().as_str(), "http://proxy:3128/");
        settings.set_proxy(Some(""));
        assert_eq!(settings.connection().unwrap().session.access.proxy, None);
    }

    #[test]
    fn a_password_does_not_show() {
        let mut settings = settings("http://alice:s3cret@media/");
        settings.set_proxy(Some("http://bob:s3cret@proxy/"));
        assert!(!format!("{settings:?}").contains("s3cret"));
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
