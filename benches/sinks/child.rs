// SPDX-License-Identifier: MPL-2.0

//! A child process that runs one measurement and prints its figures.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::IntoRawFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use gst::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// The first argument of a child process.
pub const COMMAND: &str = "child";

/// A child process, as seen by its parent.
pub struct Measured {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Measured {
    /// Starts the process, and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(COMMAND)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no stdin")?;
        let output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut measured = Self {
            child,
            input,
            output,
        };
        measured.line()?;
        Ok(measured)
    }

    /// Lets the process begin.
    pub fn go(&mut self) -> Outcome<Instant> {
        let now = Instant::now();
        writeln!(self.input, "go")?;
        Ok(now)
    }

    /// Returns the numbers on the next line of its output.
    pub fn line(&mut self) -> Outcome<Vec<f64>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.is_empty() {
            return Err("the measured process has failed".into());
        }
        Ok(line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?)
    }

    /// Lets the process end, and waits for that.
    pub fn end(mut self) -> Outcome {
        drop(self.input);
        self.child.wait()?;
        Ok(())
    }
}

/// Returns the CPU time of this process so far.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Returns a number of /proc/self/status: kilobytes, or threads.
pub fn status(name: &str) -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .ok_or("no such status")?;
    let number = line.trim_start_matches(':').split_whitespace().next();
    Ok(number.ok_or("no number")?.parse()?)
}

/// Initialises GStreamer with the plugin that was built with this program.
pub fn init() -> Outcome {
    gst::init()?;
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).ok_or("no folder")?;
    gst::Plugin::load_file(
        folder.join(format!("libgstwmspush.{}", std::env::consts::DLL_EXTENSION)),
    )?;
    Ok(())
}

/// Reports that the process is ready, and waits until it may begin.
pub fn wait() -> Outcome {
    println!("0");
    await_line()
}

/// Waits for the next line of the input, or its end.
pub fn await_line() -> Outcome {
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Pushes a file, and prints the CPU time in nanoseconds.
pub fn push_file(file: &str, block: &str, sink: &str) -> Outcome {
    init()?;
    let null = File::options().write(true).open("/dev/null")?.into_raw_fd();
    let sink = sink.replace("NULL", &null.to_string());
    let description = format!("filesrc location={file} blocksize={block} ! {sink}");
    let pipeline = gst::parse::launch(&description)?;
    pipeline.set_state(gst::State::Ready)?;
    wait()?;
    let before = cpu();
    pipeline.set_state(gst::State::Playing)?;
    await_eos(&pipeline)?;
    println!("{}", (cpu() - before).as_nanos());
    await_line()?;
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}

/// Waits for EOS; an ERROR is a failure.
pub fn await_eos(pipeline: &gst::Element) -> Outcome {
    let bus = pipeline.bus().ok_or("no bus")?;
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    match bus.timed_pop_filtered(gst::ClockTime::NONE, &kinds) {
        Some(message) if message.type_() == gst::MessageType::Error => {
            Err(format!("{message:?}").into())
        }
        _ => Ok(()),
    }
}
