// SPDX-License-Identifier: MPL-2.0

//! Pushes a live test picture and tone, and prints the messages of `wmspushsink`.
//!
//! ```console
//! $ cargo run --example live_push -- http://127.0.0.1:8080/live
//! ```
//!
//! `PUSH_USER` and `PUSH_PASSWORD` in the environment answer a server that demands a user and a password.
//! Ctrl-C or SIGTERM ends the push in good order: the exit status is 0. After an ERROR it is 1. A second Ctrl-C ends
//! the program at once.

use std::env;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;

use futures_core::Stream;
use gst::prelude::*;

mod signals;

use signals::Signals;

const DEFAULT_LOCATION: &str = "http://127.0.0.1:8080/live";

const PIPELINE: &str = "\
    videotestsrc is-live=true ! wmspushbin name=push \
    audiotestsrc is-live=true ! push.";

/// Fields of a failure that are shown beside its text.
const DETAILS: [&str; 6] = [
    "phase",
    "reason",
    "hresult-name",
    "http-status-code",
    "http-reason",
    "hint",
];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let location = env::args().nth(1);
    let location = location.as_deref().unwrap_or(DEFAULT_LOCATION);
    match push(location).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("live_push: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the push ended in good order.
async fn push(location: &str) -> Result<bool> {
    gst::init()?;
    register()?;
    let pipeline = gst::parse::launch(PIPELINE)?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline")?;
    let sink = pipeline.by_name("push").ok_or("no sink")?;
    sink.set_property("location", location);
    sink.connect("acquire-credentials", false, |arguments| {
        Some(acquire_credentials(arguments).to_value())
    });

    println!("Ctrl-C ends the push");
    let ended_well = run(&pipeline).await;
    show_stats(&sink.property("stats"));
    pipeline.set_state(gst::State::Null)?;
    Ok(ended_well?)
}

/// Uses the installed plugin, or else registers the elements of this crate.
fn register() -> Result<()> {
    if gst::ElementFactory::find("wmspushbin").is_none() {
        gstwmspush::plugin_register_static()?;
    }
    Ok(())
}

/// Plays until EOS or ERROR.
async fn run(pipeline: &gst::Pipeline) -> io::Result<bool> {
    let mut signals = Signals::new()?;
    let mut messages = pipeline.bus().expect("a pipeline has a bus").stream();
    // If this fails, an ERROR on the bus has the reason.
    let _ = pipeline.set_state(gst::State::Playing);
    let (mut playing, mut ending) = (false, false);
    loop {
        tokio::select! {
            message = next(&mut messages) => {
                show(&message);
                match message.type_() {
                    gst::MessageType::Eos => return Ok(true),
                    gst::MessageType::Error => return Ok(false),
                    _ if !playing && says_playing(&message, pipeline) => playing = true,
                    _ => continue,
                }
            }
            () = signals.recv() => {
                if ending {
                    // Exits at once, because a regular shutdown would wait until the sources handle the EOS.
                    std::process::exit(1);
                }
                println!("Ending the push; a second Ctrl-C quits at once");
                ending = true;
            }
        }
        if playing && ending {
            end(pipeline);
        }
    }
}

/// Returns whether the message reports the pipeline's change to PLAYING. An earlier EOS would deadlock with the pipeline.
fn says_playing(message: &gst::Message, pipeline: &gst::Pipeline) -> bool {
    let gst::MessageView::StateChanged(change) = message.view() else {
        return false;
    };
    message.src() == Some(pipeline.upcast_ref()) && change.current() == gst::State::Playing
}

/// Sends EOS on another thread, because the sources handle it only after the sink has accepted their data.
fn end(pipeline: &gst::Pipeline) {
    pipeline.call_async(|pipeline| {
        pipeline.send_event(gst::event::Eos::new());
    });
}

/// Waits for the next message.
async fn next(messages: &mut gst::bus::BusStream) -> gst::Message {
    let message = poll_fn(|context| Pin::new(&mut *messages).poll_next(context)).await;
    message.expect("the pipeline is still there")
}

fn show(message: &gst::Message) {
    match message.view() {
        gst::MessageView::Progress(progress) => {
            let (kind, code, text) = progress.get();
            let kind = format!("{kind:?}").to_lowercase();
            println!("PROGRESS {code} {kind}: {text}");
        }
        gst::MessageView::Element(element) => {
            let status = element.structure();
            if let Some(status) = status.filter(|status| status.name() == "wmspushsink-status") {
                show_status(status);
            }
        }
        gst::MessageView::Warning(warning) => {
            println!("WARNING {}", warning.error());
            show_failure(warning.details(), warning.debug());
        }
        gst::MessageView::Error(error) => {
            println!("ERROR {}", error.error());
            show_failure(error.details(), error.debug());
        }
        gst::MessageView::Eos(_) => println!("EOS"),
        _ => {}
    }
}

fn show_status(status: &gst::StructureRef) {
    let text = |name| status.get::<&str>(name).unwrap_or_default();
    let line = format!(
        "STATUS {} {} -> {} {} {}",
        text("wmt-status-name"),
        text("previous-state"),
        text("state"),
        text("hresult-name"),
        text("reason")
    );
    println!("{}", line.trim_end());
}

/// Other elements have a debug string instead of details.
fn show_failure(details: Option<&gst::StructureRef>, debug: Option<glib::GString>) {
    match (details, debug) {
        (Some(details), _) => show_details(details),
        (None, Some(debug)) => println!("    {debug}"),
        (None, None) => {}
    }
}

/// Fields that do not apply are 0 or empty.
fn show_details(details: &gst::StructureRef) {
    for name in DETAILS {
        if let Ok(number @ 1..) = details.get::<u32>(name) {
            println!("    {name}: {number}");
        } else if let Ok(text) = details.get::<&str>(name)
            && !text.is_empty()
        {
            println!("    {name}: {text}");
        }
    }
}

/// Runs on a thread of its own. Returns `None` after a refusal, and if the password would be sent unencrypted.
fn acquire_credentials(arguments: &[glib::Value]) -> Option<gst::Structure> {
    let [_sink, _realm, site, _user, flags, hresult] = arguments else {
        return None;
    };
    let site: &str = site.get().ok()?;
    println!("CREDENTIALS {site} demands a user and a password");
    let refused = hresult.get::<u32>().ok()? != 0;
    let clear_text =
        glib::FlagsClass::with_type(flags.type_())?.is_set_by_nick(flags, "clear-text");
    if refused || clear_text {
        return None;
    }
    let credentials = gst::Structure::builder("credentials")
        .field("user", env::var("PUSH_USER").ok()?)
        .field("password", env::var("PUSH_PASSWORD").ok()?);
    Some(credentials.build())
}

fn show_stats(stats: &gst::Structure) {
    let number = |name| stats.get::<u64>(name).unwrap_or_default();
    println!("packets-sent: {}", number("packets-sent"));
    println!("bytes-sent: {}", number("bytes-sent"));
}
