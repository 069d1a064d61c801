// SPDX-License-Identifier: MPL-2.0

//! Kerberos under the scheme Negotiate (RFC 4559), with the feature `kerberos`.
//!
//! Tickets come from the credential cache or, with a password, from the key distribution centre. Both may wait for the
//! network, so each step is a [`BlockingStep`]. Mutual authentication is not requested.

use std::fmt;

use super::Credentials;

/// A step that may block, because it may query a key distribution centre.
pub struct BlockingStep(Box<dyn FnOnce() -> StepResult + Send>);

impl BlockingStep {
    /// Carries out the step. Never call this on a thread that serves other connections.
    pub fn run(self) -> StepResult {
        (self.0)()
    }
}

impl fmt::Debug for BlockingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockingStep")
    }
}

/// The outcome of a [`BlockingStep`].
pub struct StepResult(pub(super) Option<(Vec<u8>, Option<Context>)>);

impl StepResult {
    /// Creates the outcome of a step that did not end in time. The login continues without a ticket.
    pub fn without_token() -> Self {
        Self(None)
    }

    /// Returns whether the step produced a token to send.
    pub fn is_ok(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for StepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StepResult").field(&self.is_ok()).finish()
    }
}

pub(super) use implementation::Context;

/// Returns the first step toward `host`, or the one that answers the peer's `token`.
pub(super) fn step(
    host: &str,
    credentials: Option<&Credentials>,
    context: Option<Context>,
    token: Option<Vec<u8>>,
) -> BlockingStep {
    let host = host.to_owned();
    let credentials = credentials.cloned();
    BlockingStep(Box::new(move || {
        StepResult(implementation::step(
            &host,
            credentials.as_ref(),
            context,
            token.as_deref(),
        ))
    }))
}

#[cfg(not(feature = "kerberos"))]
mod implementation {
    use std::convert::Infallible;

    use super::Credentials;

    pub(in super::super) type Context = Infallible;

    pub(super) fn step(
        _host: &str,
        _credentials: Option<&Credentials>,
        _context: Option<Context>,
        _token: Option<&[u8]>,
    ) -> Option<(Vec<u8>, Option<Context>)> {
        None
    }
}

#[cfg(feature = "kerberos")]
mod implementation {
    use libgssapi::context::{ClientCtx, CtxFlags};
    use libgssapi::credential::{Cred, CredUsage};
    use libgssapi::name::Name;
    use libgssapi::oid::{GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE, GSS_NT_USER_NAME, OidSet};

    use super::Credentials;

    pub(in super::super) type Context = ClientCtx;

    pub(super) fn step(
        host: &str,
        credentials: Option<&Credentials>,
        context: Option<Context>,
        token: Option<&[u8]>,
    ) -> Option<(Vec<u8>, Option<Context>)> {
        let mut context = match context {
            Some(context) => context,
            None => open(host, credentials)?,
        };
        let answer = context.step(token, None).ok()??.to_vec();
        is_ticket(&answer).then_some((answer, Some(context)))
    }

    /// Returns whether the token is a Kerberos ticket. Without a ticket the library may fall back to an unwrapped NTLM
    /// message.
    fn is_ticket(token: &[u8]) -> bool {
        !token.windows(8).any(|bytes| bytes == b"NTLMSSP\0")
    }

    fn open(host: &str, credentials: Option<&Credentials>) -> Option<Context> {
        let mechanisms = OidSet::singleton(GSS_MECH_SPNEGO).ok()?;
        let service = format!("HTTP@{host}");
        let target = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)).ok()?;
        let usage = CredUsage::Initiate;
        let cred = match credentials {
            None => Cred::acquire(None, None, usage, Some(&mechanisms)),
            Some(credentials) => {
                let user = principal(credentials)?;
                let name = Name::new(user.as_bytes(), Some(GSS_NT_USER_NAME)).ok()?;
                let password = credentials.password().expose();
                Cred::acquire_with_password(Some(&name), password, None, usage, Some(&mechanisms))
            }
        };
        let flags = CtxFlags::empty();
        Some(ClientCtx::new(
            Some(cred.ok()?),
            target,
            flags,
            Some(GSS_MECH_SPNEGO),
        ))
    }

    /// Returns the principal. A domain without a dot is a NetBIOS name and cannot be a realm.
    fn principal(credentials: &Credentials) -> Option<String> {
        let user = credentials.user();
        match credentials.domain() {
            None => Some(user.to_owned()),
            Some(domain) if domain.contains('.') => {
                Some(format!("{user}@{}", domain.to_uppercase()))
            }
            Some(_) => None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_wrapped_ntlm_message_is_not_a_ticket() {
            assert!(is_ticket(b"\x60\x01ticket"));
            assert!(!is_ticket(b"\x60\x01\x04\x28NTLMSSP\0\x01\0\0\0"));
        }

        #[test]
        fn a_realm_has_a_dot() {
            let principal = |user: &str| principal(&Credentials::new(user, ""));
            assert_eq!(principal("alice").unwrap(), "alice");
            assert_eq!(principal("alice@EXAMPLE.COM").unwrap(), "alice@EXAMPLE.COM");
            assert_eq!(
                principal(r"example.com\alice").unwrap(),
                "alice@EXAMPLE.COM"
            );
            assert_eq!(principal(r"WMDOM\alice"), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No key distribution centre serves the reserved domain `.invalid`.
    #[test]
    fn without_a_ticket_there_is_nothing_to_send() {
        assert!(!step("server.invalid", None, None, None).run().is_ok());
    }
}
