// SPDX-License-Identifier: MPL-2.0

//! Encodes a live test picture and tone once, and pushes them to several servers, which do not wait for each other.
//!
//! ```console
//! $ cargo run --example fan_out -- http://127.0.0.1:8080/live http://127.0.0.1:8081/live
//! ```
//!
//! A lost or unreachable server is retried without a time limit, also at the start; its push continues at a key frame.
//! A server that refuses for good is removed; the others are not affected. Ctrl-C or SIGTERM ends all pushes in good
//! order: the exit status is 0. It is 1 when no server is left.

use std::future::poll_fn;
use std::pin::Pin;
use std::process::ExitCode;

use futures_core::Stream;
use gst::prelude::*;

mod signals;

use signals::Signals;

/// With `allow-not-linked`, branches can be unlinked while the tee runs.
const ENCODE: &str = "\
    videotestsrc is-live=true ! avenc_wmv2 gop-size=15 ! identity single-segment=true \
    ! asfmux name=m streamable=true ! tee name=servers allow-not-linked=true \
    audiotestsrc is-live=true ! avenc_wmav2 ! m.";

/// `errorignore` keeps the failure of one branch from the others. `queue` gives the branch a thread of its own, and does
/// not block the others before a failed branch is removed. The sink drops the oldest packets, up to a key frame, while
/// its server is unreachable.
const BRANCH: &str = "\
    errorignore ! queue leaky=downstream \
    ! wmspushsink name=push retry-first-connect=true reconnect-timeout=4294967295 leaky=downstream";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let locations: Vec<_> = std::env::args().skip(1).collect();
    match push(&locations).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fan_out: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the pushes ended in good order.
async fn push(locations: &[String]) -> Result<bool> {
    if locations.is_empty() {
        return Err("no servers: give at least one URL, such as http://127.0.0.1:8080/live".into());
    }
    gst::init()?;
    register()?;
    let pipeline = gst::parse::launch(ENCODE)?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline")?;
    println!("Ctrl-C ends the pushes");
    let ended_well = run(&pipeline, locations).await;
    pipeline.set_state(gst::State::Null)?;
    ended_well
}

/// Uses the installed plugin, or else registers the elements of this crate.
fn register() -> Result<()> {
    if gst::ElementFactory::find("wmspushsink").is_none() {
        gstwmspush::plugin_register_static()?;
    }
    Ok(())
}

/// The elements between the tee and one server.
struct Branch {
    location: String,
    bin: gst::Bin,
    /// The tee's source pad for this branch.
    pad: gst::Pad,
    /// The branch was not removed yet. A failure may be reported twice, by the sink and by the queue in front of it.
    alive: bool,
}

impl Branch {
    /// Starts a branch, after the pipeline has started: a branch that fails at once would keep the others from
    /// starting.
    fn add(pipeline: &gst::Pipeline, location: &str) -> Result<Self> {
        let tee = pipeline.by_name("servers").ok_or("no tee")?;
        let bin = gst::parse::bin_from_description(BRANCH, true)?;
        bin.set_property("async-handling", true);
        let sink = bin.by_name("push").ok_or("no sink")?;
        sink.set_property("location", location);
        pipeline.add(&bin)?;
        let pad = tee.request_pad_simple("src_%u").ok_or("no pad")?;
        // Linked first, a buffer would meet inactive pads, and FLUSHING would stop the encoders for good. If this fails,
        // an ERROR on the bus has the reason.
        if bin.sync_state_with_parent().is_ok() {
            pad.link(&bin.static_pad("sink").ok_or("no pad")?)?;
        }
        Ok(Self {
            location: location.to_owned(),
            bin,
            pad,
            alive: true,
        })
    }

