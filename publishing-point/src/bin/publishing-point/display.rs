// SPDX-License-Identifier: MPL-2.0

//! What the program shows: on a terminal a live line for each point below what happens, in a log plain lines.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use publishing_point::{Event, PointStatus, Status};

/// How often a log is told how pushes fare.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// How often the lines of a terminal change.
const TERMINAL_EVERY: Duration = Duration::from_secs(1);

/// Lines of a terminal are cut off where it ends, not continued, so that each stays one.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Standard output.
pub struct Display {
    terminal: bool,
    /// The live lines, as they stand on the terminal.
    live: Vec<String>,
}

impl Display {
    pub fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            live: Vec::new(),
        }
    }

    /// How often [`status`](Self::status) wants to be called.
    pub fn interval(&self) -> Duration {
        if self.terminal {
            TERMINAL_EVERY
        } else {
            LOG_EVERY
        }
    }

    /// Something happened.
    pub fn event(&mut self, event: &Event) {
        if !matches!(event, Event::Data { .. }) {
            self.line(&event.to_string());
        }
    }

    /// One line that stays.
    pub fn line(&mut self, line: &str) {
        let line = visible(line);
        print(&frame(self.live.len(), Some(&line), &self.live));
    }

    /// How everything fares.
    pub fn status(&mut self, status: &Status) {
        let lines = status.points.iter().filter(|point| point.since.is_some());
        if !self.terminal {
            for point in lines.filter(|point| point.receiving) {
                self.line(&log_line(point));
            }
            return;
        }
        let now = SystemTime::now();
        let live = lines.map(|point| visible(&live_line(point, now))).collect();
        let painted = std::mem::replace(&mut self.live, live);
        print(&frame(painted.len(), None, &self.live));
    }

    /// What is live is so no more.
    pub fn finish(&mut self) {
        let painted = std::mem::take(&mut self.live);
        if !painted.is_empty() {
            print(&frame(painted.len(), None, &[]));
        }
    }
}

/// What takes away so many live lines, and puts these in their place.
fn frame(painted: usize, line: Option<&str>, live: &[String]) -> String {
    let mut out = String::new();
    if painted > 0 {
        let _ = write!(out, "\x1b[{painted}A\x1b[J");
    }
    if let Some(line) = line {
        let _ = writeln!(out, "{line}");
    }
    for line in live {
        let _ = writeln!(out, "{NO_WRAP}{line}{WRAP}");
    }
    out
}

/// At once. Nobody may be there to read it any more.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Clients choose names and paths: nothing of them may move the cursor.
fn visible(line: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            '?'
        } else {
            character
        }
    };
    line.chars().map(shown).collect()
}

fn log_line(point: &PointStatus) -> String {
    format!(
        "{} (session {}): {} packets, {} bytes, {} kbit/s, {}",
        point.point,
        point.session,
        point.packets,
        point.bytes,
        point.bitrate / 1000,
        viewers(point)
    )
}

fn live_line(point: &PointStatus, now: SystemTime) -> String {
    let since = point.since.and_then(|since| now.duration_since(since).ok());
    let seconds = since.unwrap_or_default().as_secs();
    let state = if point.receiving {
        "receiving"
    } else {
        "waiting for the pusher"
    };
    format!(
        "{}  {state}  {}:{:02}:{:02}  {} kbit/s  {} packets  {}",
        point.point,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        point.bitrate / 1000,
        point.packets,
        viewers(point)
    )
}

fn viewers(point: &PointStatus) -> String {
    match point.viewers.len() {
        1 => "1 viewer".to_owned(),
        viewers => format!("{viewers} viewers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_lines_are_painted_over_and_what_happens_goes_above_them() {
        let live = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            frame(0, None, &live),
            "\x1b[?7la\x1b[?7h\n\x1b[?7lb\x1b[?7h\n"
        );
        assert_eq!(
            frame(2, Some("event"), &live[..1]),
            "\x1b[2A\x1b[Jevent\n\x1b[?7la\x1b[?7h\n"
        );
        assert_eq!(frame(0, Some("event"), &[]), "event\n");
    }

    #[test]
    fn nobody_else_moves_the_cursor() {
        assert_eq!(visible("/a\x1b[2J\u{9b}b\r\n"), "/a?[2J?b??");
    }
}
