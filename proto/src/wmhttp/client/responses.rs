// SPDX-License-Identifier: MPL-2.0

//! Responses and other events from the peer: 3.1.5 Message Processing Events and Sequencing Rules.

use super::access::{Reaction, Tunnel};
use super::{ChallengedRequest, Event, Handshake, Last, PushSession, State, Then};
use crate::auth::{Credentials, Role};
use crate::wmhttp::Error;
use crate::wmhttp::header::{Cookies, has_via, idle_timeout, windows_media_server};
use crate::wmhttp::message::Response;

impl PushSession {
    /// 3.1.5.1 Receiving a PushSetup Response, 3.1.5.2 Receiving a PushStart Response, and the response to CONNECT
    ///
    /// # Errors
    ///
    /// The session is over if the response refuses the request, if its sender is not a Windows Media server, or if it
    /// reports success before the body is complete.
    pub fn handle_response(&mut self, response: &Response) -> Result<(), Error> {
        let handled = match self.state {
            _ if self.awaits_tunnel() => self.handle_tunnel_response(response),
            State::PushSetupSent { then, handshake } => {
                self.handle_push_setup_response(response, then, handshake)
            }
            State::AwaitingPushStartResponse { last } => {
                self.handle_push_start_response(response, last)
            }
            State::PushStartInProgress { .. } => self.handle_early_response(response),
            State::Ending if matches!(response.status.as_u16(), 401 | 407) => {
                self.challenge(response, ChallengedRequest::PushStart)
            }
            // After the final $E any response or none is acceptable: receivers close, stay silent, or send 200 or 422.
            State::Idle
            | State::PushSetupComplete
            | State::AwaitingCredentials { .. }
            | State::Ending
            | State::End => Ok(()),
        };
        self.end_if_failed(handled)
    }

    /// Handles a missing response to a complete body: the server has closed the connection, or the time limit is over.
    ///
    /// Many receivers behave like this. The session starts again without loss. Returns false, and does nothing, in any
    /// other situation, such as while bytes of the body are still to be polled.
    pub fn handle_silence(&mut self) -> bool {
        let complete = matches!(self.state, State::AwaitingPushStartResponse { .. });
        if !complete || !self.queued.is_empty() {
            return false;
        }
        self.silent = true;
        self.cookies = Cookies::default();
        self.send_push_setup(Then::Header, true);
        true
    }

    /// Sends the current PushSetup again on a new connection, because the server closed a kept one before it responded
    /// (RFC 9112 section 9.3.1 Retrying Requests).
    ///
    /// Returns false, and does nothing, if no PushSetup awaits its response, or if it ends an authentication that is
    /// bound to the connection: the server may have closed it because of that.
    pub fn repeat_push_setup(&mut self) -> bool {
        let State::PushSetupSent { then, handshake } = self.state else {
            return false;
        };
        if self.access.is_bound_to_connection() && handshake == Handshake::No {
            return false;
        }
        self.queued.clear();
        self.send_push_setup(then, true);
        true
    }

    /// Answers [`Event::CredentialsWanted`]; `None` gives up.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] if the peer requires credentials and there are none.
    pub fn provide(&mut self, role: Role, credentials: Option<Credentials>) -> Result<(), Error> {
        if self.access.tunnel() == Some(Tunnel::AwaitingCredentials) {
            let handled = match role {
                Role::Proxy => self.provide_for_tunnel(credentials),
                Role::Server => Ok(()),
            };
            return self.end_if_failed(handled);
        }
        let State::AwaitingCredentials { request } = self.state else {
            return Ok(());
        };
        let answer = self.access.provide(role, credentials);
        let handled = answer.map(|answer| self.follow(answer, request));
        self.end_if_failed(handled)
    }

    fn handle_push_setup_response(
        &mut self,
        response: &Response,
        then: Then,
        handshake: Handshake,
    ) -> Result<(), Error> {
        match response.status.as_u16() {
            300..=305 => return self.redirect(response, then),
            401 | 407 => return self.challenge(response, ChallengedRequest::PushSetup(then)),
            _ if !response.status.is_success() => return Err(response.refusal()),
            _ => {}
        }
        let server = windows_media_server(&response.headers)?;
        if response.body.trim_ascii_start().starts_with(b"<") {
            return Err(Error::NotAnEncoder);
        }
        let then = self.accept_push_setup(response, then);
        if handshake == Handshake::Opening {
            // The server asks for nothing, but it has not seen the request's body yet.
            self.send_push_setup(then, false);
            return Ok(());
        }
        self.state = State::PushSetupComplete;
        self.events.push_back(Event::ServerConfigured { server });
        match then {
            Then::Wait => {}
            Then::Header => self.send_first_push_start(),
            Then::GoOn(last) => self.send_next_push_start(last),
        }
        Ok(())
    }

