// SPDX-License-Identifier: MPL-2.0

//! The steps after a lost connection: 3.2.7.1 TCP Connection Is Disconnected.

use std::time::Duration;

use super::{Last, PushSession, State, Then};
use crate::asf::FileHeader;
use crate::wmhttp::header::Cookies;

impl PushSession {
    /// Returns whether the session has a push-id from the server, by which the server can recognise it.
    pub fn is_resumable(&self) -> bool {
        !self.cookies.push_id().is_new_session()
    }

    /// Returns whether the session was [resumed](Self::resume), and the server has not refused that.
    pub fn has_resumed(&self) -> bool {
        self.resumed
    }

    /// Returns the time for which the server keeps the session after a connection loss.
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// 3.2.7.1 TCP Connection Is Disconnected: resumes the session on a new connection, with the same push-id.
    ///
    /// `header` is the last ASF file header that the server has received. Content continues after the part of its entry
    /// that the server has received. The first request is a PushStart; if the connection has to be authenticated, a
    /// PushSetup precedes it. Without a header only that PushSetup is sent.
    ///
    /// The server responds before the end of the body only if it refuses. Returns false, and does nothing, if the
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

    /// 3.1.4.1 Request to Configure the Server: starts a new session with push-id 0 after the loss of one. `header`, if
    /// any, follows in `$H` after a successful PushSetup.
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

    /// Drops all pending outputs and state of the last connection.
    fn abandon(&mut self) {
        self.queued.clear();
        self.events.clear();
        self.resumed = false;
        self.access.abandon();
        self.state = State::Idle;
    }
}
