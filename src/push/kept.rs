// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

use tokio::time::Instant;

use crate::asf::FileHeader;
use crate::wmhttp::{PushSession, SessionConfig};

/// How long a session that was left can be taken up again: what the SDK says of `IWMWriterPushSink::Disconnect`.
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);

/// A session whose connection its owner has closed.
pub(super) struct Kept {
    session: PushSession,
    config: SessionConfig,
    header: Option<FileHeader>,
    since: Instant,
}

impl Kept {
    /// What can be taken up again; `header` is the last that was sent.
    pub(super) fn new(
        session: PushSession,
        config: SessionConfig,
        header: Option<FileHeader>,
    ) -> Option<Self> {
        session.is_resumable().then(|| Self {
            session,
            config,
            header,
            since: Instant::now(),
        })
    }

    /// The session, where it is the one that `config` asks for and not too old, and its header.
    pub(super) fn take(self, config: &SessionConfig) -> Option<(PushSession, Option<FileHeader>)> {
        let fits = self.config == *config && self.since.elapsed() <= KEPT_FOR;
        fits.then_some((self.session, self.header))
    }
}
