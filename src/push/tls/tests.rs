// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, ClientConnection, ServerConfig, ServerConnection};

use super::testing::{Made, self_signed};
use super::*;

fn trusting(anchors: &[&Made]) -> Trust {
    Trust {
        strict: true,
        anchors: anchors.iter().map(|made| made.certificate()).collect(),
    }
}

/// Performs a handshake with a server that presents `shown` and has the key of `owned`.
fn shake_hands(trust: &Trust, name: &str, shown: &Made, owned: &Made) -> Result<(), rustls::Error> {
    let key = ring::sign::any_supported_type(&owned.key()).unwrap();
    let shown = rustls::sign::CertifiedKey::new(vec![shown.certificate()], key);
    let shown = rustls::sign::SingleCertAndKey::from(shown);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(trust.client_config().unwrap(), name).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut &*bytes).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut &*bytes).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

fn connect(trust: &Trust, name: &str, made: &Made) -> Result<(), rustls::Error> {
    shake_hands(trust, name, made, made)
}

const ALTERNATIVE: [&str; 2] = ["-addext", "subjectAltName=DNS:media.example,IP:127.0.0.1"];
const NO_AUTHORITY: [&str; 2] = ["-addext", "basicConstraints=critical,CA:FALSE"];

#[test]
fn a_self_signed_anchor_is_accepted_for_its_names() {
    for extensions in [&ALTERNATIVE[..], &[ALTERNATIVE, NO_AUTHORITY].concat()] {
        let made = self_signed(extensions);
        let trust = trusting(&[&self_signed(&[]), &made]);
        for name in ["media.example", "MEDIA.example", "127.0.0.1"] {
            assert_eq!(connect(&trust, name, &made), Ok(()), "{name}");
        }
        for name in ["localhost", "other.example", "127.0.0.2"] {
            let refused = connect(&trust, name, &made).unwrap_err().to_string();
            assert!(refused.contains("not valid for name"), "{name}: {refused}");
        }
    }
}

/// The certificate of `openssl req -x509 -subj /CN=localhost`.
#[test]
fn a_common_name_counts_without_alternative_names() {
    let made = self_signed(&[]);
    let trust = trusting(&[&made]);
    assert_eq!(connect(&trust, "localhost", &made), Ok(()));
    assert_eq!(connect(&trust, "LocalHost", &made), Ok(()));
    assert!(connect(&trust, "media.example", &made).is_err());
    let address = self_signed(&["-subj", "/CN=127.0.0.1"]);
    assert_eq!(
        connect(&trusting(&[&address]), "127.0.0.1", &address),
        Ok(())
    );
}

#[test]
fn a_certificate_like_an_anchor_is_refused() {
    let (made, other) = (self_signed(&ALTERNATIVE), self_signed(&ALTERNATIVE));
    assert!(connect(&trusting(&[&made]), "media.example", &other).is_err());
    assert!(connect(&trusting(&[]), "media.example", &made).is_err());
}

#[test]
fn an_anchor_without_its_key_is_refused() {
    let (made, other) = (self_signed(&ALTERNATIVE), self_signed(&ALTERNATIVE));
    let refused = shake_hands(&trusting(&[&made]), "media.example", &made, &other);
    assert_eq!(
        refused,
        Err(CertificateError::BadSignature.into()),
        "the handshake is signed with another key"
    );
}

#[test]
fn an_anchor_counts_while_it_is_valid() {
    let made = self_signed(&[]);
    let provider = Arc::new(provider());
    let verifier = AnchorVerifier::new(vec![made.certificate()], provider).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let verify = |seconds: u64| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let verified = verifier.verify_server_cert(&made.certificate(), &[], &name, &[], now);
        verified.map(|_| ())
    };
    let now = UnixTime::now().as_secs();
    assert_eq!(verify(now), Ok(()));
    let early = verify(now - 86_400).unwrap_err().to_string();
    assert!(early.contains("not valid yet"), "{early}");
    let late = verify(now + 3 * 86_400).unwrap_err().to_string();
    assert!(late.contains("expired"), "{late}");
}

