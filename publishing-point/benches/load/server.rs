// SPDX-License-Identifier: MPL-2.0

//! The publishing point as a process, with its memory and CPU time.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;

/// Ticks of the CPU times in /proc: fixed since Linux 2.4.
const TICKS: f64 = 100.0;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

/// The id of the process, for /proc.
#[derive(Clone, Copy)]
pub struct Process(u32);

impl Server {
    pub fn start(connections: usize, viewers: usize) -> Outcome<Self> {
        let connections = (connections * 8 / 7).to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_publishing-point"))
            .args(["--listen", "0", "--max-connections", &connections])
            .args(["--max-per-peer", &connections])
            .args(["--max-viewers", &viewers.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim_end_matches(['/', '\n']).rsplit('/').next();
        let address = address.ok_or("no address")?.parse()?;
        // The log must not fill the pipe.
        std::thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        Ok(Self { child, address })
    }

    pub fn clone_process(&self) -> Process {
        Process(self.child.id())
    }

    /// Returns the number of data packets received, by the server's own metrics.
    pub fn packets_received(&self) -> Outcome<u64> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let lines = text
            .lines()
            .filter(|line| line.starts_with("publishing_point_received_packets_total{"));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(values.sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Returns the resident memory in kilobytes.
    pub fn memory(self) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().next());
        value
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns the CPU time used so far.
    pub fn cpu(self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name of the program ends with a bracket. utime and stime are fields 14 and 15.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = times.filter_map(|time| time.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }
}
