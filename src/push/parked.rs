// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

use tokio::time::Instant;

use crate::asf::FileHeader;
use crate::wmhttp::{PushSession, SessionConfig};

/// Time within which a session can be resumed after `IWMWriterPushSink::Disconnect`, as in the SDK.
const RESUMABLE_FOR: Duration = Duration::from_secs(5 * 60);

/// A session whose connection the application has closed.
pub(super) struct ParkedSession {
    session: PushSession,
    config: SessionConfig,
    header: Option<FileHeader>,
    since: Instant,
}

impl ParkedSession {
    /// Parks `session` if it can be resumed. `header` is the last header that was sent in it.
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

    /// Returns the session and its header if `config` is unchanged and at most five minutes have passed.
    pub(super) fn take(self, config: &SessionConfig) -> Option<(PushSession, Option<FileHeader>)> {
        let fits = self.config == *config && self.since.elapsed() <= RESUMABLE_FOR;
        fits.then_some((self.session, self.header))
    }
}
