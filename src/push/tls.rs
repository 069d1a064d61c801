// SPDX-License-Identifier: MPL-2.0

//! Whom to trust: rustls with ring, and the system's trust store.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::Error;

/// Which servers are who they say.
#[derive(Clone)]
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

    /// What a connection is made with. One that is not encrypted needs no trust, and does without its costs.
    pub(super) fn client_config(&self, encrypted: bool) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(tls_error)?;
        if !encrypted {
            let nobody = RootCertStore::empty();
            return Ok(builder.with_root_certificates(nobody).with_no_client_auth());
        }
        let verifier = self.verifier(provider)?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(builder.with_no_client_auth())
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        /// Reading the system's store costs milliseconds and a hundred kilobytes: once is enough.
        static SYSTEM: OnceCell<Arc<Verifier>> = OnceCell::new();
        if !self.strict {
            return Ok(Arc::new(Anybody(provider)));
        }
        if !self.anchors.is_empty() {
            let verifier = Verifier::new_with_extra_roots(self.anchors.clone(), provider);
            return Ok(Arc::new(verifier.map_err(tls_error)?));
        }
        let system = SYSTEM.get_or_try_init(|| Verifier::new(provider).map(Arc::new));
        Ok(system.map_err(tls_error)?.clone())
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

/// The failure of a handshake in an error. An I/O error does not name what it wraps as its source.
pub(super) fn handshake_failure(error: &(dyn StdError + 'static)) -> Option<String> {
    let failure = std::iter::successors(Some(error), |&error| wrapped(error)).last()?;
    let failure = failure.downcast_ref::<rustls::Error>();
    failure.map(ToString::to_string)
}

fn wrapped<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(wrapped)
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
