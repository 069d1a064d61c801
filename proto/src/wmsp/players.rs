// SPDX-License-Identifier: MPL-2.0

//! 3.2.1 Abstract Data Model: the sessions of players, by Client-ID.

use std::collections::HashMap;
use std::time::Duration;

use super::{PlayerKind, PlayerRequest, Refusal};

/// The session of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// 2.2.1.4.5 client-id
    pub client_id: u32,
    /// 2.2.1.4.37 xResetStrm: true if the client named a session that no longer exists.
    pub reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// INIT or IDLE, until this time.
    Idle(Duration),
    /// On a connection that streams.
    Streaming,
}

/// The table of all sessions. Call [`stopped`](Self::stopped) when the connection of a player ends.
///
/// Times are durations since a fixed start that the caller chooses.
#[derive(Debug, Default)]
pub struct Players {
    sessions: HashMap<u32, State>,
}

impl Players {
    /// Sessions in the table, at most. The session that has been idle for longest is evicted.
    pub const MAX: usize = 1024;

    /// 3.2.2 Timers: Idle-Timeout
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

    /// The timeout in responses. It is shorter by the time that the next request may take.
    pub const ANNOUNCED_TIMEOUT: Duration = Duration::from_secs(55);

    /// Creates an empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// 3.2.5.1 Receiving a Request. Returns `None` for a request without a session that needs none. `random` generates
    /// Client-IDs (3.2.3 Initialization).
    ///
    /// # Errors
    ///
    /// Refuses the request if it needs a session that does not exist, or that is already streaming.
    pub fn receive(
        &mut self,
        request: &PlayerRequest,
        random: &mut dyn FnMut() -> u32,
        now: Duration,
    ) -> Result<Option<Opened>, Refusal> {
        self.expire(now);
        let known = request
            .client_id
            .and_then(|id| Some((id, *self.sessions.get(&id)?)));
        match (request.kind, known) {
            (PlayerKind::Describe | PlayerKind::Play, Some((_, State::Streaming))) => {
                Err(Refusal::Streaming)
            }
            (PlayerKind::Describe | PlayerKind::Play, found) => {
                let client_id = match found {
                    Some((client_id, _)) => client_id,
                    None => self.unused(random).ok_or(Refusal::TooMany)?,
                };
                self.sessions.insert(client_id, opened(request.kind, now));
                Ok(Some(Opened {
                    client_id,
                    reset: found.is_none() && request.client_id.is_some(),
                }))
            }
            (_, Some((client_id, state))) => {
                if state != State::Streaming {
                    self.stopped(client_id, now);
                }
                Ok(Some(Opened {
                    client_id,
                    reset: false,
                }))
            }
            (PlayerKind::Options | PlayerKind::GetContentInfo | PlayerKind::SendEvent, None) => {
                Ok(None)
            }
            (_, None) => Err(Refusal::UnknownSession),
        }
    }

    /// 3.2.4.1 Notification That the Last $D Packet Has Been Sent, 3.2.7.1 TCP Connection Is Closed by the Client: ends
    /// streaming, and starts the Idle-Timeout.
    pub fn stopped(&mut self, client_id: u32, now: Duration) {
        let until = now.saturating_add(Self::IDLE_TIMEOUT);
        self.sessions.insert(client_id, State::Idle(until));
    }

    /// 3.2.6.2 Idle-Timeout Timer Expires
    fn expire(&mut self, now: Duration) {
        self.sessions
            .retain(|_, state| !matches!(state, State::Idle(until) if *until <= now));
    }

    /// Returns an unused Client-ID, after evicting a session if the table is full.
    fn unused(&mut self, random: &mut dyn FnMut() -> u32) -> Option<u32> {
        const ATTEMPTS: usize = 8;
        if self.sessions.len() >= Self::MAX {
            let idle = self.sessions.iter().filter_map(|(id, state)| match state {
                State::Idle(until) => Some((*until, *id)),
                State::Streaming => None,
            });
            let (_, oldest) = idle.min()?;
            self.sessions.remove(&oldest);
        }
        std::iter::repeat_with(random)
            .take(ATTEMPTS)
            .find(|id| *id != 0 && !self.sessions.contains_key(id))
    }
}

