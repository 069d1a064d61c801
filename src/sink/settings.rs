// SPDX-License-Identifier: MPL-2.0

//! The values of the properties, and the settings of a push that they make.

use std::path::Path;
use std::time::Duration;

use percent_encoding::{CONTROLS, percent_encode};
use url::Url;

use super::extra_headers::extra_headers;
use super::location::{Account, Accounts, Location, ProxyUrl, SettingsError, Template};
use super::{AuthMethods, Leaky};
use crate::push::{self, Limits, NO_LIMIT, ProxySource, Trust};
use crate::wmhttp::{AccessConfig, SessionConfig, SetupBody, is_encoder_user_agent};

pub(super) const DEFAULT_TIMEOUT: u32 = 10_000;
pub(super) const DEFAULT_STALL_TIMEOUT: u32 = 15_000;
pub(super) const DEFAULT_EOS_TIMEOUT: u32 = 5_000;

pub(super) const DEFAULT_RECONNECT_TIMEOUT: u32 = 300_000;
pub(super) const DEFAULT_MAX_SIZE_BYTES: u32 = 8 * 1024 * 1024;
pub(super) const DEFAULT_MAX_SIZE_TIME: u64 = 10_000_000_000;

/// Earliest time of an ERROR, because gst-launch-1.0 hangs if one is posted while it still changes the pipeline's
/// state, before its main loop runs.
const EARLIEST_FAILURE: Duration = Duration::from_millis(100);

/// The values of the properties.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) location: Option<Location>,
    pub(super) template: Option<Template>,
    pub(super) auto_destroy: bool,
    pub(super) user_agent: String,
    /// Milliseconds, like the other durations; 0: no limit.
    pub(super) timeout: u32,
    /// 0: no limit.
    pub(super) stall_timeout: u32,
    /// 0: no limit.
    pub(super) eos_timeout: u32,
    /// 0: never; `u32::MAX`: no limit.
    pub(super) reconnect_timeout: u32,
    pub(super) retry_first_connect: bool,
    pub(super) resume: bool,
    pub(super) stats_interval: u32,
    pub(super) verify_interval: u32,
    pub(super) max_size_bytes: u32,
    /// Nanoseconds.
    pub(super) max_size_time: u64,
    pub(super) leaky: Leaky,
    /// Total bits per second; 0: unknown.
    pub(super) bitrate: u32,
    pub(super) extra_headers: Option<gst::Structure>,
    pub(super) remove_padding: bool,
    pub(super) live_header: bool,
    pub(super) user: Accounts,
    pub(super) auth_methods: AuthMethods,
    pub(super) allow_cleartext_auth: bool,
    /// `None`: the environment's proxy; an empty URL: none.
    pub(super) proxy: Option<ProxyUrl>,
    pub(super) proxy_user: Accounts,
    /// 0: the protocol's default.
    pub(super) content_length: u32,
    pub(super) ssl_strict: bool,
    pub(super) ssl_ca_file: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: None,
            template: None,
            auto_destroy: false,
            user_agent: default_user_agent(),
            timeout: DEFAULT_TIMEOUT,
            stall_timeout: DEFAULT_STALL_TIMEOUT,
            eos_timeout: DEFAULT_EOS_TIMEOUT,
            reconnect_timeout: DEFAULT_RECONNECT_TIMEOUT,
            retry_first_connect: false,
            resume: true,
            stats_interval: 0,
            verify_interval: 0,
            max_size_bytes: DEFAULT_MAX_SIZE_BYTES,
            max_size_time: DEFAULT_MAX_SIZE_TIME,
            leaky: Leaky::Auto,
            bitrate: 0,
            extra_headers: None,
            remove_padding: true,
            live_header: true,
            user: Accounts::default(),
            auth_methods: AuthMethods::all(),
            allow_cleartext_auth: false,
            proxy: None,
            proxy_user: Accounts::default(),
            content_length: 0,
            ssl_strict: true,
            ssl_ca_file: None,
        }
    }
}

