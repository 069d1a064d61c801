// SPDX-License-Identifier: MPL-2.0

//! The peer of a push: a publishing point with a script, or another server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use publishing_point::{Event, Fault, Settings, When};

use crate::rig::{FullBacklog, LONG, Point, socket_with_full_backlog};

/// The peers between the element and its server's response.
pub struct Scene {
    /// The publishing point, if there is one.
    pub point: Option<Point>,
    pub location: String,
    /// Additional properties of the element.
    pub properties: Vec<(&'static str, String)>,
    /// Another server that must stay alive.
    _stranger: Option<Stranger>,
    _hole: Option<FullBacklog>,
    struck: Struck,
}

/// The way in which the test learns that the fault has happened.
enum Struck {
    /// The publishing point reports it.
    Told,
    /// The other server has received a connection.
    Met(Receiver<()>),
    /// The fault exists from the start.
    AtOnce,
}

impl Scene {
    /// Returns a publishing point with these `faults`.
    pub fn point(faults: Vec<(When, Fault)>) -> Self {
        let point = Point::with(Settings {
            faults,
            ..Settings::default()
        });
        Self {
            location: point.location(),
            point: Some(point),
            properties: Vec::new(),
            _stranger: None,
            _hole: None,
            struck: Struck::Told,
        }
    }

    /// Returns a location without a server.
    pub fn nowhere(location: &str) -> Self {
        Self {
            point: None,
            location: location.to_owned(),
            properties: Vec::new(),
            _stranger: None,
            _hole: None,
            struck: Struck::AtOnce,
        }
    }

    /// Returns a server that treats all connections in one way.
    pub fn stranger(scheme: &str, manner: Manner) -> Self {
        let (stranger, met) = Stranger::new(manner);
        Self {
            location: format!("{scheme}://{}/live", stranger.address),
            _stranger: Some(stranger),
            struck: Struck::Met(met),
            ..Self::nowhere("")
        }
    }

    /// Returns a listener that drops connection attempts.
    pub fn black_hole() -> Self {
        let hole = socket_with_full_backlog();
        Self {
            location: format!("http://{}/live", hole.address),
            _hole: Some(hole),
            ..Self::nowhere("")
        }
    }

    /// Redirects every PushSetup to its own URL.
    pub fn with_loop(self) -> Self {
        let point = self.point.as_ref().expect("a publishing point");
        let location = self.location.clone();
        let status = 302;
        let redirect = Fault::Redirect { status, location };
        let faults = vec![(When::EveryPushSetup, redirect)];
        point.handle.set_faults(faults);
        self
    }

    pub fn with(mut self, property: &'static str, value: impl ToString) -> Self {
        self.properties.push((property, value.to_string()));
        self
    }

    /// Moves the location behind a proxy at the former address.
    pub fn behind_it(mut self) -> Self {
        let place = self.location.find("//").expect("a URL") + 2;
        let authority = self.location[place..].split('/').next().unwrap_or_default();
        let proxy = format!("http://{authority}");
        self.location = "http://media.invalid/live".to_owned();
        self.with("proxy", proxy)
    }

    /// Waits until the fault with this name has happened. Returns false if it does not.
    pub fn await_fault(&self, name: &str) -> bool {
        match (&self.struck, &self.point) {
            (Struck::Told, Some(point)) => {
                let is_it =
                    |event: &Event| matches!(event, Event::Fault { fault, .. } if fault == name);
                point.handle.wait_for(is_it, LONG).is_some()
            }
            (Struck::Met(met), _) => met.recv_timeout(LONG).is_ok(),
            _ => true,
        }
    }
}

/// The behaviour of a server for all connections.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Accepts and reads, but sends nothing.
    Silent,
    Close,
    Reset,
    Say(&'static [u8]),
}

struct Stranger {
    address: SocketAddr,
    /// A running server, which is stopped when this is dropped.
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Stranger {
    fn new(manner: Manner) -> (Self, Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
        let stopped = stop.clone();
        let (meet, met) = channel();
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                kept.extend(treat(stream, manner));
                let _ = meet.send(());
            }
        });
        (Self { address, stop }, met)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Returns the connection if it is to be kept.
fn treat(mut stream: TcpStream, manner: Manner) -> Option<TcpStream> {
    let mut some = [0; 4096];
    match manner {
        Manner::Silent => return Some(stream),
        Manner::Close => {
            // Without unread data it is not a reset.
            let _ = stream.read(&mut some);
        }
        // Closes with unread data.
        Manner::Reset => drop(stream.peek(&mut some)),
        Manner::Say(words) => {
            let _ = stream.read(&mut some);
            let _ = stream.write_all(words);
        }
    }
    None
}
