// SPDX-License-Identifier: MPL-2.0

//! Pushes at a steady rate, and viewers that check the received packets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::Outcome;
use crate::packets;

const PACKET: usize = 1400;
const BITS_PER_SECOND: u64 = 500_000;

/// Offset of a packet's number in `packets`, in bytes.
const NUMBER: usize = 5;

/// Time limit for a response.
const PATIENCE: Duration = Duration::from_secs(60);

/// All clients, connected.
pub struct Crowd {
    pushes: Vec<TcpStream>,
    viewers: JoinSet<io::Result<Viewed>>,
    /// Packets sent by each push.
    sent: usize,
}

/// The packets of one viewer.
pub struct Viewed {
    pub packets: u64,
    in_order: bool,
    expected: u64,
}

impl Viewed {
    pub fn is_whole(&self) -> bool {
        self.in_order && self.packets == self.expected
    }
}

impl Crowd {
    /// Connects the pushes up to their headers, and the viewers of the first push.
    pub async fn connect(address: SocketAddr, pushes: usize, viewers: usize) -> Outcome<Self> {
        let header = packets::header(PACKET);
        let mut crowd = Self {
            pushes: Vec::new(),
            viewers: JoinSet::new(),
            sent: 0,
        };
        for number in 0..pushes {
            crowd.pushes.push(push(address, number, &header).await?);
        }
        for _ in 0..viewers {
            let stream = watch(address, header.len()).await?;
            crowd.viewers.spawn(view(stream));
        }
        Ok(crowd)
    }

    /// Pushes for this long. Returns the packets of all pushes.
    pub async fn push(&mut self, duration: Duration) -> Outcome<u64> {
        let period = Duration::from_secs(1) * (PACKET * 8) as u32 / BITS_PER_SECOND as u32;
        self.sent = (duration.as_nanos() / period.as_nanos()) as usize;
        let wire: Arc<Vec<_>> = Arc::new((0..self.sent).map(framed).collect());
        let mut tasks = JoinSet::new();
        let (start, count) = (Instant::now(), self.pushes.len());
        for (number, mut stream) in self.pushes.drain(..).enumerate() {
            // Starts are staggered, because real encoders are not synchronised.
            let first = start + period * number as u32 / count as u32;
            let wire = wire.clone();
            tasks.spawn(async move {
                let mut ticks = interval_at(first, period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                for packet in wire.iter() {
                    ticks.tick().await;
                    stream.write_all(packet).await?;
                }
                io::Result::Ok(stream)
            });
        }
        while let Some(pushed) = tasks.join_next().await {
            self.pushes.push(pushed??);
        }
        Ok((self.sent * count) as u64)
    }

    /// Ends the pushes, and waits until the viewers have received the end.
    pub async fn end(mut self) -> Outcome<Vec<Viewed>> {
        for stream in &mut self.pushes {
            stream.write_all(b"$E\x04\0\0\0\0\0").await?;
        }
        let mut viewed = Vec::new();
        while let Some(one) = timeout(PATIENCE, self.viewers.join_next()).await? {
            let mut one = one??;
            one.expected = self.sent as u64;
            viewed.push(one);
        }
        Ok(viewed)
    }
}

/// Returns `$D` with the packet of this number.
fn framed(number: usize) -> Vec<u8> {
    let mut wire = vec![b'$', b'D'];
    wire.extend((PACKET as u16).to_le_bytes());
    wire.extend(packets::packet(PACKET, number, false));
    wire
}

async fn push(address: SocketAddr, number: usize, header: &[u8]) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = |kind: &str, id: &str, length: u32| {
        format!(
            "POST /load{number} HTTP/1.1\r\nContent-Type: application/x-wms-{kind}\r\n\
             X-Accept-Authentication: Digest\r\nUser-Agent: WMEncoder/12.0\r\nHost: a\r\n\
             Content-Length: {length}\r\nCookie: push-id={id}\r\n\r\n"
        )
    };
    stream
        .write_all(request("pushsetup", "0", 0).as_bytes())
        .await?;
    let response = head(&mut stream).await?;
    let (_, id) = response.split_once("push-id=").ok_or("no push-id")?;
    let id: String = id.chars().take_while(char::is_ascii_alphanumeric).collect();
    stream
        .write_all(request("pushstart", &id, 2_147_483_647).as_bytes())
        .await?;
    stream.write_all(b"$H").await?;
    stream
        .write_all(&(header.len() as u16).to_le_bytes())
        .await?;
    stream.write_all(header).await?;
    Ok(stream)
}

/// Connects a viewer of the first push, and reads up to the ASF file header. Retries until the push exists.
async fn watch(address: SocketAddr, header: usize) -> Outcome<TcpStream> {
    loop {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /load0 HTTP/1.0\r\nUser-Agent: load\r\n\r\n")
            .await?;
        let response = head(&mut stream).await?;
        if response.starts_with("HTTP/1.0 200") {
            stream.read_exact(&mut vec![0; header]).await?;
            return Ok(stream);
        }
    }
}

async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Reads packets to the end of the stream.
async fn view(stream: TcpStream) -> io::Result<Viewed> {
    let mut stream = BufReader::with_capacity(8 * PACKET, stream);
    let mut viewed = Viewed {
        packets: 0,
        in_order: true,
        expected: 0,
    };
    let mut packet = [0; PACKET];
    loop {
        match stream.read_exact(&mut packet).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(viewed),
            Err(error) => return Err(error),
        }
        let number = packet[NUMBER..]
            .first_chunk()
            .map(|field| u32::from_le_bytes(*field));
        viewed.in_order &= number.map(u64::from) == Some(viewed.packets);
        viewed.packets += 1;
    }
}
