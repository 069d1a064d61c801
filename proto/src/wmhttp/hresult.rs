// SPDX-License-Identifier: MPL-2.0

//! The HRESULTs of a push, [MS-ERREF] 2.1.1.

use std::fmt;

/// An HRESULT: the Reason of `$E`, and the code that the status callback of the Windows Media Format SDK receives.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HResult(pub u32);

/// Defines each code once: the constant, its value and Microsoft's meaning as a clause.
macro_rules! hresults {
    ($($name:ident = $value:literal, $meaning:literal;)*) => {
        #[allow(missing_docs)]
        impl HResult {
            $(#[doc = $meaning] pub const $name: Self = Self($value);)*
        }

        const TABLE: &[(HResult, &str, &str)] = &[$((HResult::$name, stringify!($name), $meaning)),*];
    };
}

hresults! {
    S_OK = 0x0000_0000, "the operation succeeded";
    S_FALSE = 0x0000_0001, "the playlist entry has ended and another follows";
    E_ABORT = 0x8000_4004, "the operation was aborted";
    E_FAIL = 0x8000_4005, "an unspecified failure";
    E_OUTOFMEMORY = 0x8007_000E, "the system has no resources left";
    E_INVALIDARG = 0x8007_0057, "one or more arguments are invalid";
    NS_E_CONNECTION_FAILURE = 0xC00D_0029, "the network connection has failed";
    NS_E_NOCONNECTION = 0xC00D_0005, "there is no connection with the Windows Media server";
    NS_E_ALREADY_CONNECTED = 0xC00D_0010, "a network connection already exists";
    NS_E_PROTOCOL_MISMATCH = 0xC00D_0012, "the server and the client have no protocol version in common";
    NS_E_TIMEOUT = 0xC00D_0013, "the server could not handle the request in a timely manner";
    NS_E_NET_WRITE = 0xC00D_0014, "there was an error writing to the network";
    NS_E_NET_READ = 0xC00D_0015, "there was an error reading from the network";
    NS_E_INVALID_NAME = 0xC00D_001C, "the host name is not valid";
    NS_E_BUSY = 0xC00D_0025, "the requested resource is in use";
    NS_E_INVALID_DATA = 0xC00D_002F, "the data is not valid";
    NS_E_SERVER_NOT_FOUND = 0xC00D_0035, "the specified server could not be found";
    NS_E_INVALID_PORT = 0xC00D_0043, "the specified port is not valid";
    ASF_E_PACKETCONTENTTOOLARGE = 0xC00D_07DE, "the data packets have a size that cannot be sent";
    ASF_E_UNKNOWNPACKETSIZE = 0xC00D_07E0, "the minimum and maximum data packet sizes differ";
    ASF_E_INVALIDHEADER = 0xC00D_07E2, "the ASF file header is not valid";
    ASF_E_NOHEADEROBJECT = 0xC00D_07F9, "there is no ASF Header Object";
    ASF_E_NODATAOBJECT = 0xC00D_07FA, "there is no ASF Data Object";
    ASF_E_NOSTREAMPROPS = 0xC00D_07FC, "there is no ASF Stream Properties Object";
    ASF_E_NOFILEPROPS = 0xC00D_07FD, "there is no ASF File Properties Object";
    ASF_E_HEADERSIZE = 0xC00D_080E, "the ASF file header is too large";
    NS_E_INVALID_PUSH_TEMPLATE = 0xC00D_151A, "the specified push template is invalid";
    NS_E_INVALID_PUSH_PUBLISHING_POINT = 0xC00D_151B, "the specified push publishing point is invalid";
    NS_E_UNKNOWN_PROTOCOL = 0xC00D_2EE0, "the specified protocol is not supported";
    NS_E_INTERNAL_SERVER_ERROR = 0xC00D_2EE2, "the server met an unexpected condition";
    NS_E_BAD_REQUEST = 0xC00D_2EE3, "the server did not understand the request";
    NS_E_ERROR_FROM_PROXY = 0xC00D_2EE4, "a proxy had an error contacting the server";
    NS_E_PROXY_TIMEOUT = 0xC00D_2EE5, "a proxy got no timely answer from the server";
    NS_E_SERVER_UNAVAILABLE = 0xC00D_2EE6, "the server is overloaded or under maintenance";
    NS_E_REFUSED_BY_SERVER = 0xC00D_2EE7, "the server refuses to fulfil the request";
    NS_E_INVALID_REDIRECT = 0xC00D_2EEA, "the server redirected to an invalid location";
    NS_E_SERVER_DNS_TIMEOUT = 0xC00D_2EEF, "the server could not be located in a timely manner";
    NS_E_PROXY_ACCESSDENIED = 0xC00D_2EF6, "the proxy denies access";
    NS_E_SERVER_ACCESSDENIED = 0xC00D_2EFB, "the server denies access; the user or password may be wrong";
    NS_E_RESOURCE_GONE = 0xC00D_2EFC, "the publishing point is no longer available";
    NS_E_BAD_SYNTAX_IN_SERVER_RESPONSE = 0xC00D_2EFE, "the response was not understood";
    NS_E_RESET_SOCKET_CONNECTION = 0xC00D_2F00, "the server reset the network connection";
    NS_E_PROXY_NOT_FOUND = 0xC00D_2EED, "the proxy could not be found";
    NS_E_CANNOT_CONNECT_TO_PROXY = 0xC00D_2EEE, "no connection to the proxy can be made";
    NS_E_PROXY_CONNECT_TIMEOUT = 0xC00D_2F07, "no connection to the proxy was made in a timely manner";
    NS_E_TOO_MANY_HOPS = 0xC00D_2F02, "the request could not reach the server";
    NS_E_CONNECT_TIMEOUT = 0xC00D_2F06, "no connection to the server was made in a timely manner";
    NS_E_PUSH_CANNOTCONNECT = 0xC00D_2F0B, "no connection to the server can be made";
    NS_E_INCOMPATIBLE_PUSH_SERVER = 0xC00D_2F0C, "the server is not a Windows Media server";
}

impl HResult {
    /// Returns Microsoft's name, such as `NS_E_PUSH_CANNOTCONNECT`; empty if the code is not in the table.
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |(_, name, _)| name)
    }

    /// Returns the meaning as a clause in lower case, without a full stop; empty if the code is not in the table.
    pub fn meaning(self) -> &'static str {
        self.entry().map_or("", |(_, _, meaning)| meaning)
    }

    /// Returns whether the S (severity) bit is set, which means failure.
    pub fn is_failure(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// Returns the code for an HTTP status that refuses a PushSetup or PushStart.
    ///
    /// Microsoft maps only some statuses. The others map to the codes whose text fits.
    pub fn from_status(status: http::StatusCode) -> Self {
        match status.as_u16() {
            300..=399 => Self::NS_E_INVALID_REDIRECT,
            400 => Self::NS_E_BAD_REQUEST,
            401 => Self::NS_E_SERVER_ACCESSDENIED,
            404 => Self::NS_E_INVALID_PUSH_PUBLISHING_POINT,
            407 => Self::NS_E_PROXY_ACCESSDENIED,
            408 => Self::NS_E_TIMEOUT,
            409 | 423 => Self::NS_E_BUSY,
            410 => Self::NS_E_RESOURCE_GONE,
            502 | 511 => Self::NS_E_ERROR_FROM_PROXY,
            503 => Self::NS_E_SERVER_UNAVAILABLE,
            504 => Self::NS_E_PROXY_TIMEOUT,
            426 | 505 => Self::NS_E_PROTOCOL_MISMATCH,
            500..=599 => Self::NS_E_INTERNAL_SERVER_ERROR,
            _ => Self::NS_E_REFUSED_BY_SERVER,
        }
    }

    fn entry(self) -> Option<&'static (Self, &'static str, &'static str)> {
        TABLE.iter().find(|(code, ..)| *code == self)
    }
}

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "" => write!(f, "0x{:08X}", self.0),
            name => write!(f, "{name} (0x{:08X})", self.0),
        }
    }
}

