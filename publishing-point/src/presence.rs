// SPDX-License-Identifier: MPL-2.0

use std::sync::Arc;

use super::Event;
use super::audience::{Leave, Viewer};
use super::shared::PointState;
use wmspush_proto::wmhttp::server::SessionKey;

/// The membership of a viewer in the audience, which ends when this is dropped.
pub(super) struct Presence {
    pub(super) id: u64,
    shared: Arc<PointState>,
    leave: Leave,
}

impl Presence {
    /// Adds the viewer; `None` if the maximum number of viewers is reached.
    pub(super) fn new(
        shared: &Arc<PointState>,
        point: &str,
        session: SessionKey,
        user_agent: &str,
        framed: bool,
    ) -> Option<Self> {
        let most = shared.settings.max_viewers;
        let id = shared.audience.join(most, |id| Viewer {
            id,
            point: point.to_owned(),
            session,
            user_agent: user_agent.to_owned(),
            framed,
            since: shared.clock.record(),
            packets: 0,
            skipped: 0,
        })?;
        shared.tell(Event::ViewerJoined {
            viewer: id,
            point: point.to_owned(),
            user_agent: user_agent.to_owned(),
        });
        Some(Self {
            id,
            shared: shared.clone(),
            leave: Leave::Gone,
        })
    }

    /// Sets the reason to report when the membership ends.
    pub(super) fn ends(&mut self, leave: Leave) {
        self.leave = leave;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(viewer) = self.shared.audience.leave(self.id) {
            self.shared.tell(Event::ViewerLeft {
                viewer: viewer.id,
                point: viewer.point,
                packets: viewer.packets,
                why: self.leave,
            });
        }
    }
}
