// SPDX-License-Identifier: MPL-2.0

//! The status as JSON, for programs and for the page.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::history::{self, SAMPLE_SECONDS, Sample};
use super::journal::Notice;
use super::lock::lock;
use super::shared::PointState;
use super::{PointStatus, Status, Viewer};

/// Viewers of a session that the page shows, at most.
const MAX_SHOWN: usize = 50;

/// Time after its last packet for which the page shows a publishing point.
const SHOWN_FOR: Duration = Duration::from_secs(600);

impl PointState {
    /// Returns the whole status, with URLs for a server at this address.
    pub(super) fn status_json(&self, address: SocketAddr) -> Bytes {
        let json = self.status().to_json(address, usize::MAX);
        format!("{json:#}\n").into()
    }

    /// Returns the status for the page, with the history from sample number `from` on.
    pub(super) fn page_json(&self, address: SocketAddr, from: u64) -> Bytes {
        let mut json = self.status().to_json(address, MAX_SHOWN);
        let now = self.now();
        if let Value::Object(fields) = &mut json {
            fields.insert("sample".to_owned(), history::number(now).into());
            fields.insert("sample_seconds".to_owned(), SAMPLE_SECONDS.into());
            fields.insert("history".to_owned(), self.history_json(from, now));
        }
        format!("{json}\n").into()
    }

    /// Returns the new samples of each publishing point.
    fn history_json(&self, from: u64, now: Duration) -> Value {
        let ledger = lock(&self.ledger);
        let mut points = Map::new();
        for (point, total) in ledger.totals() {
            if total.silent_for(now) < SHOWN_FOR {
                let (from, samples) = total.history.since(from, now);
                points.insert(point.to_owned(), samples_json(from, &samples));
            }
        }
        points.into()
    }
}

fn samples_json(from: u64, samples: &[Sample]) -> Value {
    let bitrates = samples
        .iter()
        .map(|sample| sample.bytes * 8 / SAMPLE_SECONDS);
    let packets = samples.iter().map(|sample| sample.packets);
    json!({
        "from": from,
        "bitrates": bitrates.collect::<Vec<_>>(),
        "packets": packets.collect::<Vec<_>>(),
    })
}

impl Status {
    fn to_json(&self, address: SocketAddr, max_viewers: usize) -> Value {
        let points = self.points.iter();
        let points = points.map(|point| point.to_json(address, max_viewers));
        let notices = |notices: &[Notice], text| -> Vec<Value> {
            let notices = notices.iter();
            notices.map(|notice| notice.to_json(text)).collect()
        };
        json!({
            "server": concat!("publishing-point/", env!("CARGO_PKG_VERSION")),
            "address": format!("http://{address}/"),
            "now": rfc3339(SystemTime::now()),
            "since": rfc3339(self.since),
            "points": points.collect::<Vec<_>>(),
            "configured": self.configured,
            "errors": notices(&self.errors, "error"),
            "events": notices(&self.events, "event"),
        })
    }
}

impl PointStatus {
    fn to_json(&self, address: SocketAddr, max_viewers: usize) -> Value {
        let viewers = self.viewers.iter().take(max_viewers);
        json!({
            "point": self.point,
            "watch": format!("mmsh://{address}{}", url_path(&self.point)),
            "state": if self.receiving { "receiving" } else { "waiting" },
            "session": self.session.to_string(),
            "pusher": self.user_agent,
            "since": self.since.map(rfc3339),
            "bitrate": self.bitrate,
            "packets": self.packets,
            "bytes": self.bytes,
            "viewer_count": self.viewers.len(),
            "viewers": viewers.map(Viewer::to_json).collect::<Vec<_>>(),
            "last_error": self.last_error.as_ref().map(|error| error.to_json("error")),
        })
    }
}

impl Viewer {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "player": self.user_agent,
            "protocol": if self.framed { "MS-WMSP" } else { "HTTP" },
            "since": rfc3339(self.since),
            "packets": self.packets,
        })
    }
}

impl Notice {
    /// Returns the notice as JSON, with its text in the field `text`.
    fn to_json(&self, text: &str) -> Value {
        json!({
            "time": rfc3339(self.time),
            "point": self.point,
            text: self.text,
            "times": self.times,
        })
    }
}

/// Returns the name of a publishing point as the path of a URL. Its escapes stay.
fn url_path(point: &str) -> String {
    let mut path = String::with_capacity(point.len());
    for byte in point.bytes() {
        match byte {
            // RFC 3986 section 3.3 Path
            b'%'
            | b'/'
            | b':'
            | b'@'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'..=b','
            | b';'
            | b'=' => path.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => path.push(byte.into()),
            _ => path += &format!("%{byte:02X}"),
        }
    }
    path
}

/// RFC 3339, to the second.
fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_escaped_in_a_url() {
        for (point, path) in [
            ("/live", "/live"),
            ("/lä%20ve", "/l%C3%A4%20ve"),
            ("/a\"<b>", "/a%22%3Cb%3E"),
            ("/a(1),'2'", "/a(1),'2'"),
        ] {
            assert_eq!(url_path(point), path);
        }
    }
}
