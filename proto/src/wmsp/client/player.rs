// SPDX-License-Identifier: MPL-2.0

use http::HeaderMap;
use http::header::{ACCEPT, HeaderName, HeaderValue, PRAGMA, USER_AGENT};

use crate::asf::FileHeader;
use crate::wmsp::pragma::number;

/// 2.2.1.8 User-Agent: the Windows Media Player in the examples of the specification
const NSPLAYER: HeaderValue = HeaderValue::from_static("NSPlayer/12.0.7680.0");

/// User-Agent of a client without this protocol
const PLAIN: HeaderValue = HeaderValue::from_static("Lavf/60.16.100");

/// 2.2.1.4 Pragma: the tokens that Describe and Play from the start of a broadcast share
const FROM_NOW_ON: HeaderValue = HeaderValue::from_static(
    "no-cache,rate=1.000,stream-time=0,stream-offset=0:0,packet-num=4294967295,max-duration=0",
);

/// 2.2.1.7 Supported: the feature that a server has to offer.
const SUPPORTED: HeaderValue = HeaderValue::from_static("com.microsoft.wm.sswitch");

/// 3.1.1 Abstract Data Model: the client state of a player that watches one broadcast.
#[derive(Clone, Debug)]
pub struct Player {
    /// 2.2.1.4.33 xClientGUID
    guid: HeaderValue,
    /// 2.2.1.4.5 client-id, once a response has assigned one.
    client_id: Option<u32>,
}

impl Player {
    /// Creates a player whose xClientGUID consists of these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        let hex = |bytes: &[u8]| -> String {
            let digits = bytes.iter().map(|byte| format!("{byte:02X}"));
            digits.collect()
        };
        let [a, b, c, d, e] = [0..4, 4..6, 6..8, 8..10, 10..16]
            .map(|range| random.get(range).map(hex).unwrap_or_default());
        let text = format!("xClientGUID={{{a}-{b}-{c}-{d}-{e}}}");
        Self {
            guid: HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("no-cache")),
            client_id: None,
        }
    }

    /// 2.2.2.1 Describe: returns the fields of the request.
    pub fn describe(&self) -> HeaderMap {
        let mut headers = fields(NSPLAYER);
        headers.insert(HeaderName::from_static("supported"), SUPPORTED);
        headers.append(PRAGMA, FROM_NOW_ON);
        headers.append(PRAGMA, self.guid.clone());
        if let Some(id) = self.client_id {
            put_pragma(&mut headers, &format!("client-id={id}"));
        }
        headers
    }

    /// 2.2.2.6 Play: returns the fields of the request for all streams of `header`, the result of a Describe.
    pub fn play(&self, header: &FileHeader) -> HeaderMap {
        let mut headers = self.describe();
        headers.append(PRAGMA, HeaderValue::from_static("xPlayStrm=1"));
        let streams = header.streams();
        let entries = streams.iter();
        let entries = entries.map(|stream| format!("ffff:{:x}:0 ", stream.number));
        let entries: String = entries.collect();
        put_pragma(
            &mut headers,
            &format!("stream-switch-count={}", streams.len()),
        );
        put_pragma(&mut headers, &format!("stream-switch-entry={entries}"));
        headers
    }

    /// Returns the fields of a GET to a server without this protocol.
    pub fn plain() -> HeaderMap {
        fields(PLAIN)
    }

    /// 3.1.5.3 Receiving a Response: keeps the client-id.
    pub fn receive(&mut self, headers: &HeaderMap) {
        self.client_id = number(headers, "client-id").or(self.client_id);
    }
}

fn fields(user_agent: HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, user_agent);
    headers
}

fn put_pragma(headers: &mut HeaderMap, token: &str) {
    if let Ok(value) = HeaderValue::from_str(token) {
        headers.append(PRAGMA, value);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::asf::Guid;
    use crate::asf::testing::{header, stream_of};
    use crate::wmsp::{Opened, PlayerKind, PlayerRequest, Refusal, reply};

    /// Parses the request by the server half.
    fn received(headers: HeaderMap) -> Option<Result<PlayerRequest, Refusal>> {
        let mut request = Request::get("/live").body(()).unwrap();
        *request.headers_mut() = headers;
        PlayerRequest::new(&request)
    }

    fn two_streams() -> FileHeader {
        let streams = [(1, Guid::AUDIO_MEDIA), (10, Guid::VIDEO_MEDIA)];
        header(
            1500,
            50,
            &streams.map(|(number, kind)| stream_of(number, kind, &[])),
        )
    }

    /// 2.2.2.1 Describe
    #[test]
    fn a_server_reads_a_describe() {
        let request = received(Player::new([7; 16]).describe()).unwrap().unwrap();
        assert_eq!(request.kind, PlayerKind::Describe);
        assert_eq!(request.client_id, None);
        assert!(request.agent.wants_metadata());
    }

    /// 2.2.2.6 Play, 2.2.1.4.27 stream-switch-entry
    #[test]
    fn a_server_reads_a_play_with_its_session_and_streams() {
        let mut player = Player::new([7; 16]);
        let session = Opened {
            client_id: 1_543_854_732,
            reset: false,
        };
        player.receive(reply::description(&session, 1, bytes::Bytes::new()).headers());
        let request = received(player.play(&two_streams())).unwrap().unwrap();
        assert_eq!(request.kind, PlayerKind::Play);
        assert_eq!(request.client_id, Some(1_543_854_732));
        let selected: Vec<_> = (1..128)
            .filter(|stream| request.selection.has(*stream))
            .collect();
        assert_eq!(selected, [1, 10, 0x5A], "exactly the streams of the header");
        assert!(!request.selection.is_all());
    }

    /// 2.2.1.4.33 xClientGUID
    #[test]
    fn the_client_guid_is_written_as_in_the_examples() {
        let player = Player::new([
            0x52, 0xCB, 0x2B, 0xDB, 0x69, 0x25, 0x4E, 0x19, 0x8D, 0x1D, 0x62, 0xD1, 0x0E, 0x9E,
            0x27, 0x05,
        ]);
        let headers = player.describe();
        let expected = "xClientGUID={52CB2BDB-6925-4E19-8D1D-62D10E9E2705}";
        assert!(
            headers
                .get_all(PRAGMA)
                .iter()
                .any(|value| value == expected)
        );
    }

    #[test]
    fn a_plain_request_does_not_use_this_protocol() {
        assert_eq!(received(Player::plain()), None);
    }
}
