// SPDX-License-Identifier: MPL-2.0

//! RFC 9110 section 9.3.6 CONNECT: the tunnel to an `https` URL behind a proxy.

use super::*;

mod challenges;

const OPENED: &str = "HTTP/1.1 200 Connection established";

const PROXY_DIGEST: &str = r#"Digest realm="P", nonce="p1", qop="auth""#;

/// Returns settings with an `https` URL behind a proxy.
fn config_behind(access: AccessConfig) -> SessionConfig {
    SessionConfig {
        url: url("https://media/live"),
        remove_padding: false,
        access,
        ..config()
    }
}

impl Client {
    /// Returns a session that has sent its first request, which is CONNECT.
    fn tunnelled(access: AccessConfig) -> (Self, Request) {
        let mut client = Self(PushSession::new(config_behind(access), Fixed));
        client.0.configure_server();
        let connect = client.connect();
        (client, connect)
    }

    /// Returns the only output, which is CONNECT: nothing else happens before its response.
    fn connect(&mut self) -> Request {
        assert!(self.0.has_transmits() && self.0.owes_request());
        let mut sent = self.sent();
        let request = sent.requests.pop().expect("a request");
        assert!(
            sent.nothing() && request.body == Body::Connect,
            "{request:?}"
        );
        self.assert_waits_for_tunnel();
        assert!(self.0.awaits_response());
        request
    }

    fn assert_waits_for_tunnel(&mut self) {
        assert!(!self.0.has_transmits() && !self.0.owes_request() && !self.0.owes_body());
        assert!(!self.0.is_ready() && !self.0.is_streaming() && self.0.is_using_proxy());
        assert!(matches!(self.0.start_streaming(header()), Offer::Held(_)));
        assert!(matches!(self.0.data_unit(packet(1500)), Offer::Held(_)));
        assert!(matches!(self.0.new_header(header()), Offer::Held(_)));
        let end = self.0.end_of_stream(HResult::S_OK);
        assert!(matches!(end, Offer::Held(_)));
        assert!(!self.0.handle_silence());
        assert!(self.sent().nothing());
    }

    /// Opens the tunnel, and returns the PushSetup through it.
    fn opened(&mut self) -> Request {
        self.events();
        self.answer(OPENED);
        assert_eq!(self.events(), []);
        self.push_setup()
    }

    /// Returns a session that streams through a tunnel.
    fn streaming_in_tunnel(access: AccessConfig) -> Self {
        let (mut client, _) = Self::tunnelled(access);
        client.opened();
        client.accepted();
        client.start();
        client.events();
        client
    }
}

fn line(request: &Request) -> String {
    let head = String::from_utf8(request.head().to_vec()).unwrap();
    head.split_once("\r\n").unwrap().0.to_owned()
}

fn names_of(request: &Request) -> Vec<&str> {
    request.headers.keys().map(|name| name.as_str()).collect()
}

