// SPDX-License-Identifier: MPL-2.0

//! The kind of input without caps, by its first bytes.

use crate::asf::{Format, Guid};

/// The kind of input, for elements that need another one.
#[derive(Clone, Debug)]
pub(crate) enum InputKind {
    /// ASF, from its file header on.
    Asf,
    /// Another format.
    Other {
        /// Its name.
        format: String,
        /// The user's next step, in sentences.
        hint: &'static str,
    },
    /// No known format.
    Unknown,
}

impl InputKind {
    /// Returns the kind of input that begins with `start`.
    pub(crate) fn of(start: &[u8]) -> Self {
        if start.starts_with(Guid::HEADER.as_bytes()) {
            return Self::Asf;
        }
        match Format::of(start).filter(|format| !format.is_unknown()) {
            Some(format) => Self::Other {
                format: format.to_string(),
                hint: format.hint(),
            },
            None => Self::Unknown,
        }
    }
}
