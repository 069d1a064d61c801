// SPDX-License-Identifier: MPL-2.0

//! The output of the program: on a terminal events above a live line for each point, in a log plain lines.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime};

use publishing_point::{Event, PointStatus, Status};

use crate::folding::Folding;

/// Interval of status lines in a log.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Interval of updates on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_secs(1);

/// Publishing points to show, at most.
const MAX_LINES: usize = 16;

/// Makes a terminal truncate long lines instead of wrapping them, so that each stays one line.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Standard output.
pub struct Display {
    terminal: bool,
    /// The live lines currently on the terminal.
    live: Vec<String>,
    folding: Folding,
}

impl Display {
    pub fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
            live: Vec::new(),
            folding: Folding::default(),
        }
    }

    /// Returns the interval at which [`status`](Self::status) has to be called.
    pub fn interval(&self) -> Duration {
        if self.terminal {
            TERMINAL_EVERY
        } else {
            LOG_EVERY
        }
    }

    /// Shows an event, unless it repeats an earlier one.
    pub fn event(&mut self, event: &Event) {
        if !matches!(event, Event::Data { .. }) {
            let lines = self.folding.event(event, Instant::now());
            self.lines(&lines);
        }
    }

    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            self.line(line);
        }
    }

    /// Prints a permanent line.
    pub fn line(&mut self, line: &str) {
        let line = visible(line);
        print(&frame(self.live.len(), Some(&line), &self.live));
    }

    /// Prints the status.
    pub fn status(&mut self, status: &Status) {
        let repeats = self.folding.expired(Instant::now());
        self.lines(&repeats);
        let points = by_point(status);
        if !self.terminal {
            let receiving = points.iter().filter(|(point, _)| point.receiving);
            let lines = receiving.map(|(point, _)| log_line(point)).collect();
            self.lines(&cut(lines));
            return;
        }
        let now = SystemTime::now();
        let live = points
            .iter()
            .map(|(point, waiting)| live_line(point, *waiting, now));
        let live = cut(live.collect())
            .iter()
            .map(|line| visible(line))
            .collect();
        let painted = std::mem::replace(&mut self.live, live);
        print(&frame(painted.len(), None, &self.live));
    }

    /// Makes the live lines permanent.
    pub fn finish(&mut self) {
        let repeats = self.folding.finish();
        self.lines(&repeats);
        let painted = std::mem::take(&mut self.live);
        if !painted.is_empty() {
            print(&frame(painted.len(), None, &[]));
        }
    }
}

/// Returns the bytes that replace `painted` live lines by a permanent line and the lines in `live`.
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

/// Prints at once. Errors are ignored, because the reader may have closed the pipe.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Replaces control characters and those that change the direction of text, because clients choose names and paths, and
/// must neither move the cursor nor reorder a line.
fn visible(line: &str) -> String {
    let shown = |character: char| match character {
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '?',
        character if character.is_control() => '?',
        character => character,
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

/// Returns for each publishing point the receiving session, or else its latest one, and the number of the others.
fn by_point(status: &Status) -> Vec<(&PointStatus, usize)> {
    let mut places = HashMap::new();
    let mut points: Vec<(&PointStatus, usize)> = Vec::new();
    for session in status
        .points
        .iter()
        .filter(|session| session.since.is_some())
    {
        let place = *places.entry(&session.point).or_insert(points.len());
        match points.get_mut(place) {
            Some((shown, others)) => {
                *others += 1;
                if !shown.receiving {
                    *shown = session;
                }
            }
            None => points.push((session, 0)),
        }
    }
    points
}

/// Limits the lines to the height of a small terminal.
fn cut(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > MAX_LINES {
        let more = lines.len() + 1 - MAX_LINES;
        lines.truncate(MAX_LINES - 1);
        lines.push(format!("… and {more} more publishing points"));
    }
    lines
}

fn live_line(point: &PointStatus, waiting: usize, now: SystemTime) -> String {
    let since = point.since.and_then(|since| now.duration_since(since).ok());
    let seconds = since.unwrap_or_default().as_secs();
    let state = if point.receiving {
        "receiving"
    } else {
        "waiting for the encoder"
    };
    let others = match waiting {
        0 => String::new(),
        waiting => format!("  (and {waiting} waiting)"),
    };
    format!(
        "{}  {state}  {}:{:02}:{:02}  {} kbit/s  {} packets  {}{others}",
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
    fn events_are_printed_above_the_overwritten_live_lines() {
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
    fn lines_fit_on_a_small_terminal() {
        let lines = |count: usize| cut(vec![String::new(); count]);
        assert_eq!(lines(MAX_LINES).len(), MAX_LINES);
        let cut = lines(200);
        assert_eq!(cut.len(), MAX_LINES);
        assert_eq!(cut[MAX_LINES - 1], "… and 185 more publishing points");
    }

    #[test]
    fn control_characters_of_clients_are_escaped() {
        assert_eq!(visible("/a\x1b[2J\u{9b}b\r\n"), "/a?[2J?b??");
        assert_eq!(visible("käse \u{202e}esrever"), "käse ?esrever");
    }
}
