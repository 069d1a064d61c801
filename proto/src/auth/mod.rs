// SPDX-License-Identifier: MPL-2.0

//! HTTP authentication (RFC 9110 section 11) to a server and to a proxy.
//!
//! An [`Authenticator`] is sans-IO: it reads the header of a response and returns what the next request has to carry.
//! Time and randomness are arguments. The one step that may block is returned to the caller as a [`BlockingStep`].
//!
//! ```text
//!            ┌──────────────── request ◀── authorize ◀───────────────┐
//!            ▼                                                       │ Resubmit
//!         response ── 401 (407) ──▶ challenged ── NeedCredentials ──▶ provide
//!            │                          │                            │
//!            └─ any other ─▶ accepted   └─────────▶ Denied ◀─────────┘
//! ```
//!
//! [`Guard`] is the server half, with Digest and Basic.
//!
//! A 401 that comes through a proxy is `accepted` for the proxy's authenticator and `challenged` for the server's.
//! A 407 says nothing about the server, so the request is sent again with the same answer to the server.
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
//! | D-4 | MS-WMHTTP 3.1.5.1 Receiving a PushSetup Response requires a new connection after a 401. NTLM is bound to its connection, so its second leg stays there. |
//! | D-17 | MS-WMHTTP note <5> lists NTLM for PushStart, 3.2.5.2 Receiving a PushStart Request excludes it: the client does not use it there. |
//! | | MS-NLMP 3.1.5.1.2 specifies a message integrity code and channel binding: the client sends neither. |

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

/// The peer that asks for authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The origin server: 401, WWW-Authenticate, Authorization, Authentication-Info.
    Server,
    /// A proxy: 407, Proxy-Authenticate, Proxy-Authorization, Proxy-Authentication-Info.
    Proxy,
}

impl Role {
    /// Returns the status code of a challenge.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Server => StatusCode::UNAUTHORIZED,
            Self::Proxy => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        }
    }

    /// Returns the name of the field with the challenges.
    pub const fn challenge_header(self) -> HeaderName {
        match self {
            Self::Server => WWW_AUTHENTICATE,
            Self::Proxy => PROXY_AUTHENTICATE,
        }
    }

    /// Returns the name of the field with the answer.
    pub const fn authorization_header(self) -> HeaderName {
        match self {
            Self::Server => AUTHORIZATION,
            Self::Proxy => PROXY_AUTHORIZATION,
        }
    }

    /// Returns the name of the field that may accompany success.
    pub const fn info_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::from_static("authentication-info"),
            Self::Proxy => HeaderName::from_static("proxy-authentication-info"),
        }
    }
}

/// The schemes that the client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Schemes that the client may use at all.
    pub schemes: Schemes,
    /// True if the connection to the peer is encrypted.
    pub encrypted: bool,
    /// True if Basic may also be used over an unencrypted connection.
    pub cleartext_basic: bool,
}

impl Policy {
    /// Returns whether the client may use `scheme`.
    pub fn allows(&self, scheme: Scheme) -> bool {
        let safe = scheme != Scheme::Basic || self.encrypted || self.cleartext_basic;
        safe && self.schemes.contains(scheme)
    }
}

/// The request line of the next request.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The HTTP method.
    pub method: &'a Method,
    /// The request target exactly as sent, because Digest hashes it.
    pub uri: &'a str,
    /// True for PushStart, which never carries NTLM.
    pub is_push_start: bool,
}

/// The authentication that the next request has to carry.
pub enum Authorization {
    /// Nothing.
    None,
    /// A header field. Its value is marked sensitive.
    Header(HeaderName, HeaderValue),
    /// A header field that opens a handshake: send the request with an empty body.
    ///
    /// The next request has to use the same connection. If the peer does not challenge this request, its response
    /// belongs to a request without a body: send the request again, with its body.
    Leg1(HeaderName, HeaderValue),
    /// A step that may block. Run it where blocking is allowed, pass the result to [`Authenticator::resume`], and call
    /// [`Authenticator::authorize`] again. Only with the feature `kerberos`.
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

/// The reaction to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Send the request again, with what [`Authenticator::authorize`] returns.
    Resubmit {
        /// True if the request has to use the connection of the challenge. If that is lost, call
        /// [`Authenticator::connection_lost`] and use another. Otherwise any connection will do, preferably this one.
        same_connection: bool,
    },
    /// Pass other credentials to [`Authenticator::provide`], or `None`.
    NeedCredentials(CredentialRequest),
    /// PushStart cannot answer this challenge: open a new connection, call [`Authenticator::connection_lost`], and send
    /// PushSetup and then PushStart on it.
    RedoPushSetup,
    /// Authentication has failed for good.
    Denied(Denied),
}

/// The purpose of the requested credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// The realm, if the scheme has one.
    pub realm: Option<String>,
    /// The scheme that would be used.
    pub scheme: Scheme,
    /// True if the password would be sent unencrypted.
    pub clear_text: bool,
    /// The user whose credentials were refused.
    pub previous_user: Option<String>,
}

/// The reason why authentication failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The peer refused the credentials.
    WrongCredentials,
    /// The peer requires credentials, and the application gave none.
    NoCredentials,
    /// The client supports or permits none of the offered schemes.
    NoUsableScheme {
        /// Names of the offered schemes as the peer wrote them, each once.
        offered: Vec<String>,
    },
    /// The peer offers schemes that the client permits, and a login by none of them was completed or refused: a
    /// challenge is malformed, or the handshake does not get through.
    LoginIncomplete {
        /// The permitted schemes among those offered.
        schemes: Vec<Scheme>,
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
            Self::LoginIncomplete { schemes } => {
                let names: Vec<_> = schemes.iter().map(|scheme| scheme.as_str()).collect();
                write!(f, "the login by {} did not complete", names.join(", "))
            }
        }
    }
}

impl std::error::Error for Denied {}
