// SPDX-License-Identifier: MPL-2.0

//! See `targets::responses`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::responses;

libfuzzer_sys::fuzz_target!(|input: &[u8]| responses::run(input));
