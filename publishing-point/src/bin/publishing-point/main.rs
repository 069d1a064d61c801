// SPDX-License-Identifier: MPL-2.0

//! A publishing point to push to and to watch: `publishing-point --help`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use publishing_point::{Handle, PublishingPoint};

use arguments::{Command, Serve, parse};
use display::Display;

mod arguments;
mod display;
mod fault_script;
mod folding;

fn main() -> ExitCode {
    let serve = match parse(std::env::args_os().skip(1)) {
        Ok(Command::Serve(serve)) => *serve,
        Ok(Command::Show(text)) => {
            // Nobody may be there to read it.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("publishing-point: {error}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publishing-point: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(serve: Serve) -> Result<(), String> {
    let Serve {
        settings,
        end_with_stdin,
    } = serve;
    raise_descriptor_limit();
    let listen = settings.listen;
    let point = PublishingPoint::bind(settings)
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    if end_with_stdin {
        stop_with_stdin(point.handle());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime
        .block_on(show(point))
        .map_err(|error| format!("cannot serve: {error}"))
}

/// Each connection needs a descriptor: allows as many as the system lets this process have.
#[cfg(unix)]
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // The program goes on with the lower limit, and closes idle connections when that is reached.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(not(unix))]
fn raise_descriptor_limit() {}

/// Standard input is nobody's but for its end. The thread waits for it, and the program for neither.
fn stop_with_stdin(handle: Handle) {
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        handle.stop();
    });
}

async fn show(point: PublishingPoint) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let handle = point.handle();
    let mut display = Display::new();
    display.line(&format!("listening on http://{}/", point.local_addr()));
    let mut server = std::pin::pin!(point.serve());
    let mut report = tokio::time::interval(display.interval());
    loop {
        tokio::select! {
            served = &mut server => {
                // What happened on the way out.
                while let Some(event) = handle.wait_for(|_| true, Duration::ZERO) {
                    display.event(&event);
                }
                display.finish();
                return served;
            }
            event = handle.next_event() => display.event(&event),
            _ = report.tick() => display.status(&handle.status()),
            () = signals.recv() => handle.stop(),
        }
    }
}

/// What asks the program to stop. It is caught as soon as this exists.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What asks the program to stop.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn recv(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
