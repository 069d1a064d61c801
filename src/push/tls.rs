// SPDX-License-Identifier: MPL-2.0

//! TLS: rustls with ring, and the trust anchors of the system.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage};
use url::{Host, Url};

use super::line::{Line, TlsLine};
use super::{Error, TlsError, blocking};
use provider::provider;
use verifier::{AnchorVerifier, NoVerification, SelfSigned};

mod anchors;
mod certificate;
mod provider;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verifier;

/// Limit on the cached configurations. Each has about 100 kB of trust anchors.
const MAX_CONFIGS: usize = 8;

/// Limit on the TLS sessions that a configuration keeps for resumption, with the certificates of the server.
const MAX_TICKETS: usize = 32;

/// Trust anchors for the certificates of servers.
#[derive(Clone, PartialEq, Eq)]
pub struct Trust {
    strict: bool,
    anchors: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts the anchors of the system, and the certificates in `ca_file`, a PEM file: authorities, and servers that
    /// present exactly such a certificate. Unless `strict`, trusts any server.
    ///
    /// # Errors
    ///
    /// The file cannot be read, contains no certificate, or contains a damaged one.
    pub fn new(strict: bool, ca_file: Option<&Path>) -> io::Result<Self> {
        let anchors = ca_file.map(anchors::read).transpose()?;
        Ok(Self {
            strict,
            anchors: anchors.unwrap_or_default(),
        })
    }

    /// Returns the configuration for connections. Equal values of trust share one in the whole process.
    ///
    /// The first call reads the system's store, which takes some 10 ms.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] if there is no trust anchor.
    pub(super) fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        CONFIGS.get(self)
    }

    /// Performs the TLS handshake with the host of `server` over `line`.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] if the handshake fails.
    pub(super) async fn secure(&self, line: Line, server: &Url) -> Result<Line, Error> {
        let Line::Plain(line) = line else {
            return Err(other("TLS within TLS"));
        };
        let config = self.config().await?;
        let name = server_name(server).map_err(other)?;
        let line = TlsLine::connect(config, name, line).await;
        let line = line.map_err(|error| handshake_error(&error))?;
        Ok(Line::Tls(Box::new(line)))
    }

    /// Returns the configuration for connections, as [`client_config`](Self::client_config), without blocking.
    ///
    /// # Errors
    ///
    /// As [`client_config`](Self::client_config).
    async fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        match CONFIGS.known(self) {
            Some(config) => Ok(config),
            None => self.clone().load().await,
        }
    }

    /// Makes the configuration on a thread of its own.
    async fn load(self) -> Result<Arc<ClientConfig>, Error> {
        let task = blocking::run(move || self.client_config());
        let task = task.map_err(|error| Error::NoResources(error.to_string()))?;
        let config = task.await;
        config.unwrap_or_else(|| Err(no_anchors("the thread that reads them ended early")))
    }

    fn make_config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(provider());
        let verifier = self.verifier(provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(MAX_TICKETS);
        Ok(config)
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        if !self.strict {
            return Ok(Arc::new(NoVerification(provider)));
        }
        let verifier = AnchorVerifier::new(self.anchors.clone(), provider);
        Ok(Arc::new(verifier.map_err(no_anchors)?))
    }
}

/// The configurations of the process.
static CONFIGS: Configs = Configs(Mutex::new(Vec::new()));

/// Configurations by trust, oldest first.
struct Configs(Mutex<Vec<(Trust, CachedConfig)>>);

/// A configuration that is made once.
type CachedConfig = Arc<OnceLock<Result<Arc<ClientConfig>, Error>>>;

impl Configs {
    /// Returns the configuration, and creates it if it is not cached.
    fn get(&self, trust: &Trust) -> Result<Arc<ClientConfig>, Error> {
        let shared = self.shared(trust);
        let config = shared.get_or_init(|| trust.make_config().map(Arc::new));
        if config.is_err() {
            // The system's store may be readable at the next call.
            self.lock().retain(|(other, _)| other != trust);
        }
        config.clone()
    }

    /// Returns the configuration if it is cached, without waiting for another thread that creates it.
    fn known(&self, trust: &Trust) -> Option<Arc<ClientConfig>> {
        let configs = self.lock();
        let (_, known) = configs.iter().find(|(other, _)| other == trust)?;
        known.get()?.clone().ok()
    }

