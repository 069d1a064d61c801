// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use crate::auth::{Credentials, Password};

/// A user and a password, each of which may be missing.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::sink) struct Account {
    pub(in crate::sink) id: Option<String>,
    pub(in crate::sink) password: Option<Password>,
}

impl Account {
    pub(in crate::sink) fn is_empty(&self) -> bool {
        self.id.is_none() && self.password.is_none()
    }
}

/// Shows nothing, because users may type a password in the place of the user.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(…)")
    }
}

/// The account of a server or proxy, from two sources: the properties for user and password, and the user information
/// of a URL.
///
/// User and password of the URL override those of the properties until the property is set again. They are replaced
/// with the URL; those of the properties stay.
#[derive(Clone, Debug, Default)]
pub(in crate::sink) struct Accounts {
    properties: Account,
    /// The password after a colon in the property for the user; the property for the password overrides it.
    beside_id: Option<Password>,
    url: Account,
}

impl Accounts {
    /// Sets the property for the user, which may contain a password after its first colon.
    pub(in crate::sink) fn set_id(&mut self, id: Option<&str>) {
        self.url.id = None;
        let (id, password) = id.map(split_user).unzip();
        self.properties.id = id.map(str::to_owned);
        self.beside_id = password.flatten().map(Password::from);
    }

    /// Sets the property for the password.
    pub(in crate::sink) fn set_password(&mut self, password: Option<&str>) {
        self.url.password = None;
        self.properties.password = password.map(Password::from);
    }

    /// Sets the user information of the URL.
    pub(in crate::sink) fn set_url(&mut self, account: Account) {
        self.url = account;
    }

    /// Returns the effective user.
    pub(in crate::sink) fn id(&self) -> Option<&str> {
        let id = self.url.id.as_ref().or(self.properties.id.as_ref());
        id.map(String::as_str)
    }

    fn password(&self) -> Option<&Password> {
        let url = self.url.password.as_ref();
        url.or(self.properties.password.as_ref())
            .or(self.beside_id.as_ref())
    }

    /// Returns the effective user and password; `None` without a user.
    pub(in crate::sink) fn credentials(&self) -> Option<Credentials> {
        credentials(self.id(), self.password())
    }

    /// Returns the same as [`credentials`](Self::credentials), with a third source for missing parts. The password of
    /// that source is only used with its user.
    pub(in crate::sink) fn credentials_or(&self, other: &Account) -> Option<Credentials> {
        let used = self.id().filter(|id| !id.is_empty());
        let id = used.or(other.id.as_deref())?;
        let others = other.password.as_ref().filter(|_| used.is_none());
        credentials(Some(id), self.password().or(others))
    }
}

/// Splits `user:password`. No scheme allows a colon in a user (RFC 7617 section 2 The 'Basic' Authentication Scheme,
/// RFC 7616 section 3.4 The Authorization Header Field), and the user is shown in places where the password must not be.
pub(in crate::sink) fn split_user(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    }
}

fn credentials(id: Option<&str>, password: Option<&Password>) -> Option<Credentials> {
    let id = id.filter(|id| !id.is_empty())?;
    let password = password.cloned().unwrap_or_else(|| Password::from(""));
    Some(Credentials::new(id, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, password: &str) -> Account {
        Account {
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            password: Some(password)
                .filter(|password| !password.is_empty())
                .map(Password::from),
        }
    }

    fn used(accounts: &Accounts) -> Option<Credentials> {
        accounts.credentials()
    }

    fn pair(id: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::new(id, password))
    }

    #[test]
    fn an_unset_half_of_a_url_leaves_the_property() {
        let mut accounts = Accounts::default();
        accounts.set_id(Some("bob"));
        accounts.set_password(Some("secret"));
        accounts.set_url(account("alice", ""));
        assert_eq!(used(&accounts), pair("alice", "secret"));
        accounts.set_url(account("", "other"));
        assert_eq!(used(&accounts), pair("bob", "other"));
        accounts.set_url(Account::default());
        assert_eq!(used(&accounts), pair("bob", "secret"));
    }

    #[test]
    fn a_property_set_later_replaces_the_half_of_a_url() {
        let mut accounts = Accounts::default();
        accounts.set_url(account("alice", "secret"));
        assert_eq!(accounts.id(), Some("alice"));
        accounts.set_id(Some("bob"));
        assert_eq!(used(&accounts), pair("bob", "secret"));
        accounts.set_id(None);
        assert_eq!(used(&accounts), None);
    }

    #[test]
    fn the_environment_s_password_is_only_used_with_its_user() {
        let environment = account("carol", "theirs");
        let mut accounts = Accounts::default();
        let used = |accounts: &Accounts| accounts.credentials_or(&environment);
        assert_eq!(used(&accounts), pair("carol", "theirs"));
        accounts.set_password(Some("ours"));
        assert_eq!(used(&accounts), pair("carol", "ours"));
        accounts.set_password(None);
        accounts.set_id(Some("bob"));
        assert_eq!(used(&accounts), pair("bob", ""));
        assert_eq!(
            Accounts::default().credentials_or(&Account::default()),
            None
        );
    }

    #[test]
    fn a_password_behind_the_user_does_not_show() {
        for (text, user, password) in [
            ("alice:s3cret", "alice", "s3cret"),
            (r"STUDIO\alice:s3:cret", r"STUDIO\alice", "s3:cret"),
            ("alice@STUDIO:", "alice@STUDIO", ""),
            ("alice", "alice", ""),
        ] {
            let mut accounts = Accounts::default();
            accounts.set_id(Some(text));
            assert_eq!(accounts.id(), Some(user));
            assert_eq!(used(&accounts), pair(user, password));
        }
        for password_first in [false, true] {
            let mut accounts = Accounts::default();
            if password_first {
                accounts.set_password(Some("other"));
            }
            accounts.set_id(Some("alice:s3cret"));
            accounts.set_password(Some("other"));
            assert_eq!(used(&accounts), pair("alice", "other"));
            accounts.set_password(None);
            assert_eq!(used(&accounts), pair("alice", "s3cret"));
            accounts.set_id(Some("bob"));
            assert_eq!(used(&accounts), pair("bob", ""));
        }
    }

    #[test]
    fn debug_output_shows_no_account() {
        let mut accounts = Accounts::default();
        accounts.set_url(account("alice", "s3cret"));
        let shown = format!("{accounts:?}");
        assert!(!shown.contains("alice") && !shown.contains("s3cret"));
    }
}
