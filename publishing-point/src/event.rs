// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::path::PathBuf;

use super::Leave;
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{SessionKey, Violation};

/// Something that happened at the publishing point. None of it shows a push-id.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A PushSetup was granted.
    SetupAccepted {
        /// The session it made or found.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// What the client calls itself.
        user_agent: String,
    },
    /// A request was refused with an HTTP status.
    Refused {
        /// The path that was asked for; empty when the request could not be read.
        point: String,
        /// The status.
        status: u16,
        /// Why.
        reason: String,
    },
    /// A PushStart was granted.
    PushStarted {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
    },
    /// `$H` or `$C` came.
    Header {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Size of the ASF file header.
        bytes: usize,
    },
    /// `$D` came. Told only with [`Settings::keep`](super::Settings::keep): [`Push`](super::Push) counts them anyway.
    Data {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Size of the ASF data packet as sent.
        bytes: usize,
    },
    /// `$E` came.
    EndOfStream {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// S_FALSE between playlist entries.
        reason: HResult,
    },
    /// The body of a PushStart was complete and was answered.
    BodyComplete {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
    },
    /// A PushStart is over before its body was complete.
    Closed {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// By whom or what.
        by: Closer,
    },
    /// A session is no more.
    SessionDeleted {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Data packets that came in all of it.
        packets: u64,
        /// Whether the publishing point went with it (AutoDestroy).
        point_removed: bool,
    },
    /// A scripted fault strikes.
    Fault {
        /// The publishing point.
        point: String,
        /// What it does.
        fault: String,
    },
    /// A client departs from the specification.
    Violation {
        /// The publishing point.
        point: String,
        /// What, and which section says so.
        violation: Violation,
    },
    /// A file was finished.
    Recorded {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// The file.
        path: PathBuf,
        /// Data packets in it.
        packets: u64,
    },
    /// Somebody watches.
    ViewerJoined {
        /// Tells viewers apart.
        viewer: u64,
        /// The publishing point.
        point: String,
        /// What the player calls itself.
        user_agent: String,
    },
    /// Somebody watches no more.
    ViewerLeft {
        /// Tells viewers apart.
        viewer: u64,
        /// The publishing point.
        point: String,
        /// Data packets that it was sent.
        packets: u64,
        /// Why.
        why: Leave,
    },
    /// A file could not be written; the push goes on without it.
    RecordingFailed {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// What went wrong.
        error: String,
    },
}

/// What ended a PushStart before its body was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closer {
    /// The final `$E`, after which nothing is awaited (3.2.5.5).
    EndOfStream,
    /// The client closed the connection without `$E` (3.2.7.1): it may come back.
    Client,
    /// The connection was reset or broke: the client may come back.
    Reset,
    /// The Idle-Timeout (3.2.6.1).
    IdleTimeout,
    /// Bytes that are no packet, or a packet out of order.
    BadPacket,
    /// The publishing point itself (3.2.4.1).
    Server,
    /// Another source, after this one had been silent for too long.
    Displaced,
    /// A scripted fault.
    Fault,
}

impl Event {
    /// The session that it happened to.
    pub fn session(&self) -> Option<SessionKey> {
        match self {
            Self::Refused { .. }
            | Self::Fault { .. }
            | Self::Violation { .. }
            | Self::ViewerJoined { .. }
            | Self::ViewerLeft { .. } => None,
            Self::SetupAccepted { session, .. }
            | Self::PushStarted { session, .. }
            | Self::Header { session, .. }
            | Self::Data { session, .. }
            | Self::EndOfStream { session, .. }
            | Self::BodyComplete { session, .. }
            | Self::Closed { session, .. }
            | Self::SessionDeleted { session, .. }
            | Self::Recorded { session, .. }
            | Self::RecordingFailed { session, .. } => Some(*session),
        }
    }

    /// The publishing point that it happened at.
    pub fn point(&self) -> &str {
        match self {
            Self::SetupAccepted { point, .. }
            | Self::Refused { point, .. }
            | Self::PushStarted { point, .. }
            | Self::Header { point, .. }
            | Self::Data { point, .. }
            | Self::EndOfStream { point, .. }
            | Self::BodyComplete { point, .. }
            | Self::Closed { point, .. }
            | Self::SessionDeleted { point, .. }
            | Self::Fault { point, .. }
            | Self::Violation { point, .. }
            | Self::Recorded { point, .. }
            | Self::ViewerJoined { point, .. }
            | Self::ViewerLeft { point, .. }
            | Self::RecordingFailed { point, .. } => point,
        }
    }
}

impl Event {
    /// The description without the publishing point and the session.
    pub fn text(&self) -> impl fmt::Display + '_ {
        Text(self)
    }
}

/// One readable line.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.session() {
            Some(session) => write!(f, "{} (session {session}): ", self.point())?,
            None if self.point().is_empty() => f.write_str("a stranger: ")?,
            None => write!(f, "{}: ", self.point())?,
        }
        Text(self).fmt(f)
    }
}

/// An event without its publishing point and its session.
struct Text<'a>(&'a Event);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::SetupAccepted { user_agent, .. } => {
                write!(f, "setup accepted from {user_agent}")
            }
            Event::Refused { status, reason, .. } => write!(f, "refused with {status}: {reason}"),
            Event::PushStarted { .. } => f.write_str("streaming"),
            Event::Header { bytes, .. } => write!(f, "ASF file header of {bytes} bytes"),
            Event::Data { bytes, .. } => write!(f, "data packet of {bytes} bytes"),
            Event::EndOfStream { reason, .. } if *reason == HResult::S_FALSE => {
                f.write_str("end of a playlist entry")
            }
            Event::EndOfStream { reason, .. } => write!(f, "end of stream, {reason}"),
            Event::BodyComplete { .. } => f.write_str("body complete, answered"),
            Event::Closed { by, .. } => write!(f, "closed: {by}"),
            Event::SessionDeleted {
                packets,
                point_removed,
                ..
            } => {
                let removed = if *point_removed {
                    ", publishing point removed"
                } else {
                    ""
                };
                write!(f, "session over after {packets} packets{removed}")
            }
            Event::Fault { fault, .. } => write!(f, "a scripted fault: {fault}"),
            Event::Violation { violation, .. } => write!(f, "violation of {violation}"),
            Event::Recorded { path, packets, .. } => {
                write!(f, "recorded {packets} packets to {}", path.display())
            }
            Event::ViewerJoined {
                viewer, user_agent, ..
            } => write!(f, "viewer {viewer} has come: {user_agent}"),
            Event::ViewerLeft {
                viewer,
                packets,
                why,
                ..
            } => write!(f, "viewer {viewer} has gone after {packets} packets: {why}"),
            Event::RecordingFailed { error, .. } => write!(f, "cannot record: {error}"),
        }
    }
}

impl fmt::Display for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndOfStream => "after the end of the stream",
            Self::Client => "the client hung up, and may come back",
            Self::Reset => "the connection broke; the client may come back",
            Self::IdleTimeout => "nothing came for too long",
            Self::BadPacket => "the client sent something that is no packet, or out of order",
            Self::Server => "by the server",
            Self::Displaced => "another source has taken over",
            Self::Fault => "by a scripted fault",
        })
    }
}
