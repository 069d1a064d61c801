// SPDX-License-Identifier: MPL-2.0

//! See `targets::pair`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::pair;

libfuzzer_sys::fuzz_target!(|input: &[u8]| pair::run(input));
