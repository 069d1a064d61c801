// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::certificate::Fields;

/// Verifies a server's certificate by the trust anchors of the system and of a file.
///
/// A certificate that is itself an anchor needs no chain: only its name and its validity are checked. Path validation
/// would refuse a certificate of `openssl req -x509`, because it is an authority used as a server (CaUsedAsEndEntity).
#[derive(Debug)]
pub(super) struct AnchorVerifier {
    anchors: Vec<CertificateDer<'static>>,
    chains: Verifier,
}

impl AnchorVerifier {
    pub(super) fn new(
        anchors: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let chains = Verifier::new_with_extra_roots(anchors.clone(), provider)?;
        Ok(Self { anchors, chains })
    }
}

impl ServerCertVerifier for AnchorVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_anchor = |anchor: &CertificateDer<'_>| anchor.as_ref() == certificate.as_ref();
        if !self.anchors.iter().any(is_anchor) {
            let chains = &self.chains;
            let verified = chains.verify_server_cert(certificate, intermediates, name, ocsp, now);
            return verified.map_err(|error| self_signed(certificate, error));
        }
        let fields = Fields::parse(certificate).ok_or(CertificateError::BadEncoding)?;
        verify_validity(&fields, now)?;
        verify_name(certificate, &fields, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// The error for a certificate that is signed by its own key and is no trust anchor.
#[derive(Debug)]
pub(super) struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate is self-signed")
    }
}

impl std::error::Error for SelfSigned {}

/// Returns [`SelfSigned`] if that is the cause of `error`, otherwise `error` itself.
fn self_signed(certificate: &CertificateDer<'_>, error: Error) -> Error {
    let is_of_chain = matches!(
        &error,
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::Other(_)
        )
    );
    let fields = Fields::parse(certificate).filter(|fields| fields.is_self_signed);
    match fields {
        Some(_) if is_of_chain => CertificateError::Other(OtherError(Arc::new(SelfSigned))).into(),
        _ => error,
    }
}

fn verify_validity(fields: &Fields<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let [not_before, not_after] = fields.validity;
    if now < not_before {
        return Err(CertificateError::NotValidYetContext {
            time: now,
            not_before,
        });
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext {
            time: now,
            not_after,
        });
    }
    Ok(())
}

/// Verifies the name. The common name counts if the certificate has no alternative name, as with `openssl req -x509
/// -subj /CN=media`.
fn verify_name(
    certificate: &CertificateDer<'_>,
    fields: &Fields<'_>,
    name: &ServerName<'_>,
) -> Result<(), Error> {
    let certificate = ParsedCertificate::try_from(certificate)?;
    let Err(error) = verify_server_name(&certificate, name) else {
        return Ok(());
    };
    let has_no_names = matches!(
        &error,
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })
            if presented.is_empty()
    );
    let common_name = fields.common_name.map(ServerName::try_from);
    match common_name {
        Some(Ok(common_name)) if has_no_names && common_name == *name => Ok(()),
        _ => Err(error),
    }
}

/// Accepts any certificate. The server must still have its private key.
#[derive(Debug)]
pub(super) struct NoVerification(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
