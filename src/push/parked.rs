// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

use tokio::time::Instant;

use crate::asf::FileHeader;
use crate::wmhttp::{PushSession, SessionConfig};

/// How long a session can be taken up again after `IWMWriterPushSink::Disconnect`, by the SDK.
const PARKED_FOR: Duration = Duration::from_secs(5 * 60);

/// A session whose connection the application has closed.
pub(super) struct ParkedSession {
    session: PushSession,
    config: SessionConfig,
    header: Option<FileHeader>,
    since: Instant,
}

impl ParkedSession {
    /// A session that can be taken up again; `header` is the last that was sent.
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

    /// The session and its header, if it is the one that `config` asks for and not too old.
    pub(super) fn take(self, config: &SessionConfig) -> Option<(PushSession, Option<FileHeader>)> {
        let fits = self.config == *config && self.since.elapsed() <= PARKED_FOR;
        fits.then_some((self.session, self.header))
    }
}
