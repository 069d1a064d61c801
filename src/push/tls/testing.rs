// SPDX-License-Identifier: MPL-2.0

//! Certificates for tests, made by the program openssl.

use std::process::Command;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A key, and its certificate.
pub(super) struct Made {
    /// Both in PEM.
    pub(super) pem: String,
}

impl Made {
    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }
}

/// A self-signed certificate of two days, for the common name `localhost` unless `arguments` say otherwise.
pub(super) fn self_signed(arguments: &[&str]) -> Made {
    let command =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout - -out -";
    let mut openssl = Command::new("openssl");
    openssl.args(command.split(' '));
    if !arguments.contains(&"-subj") {
        openssl.args(["-subj", "/CN=localhost"]);
    }
    let output = openssl.args(arguments).output();
    let output = output.expect("openssl, from the package openssl");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    Made {
        pem: String::from_utf8(output.stdout).unwrap(),
    }
}

/// The part of a PEM file with this label.
pub(super) fn pem(file: &str, label: &str) -> String {
    let start = file.find(&format!("-----BEGIN {label}-----")).unwrap();
    let last = format!("-----END {label}-----\n");
    let end = file.find(&last).unwrap() + last.len();
    file[start..end].to_owned()
}
