// SPDX-License-Identifier: MPL-2.0

//! The command line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;
use publishing_point::Settings;
use wmspush_proto::auth::Credentials;
use wmspush_proto::wmhttp::server::{Points, Redirect};

use crate::fault_script;

pub const USAGE: &str = "\
Usage: publishing-point [OPTION]...

Receives pushes by the Windows Media HTTP Push Distribution Protocol (MS-WMHTTP), and serves them to players.
Every path is a publishing point: push to http://ADDR:PORT/live, for instance, and watch mmsh://ADDR:PORT/live by
MS-WMSP, or http://ADDR:PORT/live as plain ASF. The page http://ADDR:PORT/ shows pushes, viewers and errors; /status
has the same as JSON, and /metrics counters for Prometheus.

Options:
  --listen ADDR:PORT     listen here: localhost:8080, [::1]:8080, or 8080 for the loopback interface; 0.0.0.0:8080 or :8080
                         for all interfaces, [::]:8080 with IPv6; port 0 is any free port [default: 127.0.0.1:8080]
  --record DIR           record every push in this directory: live.asf, live-2.asf, ...
  --point PATH           accept pushes to these publishing points only, and to those created from them by Template-URL
  --accounts FILE        require an account for a push, by Digest or Basic: lines of user:password; # begins a comment
  --redirect PATH=URL    redirect pushes to PATH to another URL; PATH=proxy:URL to a proxy
  --idle-timeout S       end a push after this many seconds without a packet, at least 10 [default: 60]
  --inactivity-timeout S delete a session after this many seconds between two requests [default: 120]
  --stale S              let another source take over after this many seconds without a packet [default: 20]
  --max-viewers N        serve at most this many players at a time [default: 256]
  --max-connections N    accept at most this many connections, an eighth of them for pushes only [default: 1024]
  --max-per-peer N       accept at most this many connections from one address [default: 256]
  --fault 'WHEN WHAT'    misbehave, for tests of clients; see below
  --end-with-stdin       stop at the end of standard input, as at a signal
  --help                 show this
  --version              show the version

--point, --redirect and --fault may be given several times.
";

/// Options with a value
const WITH_VALUE: [&str; 12] = [
    "listen",
    "record",
    "point",
    "accounts",
    "redirect",
    "idle-timeout",
    "inactivity-timeout",
    "stale",
    "max-viewers",
    "max-connections",
    "max-per-peer",
    "fault",
];

/// Minimum of the Idle-Timeout in seconds, 3.2.2 Timers
const LEAST_IDLE: u64 = 10;

/// Maximum of all timeouts in seconds: the largest that Pragma can announce
const MOST: u64 = u32::MAX as u64 / 1000;

/// The command of the user.
#[derive(Debug, PartialEq)]
pub enum Command {
    Serve(Box<Serve>),
    Show(String),
}

/// The settings of the server.
#[derive(Debug, PartialEq)]
pub struct Serve {
    pub settings: Settings,
    /// True to stop when standard input ends.
    pub end_with_stdin: bool,
}

pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        ..Settings::default()
    };
    let mut end_with_stdin = false;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(told)? {
        let name = match argument {
            Short('h') => "help".to_owned(),
            Short('V') => "version".to_owned(),
            Long(name) => name.to_owned(),
            other => return Err(told(other.unexpected())),
        };
        match &*name {
            "help" => return Ok(Command::Show(format!("{USAGE}\n{}", fault_script::USAGE))),
            "version" => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Command::Show(format!("publishing-point {version}\n")));
            }
            "end-with-stdin" => end_with_stdin = true,
            _ => set(&mut settings, &name, &mut parser)?,
        }
    }
    Ok(Command::Serve(Box::new(Serve {
        settings,
        end_with_stdin,
    })))
}

/// One option with its value.
fn set(settings: &mut Settings, name: &str, parser: &mut lexopt::Parser) -> Result<(), String> {
    if !WITH_VALUE.contains(&name) {
        return Err(format!("unknown option --{name}"));
    }
    let value = parser.value().map_err(told)?;
    let text = value.to_string_lossy();
    match name {
        "listen" => settings.listen = address(&text)?,
        "record" => settings.record = Some(directory(value.into())?),
        "point" => add_point(&mut settings.points, &text)?,
        "accounts" => settings.accounts = accounts(Path::new(&value))?,
        "redirect" => {
            let (path, redirect) = redirect(&text)?;
            settings.redirects.insert(path, redirect);
        }
        "idle-timeout" => settings.timeouts.idle = seconds(name, &text, LEAST_IDLE)?,
        "inactivity-timeout" => settings.timeouts.inactivity = seconds(name, &text, 0)?,
        "stale" => settings.stale = seconds(name, &text, 0)?,
        "max-viewers" => settings.max_viewers = number(name, &text)?,
        "max-connections" => settings.max_connections = positive(name, &text)?,
        "max-per-peer" => settings.max_per_peer = positive(name, &text)?,
        _ => settings.faults.push(fault_script::parse(&text)?),
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: lexopt::Error) -> String {
    error.to_string()
}

/// Parses `8080`, `localhost:8080` or `[::1]:8080`, and `:8080` or `*:8080` for all interfaces. If a name has several
/// addresses, one of IPv4 is preferred.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let all = text.strip_prefix('*').unwrap_or(text).strip_prefix(':');
    if let Some(port) = all.and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }
    let found = text.to_socket_addrs().map_err(|error| {
        format!("--listen {text}: {error}. Use 8080, localhost:8080 or [::1]:8080")
    })?;
    let first = found.min_by_key(SocketAddr::is_ipv6);
    first.ok_or_else(|| format!("--listen {text}: the name has no address"))
}

