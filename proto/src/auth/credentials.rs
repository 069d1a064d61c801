// SPDX-License-Identifier: MPL-2.0

//! User names and passwords.

use std::fmt;

/// A secret that `Debug` hides, and that is overwritten before its memory is freed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Returns the secret itself. Use it only to compute an answer.
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
        // Keeps the compiler from removing the store above as dead.
        std::hint::black_box(&bytes);
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user_id: String,
    password: Password,
}

impl Credentials {
    /// Creates credentials for `DOMAIN\user`, `user@REALM` or a plain user name.
    pub fn new(user_id: impl Into<String>, password: impl Into<Password>) -> Self {
        Self {
            user_id: user_id.into(),
            password: password.into(),
        }
    }

    /// Returns the user name as given, which Digest and Basic send.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Returns the part before the backslash of `DOMAIN\user`.
    pub fn domain(&self) -> Option<&str> {
        self.user_id.split_once('\\').map(|(domain, _)| domain)
    }

    /// Returns the user name without the domain. `user@REALM` stays whole, because NTLM takes it as one name without a
    /// domain.
    pub fn user(&self) -> &str {
        match self.user_id.split_once('\\') {
            Some((_, user)) => user,
            None => &self.user_id,
        }
    }

    /// Returns whether the password is not empty.
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
    fn debug_output_hides_the_password() {
        let credentials = Credentials::new("alice", "s3cret");
        let shown = format!("{credentials:?} {:?}", credentials.password());
        assert!(
            shown.contains("alice") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
