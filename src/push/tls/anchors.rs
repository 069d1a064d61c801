// SPDX-License-Identifier: MPL-2.0

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Limit on the size of a file in bytes: enough for all authorities of a system.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads the certificates in a PEM file.
///
/// # Errors
///
/// The file cannot be read, contains no certificate, or contains a damaged one.
pub(super) fn read(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unusable("it is larger than 16 MiB"));
    }
    parse(&bytes)
}

pub(super) fn parse(bytes: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    // Editors put a byte order mark before the first line.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| unusable("its content is damaged"))?;
    if certificates.is_empty() {
        return Err(unusable(no_certificate(text)));
    }
    if !certificates.iter().all(is_certificate) {
        return Err(unusable("a certificate in it is damaged"));
    }
    Ok(certificates)
}

/// Returns a description of a file that contains no certificate in PEM form.
fn no_certificate(bytes: &[u8]) -> &'static str {
    let contains = |label: &[u8]| bytes.windows(label.len()).any(|window| window == label);
    if is_certificate(&CertificateDer::from(bytes)) {
        "it is in DER form; PEM is needed: openssl x509 -inform DER -in FILE -out FILE.pem"
    } else if contains(b"PRIVATE KEY-----") {
        "it contains a private key, not a certificate"
    } else if contains(b"CERTIFICATE REQUEST-----") {
        "it contains a certificate request, not a certificate"
    } else if bytes.contains(&0) {
        "it is binary; PEM is needed"
    } else {
        "there is no certificate in it"
    }
}

fn is_certificate(bytes: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(bytes.clone()).is_ok()
}

fn unusable(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, pem, self_signed};
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn every_certificate_of_a_file_is_an_anchor() {
        let (one, other) = (self_signed(&[]), self_signed(&[]));
        let file = [&one.pem, "a comment\r\n", &other.pem].concat();
        let expected = [one.certificate(), other.certificate()];
        assert_eq!(parse(file.as_bytes()).unwrap(), expected);
        let windows = format!("\u{feff}{}", file.replace('\n', "\r\n"));
        assert_eq!(parse(windows.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn a_file_of_another_kind_is_named() {
        let Made { pem: both, .. } = self_signed(&[]);
        let certificate = pem(&both, "CERTIFICATE");
        assert!(refusal(&self_signed(&[]).certificate()).contains("DER"));
        assert!(refusal(pem(&both, "PRIVATE KEY").as_bytes()).contains("private key"));
        assert!(refusal(b"PK\x03\x04\x00\x00").contains("binary"));
        assert_eq!(refusal(b""), "there is no certificate in it");
        assert_eq!(refusal(b"http://server"), "there is no certificate in it");
        let request = certificate.replace("CERTIFICATE", "CERTIFICATE REQUEST");
        assert!(refusal(request.as_bytes()).contains("request"));
        let cut = &certificate[..certificate.len() / 2];
        assert_eq!(refusal(cut.as_bytes()), "its content is damaged");
        let other = "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----\n";
        assert_eq!(refusal(other.as_bytes()), "a certificate in it is damaged");
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_file_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 16 MiB");
    }
}
