// SPDX-License-Identifier: MPL-2.0

//! A publishing point for pushes and viewers: `publishing-point --help`.

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
            // The reader may have closed the pipe.
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

/// Raises the limit of descriptors, of which each connection needs one, to the maximum for this process.
#[cfg(unix)]
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With the lower limit the program closes idle connections earlier.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(not(unix))]
fn raise_descriptor_limit() {}

/// Stops the publishing point at the end of standard input. The thread waits for that, and the program does not wait
/// for the thread.
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
                // The events of shutting down.
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

/// Signals that stop the program. They are caught from the creation of this value on.
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

/// Signals that stop the program.
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
