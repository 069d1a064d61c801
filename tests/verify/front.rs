// SPDX-License-Identifier: MPL-2.0

//! A server in front of a publishing point, which forwards pushes and has other responses for viewers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::LONG;

/// The handling of a request.
pub enum Way {
    /// Forwards the connection to the server with this address.
    To(SocketAddr),
    /// Forwards it as soon as a program that was just started listens there.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "relays are started on Linux")
    )]
    WhenUp(SocketAddr),
    /// Sends these bytes, and closes the connection.
    Answer(Vec<u8>),
    /// Sends these bytes, and keeps the connection until the client closes it.
    Hold(Vec<u8>),
    /// Sends these bytes, and handles the next request on the same connection.
    Next(Vec<u8>, Handling),
}

/// Returns what a request with this head gets.
pub type Handling = Box<dyn FnOnce(&str) -> Way>;

/// A listener that decides by the head of the first request of a connection.
pub struct Front {
    pub address: SocketAddr,
}

impl Front {
    /// Forwards pushes to `point`, and handles requests of viewers as `viewers` returns for their head.
    pub fn new(point: SocketAddr, viewers: impl Fn(&str) -> Way + Send + Sync + 'static) -> Self {
        Self::all(move |head| match head.starts_with("GET ") {
            true => viewers(head),
            false => Way::To(point),
        })
    }

    /// Handles all requests as `handle` returns for their head.
    pub fn all(handle: impl Fn(&str) -> Way + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handle = Arc::new(handle);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let handle = handle.clone();
                thread::spawn(move || {
                    // The client may close the connection at any time.
                    let _ = serve(client, &*handle);
                });
            }
        });
        Self { address }
    }

    pub fn location(&self) -> String {
        format!("http://{}/live", self.address)
    }
}

fn serve(mut client: TcpStream, handle: &dyn Fn(&str) -> Way) -> io::Result<()> {
    let mut head = read_head(&mut client)?;
    let mut way = handle(&head);
    while let Way::Next(bytes, handling) = way {
        client.write_all(&bytes)?;
        head = read_head(&mut client)?;
        way = handling(&head);
    }
    match way {
        Way::To(server) => relay(client, &head, TcpStream::connect(server)?),
        Way::WhenUp(server) => relay(client, &head, connect_when_up(server)?),
        Way::Answer(bytes) => client.write_all(&bytes),
        Way::Hold(bytes) => {
            client.write_all(&bytes)?;
            io::copy(&mut client, &mut io::sink()).map(drop)
        }
        Way::Next(..) => unreachable!("handled above"),
    }
}

fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Polls, because a program does not report that it listens.
fn connect_when_up(server: SocketAddr) -> io::Result<TcpStream> {
    let deadline = Instant::now() + LONG;
    loop {
        match TcpStream::connect(server) {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn relay(client: TcpStream, head: &str, mut server: TcpStream) -> io::Result<()> {
    server.write_all(head.as_bytes())?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let mut client = client;
    let copied = io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    copied.map(drop)
}