/// C-019, C-074: CONNECT names the server and carries no field for it. Requests through the tunnel are the same as
/// without a proxy.
#[test]
fn connect_precedes_the_requests() {
    let extra = HeaderMap::from_iter(
        [("x-key", "s3cret")]
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())),
    );
    let config = SessionConfig {
        extra_headers: extra,
        ..config_behind(proxied())
    };
    let mut client = Client(PushSession::new(config, Fixed));
    client.0.configure_server();
    let connect = client.connect();
    assert_eq!(names_of(&connect), ["user-agent", "proxy-connection"]);
    assert_eq!(field(&connect, "proxy-connection"), Some("Keep-Alive"));
    assert_eq!(connect.target(), "media:443");
    let head = String::from_utf8(connect.head().to_vec()).unwrap();
    assert!(head.starts_with("CONNECT media:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.ends_with("\r\nHost: media:443\r\n\r\n"), "{head}");
    assert!(!connect.fresh);

    let setup = client.opened();
    assert_eq!(line(&setup), "POST /live HTTP/1.1");
    assert_eq!(field(&setup, "proxy-connection"), None);
    assert_eq!(field(&setup, "x-key"), Some("s3cret"));
    assert_eq!(cookie(&setup), "push-id=0");
    client.accepted();
    let start = client.start();
    assert_eq!(line(&start), "POST /live HTTP/1.1");
    for request in [&connect, &setup, &start] {
        assert_eq!(request.url, url("https://media/live"));
        assert_eq!(request.proxy, Some(url("http://proxy:3128/")));
        assert_anonymous(request);
    }
    assert!(!setup.fresh && !start.fresh);
}

/// RFC 9110 section 9.3.6 CONNECT: any 2xx.
#[test]
fn any_success_opens_a_tunnel() {
    for answer in [
        "HTTP/1.1 200 OK\nContent-Length: 7",
        "HTTP/1.1 204 Fine\nServer: Apache",
        "HTTP/1.1 299 Fine\nSet-Cookie: push-id=66\nSet-Cookie: a=b\nVia: 1.1 x",
    ] {
        let (mut client, _) = Client::tunnelled(proxied());
        client.answer(answer);
        // The proxy's fields must not change the request to the server.
        assert_eq!(cookie(&client.push_setup()), "push-id=0");
    }
}

/// Without a proxy, or without TLS, there is no tunnel.
#[test]
fn only_a_proxy_before_tls_makes_a_tunnel() {
    for (location, access) in [
        ("https://media/live", known()),
        ("http://media/live", proxied()),
    ] {
        let config = SessionConfig {
            url: url(location),
            access,
            ..config()
        };
        let mut client = Client(PushSession::new(config, Fixed));
        client.0.configure_server();
        client.push_setup();
    }
}

/// Every connection needs a tunnel of its own.
#[test]
fn a_lost_connection_needs_another_tunnel() {
    let (mut client, _) = Client::tunnelled(proxied());
    client.opened();
    client.accepted();
    client.0.connection_lost();
    assert_eq!(client.0.start_streaming(header()), Offer::Taken);
    assert!(!client.connect().fresh);
    client.answer(OPENED);
    let (start, body) = client.push_start();
    assert!(!start.fresh);
    assert_eq!(body, h());
    client.data();
    assert_eq!(client.sent().body, d());
}

/// A proxy closes instead of answering CONNECT: the request waits for the next tunnel.
#[test]
fn a_tunnel_lost_on_the_way_is_requested_again() {
    let (mut client, _) = Client::tunnelled(proxied());
    for _ in 0..3 {
        client.0.connection_lost();
        client.connect();
    }
    client.opened();
}

/// 3.2.7.1 TCP Connection Is Disconnected: the connection of a resumption is a new one, and so is its tunnel.
#[test]
fn a_resumption_opens_a_tunnel_first() {
    let mut client = Client::streaming_in_tunnel(proxied());
    for _ in 0..3 {
        assert!(client.0.resume(Some(header())));
        assert!(client.connect().fresh);
        client.answer(OPENED);
        let (start, body) = client.push_start();
        assert!(!start.fresh && body.is_empty());
        client.data();
        assert_eq!(client.sent().body, d());
    }
    client.0.restart(Some(header()));
    assert!(client.connect().fresh);
    assert!(!client.opened().fresh);
}

/// A tunnel that opens after a restart belongs to the old session.
#[test]
fn a_restarted_session_opens_its_own_tunnel() {
    let (mut client, _) = Client::tunnelled(proxied());
    client.0.restart(None);
    assert!(client.connect().fresh);
    client.answer(&proxy_unauthorized("NTLM"));
    client.0.restart(None);
    assert!(client.connect().fresh);
    client.opened();
}

/// Any status other than 2xx and 407 is a refusal of the proxy, which has not contacted the server.
#[test]
fn a_refusal_of_connect_is_the_proxys() {
    for line in [
        "302 Found",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 Method Not Allowed",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ] {
        let (mut client, _) = Client::tunnelled(proxied());
        let answer = format!("HTTP/1.1 {line}\nLocation: http://other/\nRetry-After: 7");
        let expected = Error::Refused {
            role: Role::Proxy,
            status: line[..3].parse().unwrap(),
            reason: line[4..].to_owned(),
            server: String::new(),
            retry_after: Some(std::time::Duration::from_secs(7)),
        };
        let error = client.fails(&answer);
        assert_eq!(error, expected);
        assert_eq!(error.to_string(), format!("the proxy refused with {line}"));
    }
}

/// Responses inside the tunnel come from the server, whatever the status.
#[test]
fn a_refusal_in_the_tunnel_is_the_servers() {
    for line in ["403 Forbidden", "407 And you?", "503 Busy"] {
        for streams in [false, true] {
            let mut client = if streams {
                Client::streaming_in_tunnel(proxied())
            } else {
                let (mut client, _) = Client::tunnelled(proxied());
                client.opened();
                client
            };
            let error = client.fails(&format!("HTTP/1.1 {line}\nProxy-Authenticate: {DIGEST}"));
            let role = Role::Server;
            assert!(matches!(error, Error::Refused { role: found, .. } if found == role));
        }
    }
}

/// 3.1.5.1 Receiving a PushSetup Response: C-201, C-204, C-207: a tunnel leads to one server.
#[test]
fn a_redirection_needs_another_tunnel() {
    for (from, location, authority) in [
        (
            "https://media/live",
            "https://other:8443/live",
            Some("other:8443"),
        ),
        ("https://media/live", "/other", Some("media:443")),
        ("http://media/live", "https://other/live", Some("other:443")),
        ("http://media/live", "http://other/live", None),
    ] {
        let config = SessionConfig {
            url: url(from),
            ..config_behind(proxied())
        };
        let mut client = Client(PushSession::new(config, Fixed));
        client.0.configure_server();
        if from.starts_with("https") {
            client.connect();
            client.opened();
        } else {
            client.push_setup();
        }
        client.answer(&redirect(302, location));
        let Some(authority) = authority else {
            assert!(client.push_setup().fresh);
            continue;
        };
        let connect = client.connect();
        assert!(connect.fresh);
        assert_eq!(connect.target(), authority);
        let setup = client.opened();
        assert!(!setup.fresh);
        assert_eq!(setup.url, url(from).join(location).unwrap());
    }
}

/// 3.1.5.1 Receiving a PushSetup Response: C-205: the proxy that a server names has to open a tunnel too.
#[test]
fn a_named_proxy_opens_a_tunnel_too() {
    let config = config_behind(known());
    let mut client = Client(PushSession::new(config, Fixed));
    client.0.configure_server();
    client.push_setup();
    client.answer(&redirect(305, "http://elsewhere:3128/"));
    let connect = client.connect();
    assert_eq!(connect.proxy, Some(url("http://elsewhere:3128/")));
    assert!(connect.fresh);
    assert_eq!(connect.target(), "media:443");
    assert_eq!(client.opened().proxy, connect.proxy);
}

/// Some receivers end the session with the body, without a response: the new session has a new tunnel.
#[test]
fn silence_is_followed_by_a_new_tunnel() {
    let config = SessionConfig {
        content_length: Some(length(4)),
        ..config_behind(proxied())
    };
    let mut client = Client(PushSession::new(config, Fixed));
    client.0.configure_server();
    client.connect();
    client.opened();
    client.accepted();
    client.start();
    for _ in 0..3 {
        client.data();
    }
    assert!(matches!(client.0.data_unit(packet(1500)), Offer::Held(_)));
    client.sent();
    assert!(client.0.handle_silence());
    client.events();
    assert!(client.connect().fresh);
    client.opened();
}

/// 3.1.5 Message Processing Events and Sequencing Rules: C-074: all content is received in order through tunnels.
#[test]
fn a_whole_session_goes_through_a_tunnel() {
    let content = fixture("av_asfmux_p1500_streamable.asf");
    let config = SessionConfig {
        content_length: Some(20_000),
        remove_padding: true,
        ..config_behind(proxied())
    };
    let pair = Pair::run(config, content);
    assert_eq!(pair.violations, [""; 0]);
    assert!(pair.closed && pair.bodies.len() > 2);
    assert!(pair.letters().ends_with('0'));
    assert_eq!(pair.tunnels, 1);
}