impl Settings {
    /// Returns the settings of a connection. Reads the file of the property `ssl-ca-file`.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if a property has an unusable value.
    pub(super) fn connection(&self) -> Result<push::Settings, SettingsError> {
        let location = self.location.as_ref().ok_or(SettingsError::NoLocation)?;
        let url = location.url()?;
        if !is_encoder_user_agent(&self.user_agent) {
            return Err(SettingsError::UserAgent);
        }
        let template_url = self.template.as_ref().map(Template::path).transpose()?;
        let route = self.route(url)?;
        let access = self.access(&route);
        let ca_file = self.ssl_ca_file.as_deref().filter(|file| !file.is_empty());
        let trust = Trust::new(self.ssl_strict, ca_file.map(Path::new)).map_err(|error| {
            SettingsError::CaFile(format!("{}: {error}", ca_file.unwrap_or_default()))
        })?;
        Ok(push::Settings {
            session: self.session(url, template_url, access)?,
            zone: location.zone().map(str::to_owned),
            proxy_source: route.proxy.as_ref().map(|(_, source)| *source),
            proxy_zone: route.zone,
            timeout: limit(self.timeout),
            stall_timeout: limit(self.stall_timeout),
            reconnect_timeout: match self.reconnect_timeout {
                u32::MAX => Duration::MAX,
                value => Duration::from_millis(value.into()),
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

    fn session(
        &self,
        url: &Url,
        template_url: Option<String>,
        access: AccessConfig,
    ) -> Result<SessionConfig, SettingsError> {
        let extra_headers = self.extra_headers.as_deref().map(extra_headers);
        Ok(SessionConfig {
            url: url.clone(),
            setup: SetupBody {
                template_url,
                auto_destroy: self.auto_destroy,
            },
            user_agent: self.user_agent.clone(),
            extra_headers: extra_headers.transpose()?.unwrap_or_default(),
            content_length: (self.content_length > 0).then_some(self.content_length.into()),
            remove_padding: self.remove_padding,
            access,
        })
    }

    /// Returns the property `eos-timeout`.
    pub(super) fn eos_timeout(&self) -> Duration {
        limit(self.eos_timeout)
    }

    pub(super) fn stats_interval(&self) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(self.stats_interval.into())
    }

    pub(super) fn verify_interval(&self) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(self.verify_interval.into())
    }

    /// Returns the proxy for `url`: that of the property, or else that of the environment.
    fn route(&self, url: &Url) -> Result<Route, SettingsError> {
        let (proxy, source, environment) = match &self.proxy {
            Some(proxy) => (proxy.clone(), ProxySource::Property, Account::default()),
            None => match ProxyUrl::from_environment(url, variable) {
                Some((proxy, name)) => {
                    let account = proxy.account();
                    (proxy, ProxySource::Environment(name), account)
                }
                None => return Ok(Route::default()),
            },
        };
        let url = proxy
            .url()
            .map_err(|error| SettingsError::Proxy { source, error })?;
        Ok(Route {
            proxy: url.map(|url| (url, source)),
            zone: proxy.zone().map(str::to_owned),
            environment,
        })
    }

    fn access(&self, route: &Route) -> AccessConfig {
        AccessConfig {
            proxy: route.proxy.as_ref().map(|(url, _)| url.clone()),
            schemes: self.auth_methods.schemes(),
            cleartext_basic: self.allow_cleartext_auth,
            credentials: self.user.credentials(),
            proxy_credentials: self.proxy_user.credentials_or(&route.environment),
        }
    }

    /// Sets the property `location`. Keeps the account of the last location for the same host.
    pub(super) fn set_location(&mut self, text: Option<&str>) {
        let location = text.map(Location::new);
        let account = location.as_ref().map(Location::account).unwrap_or_default();
        let same = location.as_ref().zip(self.location.as_ref());
        if !account.is_empty() || !same.is_some_and(|(new, last)| new.has_origin_of(last)) {
            self.user.set_url(account);
        }
        self.location = location;
    }

    /// Sets the property `proxy`. Keeps the account of the last proxy for the same host.
    pub(super) fn set_proxy(&mut self, text: Option<&str>) {
        let proxy = text.map(ProxyUrl::new);
        let account = proxy.as_ref().map(ProxyUrl::account).unwrap_or_default();
        let same = proxy.as_ref().zip(self.proxy.as_ref());
        if !account.is_empty() || !same.is_some_and(|(new, last)| new.has_origin_of(last)) {
            self.proxy_user.set_url(account);
        }
        self.proxy = proxy;
    }

    /// Sets the property `template-url`.
    pub(super) fn set_template(&mut self, text: Option<&str>) {
        self.template = text.map(Template::new);
    }

    /// Returns the location without credentials; empty if there is none.
    pub(super) fn shown_location(&self) -> &str {
        self.location.as_ref().map_or("", Location::shown)
    }
}

/// The proxy on the way to the server.
#[derive(Debug, Default)]
struct Route {
    proxy: Option<(Url, ProxySource)>,
    /// The zone of the proxy's host.
    zone: Option<String>,
    /// The account in a proxy of the environment.
    environment: Account,
}

/// Converts milliseconds; 0: no limit.
fn limit(milliseconds: u32) -> Duration {
    match milliseconds {
        0 => NO_LIMIT,
        value => Duration::from_millis(value.into()),
    }
}

/// Returns an environment variable. Bytes that are not UTF-8 are percent-encoded.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(match value.into_string() {
        Ok(value) => value,
        Err(value) => percent_encode(value.as_encoded_bytes(), CONTROLS).to_string(),
    })
}

