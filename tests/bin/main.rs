// SPDX-License-Identifier: MPL-2.0

//! `wmspushbin` with real encoders, pushing to the embedded publishing point: viewers see and hear the input.

mod absurd_times;
mod gaps;
mod hints;
mod inputs;
#[path = "../plugin/mod.rs"]
mod plugin;
mod properties;
mod recording;
mod refusals;
mod rig;
mod states;
mod streams;
mod sync;
