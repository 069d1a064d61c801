// SPDX-License-Identifier: MPL-2.0

//! The body of a PushStart on its way into the transport.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::oneshot;

/// A body that begins: where its bytes go in, and where they come out.
///
/// Both ends are used on one thread: there is no lock to wait for, and one wake-up for all that goes in at a time.
pub(super) fn channel() -> (BodySender, BodyReceiver) {
    let channel = Arc::<Mutex<Channel>>::default();
    let receiver = BodyReceiver {
        channel: channel.clone(),
        taken: VecDeque::new(),
    };
    (BodySender(channel), receiver)
}

#[derive(Default)]
struct Channel {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// The receiver has taken chunks that it has not passed on.
    busy: bool,
    ended: bool,
    closed: bool,
    /// Who waits for chunks.
    receiver: Option<Waker>,
    /// Who waits for room.
    sender: Option<Waker>,
}

/// The driver's end. Dropping it ends the body.
pub(super) struct BodySender(Arc<Mutex<Channel>>);

impl BodySender {
    /// Hands over what is next in `chunks`, until `most` bytes wait. Returns how many bytes went in: none when nobody
    /// takes them any more.
    pub(super) fn send(&self, chunks: &mut VecDeque<Bytes>, most: usize) -> usize {
        let mut channel = lock(&self.0);
        let before = channel.bytes;
        while !channel.closed
            && channel.bytes < most
            && let Some(chunk) = chunks.pop_front()
        {
            channel.bytes += chunk.len();
            channel.chunks.push_back(chunk);
        }
        let sent = channel.bytes - before;
        let waker = channel.receiver.take_if(|_| sent > 0);
        drop(channel);
        wake(waker);
        sent
    }

    /// Until half of `most` bytes wait at the most. For ever when nobody takes anything any more: why, the response tells.
    pub(super) async fn room(&self, most: usize) {
        poll_fn(|cx| {
            let mut channel = lock(&self.0);
            if !channel.closed && channel.bytes <= most / 2 {
                return Poll::Ready(());
            }
            channel.sender = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether all that was handed over has been passed on.
    pub(super) fn is_empty(&self) -> bool {
        let channel = lock(&self.0);
        channel.chunks.is_empty() && !channel.busy && !channel.closed
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        let mut channel = lock(&self.0);
        channel.ended = true;
        let waker = channel.receiver.take();
        drop(channel);
        wake(waker);
    }
}

/// The transport's end. Dropping it closes the body, and drops what was not taken.
pub(super) struct BodyReceiver {
    channel: Arc<Mutex<Channel>>,
    taken: VecDeque<Bytes>,
}

impl BodyReceiver {
    /// The next chunk; `None` when the body has ended.
    #[cfg(any(test, feature = "tls"))]
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(std::task::ready!(self.poll_chunks(cx)).and_then(VecDeque::pop_front))
    }

    /// The chunks that come next, for the caller to take from the front: more come when none of them is left. `None` when
    /// the body has ended.
    pub(super) fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<&mut VecDeque<Bytes>>> {
        if self.taken.is_empty() {
            let mut channel = lock(&self.channel);
            std::mem::swap(&mut channel.chunks, &mut self.taken);
            channel.bytes = 0;
            channel.busy = !self.taken.is_empty();
            if self.taken.is_empty() {
                if channel.ended {
                    return Poll::Ready(None);
                }
                channel.receiver = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let waker = channel.sender.take();
            drop(channel);
            wake(waker);
        }
        Poll::Ready(Some(&mut self.taken))
    }
}

impl Drop for BodyReceiver {
    fn drop(&mut self) {
        let mut channel = lock(&self.channel);
        channel.closed = true;
        // A chunk may be what somebody waits for the end of.
        let chunks = std::mem::take(&mut channel.chunks);
        drop(channel);
        drop(chunks);
    }
}

fn lock(channel: &Mutex<Channel>) -> MutexGuard<'_, Channel> {
    channel.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Makes `last` the bytes whose end on the wire is told.
///
/// The future ends when the transport has handed them to the system, or has given up.
pub(super) fn notify_when_written(last: Bytes) -> (Bytes, impl Future<Output = ()> + Send) {
    struct Notifying(
        Bytes,
        #[expect(dead_code, reason = "its drop is the message")] oneshot::Sender<()>,
    );

    impl AsRef<[u8]> for Notifying {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    let (sender, receiver) = oneshot::channel();
    let written = async {
        // Nothing is ever sent: the sender goes when the bytes go.
        let _ = receiver.await;
    };
    (Bytes::from_owner(Notifying(last, sender)), written)
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};

    use super::*;

    fn poll<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    const MOST: usize = 1000;

    fn send(sender: &BodySender, chunk: impl Into<Bytes>) -> usize {
        sender.send(&mut VecDeque::from([chunk.into()]), MOST)
    }

    async fn receive(receiver: &mut BodyReceiver) -> Option<Bytes> {
        poll_fn(|cx| receiver.poll_receive(cx)).await
    }

    #[tokio::test]
    async fn what_goes_in_comes_out_and_then_the_end() {
        let (sender, mut receiver) = channel();
        assert_eq!((send(&sender, "one"), send(&sender, "more")), (3, 4));
        assert!(!sender.is_empty());
        assert_eq!(receive(&mut receiver).await.unwrap(), "one");
        assert!(!sender.is_empty(), "it is on its way");
        assert_eq!(receive(&mut receiver).await.unwrap(), "more");
        let mut next = pin!(receive(&mut receiver));
        assert_eq!(poll(&mut next), Poll::Pending);
        assert!(sender.is_empty());
        drop(sender);
        assert_eq!(next.await, None);
    }

    #[tokio::test]
    async fn as_much_waits_as_there_is_room_for() {
        let (sender, mut receiver) = channel();
        let piece = Bytes::from(vec![0; MOST / 2]);
        let mut chunks = VecDeque::from(vec![piece; 3]);
        assert_eq!((sender.send(&mut chunks, MOST), chunks.len()), (MOST, 1));
        assert_eq!((sender.send(&mut chunks, MOST), chunks.len()), (0, 1));
        let mut room = Box::pin(sender.room(MOST));
        assert_eq!(poll(&mut room.as_mut()), Poll::Pending);
        receive(&mut receiver).await;
        room.await;
        assert_eq!(
            (sender.send(&mut chunks, MOST), chunks.len()),
            (MOST / 2, 0)
        );
        sender.room(MOST).await;
    }

    /// Whoever waits until something is written is not to wait for what will never be.
    #[tokio::test]
    async fn nothing_goes_in_when_nobody_takes_it_and_what_waited_is_dropped() {
        let (sender, receiver) = channel();
        let (last, written) = notify_when_written("last".into());
        send(&sender, last);
        drop(receiver);
        written.await;
        assert_eq!(send(&sender, "more"), 0);
        let mut room = pin!(sender.room(MOST));
        assert_eq!(poll(&mut room), Poll::Pending);
        assert!(!sender.is_empty());
    }
}
