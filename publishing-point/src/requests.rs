// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use bytes::Bytes;

/// A request as received. `Debug` hides it, because it contains a push-id and credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestSeen {
    /// Request line and header fields, including the empty line.
    pub head: Bytes,
    /// The body of a PushSetup; empty for a PushStart.
    pub body: Bytes,
}

impl RequestSeen {
    /// Returns the value of a header field. The case of its name does not matter.
    pub fn field(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.head).ok()?;
        let fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }
}

impl fmt::Debug for RequestSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSeen")
            .field("head", &format_args!("{} bytes", self.head.len()))
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}
