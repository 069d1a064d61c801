// SPDX-License-Identifier: MPL-2.0

//! Recordings of a killed server, which open in other programs.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::client::{Client, ENDLESS, packet};
use super::program::Program;
use super::recording::{FIXTURES, demuxed_by, directory, live, objects, probed, read, unpadded};

/// Polls the program until it has received this many packets.
fn await_packets(address: SocketAddr, count: usize) {
    let expected = format!("\"packets\": {count},");
    loop {
        let mut client = Client::to(address, "0");
        client.send("GET /status HTTP/1.0\r\n\r\n");
        if client.response().body.contains(&expected) {
            return;
        }
    }
}

/// Returns the errors of ffmpeg decoding the whole file.
fn decoded(path: &Path) -> String {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_recording_opens_after_kill_9() {
    for fixture in FIXTURES {
        let directory = directory("kill_9");
        let (mut program, url) = Program::with(&["--record", directory.to_str().unwrap()]);
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        let address = address.parse().unwrap();
        let (header, packets) = live(fixture);
        let mut client = Client::to(address, "0");
        client.setup("/live");
        client.start("/live", ENDLESS);
        client.send(packet(b'H', &header));
        let path = directory.join("live.asf");
        for data in &packets {
            client.send(packet(b'D', &unpadded(data)));
        }
        // The server is killed in the middle of a packet.
        client.send(b"$D\xff\x01\0\0");
        await_packets(address, packets.len());
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        let expected = objects(&packets);
        let (header, found) = read(&path);
        assert!(header.is_broadcast());
        assert_eq!(found.len(), packets.len(), "{fixture}");
        assert_eq!(probed(&path), expected, "{fixture}");
        assert_eq!(decoded(&path), "", "{fixture}");
        for elements in ["asfparse ! asfdemux", "asfdemux"] {
            let buffers = demuxed_by(elements, &path);
            assert_eq!(
                buffers,
                expected.iter().sum::<usize>(),
                "{fixture}: {elements}"
            );
        }
    }
}
