// SPDX-License-Identifier: MPL-2.0

//! HTTP authentication (RFC 9110 section 11), toward a server and toward a proxy.
//!
//! An [`Authenticator`] is plain state: it reads the header of a response and says what the next request has to carry.
//! It knows no socket; time and randomness are arguments, and the one step that may block is handed out as a
//! [`BlockingStep`].
//!
//! ```text
//!            ┌──────────────── request ◀── authorize ◀───────────────┐
//!            ▼                                                       │ Resubmit
//!         response ── 401 (407) ──▶ challenged ── NeedCredentials ──▶ provide
//!            │                          │                            │
//!            └─ any other ─▶ accepted   └─────────▶ Denied ◀─────────┘
//! ```
//!
//! [`Guard`] is the other side, by Digest and Basic, for the publishing point.
//!
//! A 401 that comes through a proxy is `accepted` for the proxy's authenticator and `challenged` for the server's.
//! A 407 says nothing about the server; the request goes out again with the same answer to it.
//!
//! | | bound to | on PushStart |
//! |---|---|---|
//! | Negotiate, a ticket | the connection, or each request where the peer says so | when it is asked for |
//! | Negotiate, NTLM | the connection; two legs, the first without a body | never: [`Next::RedoPushSetup`] |
//! | Digest | the request; the nonce outlives the connection, and may expire any number of times | always, once it is known |
//! | Basic | the request | always, once it is known |
//!
//! # Where the specifications contradict practice
//!
//! | | |
//! |---|---|
//! | D-4 | MS-WMHTTP 3.1.5.1 wants a new connection after a 401. NTLM cannot live with that: the second leg stays where it is. |
//! | D-17 | MS-WMHTTP note <5> lists NTLM for PushStart, 3.2.5.2 excludes it: it is not used there. |
//! | | MS-NLMP 3.1.5.1.2 would have a message integrity code: there is none, and no channel binding. |

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod authenticator;
mod basic;
mod challenge;
mod credentials;
mod digest;
mod guard;
mod method;
mod negotiate;
mod ntlm;
mod scheme;

use std::fmt;

use http::header::{AUTHORIZATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, StatusCode};

pub use authenticator::Authenticator;
pub use basic::basic_authorization;
pub use credentials::{Credentials, Password};
pub use guard::{Challenged, Guard};
pub use negotiate::{BlockingStep, StepResult};
pub use scheme::{Scheme, Schemes, accept_header};

/// Who asks for authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The origin server: 401, WWW-Authenticate, Authorization, Authentication-Info.
    Server,
    /// A proxy: 407, Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info.
    Proxy,
}

impl Role {
    /// The status of a challenge.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Server => StatusCode::UNAUTHORIZED,
            Self::Proxy => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    /// The field that challenges.
    pub const fn challenge_header(self) -> HeaderName {
        match self {
            Self::Server => WWW_AUTHENTICATE,
            Self::Proxy => PROXY_AUTHENTICATE,
        }
    }

    /// The field that answers.
    pub const fn authorization_header(self) -> HeaderName {
        match self {
            Self::Server => AUTHORIZATION,
            Self::Proxy => PROXY_AUTHORIZATION,
        }
    }

    /// The field that comes with success.
    pub const fn info_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::from_static("authentication-info"),
            Self::Proxy => HeaderName::from_static("proxy-authentication-info"),
        }
    }
}

/// What may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The schemes that may be used at all.
    pub schemes: Schemes,
    /// Whether the connection to the peer is encrypted.
    pub encrypted: bool,
    /// Whether Basic may go over a connection that is not.
    pub cleartext_basic: bool,
}

impl Policy {
    /// Whether `scheme` may be used.
    pub fn allows(&self, scheme: Scheme) -> bool {
        let safe = scheme != Scheme::Basic || self.encrypted || self.cleartext_basic;
        safe && self.schemes.contains(scheme)
    }
}

/// The request that is going out.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its target exactly as it goes on the wire: Digest hashes it.
    pub uri: &'a str,
    /// Whether it is a PushStart, in which NTLM is never used.
    pub is_push_start: bool,
}

/// What a request has to carry.
pub enum Authorization {
    /// Nothing.
    None,
    /// A header field; the value is sensitive.
    Header(HeaderName, HeaderValue),
    /// A header field that opens a handshake: send the request with an empty body.
    ///
    /// The next request has to go on the same connection. Should the peer not challenge this one, then its answer is
    /// to a request without a body: send it again, with its body.
    Leg1(HeaderName, HeaderValue),
    /// Run this where it may block, give the result to [`Authenticator::resume`], and call
    /// [`Authenticator::authorize`] again. Comes only with the feature `kerberos`.
    Blocking(BlockingStep),
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Header(..) => "Header(…)",
            Self::Leg1(..) => "Leg1(…)",
            Self::Blocking(_) => "Blocking(…)",
        })
    }
}

/// What to do after a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Send the request again, with what [`Authenticator::authorize`] says.
    Resubmit {
        /// It has to go on this very connection. If that is gone, then say so by
        /// [`Authenticator::connection_lost`] and send it on another. Otherwise any connection will do, this one for
        /// choice.
        same_connection: bool,
    },
    /// Give other credentials to [`Authenticator::provide`], or none.
    NeedCredentials(CredentialRequest),
    /// A PushStart cannot answer this challenge: open a fresh connection, say [`Authenticator::connection_lost`], send
    /// PushSetup on it, and PushStart after that on the same connection.
    RedoPushSetup,
    /// There is no way in.
    Denied(Denied),
}

/// For what credentials are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// The realm, where the scheme has one.
    pub realm: Option<String>,
    /// The scheme that would be used.
    pub scheme: Scheme,
    /// Whether the password would go over the wire unencrypted.
    pub clear_text: bool,
    /// The user whose credentials were refused.
    pub previous_user: Option<String>,
}

/// Why there is no way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The credentials were refused.
    WrongCredentials,
    /// Credentials are wanted, and there are none.
    NoCredentials,
    /// None of the offered schemes may be used, or can be.
    NoUsableScheme {
        /// Their names as the peer wrote them, each once.
        offered: Vec<String>,
    },
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongCredentials => f.write_str("the credentials were refused"),
            Self::NoCredentials => f.write_str("credentials are wanted and there are none"),
            Self::NoUsableScheme { offered } if offered.is_empty() => {
                f.write_str("authentication is wanted and no scheme is offered")
            }
            Self::NoUsableScheme { offered } => {
                write!(
                    f,
                    "no usable authentication scheme among {}",
                    offered.join(", ")
                )
            }
        }
    }
}
