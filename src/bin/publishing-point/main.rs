// SPDX-License-Identifier: MPL-2.0

//! A publishing point to push to: `publishing-point [--listen ADDR:PORT] [--record DIR]`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use gstwmspush::publishing_point::{PublishingPoint, Settings};

use display::Display;

mod display;

const USAGE: &str = "\
Usage: publishing-point [--listen ADDR:PORT] [--record DIR]

Receives what an encoder pushes by the Windows Media HTTP Push Distribution Protocol (MS-WMHTTP).
Every path is a publishing point: push to http://ADDR:PORT/live, for instance.

Options:
  --listen ADDR:PORT  where to listen; port 0 takes any [default: 127.0.0.1:8080]
  --record DIR        record every push there: live.asf, live-2.asf, ...
  --help              show this
  --version           show the version
";

fn main() -> ExitCode {
    let settings = match parse(std::env::args_os().skip(1)) {
        Ok(Command::Serve(settings)) => settings,
        Ok(Command::Show(text)) => {
            // Nobody may be there to read it.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("publishing-point: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publishing-point: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the arguments ask for.
#[derive(Debug, PartialEq)]
enum Command {
    Serve(Settings),
    Show(String),
}

fn parse(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Command, String> {
    let mut settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        ..Settings::default()
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.into())),
            _ => (text.as_str(), None),
        };
        let mut value = || {
            let value = inline.clone().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--help" | "-h" => return Ok(Command::Show(USAGE.to_owned())),
            "--version" | "-V" => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Command::Show(format!("publishing-point {version}\n")));
            }
            "--listen" => settings.listen = address(&value()?.to_string_lossy())?,
            "--record" => settings.record = Some(directory(value()?.into())?),
            _ => return Err(format!("unknown argument {text:?}")),
        }
    }
    Ok(Command::Serve(settings))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no ADDR:PORT, such as 127.0.0.1:8080 or [::1]:8080"))
}

fn directory(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_dir() {
        Ok(path)
    } else {
        Err(format!("{} is no directory", path.display()))
    }
}

fn run(settings: Settings) -> Result<(), String> {
    let listen = settings.listen;
    let point = PublishingPoint::bind(settings)
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime
        .block_on(serve(point))
        .map_err(|error| format!("cannot serve: {error}"))
}

async fn serve(point: PublishingPoint) -> io::Result<()> {
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
                display.finish();
                while let Some(event) = handle.wait_for(|_| true, Duration::ZERO) {
                    display.event(&event);
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(|argument| (*argument).into()))
    }

    #[test]
    fn the_default_is_the_loopback_interface() {
        let Ok(Command::Serve(settings)) = parsed(&[]) else {
            panic!();
        };
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.record, None);
    }

    #[test]
    fn values_stand_behind_a_space_or_an_equals_sign() {
        for arguments in [
            &["--listen", "[::1]:0", "--record", "/"][..],
            &["--listen=[::1]:0", "--record=/"],
        ] {
            let Ok(Command::Serve(settings)) = parsed(arguments) else {
                panic!("{arguments:?}");
            };
            assert_eq!(settings.listen.to_string(), "[::1]:0");
            assert_eq!(settings.record, Some("/".into()));
        }
    }

    #[test]
    fn unusable_arguments_are_errors() {
        for arguments in [
            &["--listen"][..],
            &["--listen", "8080"],
            &["--record", "/no/such/directory"],
            &["--records"],
            &["live"],
        ] {
            assert!(parsed(arguments).is_err(), "{arguments:?}");
        }
    }
}