fn opened(kind: PlayerKind, now: Duration) -> State {
    match kind {
        PlayerKind::Play => State::Streaming,
        _ => State::Idle(now.saturating_add(Players::IDLE_TIMEOUT)),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::wmsp::Agent;

    const START: Duration = Duration::ZERO;

    struct Table {
        players: Players,
        next: u32,
    }

    impl Table {
        fn new() -> Self {
            Self {
                players: Players::new(),
                next: 0,
            }
        }

        fn receive(
            &mut self,
            kind: PlayerKind,
            client_id: Option<u32>,
            now: Duration,
        ) -> Result<Option<Opened>, Refusal> {
            let head = Request::get("/")
                .header("User-Agent", "NSPlayer/9.0")
                .body(());
            let request = PlayerRequest {
                kind,
                agent: Agent::of(head.unwrap().headers()).unwrap(),
                client_id,
                selection: crate::wmsp::Selection::default(),
            };
            let mut random = || {
                self.next += 1;
                self.next
            };
            self.players.receive(&request, &mut random, now)
        }

        fn open(&mut self, kind: PlayerKind, client_id: Option<u32>) -> Opened {
            self.receive(kind, client_id, START).unwrap().unwrap()
        }
    }

    /// 3.2.3 Initialization, 3.2.5.6 Receiving a Play Request
    #[test]
    fn a_session_is_described_and_then_played() {
        let mut table = Table::new();
        let described = table.open(PlayerKind::Describe, None);
        let played = table.open(PlayerKind::Play, Some(described.client_id));
        assert_eq!(played, described);
        assert!(!played.reset);
        assert_ne!(table.open(PlayerKind::Play, None), played);
    }

    /// 3.2.5.4 Receiving a Describe Request, 3.2.5.6 Receiving a Play Request: the request could be an attempt to take
    /// over the session
    #[test]
    fn a_streaming_session_cannot_be_taken_over() {
        let mut table = Table::new();
        let client_id = table.open(PlayerKind::Play, None).client_id;
        let id = Some(client_id);
        for kind in [PlayerKind::Play, PlayerKind::Describe] {
            assert_eq!(table.receive(kind, id, START), Err(Refusal::Streaming));
        }
        assert!(table.receive(PlayerKind::Log, id, START).is_ok());
        table.players.stopped(client_id, START);
        assert_eq!(table.open(PlayerKind::Play, id).client_id, client_id);
    }

    /// 3.2.5.4 Receiving a Describe Request: xResetStrm
    #[test]
    fn an_expired_session_is_replaced_with_a_reset() {
        let mut table = Table::new();
        let opened = table.open(PlayerKind::Play, Some(4711));
        assert!(opened.reset);
        assert_ne!(opened.client_id, 4711);
    }

    /// 3.2.5.1 Receiving a Request
    #[test]
    fn requests_that_need_a_session_are_refused_without_one() {
        let mut table = Table::new();
        for kind in [
            PlayerKind::Stop,
            PlayerKind::SelectStream,
            PlayerKind::Log,
            PlayerKind::KeepAlive,
        ] {
            for id in [None, Some(4711)] {
                let received = table.receive(kind, id, START);
                assert_eq!(received, Err(Refusal::UnknownSession), "{kind:?}");
            }
        }
        for kind in [
            PlayerKind::SendEvent,
            PlayerKind::GetContentInfo,
            PlayerKind::Options,
        ] {
            assert_eq!(table.receive(kind, None, START), Ok(None));
        }
    }

    /// 3.2.6.2 Idle-Timeout Timer Expires; 2.2.2.3 KeepAlive Request
    #[test]
    fn keep_alive_prevents_the_expiry_of_a_session() {
        let mut table = Table::new();
        let id = Some(table.open(PlayerKind::Describe, None).client_id);
        let before = Players::IDLE_TIMEOUT - Duration::from_secs(1);
        assert!(table.receive(PlayerKind::KeepAlive, id, before).is_ok());
        let later = before + Players::IDLE_TIMEOUT - Duration::from_secs(1);
        assert!(table.receive(PlayerKind::Log, id, later).is_ok());
        let expired = later + Players::IDLE_TIMEOUT;
        assert_eq!(
            table.receive(PlayerKind::KeepAlive, id, expired),
            Err(Refusal::UnknownSession)
        );
    }

    #[test]
    fn a_full_table_never_evicts_a_streaming_player() {
        let mut table = Table::new();
        let streaming = table.open(PlayerKind::Play, None).client_id;
        for _ in 0..2 * Players::MAX {
            table.open(PlayerKind::Describe, None);
        }
        assert_eq!(table.players.sessions.len(), Players::MAX);
        assert_eq!(
            table.players.sessions.get(&streaming),
            Some(&State::Streaming)
        );
    }
}
