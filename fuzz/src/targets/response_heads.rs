// SPDX-License-Identifier: MPL-2.0

//! Any responses of a server or proxy, in any state of a session.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use wmspush_proto::asf::{DataPacket, FileHeader};
use wmspush_proto::auth::{Credentials, Role, Schemes};
use wmspush_proto::wmhttp::{
    AccessConfig, Body, Event, HResult, Offer, PushSession, Request, Response, Secrets,
    SessionConfig, Transmit,
};

use super::invariants::header::file_header;
use super::messages::{Fixed, config};

/// May only occur in bytes for the server.
const PASSWORD: &str = "swordfish";

/// Successive responses of one kind to PushSetup, at most: five redirections, and some challenges at each place.
const MOST_ANSWERS: usize = 40;

/// The events of a session, and the heads of responses, one after the other.
#[derive(Arbitrary)]
struct Input<'a> {
    has_proxy: bool,
    has_credentials: bool,
    cleartext_basic: bool,
    encrypted: bool,
    happens: Vec<Happening>,
    heads: &'a [u8],
}

#[derive(Arbitrary)]
enum Happening {
    Response { body: u8 },
    Content(u8),
    NewHeader(u8),
    Credentials(bool),
    Resume(bool),
    Restart(bool),
    Silence,
    End,
    Lost,
}

/// Requests are well-formed, secrets stay hidden, and repeated responses come to an end.
pub fn run(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let mut client = PushSession::new(settings(&input), Fixed);
    client.configure_server();
    drain(&mut client);
    let (mut heads, mut last) = (input.heads, None);
    for happening in &input.happens {
        if let Happening::Response { body } = happening {
            let Some(response) = take_response(&mut heads, (*body).into()) else {
                break;
            };
            respond(&mut client, &response);
            last = Some(response);
        } else {
            happen(&mut client, happening);
        }
        drain(&mut client);
    }
    if let Some(last) = last {
        comes_to_an_end(&mut client, &last);
    }
}

/// Returns the settings of the session for this input.
fn settings(input: &Input<'_>) -> SessionConfig {
    let mut config = config();
    if input.encrypted {
        config.url = "https://media/live".parse().unwrap();
    }
    let credentials = || Credentials::new("STUDIO\\alice", PASSWORD.to_owned());
    config.access = AccessConfig {
        proxy: input
            .has_proxy
            .then(|| "http://proxy:3128/".parse().unwrap()),
        schemes: Schemes::ALL,
        cleartext_basic: input.cleartext_basic,
        credentials: input.has_credentials.then(credentials),
        proxy_credentials: input.has_credentials.then(credentials),
    };
    config
}

fn happen(client: &mut PushSession, happening: &Happening) {
    match *happening {
        Happening::Response { .. } => {}
        Happening::Content(byte) => {
            let _ = client.data_unit(DataPacket::parse(Bytes::from(vec![byte; 100])));
        }
        Happening::NewHeader(tag) => {
            let _ = client.start_streaming(header(tag));
        }
        Happening::Credentials(given) => {
            let credentials = given.then(|| Credentials::new("bob", PASSWORD.to_owned()));
            for role in [Role::Server, Role::Proxy] {
                let _ = client.provide(role, credentials.clone());
            }
        }
        Happening::Resume(with_header) => {
            client.connection_lost();
            client.resume(with_header.then(|| header(1)));
        }
        Happening::Restart(with_header) => client.restart(with_header.then(|| header(1))),
        Happening::Silence => drop(client.handle_silence()),
        Happening::Lost => client.connection_lost(),
        Happening::End => {
            let _: Offer<HResult> = client.end_of_stream(HResult::S_OK);
        }
    }
}

fn header(tag: u8) -> FileHeader {
    FileHeader::parse(file_header(100, 50, tag).into()).unwrap()
}

/// Returns the next response as the transport parses it, with `body` bytes of body.
fn take_response(heads: &mut &[u8], body: usize) -> Option<Response> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(size) = head.parse(heads).ok()? else {
        return None;
    };
    let headers = head.headers.iter().filter_map(|field| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(field.value).ok()?))
    });
    let headers = headers.collect();
    let (status, reason) = (head.code?, head.reason.unwrap_or_default().to_owned());
    let rest = &heads[size..];
    let (body, rest) = rest.split_at(body.min(rest.len()));
    *heads = rest;
    Some(Response {
        status: http::StatusCode::from_u16(status).ok()?,
        reason,
        headers,
        body: Bytes::copy_from_slice(body),
    })
}

