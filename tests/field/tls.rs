// SPDX-License-Identifier: MPL-2.0

//! The certificate of all receivers that speak TLS.

use std::sync::OnceLock;

use crate::line::{self, Security};

#[path = "../tls/certificates.rs"]
mod certificates;

use certificates::Certificates;

fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| Certificates::new("field"))
}

/// The configuration of a receiver.
pub fn security() -> Security {
    let certificates = certificates();
    line::security(
        &certificates.server_certificate(),
        &certificates.server_key(),
    )
}

/// The path of the authority's certificate, for `ssl-ca-file`.
pub fn authority() -> String {
    certificates().authority()
}
