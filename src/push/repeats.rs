// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use super::queue::Content;

/// How long a server may take to refuse a PushStart for want of authentication, and how much may be on its way by then.
const LONGEST: Duration = Duration::from_secs(5);
const MOST: usize = 4 * 1024 * 1024;

/// What has been sent since the last PushStart, for as long as the server may still want it again.
#[derive(Default)]
pub(super) struct Repeats {
    kept: Option<Kept>,
    repeating: VecDeque<Content>,
}

struct Kept {
    contents: VecDeque<Content>,
    bytes: usize,
    since: Instant,
}

impl Repeats {
    /// A PushStart was sent: what comes now is behind it.
    pub(super) fn clear(&mut self) {
        self.kept = Some(Kept {
            contents: VecDeque::new(),
            bytes: 0,
            since: Instant::now(),
        });
    }

    /// Whether anything is kept at all.
    pub(super) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Keeps content that the session has taken.
    pub(super) fn keep(&mut self, content: Content) {
        let Some(kept) = &mut self.kept else {
            return;
        };
        kept.bytes += content.bytes();
        kept.contents.push_back(content);
        if kept.bytes > MOST || kept.since.elapsed() > LONGEST {
            self.kept = None;
        }
    }

    /// The PushStart goes again: so does all that was kept, and then `held`. Returns how many data packets are sent twice.
    pub(super) fn repeat(&mut self, held: Option<Content>) -> Result<u64, Error> {
        let Some(kept) = self.kept.take() else {
            let text = "the server refuses a stream that it has taken for long";
            return Err(Error::Lost(text.to_owned()));
        };
        let is_data = |content: &&Content| matches!(content, Content::DataUnit(_));
        let packets = kept.contents.iter().filter(is_data).count() as u64;
        let rest = std::mem::take(&mut self.repeating);
        self.repeating = kept.contents;
        self.repeating.extend(held);
        self.repeating.extend(rest);
        Ok(packets)
    }

    /// The next content to go again.
    pub(super) fn next(&mut self) -> Option<Content> {
        self.repeating.pop_front()
    }
}
