// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

/// Why client and server do not agree on TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer has answered with something else than TLS.
    NotTls,
    /// The peer has closed or reset the connection during the handshake.
    Closed,
    /// The peer has accepted the connection, and has not answered within this time.
    Timeout(Duration),
    /// No version or cipher suite in common, with the words of the TLS library.
    NothingInCommon(String),
    /// No trust anchor leads to the certificate.
    UnknownIssuer,
    /// The certificate is signed by its own key, and is no trust anchor.
    SelfSigned,
    /// The certificate has these names, and not the server's.
    WrongName(Vec<String>),
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate cannot be accepted for another reason, in the words of the TLS library.
    BadCertificate(String),
    /// The server demands a certificate of the client.
    ClientCertificate,
    /// The server does not serve this host name.
    UnknownName,
    /// The trust anchors of the system cannot be read, with the reason.
    NoAnchors(String),
    /// This build has no TLS.
    NotBuilt,
    /// Anything else, in the words of the TLS library.
    Other(String),
}

impl TlsError {
    /// The words of a library that the error has beside its kind.
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
