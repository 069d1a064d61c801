// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::path::PathBuf;

use super::Leave;
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{SessionKey, Violation};

/// An event at the publishing point. No event contains a push-id.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A PushSetup was accepted.
    SetupAccepted {
        /// The new or existing session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// The User-Agent of the encoder.
        user_agent: String,
    },
    /// A request was refused with an HTTP status.
    Refused {
        /// The requested path; empty if the request could not be parsed.
        point: String,
        /// The status code.
        status: u16,
        /// The reason.
        reason: String,
    },
    /// A PushStart was accepted.
    PushStarted {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
    },
    /// `$H` or `$C` was received.
    Header {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Size of the ASF file header in bytes.
        bytes: usize,
    },
    /// `$D` was received. Reported only with [`Settings::keep`](super::Settings::keep); [`Push`](super::Push) always
    /// counts data packets.
    Data {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Size of the ASF data packet as sent, in bytes.
        bytes: usize,
    },
    /// `$E` was received.
    EndOfStream {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// The Reason; S_FALSE between playlist entries.
        reason: HResult,
    },
    /// The body of a PushStart was complete, and was answered.
    BodyComplete {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
    },
    /// A PushStart ended before its body was complete.
    Closed {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// The cause.
        by: Closer,
    },
    /// A session was deleted.
    SessionDeleted {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Data packets received in the whole session.
        packets: u64,
        /// True if the publishing point was removed with it (AutoDestroy).
        point_removed: bool,
    },
    /// A scripted fault was applied.
    Fault {
        /// The publishing point.
        point: String,
        /// Description of the fault.
        fault: String,
    },
    /// A client departs from the specification.
    Violation {
        /// The publishing point.
        point: String,
        /// The departure, with its section.
        violation: Violation,
    },
    /// A file for a recording was created.
    Recording {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Path of the file.
        path: PathBuf,
    },
    /// A recording was finished.
    Recorded {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Path of the file.
        path: PathBuf,
        /// Data packets in it.
        packets: u64,
    },
    /// A viewer joined.
    ViewerJoined {
        /// Identifies the viewer.
        viewer: u64,
        /// The publishing point.
        point: String,
        /// The User-Agent of the player.
        user_agent: String,
    },
    /// A viewer left.
    ViewerLeft {
        /// Identifies the viewer.
        viewer: u64,
        /// The publishing point.
        point: String,
        /// Data packets sent to the viewer.
        packets: u64,
        /// The reason.
        why: Leave,
    },
    /// A recording failed. The push continues without it, and another file is tried later.
    RecordingFailed {
        /// The session.
        session: SessionKey,
        /// The publishing point.
        point: String,
        /// Path of the file, or of the directory if no file could be created.
        path: PathBuf,
        /// Description of the error.
        error: String,
    },
}

/// The cause of the end of a PushStart before its body was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closer {
    /// The final `$E`, after which no more bytes are expected (3.2.5.5 Receiving an $E Packet).
    EndOfStream,
    /// The client closed the connection without `$E` (3.2.7.1 TCP Connection Is Disconnected), and may reconnect.
    Client,
    /// The connection was reset or broke. The client may reconnect.
    Reset,
    /// The Idle-Timeout (3.2.6.1 Idle-Timeout Timer Expires).
    IdleTimeout,
    /// Bytes that are not a packet, or a packet out of order.
    BadPacket,
    /// A disconnection by the publishing point (3.2.4.1 Administrative Disconnect).
    Server,
    /// Another source, because this one was silent for too long.
    Displaced,
    /// A scripted fault.
    Fault,
}

impl Event {
    /// Returns the session of the event, if it has one.
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
            | Self::Recording { session, .. }
            | Self::Recorded { session, .. }
            | Self::RecordingFailed { session, .. } => Some(*session),
        }
    }

    /// Returns the publishing point of the event; empty if it is unknown.
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
            | Self::Recording { point, .. }
            | Self::Recorded { point, .. }
            | Self::ViewerJoined { point, .. }
            | Self::ViewerLeft { point, .. }
            | Self::RecordingFailed { point, .. } => point,
        }
    }
}

impl Event {
    /// Returns the description without publishing point and session.
    pub fn text(&self) -> impl fmt::Display + '_ {
        Text(self)
    }
}

/// One readable line
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.session() {
            Some(session) => write!(f, "{} (session {session}): ", self.point())?,
            None if self.point().is_empty() => f.write_str("unknown client: ")?,
            None => write!(f, "{}: ", self.point())?,
        }
        Text(self).fmt(f)
    }
}

/// An event without publishing point and session.
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
            Event::Recording { path, .. } => write!(f, "recording to {}", path.display()),
            Event::Recorded { path, packets, .. } => {
                write!(f, "recorded {packets} packets to {}", path.display())
            }
            Event::ViewerJoined {
                viewer, user_agent, ..
            } => write!(f, "viewer {viewer} joined: {user_agent}"),
            Event::ViewerLeft {
                viewer,
                packets,
                why,
                ..
            } => write!(f, "viewer {viewer} left after {packets} packets: {why}"),
            Event::RecordingFailed { path, error, .. } => {
                write!(f, "cannot record to {}: {error}", path.display())
            }
        }
    }
}

impl fmt::Display for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndOfStream => "after the end of the stream",
            Self::Client => "the client closed the connection and may reconnect",
            Self::Reset => "the connection was lost; the client may reconnect",
            Self::IdleTimeout => "idle timeout",
            Self::BadPacket => "the client sent an invalid or misplaced packet",
            Self::Server => "by the server",
            Self::Displaced => "another source has taken over",
            Self::Fault => "by a scripted fault",
        })
    }
}
