// SPDX-License-Identifier: MPL-2.0

//! Repeated starts and stops, in all ways.

use std::io::Read;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use gst::prelude::*;
use gstwmspush::wmhttp::server::{SessionKey, Timeouts};
use publishing_point::{Event, PublishingPoint, Push, Running, Settings};

use crate::process::Process;
use crate::{AUDIO_VIDEO, LONG, alone, fixture};

/// Start/stop cycles.
const CYCLES: usize = 10_000;

/// Cycles after which the process has its final pools of threads, caches and arenas.
const WARM_UP: usize = 2_000;

/// Cycles of one element, after which it is replaced.
const CYCLES_OF_ONE: usize = 20;

/// Elements at the same time. A cycle mostly waits for the server's time to refuse the end.
const WORKERS: usize = 16;

/// Allowed growth in 8,000 cycles, in KiB: less than a kilobyte each.
const TOLERANCE: u64 = 6 * 1024;

/// The ways of a cycle, in turns.
const SHAPES: [fn(&mut Worker); 5] = [
    Worker::push_all,
    Worker::stop_in_the_middle,
    Worker::leave_and_go_on,
    Worker::be_refused,
    Worker::meet_silence,
];

/// A thread with an element, a publishing point and a silent server.
struct Worker {
    point: Running,
    silent: TcpListener,
    pipeline: gst::Pipeline,
    cycles: usize,
}

fn pipeline() -> gst::Pipeline {
    let path = fixture(AUDIO_VIDEO);
    let description = format!("filesrc location={path} ! wmspushsink name=sink");
    let pipeline = gst::parse::launch(&description).unwrap();
    pipeline.downcast().unwrap()
}

impl Worker {
    fn new() -> Self {
        let timeouts = Timeouts {
            idle: LONG,
            inactivity: LONG / 10,
        };
        let settings = Settings {
            timeouts,
            ..Settings::default()
        };
        Self {
            point: PublishingPoint::bind(settings).unwrap().spawn().unwrap(),
            silent: TcpListener::bind("127.0.0.1:0").unwrap(),
            pipeline: pipeline(),
            cycles: 0,
        }
    }

    /// Runs cycles until all workers together have run `most`.
    fn work(&mut self, cycles: &AtomicUsize, most: usize) {
        while cycles.fetch_add(1, Ordering::Relaxed) < most {
            SHAPES[self.cycles % SHAPES.len()](self);
            self.state(gst::State::Null);
            self.cycles += 1;
            if self.cycles.is_multiple_of(CYCLES_OF_ONE) {
                self.renew();
            }
        }
    }

    /// Replaces the element. Threads that deliver its messages drop it afterwards.
    fn renew(&mut self) {
        let (sender, gone) = mpsc::channel();
        self.sink().add_weak_ref_notify(move || {
            let _ = sender.send(());
        });
        self.pipeline = pipeline();
        gone.recv_timeout(LONG).expect("the element is freed");
    }

    fn sink(&self) -> gst::Element {
        self.pipeline.by_name("sink").unwrap()
    }

    fn state(&self, state: gst::State) {
        self.pipeline.set_state(state).unwrap();
    }

    fn aim(&self, location: &str, sync: bool) {
        let sink = self.sink();
        sink.set_property("location", location);
        sink.set_property("sync", sync);
    }

    /// Takes all events up to the wanted one.
    fn await_event<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let event = self.point.wait_for(|_| true, LONG).expect("an event");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    /// Waits for another PushStart.
    fn await_push_start(&self) -> SessionKey {
        self.await_event(|event| match event {
            Event::PushStarted { session, .. } => Some(*session),
            _ => None,
        })
    }

    /// Waits for another PushStart, and for data in it.
    fn await_data(&self) {
        let started = self.await_push_start();
        let mut before = None;
        let brings_data = |pushes: &[&Push]| {
            let mut pushes = pushes.iter();
            let push = pushes.find(|push| push.session == started).unwrap();
            push.data_packets > *before.get_or_insert(push.data_packets)
        };
        self.point.wait_for_pushes(brings_data, LONG).expect("data");
    }

    fn await_message(&self, wanted: gst::MessageType) {
        let types = [gst::MessageType::Eos, gst::MessageType::Error];
        let bus = self.pipeline.bus().unwrap();
        let long = gst::ClockTime::try_from(LONG).unwrap();
        let message = bus.timed_pop_filtered(long, &types).expect("a message");
        assert_eq!(message.type_(), wanted, "{message:?}");
    }

    fn push_all(&mut self) {
        self.aim(&self.point.url("live"), false);
        self.state(gst::State::Playing);
        self.await_message(gst::MessageType::Eos);
        let pushed = self.await_push_start();
        self.await_event(|event| match event {
            Event::EndOfStream { session, .. } if *session == pushed => Some(()),
            _ => None,
        });
    }

    fn stop_in_the_middle(&mut self) {
        self.aim(&self.point.url("live"), true);
        self.state(gst::State::Playing);
        self.await_data();
    }

    fn leave_and_go_on(&mut self) {
        self.stop_in_the_middle();
        self.state(gst::State::Ready);
        self.state(gst::State::Paused);
        self.state(gst::State::Playing);
        self.await_data();
        assert!(self.sink().emit_by_name::<bool>("disconnect", &[]));
    }

    fn be_refused(&mut self) {
        self.aim("http://127.0.0.1:9/live", false);
        self.state(gst::State::Playing);
        self.await_message(gst::MessageType::Error);
    }

    fn meet_silence(&mut self) {
        let address = self.silent.local_addr().unwrap();
        self.aim(&format!("http://{address}/live"), false);
        self.state(gst::State::Playing);
        let (mut connection, _) = self.silent.accept().unwrap();
        connection.read_exact(&mut [0; 4]).unwrap();
        self.state(gst::State::Null);
        connection.read_to_end(&mut Vec::new()).unwrap();
    }
}

fn run(workers: &mut [Worker], cycles: usize) {
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| worker.work(&done, cycles));
        }
    });
}

#[test]
fn ten_thousand_cycles_leave_nothing_behind() {
    let _alone = alone();
    let mut workers: Vec<_> = std::iter::repeat_with(Worker::new).take(WORKERS).collect();
    run(&mut workers, WARM_UP);
    let warm = Process::now();
    run(&mut workers, CYCLES - WARM_UP);
    warm.assert_not_grown(TOLERANCE);
}
