// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask bench load`: 200 pushes at 500 kbit/s each to one publishing point, and 1,000 viewers of one of them.
//!
//! The publishing point is the program, in a process of its own. Pushes and viewers are in this one, on the same
//! processors. Every viewer has to get every packet, in order; the memory of the server is read from /proc.
//!
//! | module | contents |
//! |---|---|
//! | `clients` | the pushes and the viewers |
//! | `server` | the program, its memory and its CPU time |

mod clients;
#[path = "../../../benches/sinks/packets.rs"]
mod packets;
mod server;

use std::error::Error;
use std::time::{Duration, Instant};

use clients::{Crowd, Viewed};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use server::Server;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const PUSHES: usize = 200;
const VIEWERS: usize = 1000;

/// Interval of reading memory and CPU time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Duration of the pushes in seconds, without an argument.
const SECONDS: u64 = 60;

fn main() -> Outcome {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok());
    let duration = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(duration))
}

async fn run(duration: Duration) -> Outcome {
    let server = Server::start(PUSHES + VIEWERS + 100, VIEWERS)?;
    println!("\n### {PUSHES} pushes at 500 kbit/s, {VIEWERS} viewers of one\n");
    println!(
        "| seconds | CPU of the server, cores | CPU of the clients, cores | RSS of the server, MB |"
    );
    println!("| --- | --- | --- | --- |");
    let mut crowd = Crowd::connect(server.address, PUSHES, VIEWERS).await?;
    let start = Instant::now();
    let table = tokio::spawn(measure(server.clone_process(), start, duration));
    let sent = crowd.push(duration).await?;
    table.await??;
    let received = server.packets_received()?;
    let viewed = crowd.end().await?;
    report(sent, received, &viewed)
}

/// A line for each interval.
async fn measure(
    process: server::Process,
    start: Instant,
    duration: Duration,
) -> Result<(), std::io::Error> {
    let (mut before, mut own) = (process.cpu()?, own_cpu());
    let mut next = start;
    while next < start + duration {
        let began = next;
        next = (next + INTERVAL).min(start + duration);
        tokio::time::sleep_until(next.into()).await;
        let passed = (next - began).as_secs_f64();
        let (now, own_now) = (process.cpu()?, own_cpu());
        println!(
            "| {} | {:.2} | {:.2} | {:.1} |",
            (next - start).as_secs(),
            (now - before).as_secs_f64() / passed,
            (own_now - own).as_secs_f64() / passed,
            process.memory()? / 1000.0,
        );
        (before, own) = (now, own_now);
    }
    Ok(())
}

fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn report(sent: u64, received: u64, viewed: &[Viewed]) -> Outcome {
    let whole = viewed.iter().filter(|viewed| viewed.is_whole()).count();
    let least = viewed.iter().map(|viewed| viewed.packets).min();
    println!(
        "\n{sent} packets sent, {received} received; {whole} of {} viewers got every packet of theirs ({} each).",
        viewed.len(),
        least.unwrap_or_default()
    );
    if sent == received && whole == viewed.len() {
        Ok(())
    } else {
        Err("packets were lost".into())
    }
}
