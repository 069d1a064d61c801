// SPDX-License-Identifier: MPL-2.0

//! 400 MB over TLS 1.3, compared with `curl -T` on the same bytes to the same server: stunnel in front of the receiver.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::Outcome;
use crate::drain::Drain;
use crate::streams;
use crate::table::spread;
use crate::throughput::{self, SIZE};

const ROUNDS: usize = 7;

/// stunnel in front of a receiver.
pub struct Tunnel {
    process: Child,
    pub port: u16,
}

impl Tunnel {
    pub fn start(target: SocketAddr) -> Outcome<Self> {
        let folder = certificate()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let pem = folder.join("server.pem");
        let path = folder.join(format!("stunnel-{port}.conf"));
        let pem = pem.display();
        fs::write(
            &path,
            format!(
                "foreground = yes\npid =\ndebug = 0\n[push]\naccept = 127.0.0.1:{port}\nconnect = {target}\n\
                 cert = {pem}\nkey = {pem}\n"
            ),
        )?;
        let process = Command::new("stunnel")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let tunnel = Self { process, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            sleep(Duration::from_millis(10));
        }
        Ok(tunnel)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a folder with a key and its certificate.
fn certificate() -> Outcome<PathBuf> {
    let folder = std::env::temp_dir().join("wmspush-bench-tls");
    fs::create_dir_all(&folder)?;
    let pem = folder.join("server.pem");
    if !pem.exists() {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .arg("-keyout")
            .arg(&pem)
            .arg("-out")
            .arg(folder.join("certificate.pem"))
            .stderr(Stdio::null())
            .status()?;
        if !made.success() {
            return Err("openssl has failed".into());
        }
        let certificate = fs::read(folder.join("certificate.pem"))?;
        let key = fs::read(&pem)?;
        fs::write(&pem, [key, certificate].concat())?;
    }
    Ok(folder)
}

pub fn run() -> Outcome {
    println!("\n### 400 MB over TLS 1.3, beside curl: CPU of the client above fakesink\n");
    println!("| packets | wmspushsink, s | fakesink, s | curl -T, s | ratio |");
    println!("| --- | --- | --- | --- | --- |");
    for packet in [1400, 8000] {
        let file = streams::file(packet, false, SIZE)?;
        let file = file.to_str().ok_or("no text")?;
        fs::read(file)?;
        let (mut ours, mut fake, mut curl, mut ratios) = (vec![], vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            let push = push_cpu(file, packet)?;
            let nothing = throughput::cpu(file, packet, "fakesink sync=false")?;
            let upload = curl_cpu(file)?;
            ratios.push((push - nothing) / upload);
            ours.push(push);
            fake.push(nothing);
            curl.push(upload);
        }
        let [least, median, most] = spread(ratios);
        println!(
            "| {packet} | {:.3} | {:.3} | {:.3} | {least:.2} / **{median:.2}** / {most:.2} |",
            spread(ours)[1],
            spread(fake)[1],
            spread(curl)[1]
        );
    }
    Ok(())
}

/// Returns the CPU time in seconds of a push over TLS.
fn push_cpu(file: &str, packet: usize) -> Outcome<f64> {
    let drain = Drain::start(false)?;
    let tunnel = Tunnel::start(drain.address)?;
    let sink = format!(
        "wmspushsink sync=false ssl-strict=false location=https://127.0.0.1:{}/live",
        tunnel.port
    );
    throughput::cpu(file, packet, &sink)
}

/// Returns the CPU time in seconds of curl for the same file over TLS.
fn curl_cpu(file: &str) -> Outcome<f64> {
    let drain = Drain::start(false)?;
    let tunnel = Tunnel::start(drain.address)?;
    let command = format!(
        "TIMEFORMAT='%3U %3S'; time curl --silent --insecure --tlsv1.3 --upload-file {file} https://127.0.0.1:{}/live",
        tunnel.port
    );
    let output = Command::new("bash").args(["-c", &command]).output()?;
    let times = String::from_utf8(output.stderr)?;
    let times: Vec<f64> = times
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(times.iter().sum())
}
