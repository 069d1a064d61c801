// SPDX-License-Identifier: MPL-2.0

//! See `targets::asf_reader`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::asf_reader;

libfuzzer_sys::fuzz_target!(|input: &[u8]| asf_reader::run(input));
