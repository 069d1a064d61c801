// SPDX-License-Identifier: MPL-2.0

//! Blocking work, such as name resolution and the application's handlers, on a thread of its own.
//!
//! tokio's pool for blocking work panics if the system grants no thread, which would end the host process.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use tracing::dispatcher;

use super::socket::block_broken_pipe_signal;
use crate::auth::{BlockingStep, StepResult};

/// Time limit of a step of a login. Kerberos libraries query each key distribution centre for a second and more. Without
/// an answer by then the login continues without a ticket, by NTLM.
const STEP_LIMIT: Duration = Duration::from_secs(3);

/// The result of work on a thread of its own; `None` if the work panicked.
///
/// Dropping the task discards the result. The thread ends when the work does.
#[derive(Debug)]
pub(super) struct Task<T> {
    receiver: oneshot::Receiver<T>,
    limit: Option<Limit<T>>,
}

/// The time at which a task ends without its thread, and its result then.
#[derive(Debug)]
struct Limit<T> {
    due: Pin<Box<Sleep>>,
    result: Option<T>,
}

/// Starts `work` on a new thread, with the caller's `tracing` subscriber.
///
/// # Errors
///
/// The operating system's, if it grants no thread.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Task<T>> {
    let (sender, receiver) = oneshot::channel();
    let subscriber = dispatcher::get_default(Clone::clone);
    thread::Builder::new()
        .name("wmhttp-blocking".to_owned())
        .spawn(move || {
            block_broken_pipe_signal();
            let result = dispatcher::with_default(&subscriber, work);
            // Fails if the task has been dropped.
            let _ = sender.send(result);
        })?;
    Ok(Task {
        receiver,
        limit: None,
    })
}

/// Carries out a step of a login on a new thread, for at most three seconds. `wrap` converts its result.
///
/// # Errors
///
/// Those of [`run`].
pub(super) fn run_step<T: Send + 'static>(
    step: BlockingStep,
    wrap: impl Fn(StepResult) -> T + Send + 'static,
) -> io::Result<Task<T>> {
    let result = wrap(StepResult::without_token());
    let task = run(move || wrap(step.run()))?;
    Ok(task.or_after(STEP_LIMIT, result))
}

impl<T> Task<T> {
    /// Ends the task after `limit` with `result`, if its thread has none by then.
    fn or_after(self, limit: Duration, result: T) -> Self {
        let limit = Limit {
            due: Box::pin(sleep(limit)),
            result: Some(result),
        };
        Self {
            limit: Some(limit),
            ..self
        }
    }
}

impl<T: Unpin> Future for Task<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Poll::Ready(result) = Pin::new(&mut self.receiver).poll(cx) {
            return Poll::Ready(result.ok());
        }
        let Some(limit) = &mut self.limit else {
            return Poll::Pending;
        };
        ready!(limit.due.as_mut().poll(cx));
        tracing::info!("A blocking call takes too long; continuing without its result");
        Poll::Ready(limit.result.take())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tracing::Dispatch;

    use super::*;

    #[tokio::test]
    async fn blocking_work_yields_its_result() {
        let caller = thread::current().id();
        let worker = run(|| thread::current().id()).unwrap().await;
        assert!(worker.is_some_and(|worker| worker != caller));
    }

    #[tokio::test]
    async fn work_that_panics_yields_nothing() {
        let task = run(|| panic!("on purpose")).unwrap();
        assert_eq!(task.await, None::<()>);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_longer_than_its_limit_is_not_awaited() {
        let (release, released) = mpsc::channel::<()>();
        let task = run(move || released.recv().map_or("ended", |()| "released")).unwrap();
        let limit = Duration::from_secs(3);
        let started = tokio::time::Instant::now();
        assert_eq!(task.or_after(limit, "late").await, Some("late"));
        assert_eq!(started.elapsed(), limit);
        drop(release);
    }

    #[tokio::test]
    async fn work_within_its_limit_yields_its_result() {
        let task = run(|| "in time").unwrap();
        let task = task.or_after(Duration::from_secs(3600), "late");
        assert_eq!(task.await, Some("in time"));
    }

    #[test]
    fn a_dropped_task_does_not_stop_its_work() {
        let (release, released) = mpsc::channel::<()>();
        let (finish, finished) = mpsc::channel();
        let task = run(move || {
            let _ = released.recv();
            let _ = finish.send(());
        });
        drop(task.unwrap());
        release.send(()).unwrap();
        assert_eq!(finished.recv(), Ok(()), "the work itself goes on");
    }

    #[tokio::test]
    async fn work_runs_with_the_subscriber_of_its_caller() {
        let _default = dispatcher::set_default(&Dispatch::new(Marked));
        let marked = || dispatcher::get_default(Dispatch::is::<Marked>);
        assert_eq!(run(marked).unwrap().await, Some(true));
    }

    /// A subscriber that is not the default one.
    struct Marked;

    impl tracing::Subscriber for Marked {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            false
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {}

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_broken_pipe_raises_no_signal_on_that_thread() {
        use super::super::socket::tests::broken_pipe_is_pending;

        assert_eq!(run(broken_pipe_is_pending).unwrap().await, Some(true));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_without_a_thread_is_an_error() {
        use super::super::runtime::tests::{Resource, in_own_process, limit};

        let test = "push::blocking::tests::work_without_a_thread_is_an_error";
        in_own_process(test, &[], || {
            let limited = limit(Resource::Threads, 0);
            assert_eq!(
                run(|| ()).unwrap_err().kind(),
                io::ErrorKind::WouldBlock,
                "EAGAIN"
            );
            drop(limited);
            run(|| ()).unwrap();
        });
    }
}