/// Returns `WMEncoder/12.0 GStreamer/<version> wmspushsink/<version>`.
fn default_user_agent() -> String {
    let (major, minor, micro, _) = gst::version();
    format!(
        "WMEncoder/12.0 GStreamer/{major}.{minor}.{micro} wmspushsink/{}",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::auth::Credentials;

    fn settings(location: &str) -> Settings {
        gst::init().unwrap();
        let mut settings = Settings::default();
        settings.set_location(Some(location));
        settings
    }

    #[test]
    fn a_path_is_sent_percent_encoded() {
        let url = settings("http://media/日本;genre;a b")
            .connection()
            .unwrap()
            .session
            .url;
        assert_eq!(url.path(), "/%E6%97%A5%E6%9C%AC;genre;a%20b");
    }

    #[test]
    fn unusable_settings_have_an_hresult() {
        let error = |settings: Settings| settings.connection().map(|_| ()).unwrap_err();
        for (location, name) in [
            ("http://", "NS_E_INVALID_NAME"),
            ("media/live", "NS_E_INVALID_NAME"),
            ("http://media:99999/", "NS_E_INVALID_PORT"),
            ("rtsp://media/", "NS_E_UNKNOWN_PROTOCOL"),
            ("ftp://media/", "NS_E_UNKNOWN_PROTOCOL"),
            ("localhost:8080/live", "NS_E_INVALID_NAME"),
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
        let error = error(proxied);
        assert_eq!(error.hresult().name(), "NS_E_UNKNOWN_PROTOCOL");
        assert_eq!(
            error.to_string(),
            "the proxy begins with socks5://; only proxies with http:// are supported"
        );
    }

    #[test]
    fn accounts_are_read_from_urls() {
        let mut settings = settings("http://WMDOM%5Calice:s%40crt@media/");
        settings.set_proxy(Some("bob:pw@proxy:3128"));
        let access = settings.connection().unwrap().session.access;
        assert_eq!(access.credentials.unwrap().user_id(), "WMDOM\\alice");
        assert_eq!(access.proxy_credentials.unwrap().user_id(), "bob");
        assert_eq!(access.proxy.unwrap().as_str(), "http://proxy:3128/");
        settings.set_proxy(Some(""));
        assert_eq!(settings.connection().unwrap().session.access.proxy, None);
    }

    fn used(settings: &Settings) -> Option<Credentials> {
        settings.connection().unwrap().session.access.credentials
    }

    fn alice(password: &str) -> Option<Credentials> {
        Some(Credentials::new("alice", password))
    }

    #[test]
    fn an_account_is_kept_for_the_same_host_only() {
        let mut settings = settings("http://alice:secret@media/x");
        settings.set_location(Some("http://media/y"));
        assert_eq!(used(&settings), alice("secret"), "the same host");
        settings.set_location(Some("http://other/y"));
        assert_eq!(used(&settings), None);
        assert_eq!(settings.user.id(), None);
        for other in [
            "http://media:8080/",
            "https://media/",
            "http://ali:ce@media:x/",
        ] {
            settings.set_location(Some("http://alice:secret@media/"));
            settings.set_location(Some(other));
            assert_eq!(settings.user.id(), None, "{other}");
        }
        settings.set_location(Some("http://alice:secret@media/x"));
        settings.set_location(Some("http://carol@media/x"));
        assert_eq!(used(&settings), Some(Credentials::new("carol", "")));
        settings.set_location(Some("http://alice:secret@media/x"));
        settings.set_location(None);
        settings.set_location(Some("http://media/x"));
        assert_eq!(used(&settings), None);
    }

    #[test]
    fn a_password_property_completes_the_user_of_a_location() {
        let mut settings = settings("http://media/");
        settings.user.set_password(Some("secret"));
        settings.set_location(Some("http://alice@media/x"));
        assert_eq!(used(&settings), alice("secret"));
        settings.user.set_id(Some("bob"));
        assert_eq!(used(&settings), Some(Credentials::new("bob", "secret")));
    }

    #[test]
    fn a_proxy_account_is_kept_for_the_same_proxy_only() {
        let mut settings = settings("http://media/");
        let used = |settings: &Settings| {
            let access = settings.connection().unwrap().session.access;
            access.proxy_credentials
        };
        settings.set_proxy(Some("alice:secret@proxy:3128"));
        assert_eq!(used(&settings), alice("secret"));
        settings.set_proxy(Some("proxy:3128"));
        assert_eq!(used(&settings), alice("secret"), "the same proxy");
        settings.set_proxy(Some("other:3128"));
        assert_eq!(used(&settings), None);
    }

    #[test]
    fn a_timeout_of_0_is_no_limit() {
        let settings = Settings {
            timeout: 0,
            stall_timeout: 0,
            eos_timeout: 0,
            ..settings("http://media/")
        };
        let connection = settings.connection().unwrap();
        let limits = [
            connection.timeout,
            connection.stall_timeout,
            settings.eos_timeout(),
        ];
        assert_eq!(limits, [NO_LIMIT; 3]);
        assert!(
            Instant::now()
                .checked_add(NO_LIMIT.saturating_mul(2))
                .is_some()
        );
    }

    #[test]
    fn zones_and_the_source_of_a_proxy_are_settings() {
        let mut settings = settings("http://[fe80::1%25eth0]:8080/x");
        settings.set_proxy(Some("[fe80::2%25eth1]:3128"));
        let connection = settings.connection().unwrap();
        assert_eq!(connection.session.url.as_str(), "http://[fe80::1]:8080/x");
        assert_eq!(connection.zone.as_deref(), Some("eth0"));
        assert_eq!(connection.proxy_zone.as_deref(), Some("eth1"));
        assert_eq!(connection.proxy_source, Some(ProxySource::Property));
        settings.set_proxy(Some(""));
        assert_eq!(settings.connection().unwrap().proxy_source, None);
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