    /// Applies the response. If the server has assigned a new push-id, there is no session to continue.
    fn accept_push_setup(&mut self, response: &Response, then: Then) -> Then {
        let push_id = self.cookies.push_id().clone();
        self.accept(response);
        if *self.cookies.push_id() == push_id {
            return then;
        }
        self.resumed = false;
        match then {
            Then::GoOn(_) => Then::Header,
            then => then,
        }
    }

    fn handle_push_start_response(&mut self, response: &Response, last: Last) -> Result<(), Error> {
        match response.status.as_u16() {
            401 | 407 => return self.challenge(response, ChallengedRequest::PushStart),
            _ if !response.status.is_success() => return Err(response.refusal()),
            _ => {}
        }
        windows_media_server(&response.headers)?;
        self.accept(response);
        self.events.push_back(Event::PushStartCompleted);
        self.send_next_push_start(last);
        Ok(())
    }

    /// Handles a response that arrives before the body is complete.
    fn handle_early_response(&mut self, response: &Response) -> Result<(), Error> {
        match response.status.as_u16() {
            401 | 407 => self.challenge(response, ChallengedRequest::PushStart),
            _ if response.status.is_success() => Err(Error::EndedEarly),
            _ => Err(response.refusal()),
        }
    }

    /// 3.1.5.1 Receiving a PushSetup Response, status 300 to 305
    fn redirect(&mut self, response: &Response, then: Then) -> Result<(), Error> {
        if self.access.redirect(response)? {
            self.cookies = Cookies::default();
        }
        self.using_proxy = self.access.uses_proxy();
        self.send_push_setup(then, true);
        Ok(())
    }

    /// Status 401 and 407
    fn challenge(&mut self, response: &Response, request: ChallengedRequest) -> Result<(), Error> {
        // The server may assign the push-id already here, as in example 4.8.
        let push_id = self.cookies.push_id().clone();
        self.cookies.update(&response.headers);
        let goes_on =
            matches!(request, ChallengedRequest::PushStart) && self.start.goes_on.is_some();
        if goes_on && *self.cookies.push_id() != push_id {
            return Err(Error::Forgotten);
        }
        self.using_proxy |= has_via(&response.headers);
        let answer = self.access.challenged(response)?;
        self.events.push_back(Event::Authenticating);
        self.follow(answer, request);
        Ok(())
    }

    fn follow(&mut self, answer: Reaction, request: ChallengedRequest) {
        match (answer, request) {
            (Reaction::Ask(wanted), _) => {
                self.queued.clear();
                self.state = State::AwaitingCredentials { request };
                self.events.push_back(Event::CredentialsWanted(wanted));
            }
            (Reaction::Resubmit, ChallengedRequest::PushSetup(then)) => {
                self.send_push_setup(then, false)
            }
            (Reaction::RedoPushSetup, ChallengedRequest::PushSetup(then)) => {
                self.send_push_setup(then, true)
            }
            (Reaction::Resubmit, ChallengedRequest::PushStart) => match self.repeat_push_start() {
                None => self.send_first_push_start(),
                Some(last) => self.send_next_push_start(last),
            },
            (Reaction::RedoPushSetup, ChallengedRequest::PushStart) => {
                let then = self.repeat_push_start().map_or(Then::Header, Then::GoOn);
                self.send_push_setup(then, true);
            }
        }
    }

    /// Rewinds to the start of the current body, of which the server has accepted nothing. `None`: it began with `$H`.
    fn repeat_push_start(&mut self) -> Option<Last> {
        self.queued.clear();
        self.events.push_back(Event::PushStartRepeated);
        self.header.clone_from(&self.start.header);
        self.start.goes_on
    }

    /// Applies the fields that both successful responses have in common.
    fn accept(&mut self, response: &Response) {
        self.access.accepted(response);
        self.idle_timeout = idle_timeout(&response.headers);
        self.cookies.update(&response.headers);
        self.using_proxy |= has_via(&response.headers);
    }

    fn end_if_failed(&mut self, handled: Result<(), Error>) -> Result<(), Error> {
        if handled.is_err() {
            self.state = State::End;
            self.queued.clear();
            self.access.abandon();
        }
        handled
    }
}
