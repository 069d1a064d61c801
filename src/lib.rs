// SPDX-License-Identifier: MPL-2.0

//! GStreamer sink that pushes an ASF stream to a publishing point of a Windows Media server.

pub mod asf;
pub mod wmhttp;