/// The error of a handshake with a server that sends these bytes.
fn answered(bytes: &[u8]) -> TlsError {
    let name = ServerName::try_from("media.example").unwrap();
    let config = Trust::default().client_config().unwrap();
    let mut client = ClientConnection::new(config, name).unwrap();
    client.read_tls(&mut &*bytes).unwrap();
    tls_error(&client.process_new_packets().unwrap_err())
}

/// D4
#[test]
fn plain_servers_and_old_tls_versions_are_distinguished() {
    for plain in [
        "HTTP/1.1 400 Bad Request\r\n",
        "220 mail ready\r\n",
        "SSH-2.0-x\r\n",
    ] {
        assert_eq!(answered(plain.as_bytes()), TlsError::NotTls, "{plain}");
    }
    // RFC 5246 section 7.2: fatal alerts protocol_version and handshake_failure.
    for description in [70, 40] {
        let answer = answered(&[21, 3, 1, 0, 2, 2, description]);
        assert!(matches!(answer, TlsError::NothingInCommon(_)), "{answer:?}");
    }
    // A ServerHello of TLS 1.0.
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2F, 0]);
    let answer = answered(&hello);
    assert!(matches!(answer, TlsError::NothingInCommon(_)), "{answer:?}");
    assert_eq!(answered(&[21, 3, 3, 0, 2, 2, 112]), TlsError::UnknownName);
    assert_eq!(
        answered(&[21, 3, 3, 0, 2, 2, 116]),
        TlsError::ClientCertificate
    );
}

#[test]
fn a_certificate_is_refused_for_a_reason() {
    // A subject that no authority of this computer has.
    const SUBJECT: [&str; 2] = ["-subj", "/CN=a studio of a test"];
    let made = self_signed(&[ALTERNATIVE, NO_AUTHORITY, SUBJECT].concat());
    let reason = |trust: &Trust, name| tls_error(&connect(trust, name, &made).unwrap_err());
    assert_eq!(
        reason(&trusting(&[]), "media.example"),
        TlsError::SelfSigned
    );
    let names = ["media.example", "127.0.0.1"].map(str::to_owned);
    assert_eq!(
        reason(&trusting(&[&made]), "localhost"),
        TlsError::WrongName(names.into())
    );
    // A certificate of `openssl req -x509` is an authority.
    let authority = self_signed(&[ALTERNATIVE, SUBJECT].concat());
    let refused = connect(&trusting(&[]), "media.example", &authority).unwrap_err();
    assert_eq!(tls_error(&refused), TlsError::SelfSigned);
    // An anchor of the same name has another key.
    let anchor = self_signed(&[ALTERNATIVE, SUBJECT].concat());
    assert_eq!(
        reason(&trusting(&[&anchor]), "media.example"),
        TlsError::SelfSigned
    );
}

#[test]
fn a_connection_that_ends_in_the_handshake_is_closed() {
    for kind in [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset] {
        assert_eq!(handshake_error(&kind.into()), Error::Tls(TlsError::Closed));
    }
}

#[test]
fn without_verification_any_certificate_is_accepted() {
    let (made, other) = (self_signed(&[]), self_signed(&[]));
    let lax = Trust {
        strict: false,
        anchors: Vec::new(),
    };
    assert_eq!(connect(&lax, "media.example", &made), Ok(()));
    assert!(shake_hands(&lax, "media.example", &made, &other).is_err());
}

#[test]
fn equal_trust_shares_one_configuration() {
    let configs = Configs(Mutex::default());
    let made = self_signed(&[]);
    let (one, other) = (trusting(&[&made]), trusting(&[&made]));
    assert!(configs.known(&one).is_none());
    let config = configs.get(&one).unwrap();
    assert!(Arc::ptr_eq(&config, &configs.get(&other).unwrap()));
    assert!(Arc::ptr_eq(&config, &configs.known(&other).unwrap()));
    let strict = configs.get(&Trust::default()).unwrap();
    assert!(!Arc::ptr_eq(&config, &strict));
    for _ in 0..MAX_CONFIGS {
        configs.get(&trusting(&[&self_signed(&[])])).unwrap();
    }
    assert!(configs.known(&one).is_none(), "the oldest is forgotten");
}