impl fmt::Debug for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table_once() {
        for (index, (code, name, meaning)) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..index].iter().all(|(earlier, ..)| earlier != code),
                "{name}"
            );
            assert_eq!((code.name(), code.meaning()), (*name, *meaning));
            assert_eq!(code.is_failure(), !name.starts_with("S_"), "{name}");
        }
    }

    #[test]
    fn unknown_codes_show_their_number() {
        assert_eq!(HResult(0xa000_0001).to_string(), "0xA0000001");
        assert_eq!(HResult::NS_E_BUSY.to_string(), "NS_E_BUSY (0xC00D0025)");
    }

    #[test]
    fn refusals_have_the_sdk_s_codes() {
        let code =
            |status| HResult::from_status(http::StatusCode::from_u16(status).unwrap()).name();
        assert_eq!(code(401), "NS_E_SERVER_ACCESSDENIED");
        assert_eq!(code(403), "NS_E_REFUSED_BY_SERVER");
        assert_eq!(code(404), "NS_E_INVALID_PUSH_PUBLISHING_POINT");
        assert_eq!(code(418), "NS_E_REFUSED_BY_SERVER");
        assert_eq!(code(503), "NS_E_SERVER_UNAVAILABLE");
        assert_eq!(code(599), "NS_E_INTERNAL_SERVER_ERROR");
    }
}
