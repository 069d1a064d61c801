// SPDX-License-Identifier: MPL-2.0

//! What a push meets: a publishing point with a script, or something else that listens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use publishing_point::{Event, Fault, Settings, When};

use crate::rig::{FullBacklog, LONG, Point, socket_with_full_backlog};

/// What is between the element and its server's answer.
pub struct Scene {
    /// The publishing point, where there is one.
    pub point: Option<Point>,
    pub location: String,
    /// What the element is set to beside that.
    pub properties: Vec<(&'static str, String)>,
    /// Whatever else has to be there.
    _stranger: Option<Stranger>,
    _hole: Option<FullBacklog>,
    struck: Struck,
}

/// How it is known that the fault has struck.
enum Struck {
    /// The publishing point tells.
    Told,
    /// Something has come in.
    Met(Receiver<()>),
    /// There is nothing to be met: it strikes at once.
    AtOnce,
}

impl Scene {
    /// A publishing point that goes wrong as `faults` say.
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

    /// A location where nothing can be met.
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

    /// Something that accepts connections and treats them all in one way.
    pub fn stranger(scheme: &str, manner: Manner) -> Self {
        let (stranger, met) = Stranger::new(manner);
        Self {
            location: format!("{scheme}://{}/live", stranger.address),
            _stranger: Some(stranger),
            struck: Struck::Met(met),
            ..Self::nowhere("")
        }
    }

    /// A place that swallows connection attempts.
    pub fn black_hole() -> Self {
        let hole = socket_with_full_backlog();
        Self {
            location: format!("http://{}/live", hole.address),
            _hole: Some(hole),
            ..Self::nowhere("")
        }
    }

    /// Every PushSetup is redirected to where it came to.
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

    /// The location becomes one behind a proxy that is where the location was.
    pub fn behind_it(mut self) -> Self {
        let place = self.location.find("//").expect("a URL") + 2;
        let authority = self.location[place..].split('/').next().unwrap_or_default();
        let proxy = format!("http://{authority}");
        self.location = "http://media.invalid/live".to_owned();
        self.with("proxy", proxy)
    }

    /// Waits until the fault has struck that the publishing point calls so. FALSE when it never does.
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

/// How somebody treats whoever connects.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Takes the connection and what comes, and says nothing.
    Silent,
    Close,
    Reset,
    Say(&'static [u8]),
}

struct Stranger {
    address: SocketAddr,
    /// Something that is connected to is let go with it.
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

/// Returns the connection when it is to stay.
fn treat(mut stream: TcpStream, manner: Manner) -> Option<TcpStream> {
    let mut some = [0; 4096];
    match manner {
        Manner::Silent => return Some(stream),
        Manner::Close => {
            // With nothing unread it is no reset.
            let _ = stream.read(&mut some);
        }
        // Closed over what is unread.
        Manner::Reset => drop(stream.peek(&mut some)),
        Manner::Say(words) => {
            let _ = stream.read(&mut some);
            let _ = stream.write_all(words);
        }
    }
    None
}
