// SPDX-License-Identifier: MPL-2.0

//! GStreamer sink that pushes an ASF stream to a publishing point of a Windows Media server.

pub mod asf;
#[cfg(feature = "publishing-point")]
pub mod publishing_point;
pub mod wmhttp;
