// SPDX-License-Identifier: MPL-2.0

//! Who one is, and how that is proved.

use std::fmt;

/// A secret that does not show, and that is overwritten before its memory is given back.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The secret itself, for a computation and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for Password {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Keeps the store above from being seen as dead.
        std::hint::black_box(&bytes);
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A user and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user_id: String,
    password: Password,
}

impl Credentials {
    /// Credentials of `DOMAIN\user`, `user@REALM` or a plain user.
    pub fn new(user_id: impl Into<String>, password: impl Into<Password>) -> Self {
        Self {
            user_id: user_id.into(),
            password: password.into(),
        }
    }

    /// The user as it was given: what Digest and Basic send.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The part before the backslash of `DOMAIN\user`.
    pub fn domain(&self) -> Option<&str> {
        self.user_id.split_once('\\').map(|(domain, _)| domain)
    }

    /// The user without a domain. A `user@REALM` stays whole: NTLM takes it as one name, without a domain.
    pub fn user(&self) -> &str {
        match self.user_id.split_once('\\') {
            Some((_, user)) => user,
            None => &self.user_id,
        }
    }

    /// Returns whether there is a password.
    pub fn has_password(&self) -> bool {
        !self.password.expose().is_empty()
    }

    pub(crate) fn password(&self) -> &Password {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_come_with_a_domain() {
        let parts = |user_id: &str| {
            let credentials = Credentials::new(user_id, "secret");
            let domain = credentials.domain().map(str::to_owned);
            (domain, credentials.user().to_owned())
        };
        assert_eq!(
            parts(r"WMDOM\alice"),
            (Some("WMDOM".to_owned()), "alice".to_owned())
        );
        assert_eq!(
            parts("alice@EXAMPLE.COM"),
            (None, "alice@EXAMPLE.COM".to_owned())
        );
        assert_eq!(parts("alice"), (None, "alice".to_owned()));
        assert_eq!(parts(r"\alice"), (Some(String::new()), "alice".to_owned()));
        assert_eq!(parts(""), (None, String::new()));
    }

    #[test]
    fn a_password_does_not_show() {
        let credentials = Credentials::new("alice", "s3cret");
        let shown = format!("{credentials:?} {:?}", credentials.password());
        assert!(
            shown.contains("alice") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