    /// Removes the branch between two buffers, so that the tee never pushes into a stopped branch.
    fn remove(&mut self) {
        if !std::mem::take(&mut self.alive) {
            return;
        }
        let bin = self.bin.clone();
        self.pad.add_probe(gst::PadProbeType::IDLE, move |pad, _| {
            if let Some(peer) = pad.peer() {
                let _ = pad.unlink(&peer);
            }
            let bin = bin.clone();
            // On another thread, because the streaming thread cannot stop itself.
            bin.call_async(|bin| {
                let _ = bin.set_state(gst::State::Null);
                if let Some(parent) = bin.parent().and_downcast::<gst::Bin>() {
                    let _ = parent.remove(bin);
                }
            });
            gst::PadProbeReturn::Remove
        });
    }
}

/// Plays until EOS, or until no server is left. Returns true for EOS.
async fn run(pipeline: &gst::Pipeline, locations: &[String]) -> Result<bool> {
    let mut signals = Signals::new()?;
    let mut messages = pipeline.bus().expect("a pipeline has a bus").stream();
    // If this fails, an ERROR on the bus has the reason.
    let _ = pipeline.set_state(gst::State::Playing);
    let mut branches: Vec<Branch> = Vec::new();
    let (mut playing, mut ending) = (false, false);
    loop {
        tokio::select! {
            message = next(&mut messages) => {
                let place = branch_of(&branches, &message);
                show(&message, place.map(|place| &*branches[place].location));
                match (message.type_(), place) {
                    (gst::MessageType::Eos, _) => return Ok(true),
                    (gst::MessageType::Error, Some(place)) => {
                        branches[place].remove();
                        if !branches.iter().any(|branch| branch.alive) {
                            return Ok(false);
                        }
                    }
                    (gst::MessageType::Error, None) => return Ok(false),
                    _ if !playing && says_playing(&message, pipeline) => {
                        playing = true;
                        let all = locations.iter().map(|location| Branch::add(pipeline, location));
                        branches = all.collect::<Result<_>>()?;
                    }
                    _ => continue,
                }
            }
            () = signals.recv() => {
                if ending {
                    // Exits at once, because a regular shutdown would wait until the sources handle the EOS.
                    std::process::exit(1);
                }
                println!("Ending the pushes; a second Ctrl-C quits at once");
                ending = true;
            }
        }
        if playing && ending {
            end(pipeline);
        }
    }
}

/// Sends EOS on another thread, because the sources handle it only after the sinks have accepted their data.
fn end(pipeline: &gst::Pipeline) {
    pipeline.call_async(|pipeline| {
        pipeline.send_event(gst::event::Eos::new());
    });
}

/// Returns the branch that sent a message.
fn branch_of(branches: &[Branch], message: &gst::Message) -> Option<usize> {
    let source = message.src()?;
    let is_from = |branch: &Branch| {
        source == branch.bin.upcast_ref::<gst::Object>() || source.has_as_ancestor(&branch.bin)
    };
    branches.iter().position(is_from)
}

/// Returns whether the message reports the pipeline's change to PLAYING. An EOS before that would deadlock with the
/// pipeline.
fn says_playing(message: &gst::Message, pipeline: &gst::Pipeline) -> bool {
    let gst::MessageView::StateChanged(change) = message.view() else {
        return false;
    };
    message.src() == Some(pipeline.upcast_ref()) && change.current() == gst::State::Playing
}

/// Waits for the next message.
async fn next(messages: &mut gst::bus::BusStream) -> gst::Message {
    let message = poll_fn(|context| Pin::new(&mut *messages).poll_next(context)).await;
    message.expect("the pipeline is still there")
}

/// Prints statuses, warnings, errors and EOS, with the server that they are about.
fn show(message: &gst::Message, location: Option<&str>) {
    let location = location.unwrap_or("all");
    match message.view() {
        gst::MessageView::Element(element) => {
            let status = element.structure();
            if let Some(status) = status.filter(|status| status.name() == "wmspushsink-status") {
                let text = |name| status.get::<&str>(name).unwrap_or_default();
                println!("{location}: {} {}", text("wmt-status-name"), text("state"));
            }
        }
        gst::MessageView::Warning(warning) => println!("{location}: WARNING {}", warning.error()),
        gst::MessageView::Error(error) => println!("{location}: ERROR {}", error.error()),
        gst::MessageView::Eos(_) => println!("EOS"),
        _ => {}
    }
}
