// SPDX-License-Identifier: MPL-2.0

//! `wmspushbin` with real encoders, against the embedded publishing point: what goes in is what viewers see and hear.

mod gaps;
mod inputs;
mod properties;
mod recording;
mod rig;
mod states;
mod streams;
mod sync;
