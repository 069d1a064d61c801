// SPDX-License-Identifier: MPL-2.0

//! The latest events. Repeats are folded into one entry.

use std::collections::VecDeque;
use std::time::SystemTime;

/// Characters to keep of a name or a text, at most, because peers choose their length.
const MAX_TEXT: usize = 300;

/// An event, which may have occurred several times.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Notice {
    /// The time of the last occurrence.
    pub time: SystemTime,
    /// The publishing point; empty if it is unknown.
    pub point: String,
    /// The description of the last occurrence.
    pub text: String,
    /// The number of occurrences.
    pub times: u64,
}

impl Notice {
    /// Converts its time to the one to show.
    pub(super) fn shown(self, shown: impl Fn(SystemTime) -> SystemTime) -> Self {
        Self {
            time: shown(self.time),
            ..self
        }
    }
}

/// The kind of a notice. A success resolves notices by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not an error.
    Information,
    /// A request was refused.
    Refusal,
    /// Another failure.
    Failure,
}

#[derive(Debug)]
struct JournalEntry {
    notice: Notice,
    /// The text without decimal digits, because repeats differ in numbers only.
    words: String,
    kind: Kind,
    /// True once a success has followed.
    resolved: bool,
}

/// A bounded list of notices, the oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    entries: VecDeque<JournalEntry>,
    max: usize,
}

impl Journal {
    /// Creates a journal with at most `max` entries.
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            max,
        }
    }

    /// Adds a notice, or counts it with an earlier one that differs in numbers only.
    pub(super) fn note(&mut self, kind: Kind, point: &str, text: &str, time: SystemTime) {
        let (point, text) = (shortened(point), shortened(text));
        let words = without_digits(&text);
        let is_same = |entry: &JournalEntry| entry.words == words && entry.notice.point == point;
        let same = self.entries.iter().rposition(is_same);
        let earlier = same.and_then(|place| self.entries.remove(place));
        let times = earlier.map_or(0, |entry| entry.notice.times) + 1;
        if self.entries.len() >= self.max {
            self.entries.pop_front();
        }
        self.entries.push_back(JournalEntry {
            notice: Notice {
                time,
                point,
                text,
                times,
            },
            words,
            kind,
            resolved: false,
        });
    }

    /// Marks the entries of a point that `kinds` accepts as resolved.
    pub(super) fn resolve(&mut self, point: &str, kinds: impl Fn(Kind) -> bool) {
        let point = shortened(point);
        for entry in &mut self.entries {
            if entry.notice.point == point && kinds(entry.kind) {
                entry.resolved = true;
            }
        }
    }

    /// Returns the latest unresolved entry of a point.
    pub(super) fn unresolved(&self, point: &str) -> Option<&Notice> {
        let point = shortened(point);
        let mut latest_first = self.entries.iter().rev();
        let entry = latest_first.find(|entry| entry.notice.point == point && !entry.resolved);
        entry.map(|entry| &entry.notice)
    }

    /// Iterates over all notices, the oldest first.
    pub(super) fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.entries.iter().map(|entry| &entry.notice)
    }
}

/// Returns the first [`MAX_TEXT`] characters of a text.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn repeats_are_counted_in_one_entry() {
        let mut journal = Journal::new(10);
        for number in 0..60 {
            let text = format!("session over after {number} packets");
            journal.note(Kind::Information, "/live", "streaming", NOW);
            journal.note(Kind::Information, "/live", &text, NOW);
        }
        let notices: Vec<_> = journal
            .notices()
            .map(|n| (n.text.as_str(), n.times))
            .collect();
        assert_eq!(
            notices,
            [("streaming", 60), ("session over after 59 packets", 60)]
        );
    }

    #[test]
    fn entries_and_texts_are_bounded() {
        let mut journal = Journal::new(10);
        for number in 0..100 {
            journal.note(Kind::Failure, &format!("/{number}"), &"x".repeat(9000), NOW);
        }
        assert_eq!(journal.notices().count(), 10);
        assert!(
            journal
                .notices()
                .all(|notice| notice.text.len() == MAX_TEXT)
        );
    }

    #[test]
    fn a_success_resolves_the_errors_of_its_point() {
        let mut journal = Journal::new(10);
        journal.note(Kind::Failure, "/live", "cannot record", NOW);
        journal.note(Kind::Refusal, "/live", "refused", NOW);
        journal.resolve("/other", |_| true);
        assert_eq!(journal.unresolved("/live").unwrap().text, "refused");
        journal.resolve("/live", |kind| kind == Kind::Refusal);
        assert_eq!(journal.unresolved("/live").unwrap().text, "cannot record");
        journal.resolve("/live", |_| true);
        assert_eq!(journal.unresolved("/live"), None);
        journal.note(Kind::Refusal, "/live", "refused", NOW);
        assert!(journal.unresolved("/live").is_some(), "once more");
    }
}
