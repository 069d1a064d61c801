// SPDX-License-Identifier: MPL-2.0

//! The time until there is an element.

use std::time::Instant;

use crate::Outcome;
use crate::child::{self, Measured};
use crate::table;

const ROUNDS: usize = 9;

pub fn run() -> Outcome {
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        let mut child = Measured::start(&["start"])?;
        runs.push(child.line()?);
        child.end()?;
    }
    println!("\n### Start, in ms: least / median / most\n");
    for (column, name) in [
        "the plugin is loaded",
        "the first element is made",
        "another is made",
    ]
    .iter()
    .enumerate()
    {
        let [least, median, most] = table::spread(runs.iter().map(|run| run[column]));
        println!("* {name}: {least:.2} / {median:.2} / {most:.2}");
    }
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).ok_or("no folder")?;
    let size = std::fs::metadata(folder.join("libgstwmspush.so"))?.len();
    println!("* the plugin has {:.2} MB", size as f64 / 1e6);
    Ok(())
}

/// Runs in a process of its own.
pub fn measure() -> Outcome {
    gst::init()?;
    println!("0");
    let begun = Instant::now();
    child::init()?;
    let loaded = Instant::now();
    let first = gst::ElementFactory::make("wmspushsink").build()?;
    let made = Instant::now();
    let another = gst::ElementFactory::make("wmspushsink").build()?;
    let times = [loaded - begun, made - loaded, made.elapsed()];
    drop((first, another));
    let [loaded, first, another] = times.map(|time| time.as_secs_f64() * 1000.0);
    println!("{loaded} {first} {another}");
    Ok(())
}
