// SPDX-License-Identifier: MPL-2.0

//! Certificates for servers of TLS.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// An authority, and a server's certificate for `localhost` that it has signed.
pub struct Certificates {
    pub directory: PathBuf,
}

impl Certificates {
    pub fn new(name: &str) -> Self {
        let name = format!("tls-{name}-{}", std::process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let certificates = Self { directory };
        let key = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ];
        certificates.openssl(
            &[
                &key[..],
                &[
                    "-keyout",
                    "ca.key",
                    "-out",
                    "ca.pem",
                    "-subj",
                    "/CN=authority",
                ],
            ]
            .concat(),
        );
        let server = [
            "-keyout",
            "server.key",
            "-out",
            "server.pem",
            "-subj",
            "/CN=localhost",
        ];
        let signed = [
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-addext",
            "subjectAltName=DNS:localhost",
        ];
        let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
        certificates.openssl(&[&key[..], &server, &signed, &leaf].concat());
        certificates
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(&self.directory)
            .output();
        let output = output.expect("openssl, from the package openssl");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn authority(&self) -> String {
        self.directory.join("ca.pem").display().to_string()
    }

    pub fn server_certificate(&self) -> PathBuf {
        self.directory.join("server.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.directory.join("server.key")
    }
}
