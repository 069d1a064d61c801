// SPDX-License-Identifier: MPL-2.0

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::asf::{DataPacket, FileHeader};

/// The header that a push has sent last, and the Send Time of the last data packet behind it: the stream that viewers
/// should see.
///
/// Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct OnAir(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    header: Mutex<Option<FileHeader>>,
    /// The Send Time in milliseconds plus one; 0: no packet was sent behind the header.
    send_time: AtomicU64,
}

impl OnAir {
    /// Returns the header in force.
    pub fn header(&self) -> Option<FileHeader> {
        self.lock().clone()
    }

    /// Returns the Send Time of the last data packet in milliseconds; `None` before the first one behind the header.
    pub fn send_time(&self) -> Option<u32> {
        let next = self.0.send_time.load(Ordering::Relaxed).checked_sub(1)?;
        u32::try_from(next).ok()
    }

    /// Records a header that was sent.
    pub(super) fn sent_header(&self, header: &FileHeader) {
        let mut current = self.lock();
        if current.as_ref() != Some(header) {
            *current = Some(header.clone());
        }
        self.0.send_time.store(0, Ordering::Relaxed);
    }

    /// Records a data packet that was sent.
    pub(super) fn sent_packet(&self, packet: &DataPacket) {
        if let Some(send_time) = packet.send_time() {
            let next = u64::from(send_time).saturating_add(1);
            self.0.send_time.store(next, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<FileHeader>> {
        self.0.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::asf::testing::{AUDIO_VIDEO, header};

    #[test]
    fn a_new_header_begins_without_a_send_time() {
        let on_air = OnAir::default();
        assert_eq!((on_air.header(), on_air.send_time()), (None, None));
        let packet =
            DataPacket::parse(Bytes::from_static(&AUDIO_VIDEO[AUDIO_VIDEO.len() - 1500..]));
        on_air.sent_packet(&packet);
        assert_eq!(on_air.send_time(), packet.send_time());
        on_air.sent_header(&header(1500, 50, &[]));
        assert_eq!(on_air.clone().header(), Some(header(1500, 50, &[])));
        assert_eq!(on_air.send_time(), None);
    }
}