fn directory(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_dir() {
        Ok(path)
    } else {
        Err(format!("{} is not a directory", path.display()))
    }
}

fn add_point(points: &mut Points, path: &str) -> Result<(), String> {
    let path = absolute(path)?;
    match points {
        Points::Listed(paths) => drop(paths.insert(path)),
        Points::Any => *points = Points::Listed(BTreeSet::from([path])),
    }
    Ok(())
}

fn absolute(path: &str) -> Result<String, String> {
    if path.starts_with('/') {
        Ok(path.to_owned())
    } else {
        Err(format!("{path:?} is not a path that begins with a slash"))
    }
}

fn redirect(text: &str) -> Result<(String, Redirect), String> {
    let (path, location) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not PATH=URL"))?;
    let (location, is_proxy) = match location.strip_prefix("proxy:") {
        Some(proxy) => (proxy, true),
        None => (location, false),
    };
    if !(location.starts_with("http://") || location.starts_with("https://")) {
        return Err(format!("{location:?} is not an http URL"));
    }
    let location = location.to_owned();
    Ok((absolute(path)?, Redirect { location, is_proxy }))
}

fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("--{name}: {text:?} is not a number"))
}

/// Parses a number above 0. With 0 connections, every client would be refused.
fn positive(name: &str, text: &str) -> Result<usize, String> {
    match number(name, text)? {
        0 => Err(format!("--{name} has to be at least 1")),
        number => Ok(number),
    }
}

fn seconds(name: &str, text: &str, least: u64) -> Result<Duration, String> {
    match number(name, text)? {
        seconds if (least..=MOST).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("--{name} has to be from {least} to {MOST} seconds")),
    }
}

/// Reads lines of `user:password`. Errors never contain a line.
fn accounts(path: &Path) -> Result<Vec<Credentials>, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    // Editors of Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().enumerate();
    let mut accounts = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let account = line.split_once(':').filter(|(user, _)| !user.is_empty());
        let (user, password) =
            account.ok_or_else(|| format!("{shown}:{}: not user:password", number + 1))?;
        accounts.push(Credentials::new(user, password));
    }
    if accounts.is_empty() {
        return Err(format!("{shown} contains no account"));
    }
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(|argument| (*argument).into()))
    }

    fn settings(arguments: &[&str]) -> Settings {
        match parsed(arguments) {
            Ok(Command::Serve(serve)) => serve.settings,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    #[test]
    fn the_default_is_the_loopback_interface() {
        let settings = settings(&[]);
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.record, None);
        assert_eq!(settings.points, Points::Any);
    }

    #[test]
    fn values_follow_a_space_or_an_equals_sign() {
        for arguments in [
            &["--listen", "[::1]:0", "--record", "/"][..],
            &["--listen=[::1]:0", "--record=/"],
        ] {
            let settings = settings(arguments);
            assert_eq!(settings.listen.to_string(), "[::1]:0");
            assert_eq!(settings.record, Some("/".into()));
        }
    }

    #[test]
    fn an_address_may_be_a_port_or_a_name() {
        for (text, address) in [
            ("8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:8080", "[::1]:8080"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
        ] {
            assert_eq!(settings(&["--listen", text]).listen.to_string(), address);
        }
    }

    #[test]
    fn rules_are_set_by_options() {
        let settings = settings(&[
            "--point=/live",
            "--point=/template",
            "--redirect=/old=http://other/live",
            "--redirect=/far=proxy:http://proxy:3128/",
            "--idle-timeout=10",
            "--inactivity-timeout=0",
            "--stale=5",
            "--max-viewers=3",
            "--max-connections=50",
            "--max-per-peer=20",
            "--fault=always silent",
        ]);
        let points = ["/live", "/template"].map(str::to_owned);
        assert_eq!(settings.points, Points::Listed(points.into()));
        assert_eq!(settings.redirects["/old"].location, "http://other/live");
        assert!(settings.redirects["/far"].is_proxy);
        assert_eq!(settings.timeouts.idle, Duration::from_secs(10));
        assert_eq!(settings.timeouts.inactivity, Duration::ZERO);
        assert_eq!(settings.stale, Duration::from_secs(5));
        assert_eq!((settings.max_viewers, settings.faults.len()), (3, 1));
        assert_eq!((settings.max_connections, settings.max_per_peer), (50, 20));
    }

    #[test]
    fn unusable_arguments_are_errors() {
        for arguments in [
            &["--listen"][..],
            &["--listen", "808080"],
            &["--listen", "localhost"],
            &["--max-connections", "-1"],
            &["--max-connections", "0"],
            &["--max-per-peer", "0"],
            &["--record", "/no/such/directory"],
            &["--accounts", "/no/such/file"],
            &["--records"],
            &["--records=/"],
            &["--point", "live"],
            &["--redirect", "/live"],
            &["--redirect", "/live=ftp://a"],
            &["--idle-timeout", "9"],
            &["--inactivity-timeout", "4294968"],
            &["--max-viewers", "many"],
            &["--fault", "never"],
            &["live"],
        ] {
            assert!(parsed(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn accounts_are_read_and_never_shown() {
        let path = std::env::temp_dir().join(format!("accounts-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            accounts(&path)
        };
        let found = read("# accounts\n\nalice:s3cret\nbob:a:b\n").unwrap();
        let expected = [
            Credentials::new("alice", "s3cret"),
            Credentials::new("bob", "a:b"),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            read("\u{feff}alice:s3cret\r\nbob:a:b\r\n").unwrap(),
            expected
        );
        let error = read("alice:s3cret\nbob s3cret\n").unwrap_err();
        assert!(error.ends_with(":2: not user:password"), "{error}");
        assert!(read("# nobody\n").is_err());
        std::fs::remove_file(path).unwrap();
    }
}
