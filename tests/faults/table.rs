// SPDX-License-Identifier: MPL-2.0

//! The table: one line per fault and phase, with its violations.

use std::fmt;
use std::time::Duration;

use crate::reception::Reception;
use crate::rows::Row;
use crate::run::{self, EOS_BOUND, NULL_BOUND, Outcome, PROGRESS_ENDS, SEND_BOUND};

/// Tries to stop within the bound.
const TRIES: usize = 5;

/// The results for one row.
pub struct Line {
    phase: &'static str,
    fault: String,
    expected: Option<String>,
    outcome: Outcome,
    null: Option<Duration>,
    send_eos: Option<Duration>,
    eos: Option<Duration>,
}

/// The possible ends of a push.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// An ERROR: domain and code, phase, reason.
    Error(String),
    /// The push continued in the same session without loss.
    Resumed,
    /// The push continued in a new session; lost packets were counted.
    NewSession,
    /// The fault had no effect, and nothing is missing.
    Unnoticed,
    /// The server's kernel acknowledged data that the server discarded.
    Lossy,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "ERROR {error}"),
            Self::Resumed => f.write_str("goes on in the same session"),
            Self::NewSession => f.write_str("goes on in a new session"),
            Self::Unnoticed => f.write_str("goes on"),
            Self::Lossy => f.write_str("goes on and cannot know"),
        }
    }
}

/// Returns the expected end of a row: `expected.tsv` has phase, fault and end; two ends if either may happen first,
/// or if the fault may come before or after the 250 ms that make a server one that has accepted the push.
fn expected(row: &Row) -> Option<String> {
    let lines = include_str!("expected.tsv").lines();
    let mut columns = lines.map(|line| line.split('\t'));
    columns.find_map(|mut line| {
        let is_it = line.next() == Some(row.phase) && line.next() == Some(&row.fault);
        line.next().filter(|_| is_it).map(str::to_owned)
    })
}

/// Pushes to the end, to NULL and to EOS.
pub fn try_out(row: &Row) -> Line {
    let outcome = run::to_the_end(&row.scene(), |_, _| {});
    // On a busy machine one try is slow; a wait for the network is in all of them.
    let tries = (0..TRIES).map_while(|_| run::to_null(&row.scene(), &row.strike));
    let null = fastest(tries, NULL_BOUND);
    let (send_eos, eos) = run::to_eos(&row.scene(), &row.strike).unzip();
    Line {
        phase: row.phase,
        fault: row.fault.clone(),
        expected: expected(row),
        outcome,
        null,
        send_eos,
        eos,
    }
}

/// Returns the first duration within the bound, or else the shortest.
fn fastest(tries: impl Iterator<Item = Duration>, bound: Duration) -> Option<Duration> {
    let mut shortest: Option<Duration> = None;
    for took in tries {
        shortest = Some(shortest.map_or(took, |shortest| shortest.min(took)));
        if took <= bound {
            break;
        }
    }
    shortest
}

impl Line {
    /// Returns the end of the push.
    fn end(&self) -> End {
        let messages = &self.outcome.messages;
        if let Some(error) = messages.iter().find_map(|line| line.strip_prefix("ERROR ")) {
            // Without the HRESULT, which has its own tests.
            let words: Vec<_> = error.split(' ').take(3).collect();
            return End::Error(words.join(" "));
        }
        let reception = self.outcome.reception.as_ref();
        let missing = reception.map_or(0, Reception::missing);
        match self.outcome.resumed.last() {
            Some(false) => End::NewSession,
            _ if missing > self.dropped() => End::Lossy,
            Some(true) => End::Resumed,
            None => End::Unnoticed,
        }
    }

