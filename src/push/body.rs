// SPDX-License-Identifier: MPL-2.0

//! The body of a PushStart on its way into the transport.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::oneshot;

/// Bytes of a body that may wait inside a transport: enough to keep the socket busy, few enough that the queue in front
/// of the driver stays the place where things wait.
const MOST: usize = 64 * 1024;

/// A body that begins: where its bytes go in, and where they come out.
///
/// Both ends are used on one thread: there is no lock to wait for, and one wake-up for all that goes in at a time.
pub(super) fn channel() -> (BodySender, BodyReceiver) {
    let channel = Arc::<Mutex<Channel>>::default();
    (BodySender(channel.clone()), BodyReceiver(channel))
}

#[derive(Default)]
struct Channel {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    ended: bool,
    closed: bool,
    /// Who waits for chunks.
    receiver: Option<Waker>,
    /// Who waits for room, and how many bytes may be left then.
    wanted: Option<(usize, Waker)>,
}

impl Channel {
    fn has_room(&self) -> bool {
        self.bytes < MOST
    }
}

/// The driver's end. Dropping it ends the body.
pub(super) struct BodySender(Arc<Mutex<Channel>>);

impl BodySender {
    /// Hands over the next bytes.
    ///
    /// # Errors
    ///
    /// They come back when there is no [room](Self::room) for them, or nobody takes them any more.
    pub(super) fn send(&self, chunk: Bytes) -> Result<(), Bytes> {
        let mut channel = lock(&self.0);
        if channel.closed || !channel.has_room() {
            return Err(chunk);
        }
        channel.bytes += chunk.len();
        channel.chunks.push_back(chunk);
        let waker = channel.receiver.take();
        drop(channel);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Until there is room: any, or `much`. For ever when nobody takes anything any more: why, the response tells.
    pub(super) async fn room(&self, much: bool) {
        let enough = if much { MOST / 2 } else { MOST - 1 };
        poll_fn(|cx| {
            let mut channel = lock(&self.0);
            if !channel.closed && channel.bytes <= enough {
                return Poll::Ready(());
            }
            channel.wanted = Some((enough, cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Whether all that was handed over has been taken.
    pub(super) fn is_empty(&self) -> bool {
        let channel = lock(&self.0);
        channel.chunks.is_empty() && !channel.closed
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        let mut channel = lock(&self.0);
        channel.ended = true;
        let waker = channel.receiver.take();
        drop(channel);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The transport's end. Dropping it closes the body, and drops what was not taken.
pub(super) struct BodyReceiver(Arc<Mutex<Channel>>);

impl BodyReceiver {
    /// The next chunk; `None` when the body has ended.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut channel = lock(&self.0);
        let Some(chunk) = channel.chunks.pop_front() else {
            if channel.ended {
                return Poll::Ready(None);
            }
            channel.receiver = Some(cx.waker().clone());
            return Poll::Pending;
        };
        channel.bytes -= chunk.len();
        let bytes = channel.bytes;
        let wanted = channel.wanted.take_if(|(enough, _)| bytes <= *enough);
        drop(channel);
        if let Some((_, waker)) = wanted {
            waker.wake();
        }
        Poll::Ready(Some(chunk))
    }
}

impl Drop for BodyReceiver {
    fn drop(&mut self) {
        let mut channel = lock(&self.0);
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

    #[tokio::test]
    async fn what_goes_in_comes_out_and_then_the_end() {
        let (sender, mut receiver) = channel();
        sender.send("one".into()).unwrap();
        sender.send("two".into()).unwrap();
        assert!(!sender.is_empty());
        assert_eq!(
            poll_fn(|cx| receiver.poll_receive(cx)).await.unwrap(),
            "one"
        );
        assert_eq!(
            poll_fn(|cx| receiver.poll_receive(cx)).await.unwrap(),
            "two"
        );
        assert!(sender.is_empty());
        let mut next = pin!(poll_fn(|cx| receiver.poll_receive(cx)));
        assert_eq!(poll(&mut next), Poll::Pending);
        drop(sender);
        assert_eq!(next.await, None);
    }

    #[tokio::test]
    async fn room_is_any_or_half() {
        let (sender, mut receiver) = channel();
        let quarter = Bytes::from(vec![0; MOST / 4]);
        for _ in 0..4 {
            sender.send(quarter.clone()).unwrap();
        }
        assert_eq!(sender.send("more".into()), Err("more".into()));
        let mut any = Box::pin(sender.room(false));
        assert_eq!(poll(&mut any.as_mut()), Poll::Pending);
        poll_fn(|cx| receiver.poll_receive(cx)).await;
        any.await;
        let mut much = Box::pin(sender.room(true));
        assert_eq!(poll(&mut much.as_mut()), Poll::Pending);
        poll_fn(|cx| receiver.poll_receive(cx)).await;
        much.await;
    }

    /// Whoever waits until something is written is not to wait for what will never be.
    #[tokio::test]
    async fn nothing_goes_in_when_nobody_takes_it_and_what_waited_is_dropped() {
        let (sender, receiver) = channel();
        let (last, written) = notify_when_written("last".into());
        sender.send(last).unwrap();
        drop(receiver);
        written.await;
        assert_eq!(sender.send("more".into()), Err("more".into()));
        let mut room = pin!(sender.room(false));
        assert_eq!(poll(&mut room), Poll::Pending);
        assert!(!sender.is_empty());
    }
}
