// SPDX-License-Identifier: MPL-2.0

//! The printed tables, in Markdown.

use std::time::Duration;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub wall: Duration,
    pub cpu: Duration,
}

/// Prints the properties of the machine.
pub fn machine() {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    println!(
        "{cores} cores ({}), Linux {}, load {}",
        model.unwrap_or("unknown"),
        kernel.trim(),
        read("/proc/loadavg").trim()
    );
}

/// Returns minimum, median and maximum.
pub fn spread(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(&least), Some(&median), Some(&most)) => [least, median, most],
        _ => [f64::NAN; 3],
    }
}

/// Prints the times of each sink, and their ratios to the second one, run by run.
pub fn throughput(names: &[&str], samples: &[Vec<Sample>], size: usize, packet: usize) {
    println!(
        "| sink | wall, s/GB | CPU, s/GB | wall, µs/packet | CPU, µs/packet | wall ratio | CPU ratio |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let gigabytes = size as f64 / 1e9;
    let packets = size as f64 / packet as f64 / 1e6;
    for (name, runs) in names.iter().zip(samples) {
        let [wall, cpu] = [
            |sample: &Sample| sample.wall.as_secs_f64(),
            |sample: &Sample| sample.cpu.as_secs_f64(),
        ];
        let median = |of: fn(&Sample) -> f64| spread(runs.iter().map(of))[1];
        let ratio = |of: fn(&Sample) -> f64| {
            let pairs = runs.iter().zip(&samples[1]);
            let [least, median, most] = spread(pairs.map(|(one, other)| of(one) / of(other)));
            format!("{least:.2} / **{median:.2}** / {most:.2}")
        };
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} |",
            median(wall) / gigabytes,
            median(cpu) / gigabytes,
            median(wall) / packets,
            median(cpu) / packets,
            ratio(wall),
            ratio(cpu)
        );
    }
}
