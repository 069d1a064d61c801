// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

/// The reason for which a TLS handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's answer is not TLS.
    NotTls,
    /// The peer has closed or reset the connection during the handshake.
    Closed,
    /// The peer accepted the TCP connection, and did not answer the handshake within this time.
    Timeout(Duration),
    /// No version or cipher suite in common; the TLS library's message.
    NothingInCommon(String),
    /// No trust anchor leads to the certificate.
    UnknownIssuer,
    /// The certificate is signed by its own key, and is no trust anchor.
    SelfSigned,
    /// The certificate has these names, not the server's.
    WrongName(Vec<String>),
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is invalid for another reason; the TLS library's message.
    BadCertificate(String),
    /// The server demands a certificate of the client.
    ClientCertificate,
    /// The server does not serve this host name.
    UnknownName,
    /// The trust anchors of the system cannot be read; the reason.
    NoAnchors(String),
    /// This build has no TLS.
    NotBuilt,
    /// Any other failure; the TLS library's message.
    Other(String),
}

impl TlsError {
    /// Returns the library's message, or an empty string.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::NothingInCommon(detail)
            | Self::BadCertificate(detail)
            | Self::NoAnchors(detail)
            | Self::Other(detail) => detail,
            _ => "",
        }
    }
}
