// SPDX-License-Identifier: MPL-2.0

//! Whom to trust: rustls with ring, and the system's trust store.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use url::{Host, Url};

use super::Error;
use super::line::{Line, TlsLine};

/// Which servers are who they say.
#[derive(Clone, PartialEq, Eq)]
pub struct Trust {
    strict: bool,
    anchors: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts what the system trusts, and `ca_file`, a PEM file of further anchors. Unless `strict`, anything goes.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has no certificate in it.
    pub fn new(strict: bool, ca_file: Option<&Path>) -> io::Result<Self> {
        let mut anchors = Vec::new();
        if let Some(path) = ca_file {
            let certificates = CertificateDer::pem_slice_iter(&std::fs::read(path)?).collect();
            anchors = Result::<Vec<_>, _>::map_err(certificates, io::Error::other)?;
            if anchors.is_empty() {
                return Err(io::Error::other("there is no certificate in it"));
            }
        }
        Ok(Self { strict, anchors })
    }

    /// What a connection is made with: the same for all of the process that trust the same.
    ///
    /// Reading the system's store costs milliseconds and a hundred kilobytes: once is enough, however many connections
    /// are made, and however often.
    pub(super) fn client_config(&self) -> Result<ClientConfig, Error> {
        /// As many as one program has use for; of more, the oldest is made again.
        const MOST: usize = 8;
        static MADE: Mutex<Vec<(Trust, ClientConfig)>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = made.iter().find(|(trust, _)| trust == self) {
            return Ok(config.clone());
        }
        let config = self.make_config()?;
        if made.len() == MOST {
            made.remove(0);
        }
        made.push((self.clone(), config.clone()));
        Ok(config)
    }

    /// Agrees on TLS with the host of `server` over `line`.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`]
    pub(super) async fn secure(&self, line: Line, server: &Url) -> Result<Line, Error> {
        let Line::Plain(line) = line else {
            return Err(tls_error("TLS within TLS"));
        };
        let config = Arc::new(self.client_config()?);
        let name = server_name(server).map_err(tls_error)?;
        let line = TlsLine::connect(config, name, line).await;
        let line = line.map_err(|error| handshake_error(&error))?;
        Ok(Line::Tls(Box::new(line)))
    }

    fn make_config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls_error)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(builder.with_no_client_auth())
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        if !self.strict {
            return Ok(Arc::new(Anybody(provider)));
        }
        let verifier = Verifier::new_with_extra_roots(self.anchors.clone(), provider);
        Ok(Arc::new(verifier.map_err(tls_error)?))
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

/// Why there is no agreement on TLS over a connection.
fn handshake_error(error: &io::Error) -> Error {
    let failure = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    match failure {
        Some(failure) => tls_error(failure),
        None => tls_error(error),
    }
}

/// The name that the certificate has to have.
fn server_name(url: &Url) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match url.host() {
        Some(Host::Ipv4(address)) => Ok(ServerName::IpAddress(IpAddr::V4(address).into())),
        Some(Host::Ipv6(address)) => Ok(ServerName::IpAddress(IpAddr::V6(address).into())),
        Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()),
        None => ServerName::try_from(String::new()),
    }
}

fn tls_error(error: impl fmt::Display) -> Error {
    Error::Tls(error.to_string())
}

/// Takes any certificate, though the server still has to have its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trust store is read once a process, and not for each connection.
    #[test]
    fn who_trusts_the_same_shares_all_of_it() {
        let provider = |config: &ClientConfig| config.crypto_provider().clone();
        let shares = |one: &ClientConfig, other: &ClientConfig| {
            Arc::ptr_eq(&provider(one), &provider(other))
        };
        let lax = Trust::new(false, None).unwrap();
        let (one, other) = (lax.client_config().unwrap(), lax.client_config().unwrap());
        assert!(shares(&one, &other));
        let another = Trust::new(false, None).unwrap().client_config().unwrap();
        assert!(shares(&one, &another));
        let strict = Trust::default().client_config().unwrap();
        assert!(!shares(&one, &strict));
    }
}