    /// Returns all violations.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |right: bool, what: String| {
            if !right {
                wrong.push(format!("{} / {}: {what}", self.phase, self.fault));
            }
        };
        let end = self.end().to_string();
        let expected = self.expected.as_deref().unwrap_or("something");
        // A refusal may be received before the first data was sent, or after.
        let alike = |end: &str| end.replace(" start ", " push ");
        check(
            expected
                .split(" | ")
                .any(|expected| alike(&end) == alike(expected)),
            format!("{end}, not {expected}: {:#?}", self.outcome),
        );
        for (what, took, bound) in [
            ("NULL", self.null, NULL_BOUND),
            ("sending EOS", self.send_eos, SEND_BOUND),
            ("EOS", self.eos, EOS_BOUND),
        ] {
            // After the end, upstream is already in the sink.
            let bound = if self.phase == "end" {
                EOS_BOUND
            } else {
                bound
            };
            let in_time = took.is_some_and(|took| took <= bound);
            check(in_time, format!("{what} took {took:?}"));
        }
        for what in wrong_messages(&self.outcome.messages) {
            check(false, what);
        }
        for what in self
            .outcome
            .reception
            .iter()
            .flat_map(|reception| self.wrong_packets(reception))
        {
            check(false, what);
        }
        wrong
    }

    fn wrong_packets(&self, reception: &Reception) -> Vec<String> {
        let mut wrong = reception.wrong.clone();
        let (end, dropped, missing) = (self.end(), self.dropped(), reception.missing());
        let told = match end {
            // Data in flight at the loss may have been received or not.
            End::NewSession => (missing.saturating_sub(2)..=missing + 1).contains(&dropped),
            End::Resumed | End::Unnoticed => missing == 0 && dropped == 0,
            End::Lossy | End::Error(_) => true,
        };
        if !told {
            wrong.push(format!("{reception:?}, dropped {dropped}"));
        }
        // A reset may be received before the last acknowledgement.
        if end == End::Resumed && (reception.headers > 1 || reception.twice > 1) {
            wrong.push(format!("resumed, and yet {reception:?}"));
        }
        wrong
    }

    fn dropped(&self) -> usize {
        let dropped = self.outcome.stats.get::<u64>("packets-dropped");
        usize::try_from(dropped.unwrap()).unwrap()
    }
}

/// Returns the violations of rules that all messages follow.
fn wrong_messages(messages: &[String]) -> Vec<String> {
    let count = |begin: &str| {
        messages
            .iter()
            .filter(|line| line.starts_with(begin))
            .count()
    };
    let place = |begin: &str| messages.iter().position(|line| line.starts_with(begin));
    let mut wrong = Vec::new();
    let mut check = |right: bool, what: &str| {
        if !right {
            wrong.push(format!("{what}: {messages:#?}"));
        }
    };
    let ends = PROGRESS_ENDS.map(count);
    check(ends.iter().sum::<usize>() == 1, "PROGRESS has one end");
    check(
        count("PROGRESS connect Start") == 1,
        "PROGRESS has one start",
    );
    let failed = count("ERROR") == 1;
    check(failed != (count("EOS") == 1), "either EOS or one ERROR");
    let again = count("WMT_RECONNECT_START reconnecting");
    let losses = count("WMT_RECONNECT_START") - again;
    let ends = count("WMT_RECONNECT_END");
    check(
        losses == ends || losses == ends + usize::from(failed),
        "a loss is over once",
    );
    check(count("WARNING RESOURCE") >= losses, "a loss is a WARNING");
    if let (Some(error), Some(progress)) = (place("ERROR"), place("PROGRESS connect Error")) {
        check(error < progress, "ERROR comes before PROGRESS ERROR");
    }
    wrong
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packets = match &self.outcome.reception {
            None => "–".to_owned(),
            Some(reception) => format!(
                "{}/{} dropped {} twice {}",
                reception.arrived,
                reception.pushed,
                self.dropped(),
                reception.twice
            ),
        };
        let milliseconds = |took: Option<Duration>| {
            took.map_or("–".to_owned(), |took| {
                format!("{:.1}", took.as_secs_f64() * 1000.0)
            })
        };
        write!(
            f,
            "| {:<12} | {:<34} | {:<52} | {:>6.2} | {:<26} | {:>5} | {:>5} | {:>6} |",
            self.phase,
            self.fault,
            self.end().to_string(),
            self.outcome.took.as_secs_f64(),
            packets,
            milliseconds(self.null),
            milliseconds(self.send_eos),
            milliseconds(self.eos),
        )
    }
}

pub fn print(lines: &[Line]) {
    println!(
        "| {:<12} | {:<34} | {:<52} | {:>6} | {:<26} | {:>5} | {:>5} | {:>6} |",
        "phase", "the server", "the push", "s", "packets that arrived", "NULL", "send", "EOS ms"
    );
    println!("| --- | --- | --- | ---: | --- | ---: | ---: | ---: |");
    for line in lines {
        println!("{line}");
    }
}