/// Passes on a response like the transport does: without the secrets that the peer repeats.
fn respond(client: &mut PushSession, response: &Response) {
    let known = ["STUDIO\\alice", "bob"].map(|user| Credentials::new(user, PASSWORD.to_owned()));
    let response = response
        .clone()
        .redacted(&Secrets::of_credentials(known.iter()));
    if let Err(error) = client.handle_response(&response) {
        assert!(!client.has_transmits(), "nothing is sent after {error}");
        // A client without these credentials cannot recognise the password in a URL.
        let location = response.headers.get("location");
        let told =
            location.is_some_and(|url| knows_password(&String::from_utf8_lossy(url.as_bytes())));
        assert!(told || !knows_password(&format!("{error} {error:?}")));
    }
    assert!(!knows_password(&format!("{client:?} {response:?}")));
}

fn knows_password(text: &str) -> bool {
    text.contains(PASSWORD)
}

/// Polls all outputs. Returns whether there was a request among them.
fn drain(client: &mut PushSession) -> bool {
    let mut requested = false;
    assert!(!(client.is_ready() && client.awaits_response()));
    while let Some(transmit) = client.poll_transmit() {
        match transmit {
            Transmit::Request(request) => {
                is_whole(&request);
                requested = true;
            }
            Transmit::Compute(role, step) => client.computed(role, step.run()),
            Transmit::Body(bytes) => assert!(!bytes.is_empty()),
            Transmit::Close(_) => {}
        }
    }
    while client.poll_event().is_some() {}
    requested
}

/// The request line and the fields can be written, and announce the body that follows.
fn is_whole(request: &Request) {
    assert!(matches!(request.url.scheme(), "http" | "https"));
    assert!(request.url.has_host());
    assert_eq!((request.url.username(), request.url.password()), ("", None));
    let announced = request.headers.get(CONTENT_LENGTH);
    let follows = match &request.body {
        Body::Connect => None,
        Body::PushSetup(body) => Some(body.len() as u64),
        Body::PushStart { content_length } => Some(*content_length),
    };
    assert_eq!(announced.cloned(), follows.map(HeaderValue::from));
    if request.body == Body::Connect {
        assert!(request.proxy.is_some() && request.url.scheme() == "https");
        assert!(!request.headers.contains_key(AUTHORIZATION));
        assert!(!request.headers.contains_key(COOKIE));
    }
    // A URL may contain a password that the client does not know.
    let told = request.secrets.redact(PASSWORD) == PASSWORD;
    assert!(!knows_password(&request.shown_url()) || told);
    assert!(!knows_password(&format!("{request:?}")) || told);
    stays_with_its_party(request);
}

/// Configured credentials are sent only to their server and proxy, and no other proxy can read them.
fn stays_with_its_party(request: &Request) {
    let has_alice = |name| request.headers.get(name).is_some_and(names_alice);
    let proxy = request.proxy.as_ref().and_then(|proxy| proxy.host_str());
    if has_alice(AUTHORIZATION) {
        assert_eq!(request.url.host_str(), Some("media"));
        assert!(request.url.scheme() == "https" || proxy.is_none_or(|proxy| proxy == "proxy"));
    }
    if has_alice(PROXY_AUTHORIZATION) {
        assert_eq!(proxy, Some("proxy"));
    }
}

/// Returns whether these are the configured credentials, by Digest or Basic.
fn names_alice(value: &HeaderValue) -> bool {
    // `STUDIO\` in base64
    let forms: [&[u8]; 2] = [b"STUDIO", b"U1RVRElPX"];
    forms.iter().any(|form| {
        value
            .as_bytes()
            .windows(form.len())
            .any(|part| part == *form)
    })
}

/// Repeating a response to PushSetup ends the session or lets it in.
fn comes_to_an_end(client: &mut PushSession, response: &Response) {
    client.restart(None);
    let mut answers = 0;
    while drain(client) {
        assert!(answers < MOST_ANSWERS, "for ever: {response:?}");
        answers += 1;
        respond(client, response);
        while let Some(event) = client.poll_event() {
            if let Event::CredentialsWanted(wanted) = event {
                let _ = client.provide(wanted.role, None);
            }
        }
    }
}
