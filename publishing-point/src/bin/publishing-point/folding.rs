// SPDX-License-Identifier: MPL-2.0

//! Folding of repeated events into one line with a count.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use publishing_point::Event;

/// Time for which repeats of a shown event are folded.
const WINDOW: Duration = Duration::from_secs(10);

/// Events that are compared with a new one, at most.
const MAX_RECENT: usize = 32;

/// An event that was shown, and its repeats.
struct Shown {
    /// Publishing point and text without numbers, which repeats have in common.
    kind: String,
    line: String,
    at: Instant,
    repeats: u64,
}

/// The events shown in the last seconds.
#[derive(Default)]
pub struct Folding(VecDeque<Shown>);

impl Folding {
    /// Returns the lines to print for this event.
    pub fn event(&mut self, event: &Event, now: Instant) -> Vec<String> {
        let kind = format!(
            "{} {}",
            event.point(),
            without_digits(&event.text().to_string())
        );
        let mut lines = self.expired(now);
        if let Some(shown) = self.0.iter_mut().find(|shown| shown.kind == kind) {
            shown.repeats += 1;
            return lines;
        }
        if self.0.len() >= MAX_RECENT {
            lines.extend(self.0.pop_front().and_then(|oldest| oldest.summary()));
        }
        let line = event.to_string();
        lines.push(line.clone());
        self.0.push_back(Shown {
            kind,
            line,
            at: now,
            repeats: 0,
        });
        lines
    }

    /// Returns the summaries of the events whose [`WINDOW`] has ended.
    pub fn expired(&mut self, now: Instant) -> Vec<String> {
        let over = |shown: &Shown| now.saturating_duration_since(shown.at) >= WINDOW;
        let count = self.0.iter().take_while(|shown| over(shown)).count();
        let expired = self.0.drain(..count);
        expired.filter_map(|shown| shown.summary()).collect()
    }

    /// Returns all remaining summaries.
    pub fn finish(&mut self) -> Vec<String> {
        let left = self.0.drain(..);
        left.filter_map(|shown| shown.summary()).collect()
    }
}

impl Shown {
    fn summary(&self) -> Option<String> {
        let Self { line, repeats, .. } = self;
        (*repeats > 0).then(|| format!("{line} (and {repeats} more of the kind)"))
    }
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: &str) -> Event {
        Event::Refused {
            point: "/live".to_owned(),
            status: 409,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn repeats_are_shown_once_and_counted_after_ten_seconds() {
        let mut folding = Folding::default();
        let start = Instant::now();
        let mut lines = Vec::new();
        for number in 0..60 {
            lines.extend(folding.event(&refused(&format!("session {number}")), start));
            lines.extend(folding.event(&refused("busy"), start));
        }
        assert_eq!(
            lines,
            [
                "/live: refused with 409: session 0",
                "/live: refused with 409: busy"
            ]
        );
        assert!(folding.expired(start + WINDOW / 2).is_empty());
        assert_eq!(
            folding.expired(start + WINDOW),
            [
                "/live: refused with 409: session 0 (and 59 more of the kind)",
                "/live: refused with 409: busy (and 59 more of the kind)"
            ]
        );
        assert_eq!(folding.event(&refused("busy"), start + WINDOW).len(), 1);
    }

    #[test]
    fn the_last_repeats_are_shown_at_the_end() {
        let mut folding = Folding::default();
        let now = Instant::now();
        folding.event(&refused("busy"), now);
        folding.event(&refused("busy"), now);
        assert_eq!(folding.finish().len(), 1);
        assert!(folding.finish().is_empty());
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let mut folding = Folding::default();
        let now = Instant::now();
        for kind in 0..1000 {
            folding.event(&refused(&"x".repeat(kind)), now);
        }
        assert_eq!(folding.0.len(), MAX_RECENT);
    }
}
