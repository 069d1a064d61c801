// SPDX-License-Identifier: MPL-2.0

//! The methods that carry out the schemes.

use super::Scheme;

/// A method of authentication. A scheme may have several; the strongest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Kerberos,
    NegotiateNtlm,
    Ntlm,
    Digest,
    Basic,
}

impl Method {
    pub(super) const ALL: [Self; 5] = [
        Self::Kerberos,
        Self::NegotiateNtlm,
        Self::Ntlm,
        Self::Digest,
        Self::Basic,
    ];

    pub(super) fn scheme(self) -> Scheme {
        match self {
            Self::Kerberos | Self::NegotiateNtlm => Scheme::Negotiate,
            Self::Ntlm => Scheme::Ntlm,
            Self::Digest => Scheme::Digest,
            Self::Basic => Scheme::Basic,
        }
    }

    /// True for NTLM under either scheme name: it takes several round trips on one connection.
    pub(super) fn is_ntlm(self) -> bool {
        matches!(self, Self::NegotiateNtlm | Self::Ntlm)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Kerberos => 1,
            Self::NegotiateNtlm => 2,
            Self::Ntlm => 4,
            Self::Digest => 8,
            Self::Basic => 16,
        }
    }
}

/// A set of [`Method`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Methods(u8);

impl Methods {
    /// Returns the methods of this build. Tickets need the feature `kerberos`.
    pub(super) fn available() -> Self {
        let mut methods = Self::default();
        for method in Method::ALL {
            if method != Method::Kerberos || cfg!(feature = "kerberos") {
                methods.insert(method);
            }
        }
        methods
    }

    pub(super) fn insert(&mut self, method: Method) {
        self.0 |= method.bit();
    }

    #[cfg(test)]
    pub(super) fn remove(&mut self, method: Method) {
        self.0 &= !method.bit();
    }

    pub(super) fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }
}
