// SPDX-License-Identifier: MPL-2.0

//! The authentication schemes, and sets of them.

use std::fmt;

use http::HeaderValue;

/// An authentication scheme, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// RFC 4559. Its token may also be a bare NTLMSSP message, as in example 4.8 of MS-WMHTTP.
    Negotiate,
    /// MS-NTHT
    Ntlm,
    /// RFC 7616, RFC 2617
    Digest,
    /// RFC 7617
    Basic,
}

impl Scheme {
    /// All schemes, the strongest first.
    pub const ALL: [Self; 4] = [Self::Negotiate, Self::Ntlm, Self::Digest, Self::Basic];

    /// Returns the name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Negotiate => "Negotiate",
            Self::Ntlm => "NTLM",
            Self::Digest => "Digest",
            Self::Basic => "Basic",
        }
    }

    /// Returns the scheme called `name`, ignoring case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()))
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Negotiate => 1,
            Self::Ntlm => 2,
            Self::Digest => 4,
            Self::Basic => 8,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`Scheme`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schemes(u8);

impl Schemes {
    /// All schemes.
    pub const ALL: Self = Self(0b1111);
    /// No scheme.
    pub const NONE: Self = Self(0);

    /// Returns the set with `scheme` added.
    #[must_use]
    pub const fn with(self, scheme: Scheme) -> Self {
        Self(self.0 | scheme.bit())
    }

    /// Returns the set without `scheme`.
    #[must_use]
    pub const fn without(self, scheme: Scheme) -> Self {
        Self(self.0 & !scheme.bit())
    }

    /// Returns whether `scheme` is in the set.
    pub const fn contains(self, scheme: Scheme) -> bool {
        self.0 & scheme.bit() != 0
    }

    /// Iterates over the schemes in the set, the strongest first.
    pub fn iter(self) -> impl Iterator<Item = Scheme> {
        Scheme::ALL
            .into_iter()
            .filter(move |scheme| self.contains(*scheme))
    }
}

impl Default for Schemes {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Scheme> for Schemes {
    fn from_iter<I: IntoIterator<Item = Scheme>>(schemes: I) -> Self {
        schemes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Returns the value of X-Accept-Authentication (MS-WMHTTP 2.2.1.9): `schemes` without Basic, because Windows supports
/// Basic without listing it.
///
/// `None` if the list is empty.
pub fn accept_header(schemes: Schemes) -> Option<HeaderValue> {
    let names: Vec<_> = schemes
        .without(Scheme::Basic)
        .iter()
        .map(Scheme::as_str)
        .collect();
    if names.is_empty() {
        return None;
    }
    HeaderValue::from_str(&names.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_found_by_its_name() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::from_name(&scheme.to_string()), Some(scheme));
            assert_eq!(
                Scheme::from_name(&scheme.as_str().to_lowercase()),
                Some(scheme)
            );
        }
        assert_eq!(Scheme::from_name("Nego2"), None);
    }

    #[test]
    fn a_set_contains_the_added_schemes() {
        let set = Schemes::NONE.with(Scheme::Basic).with(Scheme::Ntlm);
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [Scheme::Ntlm, Scheme::Basic]
        );
        assert_eq!(set.iter().collect::<Schemes>(), set);
        assert_eq!(format!("{set:?}"), "{Ntlm, Basic}");
        assert_eq!(Schemes::default(), Scheme::ALL.into_iter().collect());
    }

    /// MS-WMHTTP 2.2.1.9 X-Accept-Authentication, notes <2> and <3> (N-2)
    #[test]
    fn basic_is_supported_but_unlisted() {
        assert_eq!(
            accept_header(Schemes::ALL).unwrap(),
            "Negotiate, NTLM, Digest"
        );
        let digest = Schemes::NONE.with(Scheme::Digest).with(Scheme::Basic);
        assert_eq!(accept_header(digest).unwrap(), "Digest");
        assert_eq!(accept_header(Schemes::NONE.with(Scheme::Basic)), None);
    }
}
