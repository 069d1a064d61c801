// SPDX-License-Identifier: MPL-2.0

//! Kerberos under the scheme Negotiate (RFC 4559).

use std::fmt;

/// A step that may block: it may ask a key distribution centre.
pub struct BlockingStep(Box<dyn FnOnce() -> StepResult + Send>);

impl BlockingStep {
    /// Does it. Never call this on a thread that serves others.
    pub fn run(self) -> StepResult {
        (self.0)()
    }
}

impl fmt::Debug for BlockingStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockingStep")
    }
}

/// What a [`BlockingStep`] came to.
pub struct StepResult(());

impl fmt::Debug for StepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepResult")
    }
}
