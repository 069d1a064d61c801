// SPDX-License-Identifier: MPL-2.0

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;

/// A callback that sends the phases it receives, and blocks in the first until it is released.
struct Slow {
    heard: Mutex<Sender<Phase>>,
    go_on: Mutex<Receiver<()>>,
}

impl StatusCallback for Slow {
    fn on_phase(&self, phase: Phase) {
        self.heard.lock().unwrap().send(phase).unwrap();
        if phase == Phase::Resolve {
            self.go_on.lock().unwrap().recv().unwrap();
        }
    }

    fn on_status(&self, _: &Status) {}
}

fn slow() -> (Notifier, Receiver<Phase>, Sender<()>) {
    let (heard, hear) = channel();
    let (go_on, wait) = channel();
    let slow = Slow {
        heard: Mutex::new(heard),
        go_on: Mutex::new(wait),
    };
    (Notifier::new(slow, None), hear, go_on)
}

#[test]
fn a_blocked_handler_does_not_block_the_reporter() {
    let (notifier, hear, go_on) = slow();
    notifier.queue(Report::Phase(Phase::Resolve));
    notifier.spawn();
    assert_eq!(hear.recv(), Ok(Phase::Resolve));
    notifier.queue(Report::Phase(Phase::Connect));
    notifier.spawn();
    notifier.deliver();
    notifier.flush(|| true);
    assert!(hear.recv_timeout(Duration::from_millis(20)).is_err());
    go_on.send(()).unwrap();
    assert_eq!(hear.recv(), Ok(Phase::Connect));
}

#[test]
fn flush_waits_for_reports_under_way() {
    let (notifier, hear, go_on) = slow();
    for phase in [Phase::Resolve, Phase::Connect, Phase::Setup] {
        notifier.queue(Report::Phase(phase));
    }
    notifier.spawn();
    assert_eq!(hear.recv(), Ok(Phase::Resolve));
    let flushing = thread::spawn({
        let notifier = notifier.clone();
        move || notifier.flush(|| false)
    });
    go_on.send(()).unwrap();
    flushing.join().unwrap();
    assert_eq!(
        hear.try_iter().collect::<Vec<_>>(),
        [Phase::Connect, Phase::Setup]
    );
}

#[test]
fn a_handler_may_flush() {
    struct Flushing(Mutex<Option<Notifier>>, Sender<()>);

    impl StatusCallback for Flushing {
        fn on_phase(&self, _: Phase) {
            let notifier = self.0.lock().unwrap().clone().unwrap();
            notifier.flush(|| false);
            self.1.send(()).unwrap();
        }

        fn on_status(&self, _: &Status) {}
    }

    let (sender, receiver) = channel();
    let flushing = Arc::new(Flushing(Mutex::default(), sender));
    let notifier = Notifier {
        queue: Arc::default(),
        callback: flushing.clone(),
    };
    *flushing.0.lock().unwrap() = Some(notifier.clone());
    notifier.queue(Report::Phase(Phase::Resolve));
    notifier.deliver();
    receiver.try_recv().unwrap();
    *flushing.0.lock().unwrap() = None;
}

#[test]
fn reports_of_a_successor_follow_those_of_its_predecessor() {
    let (first, hear, go_on) = slow();
    first.queue(Report::Phase(Phase::Connect));
    let (heard, hear_second) = channel();
    let (_, wait) = channel();
    let second = Slow {
        heard: Mutex::new(heard),
        go_on: Mutex::new(wait),
    };
    let second = Notifier::new(second, Some(&first));
    second.queue(Report::Phase(Phase::Setup));
    second.deliver();
    assert_eq!(hear.try_recv(), Ok(Phase::Connect));
    assert_eq!(hear_second.try_recv(), Ok(Phase::Setup));
    drop(go_on);
}
