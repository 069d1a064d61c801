// SPDX-License-Identifier: MPL-2.0

//! `https` locations, with stunnel in front of the embedded publishing point.
#![cfg(all(feature = "publishing-point", feature = "tls", unix))]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use gst::prelude::*;

#[path = "../element/rig.rs"]
#[allow(dead_code, reason = "not every test program needs all of it")]
mod rig;

use rig::{LONG, Pipeline, Point, text};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

/// An authority, and a server's certificate for `localhost` that it has signed.
struct Certificates {
    directory: PathBuf,
}

impl Certificates {
    fn new(name: &str) -> Self {
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

    fn authority(&self) -> String {
        self.directory.join("ca.pem").display().to_string()
    }
}

/// stunnel, from a port of its own to a publishing point.
struct Tunnel {
    process: Child,
    port: u16,
}

impl Tunnel {
    fn new(certificates: &Certificates, target: SocketAddr) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = &certificates.directory;
        let configuration = format!(
            "foreground = yes\npid =\n[push]\naccept = 127.0.0.1:{port}\nconnect = {target}\ncert = {}\nkey = {}\n",
            directory.join("server.pem").display(),
            directory.join("server.key").display(),
        );
        let path = directory.join("stunnel.conf");
        fs::write(&path, configuration).unwrap();
        let process = Command::new(program())
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.expect("stunnel, from the package stunnel4");
        let tunnel = Self { process, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < LONG, "stunnel does not listen");
            std::thread::yield_now();
        }
        tunnel
    }

    fn location(&self) -> String {
        format!("https://localhost:{}/live", self.port)
    }
}

/// Debian has it where only administrators look.
fn program() -> &'static Path {
    let places = [
        "/usr/bin/stunnel4",
        "/usr/sbin/stunnel4",
        "/usr/bin/stunnel",
    ]
    .map(Path::new);
    places
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or(Path::new("stunnel"))
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_push_goes_over_tls_to_a_server_that_is_trusted() {
    let (point, certificates) = (Point::new(), Certificates::new("trusted"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let properties = format!("ssl-ca-file={}", certificates.authority());
    let pipeline = Pipeline::file(AUDIO, &tunnel.location(), &properties);
    let messages = pipeline.run();
    assert!(
        !messages.iter().any(|line| line.starts_with("ERROR")),
        "{messages:#?}"
    );
    assert_eq!(point.ended().data_packets, 7);
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(
        stats.get::<u32>("connects"),
        Ok(1),
        "PushSetup and PushStart share a connection"
    );
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused() {
    let (point, certificates) = (Point::new(), Certificates::new("unknown"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let (details, messages) = Pipeline::file(AUDIO, &tunnel.location(), "").fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/OpenWrite tls tls NS_E_PUSH_CANNOTCONNECT"
    );
    assert!(text(&details, "hint").contains("ssl-ca-file"));
    assert_eq!(point.handle.requests().len(), 0);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (point, certificates) = (Point::new(), Certificates::new("name"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let location = tunnel.location().replace("localhost", "127.0.0.1");
    let properties = format!("ssl-ca-file={}", certificates.authority());
    let (_, messages) = Pipeline::file(AUDIO, &location, &properties).fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/OpenWrite tls tls NS_E_PUSH_CANNOTCONNECT"
    );
}

#[test]
fn anybody_may_be_trusted_on_demand() {
    let (point, certificates) = (Point::new(), Certificates::new("anybody"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let location = tunnel.location().replace("localhost", "127.0.0.1");
    Pipeline::file(AUDIO, &location, "ssl-strict=false").run();
    assert_eq!(point.ended().data_packets, 7);
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let point = Point::new();
    let location = point.location().replace("http:", "https:");
    let (_, messages) = Pipeline::file(AUDIO, &location, "").fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/OpenWrite tls tls NS_E_PUSH_CANNOTCONNECT"
    );
}

#[test]
fn an_unusable_file_of_authorities_is_a_settings_error() {
    for path in ["/nonexistent.pem", "/dev/null"] {
        let properties = format!("ssl-ca-file={path}");
        let (_, messages) = Pipeline::file(AUDIO, "https://localhost/live", &properties).fail();
        assert_eq!(
            messages.last().unwrap(),
            "ERROR RESOURCE/Settings setup settings E_INVALIDARG"
        );
    }
}
