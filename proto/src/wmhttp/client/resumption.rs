// SPDX-License-Identifier: MPL-2.0

//! What comes after a lost connection: 3.2.7.1.

use std::time::Duration;

use super::{Last, PushSession, State, Then};
use crate::asf::FileHeader;
use crate::wmhttp::header::Cookies;

impl PushSession {
    /// Whether the server has given the session a push-id, by which it would know it again.
    pub fn is_resumable(&self) -> bool {
        !self.cookies.push_id().is_new_session()
    }

    /// Whether the session is one that was [taken up again](Self::resume), as far as the server has not refused that.
    pub fn has_resumed(&self) -> bool {
        self.resumed
    }

    /// How long the server keeps the session after a loss.
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// 3.2.7.1: takes the session up on a new connection, with the push-id that it has.
    ///
    /// `header` is the last ASF file header that the server has got; content goes on behind what it has got of that
    /// entry. A PushStart says so at once, unless the connection has to be authenticated first: then it follows a
    /// PushSetup. Without a header there is only that PushSetup.
    ///
    /// The server does not answer before the body ends, unless it refuses. FALSE, and nothing happens, when the
    /// session is not [resumable](Self::is_resumable).
    pub fn resume(&mut self, header: Option<FileHeader>) -> bool {
        if !self.is_resumable() {
            return false;
        }
        self.abandon();
        self.resumed = true;
        self.header = header;
        match (&self.header, self.access.is_bound_to_connection()) {
            (None, _) => self.send_push_setup(Then::Wait, true),
            (Some(_), true) => self.send_push_setup(Then::GoOn(Last::Data), true),
            (Some(_), false) => self.send_resuming_push_start(),
        }
        true
    }

    /// 3.1.4.1: a new session after the loss of one, with push-id 0. When PushSetup has succeeded, `$H` follows with
    /// `header`, if there is one.
    pub fn restart(&mut self, header: Option<FileHeader>) {
        self.abandon();
        self.cookies = Cookies::default();
        self.access.restart();
        self.using_proxy = self.access.uses_proxy();
        let then = if header.is_some() {
            Then::Header
        } else {
            Then::Wait
        };
        self.header = header;
        self.send_push_setup(then, true);
    }

    /// Nothing of what was under way goes on.
    fn abandon(&mut self) {
        self.queued.clear();
        self.events.clear();
        self.handshake = false;
        self.resumed = false;
        self.access.abandon();
        self.state = State::Idle;
    }
}
