// SPDX-License-Identifier: MPL-2.0

//! TLS in front of a publishing point.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::rig::LONG;

#[path = "certificates.rs"]
mod certificates;

pub use certificates::Certificates;

/// stunnel, from its own port to a publishing point.
pub struct Tunnel {
    process: Child,
    port: u16,
}

impl Tunnel {
    pub fn new(certificates: &Certificates, target: SocketAddr) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = &certificates.directory;
        let configuration = format!(
            "foreground = yes\npid =\n[push]\naccept = 127.0.0.1:{port}\nconnect = {target}\ncert = {}\nkey = {}\n",
            certificates.server_certificate().display(),
            certificates.server_key().display(),
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

    pub fn authority(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub fn location(&self) -> String {
        format!("https://{}/live", self.authority())
    }
}

/// Returns the path of stunnel, which Debian installs in `sbin`.
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