    fn shared(&self, trust: &Trust) -> CachedConfig {
        let mut configs = self.lock();
        if let Some((_, known)) = configs.iter().find(|(other, _)| other == trust) {
            return known.clone();
        }
        if configs.len() == MAX_CONFIGS {
            configs.remove(0);
        }
        let shared = CachedConfig::default();
        configs.push((trust.clone(), shared.clone()));
        shared
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Trust, CachedConfig)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            strict: true,
            anchors: Vec::new(),
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("strict", &self.strict)
            .field("anchors", &self.anchors.len())
            .finish()
    }
}

/// Gives reqwest the trust anchors of the push.
///
/// # Errors
///
/// [`Error::Tls`] if there is no trust anchor and the location is `https`.
#[cfg(feature = "verify")]
pub(super) async fn preconfigured(
    builder: reqwest::ClientBuilder,
    settings: &super::Settings,
) -> Result<reqwest::ClientBuilder, Error> {
    let config = match settings.trust.config().await {
        Ok(config) => ClientConfig::clone(&config),
        Err(error) if settings.session.url.scheme() == "https" => return Err(error),
        // A redirection to https then fails, because there are no anchors.
        Err(_) => ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
    };
    Ok(builder.tls_backend_preconfigured(config))
}

/// Returns the TLS error inside an I/O error, if there is one.
#[cfg(feature = "verify")]
pub(super) fn error_in(error: &io::Error) -> Option<Error> {
    let inner = error.get_ref()?;
    match inner.downcast_ref::<io::Error>() {
        Some(inner) => error_in(inner),
        None => {
            let inner = inner.downcast_ref::<rustls::Error>();
            inner.map(|error| Error::Tls(tls_error(error)))
        }
    }
}

/// Converts an I/O error of the handshake.
fn handshake_error(error: &io::Error) -> Error {
    let failure = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    Error::Tls(match (failure, error.kind()) {
        (Some(failure), _) => tls_error(failure),
        (
            None,
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe,
        ) => TlsError::Closed,
        (None, _) => TlsError::Other(error.to_string()),
    })
}

fn tls_error(error: &rustls::Error) -> TlsError {
    use AlertDescription as Alert;
    use rustls::Error as Failed;
    match error {
        // The peer's bytes are not TLS records.
        Failed::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::UnknownProtocolVersion,
        ) => TlsError::NotTls,
        Failed::InvalidCertificate(error) => certificate_error(error),
        Failed::AlertReceived(
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity,
        )
        | Failed::PeerIncompatible(_) => TlsError::NothingInCommon(error.to_string()),
        Failed::AlertReceived(Alert::CertificateRequired) => TlsError::ClientCertificate,
        Failed::AlertReceived(Alert::UnrecognisedName) => TlsError::UnknownName,
        _ => TlsError::Other(error.to_string()),
    }
}

fn certificate_error(error: &CertificateError) -> TlsError {
    match error {
        CertificateError::UnknownIssuer => TlsError::UnknownIssuer,
        CertificateError::Other(error) if error.0.is::<SelfSigned>() => TlsError::SelfSigned,
        CertificateError::NotValidForNameContext { presented, .. } => TlsError::WrongName(
            presented
                .iter()
                .map(|name| bare_name(name).to_owned())
                .collect(),
        ),
        CertificateError::NotValidForName => TlsError::WrongName(Vec::new()),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsError::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsError::NotYetValid
        }
        error => TlsError::BadCertificate(bare_reason(&error.to_string()).to_owned()),
    }
}

/// Returns the reason in `Other(OtherError(CaUsedAsEndEntity))`, which is how rustls displays errors without a text of
/// their own.
fn bare_reason(error: &str) -> &str {
    let reason = error.split(" {").next().unwrap_or(error);
    match reason.contains(' ') {
        true => error,
        false => reason
            .rsplit('(')
            .next()
            .unwrap_or(reason)
            .trim_end_matches(')'),
    }
}

/// Returns the name in `DnsName("media")` or `IpAddress(192.0.2.1)`, which is how rustls displays names.
fn bare_name(presented: &str) -> &str {
    let name = presented
        .split_once('(')
        .map_or(presented, |(_, name)| name);
    name.trim_end_matches(')').trim_matches('"')
}

/// Returns the name that the certificate must have.
fn server_name(url: &Url) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(ServerName::IpAddress(IpAddr::V4(address).into())),
        Some(Host::Ipv6(address)) => Ok(ServerName::IpAddress(IpAddr::V6(address).into())),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()),
        None => ServerName::try_from(String::new()),
    }
}

fn no_anchors(error: impl fmt::Display) -> Error {
    Error::Tls(TlsError::NoAnchors(error.to_string()))
}

fn other(error: impl fmt::Display) -> Error {
    Error::Tls(TlsError::Other(error.to_string()))
}
