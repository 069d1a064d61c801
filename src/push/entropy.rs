// SPDX-License-Identifier: MPL-2.0

use std::time::SystemTime;

use crate::wmhttp::Entropy;

/// The system's clock and random source.
pub(super) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn random(&mut self, bytes: &mut [u8]) {
        // A system without a random source cannot run TLS either; the nonce is zeros then.
        let _ = getrandom::fill(bytes);
    }
}
