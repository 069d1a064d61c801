// SPDX-License-Identifier: MPL-2.0

//! See `targets::locations`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::locations;

libfuzzer_sys::fuzz_target!(|input: &[u8]| locations::run(input));
