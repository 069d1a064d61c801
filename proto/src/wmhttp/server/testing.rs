// SPDX-License-Identifier: MPL-2.0

//! A conforming client for the tests of this folder.

use http::Request;

/// Returns the request of example 4.8, with the User-Agent of a GStreamer client.
pub(super) fn request(content_type: &str, push_id: &str, content_length: u64) -> Request<()> {
    Request::post("/live")
        .header("Content-Type", content_type)
        .header("X-Accept-Authentication", "Negotiate, NTLM, Digest")
        .header("User-Agent", "WMEncoder/12.0 GStreamer/1.22")
        .header("Host", "media.example")
        .header("Content-Length", content_length)
        .header("Cache-Control", "no-cache")
        .header("Cookie", format!("push-id={push_id}"))
        .body(())
        .unwrap()
}
