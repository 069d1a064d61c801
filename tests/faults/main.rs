// SPDX-License-Identifier: MPL-2.0

//! Every fault in every phase: the result of the push, its duration, and that it shows no secret.
//!
//! `cargo xtask faults` prints the table.

mod reception;
#[path = "../element/rig.rs"]
#[allow(dead_code, reason = "not every test program needs all of it")]
mod rig;
mod rows;
mod run;
mod scene;
mod secrets;
mod table;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rows::{Row, rows};

/// Rows that run at the same time, because they mostly wait.
const AT_A_TIME: usize = 10;

#[test]
fn every_fault_in_every_phase() {
    rig::init();
    let outcomes = for_each(&rows(), table::try_out);
    table::print(&outcomes);
    let wrong: Vec<_> = outcomes.iter().flat_map(table::Line::wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// C-252, and the contract of the element: no secret in a log at any level, a message, a property or a dot file.
#[test]
fn no_fault_shows_a_secret() {
    secrets::run_alone("no_fault_shows_a_secret", || {
        rig::init();
        let journal = secrets::Journal::keep();
        let secrets = for_each(&rows(), |row| secrets::try_out(row, &journal));
        let count: usize = secrets.iter().map(secrets::Secrets::count).sum();
        assert!(count > 2 * secrets.len(), "there are secrets: {count}");
        let told: Vec<_> = secrets
            .iter()
            .flat_map(|secrets| secrets.told(&journal))
            .collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
    });
}

/// Runs `act` for all rows, several at a time, and returns the results in the order of the rows.
fn for_each<T: Send>(rows: &[Row], act: impl Fn(&Row) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || {
        while let Some((index, row)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            rows.get(index).map(|row| (index, row))
        } {
            let outcome = act(row);
            outcomes.lock().unwrap().push((index, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(work);
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
