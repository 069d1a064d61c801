// SPDX-License-Identifier: MPL-2.0

//! See `targets::player_responses`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::player_responses;

libfuzzer_sys::fuzz_target!(|input: &[u8]| player_responses::run(input));
