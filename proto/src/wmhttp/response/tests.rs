// SPDX-License-Identifier: MPL-2.0

use super::*;

const OK: &str = "HTTP/1.1 200 Fine\r\nServer: Cougar/9.5\r\n";

/// Reads the response in `wire`, after which the connection closes.
fn read(wire: &str) -> Result<Option<(Response, bool)>, BadResponse> {
    read_by(ResponseReader::new(), wire)
}

fn read_by(
    mut reader: ResponseReader,
    wire: &str,
) -> Result<Option<(Response, bool)>, BadResponse> {
    let stage = reader.push(wire.as_bytes())?;
    let reusable = stage == Stage::Complete;
    let complete = reusable || reader.end();
    Ok(complete.then(|| reader.finish().unwrap()))
}

fn body(rest: &str) -> (String, bool) {
    let (response, reusable) = read(&format!("{OK}{rest}")).unwrap().unwrap();
    let body = String::from_utf8(response.body.to_vec()).unwrap();
    (body, reusable)
}

fn is_complete(rest: &str) -> bool {
    read(&format!("{OK}{rest}")).unwrap().is_some()
}

#[test]
fn a_head_has_status_reason_and_fields() {
    let wire = format!("{OK}Set-Cookie: push-id=1\r\nSet-Cookie: a\r\nContent-Length: 0\r\n\r\n");
    let (response, reusable) = read(&wire).unwrap().unwrap();
    assert_eq!(
        (response.status, response.reason.as_str()),
        (StatusCode::OK, "Fine")
    );
    assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(response.headers["server"], "Cougar/9.5");
    assert!(reusable && response.body.is_empty());
}

/// RFC 9112 section 6.3 Message Body Length
#[test]
fn the_head_decides_the_end_of_the_body() {
    assert_eq!(
        body("Content-Length: 4\r\n\r\nbody"),
        ("body".to_owned(), true)
    );
    assert_eq!(
        body("Content-Length: 4, 4\r\n\r\nbody"),
        ("body".to_owned(), true)
    );
    assert_eq!(
        body("Content-Length: 3\r\n\r\nbody"),
        ("bod".to_owned(), false)
    );
    assert_eq!(body("\r\nbody"), ("body".to_owned(), false));
    assert_eq!(
        body("Transfer-Encoding: gzip\r\n\r\nbody"),
        ("body".to_owned(), false)
    );
    assert!(!is_complete("Content-Length: 5\r\n\r\nbody"));
    assert!(!is_complete("Content-Length: 5\r\n"));
    let silent = read("HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
    assert!(silent.1);
    let silent = read("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n")
        .unwrap()
        .unwrap();
    assert!(silent.1);
}

/// RFC 9112 section 7.1 Chunked Transfer Coding
#[test]
fn chunks_are_joined() {
    let chunked = |rest: &str| format!("Transfer-Encoding: Chunked\r\n\r\n{rest}");
    let whole = chunked("2;a=b\r\nbo\r\n02\r\ndy\r\n0\r\nTrailer: 1\r\n\r\n");
    assert_eq!(body(&whole), ("body".to_owned(), true));
    assert!(!is_complete(&chunked("2\r\nbo\r\n")));
    assert!(!is_complete(&chunked("0\r\n")));
    for bad in ["x\r\n", "2\r\nbody\r\n", "fffffffffffffffff\r\n"] {
        let read = read(&format!("{OK}{}", chunked(bad)));
        assert_eq!(read.err(), Some(BadResponse::Chunk), "{bad}");
    }
    let endless = format!("0\r\n{}", "a".repeat(MAX_LINE));
    assert_eq!(
        read(&format!("{OK}{}", chunked(&endless))).err(),
        Some(BadResponse::Chunk)
    );
}

#[test]
fn only_the_beginning_of_a_long_body_is_kept() {
    for rest in [
        format!(
            "Content-Length: 1000000\r\n\r\n{}",
            "a".repeat(MAX_BODY + 9)
        ),
        format!(
            "Transfer-Encoding: chunked\r\n\r\nfffff\r\n{}",
            "a".repeat(MAX_BODY + 9)
        ),
        format!("\r\n{}", "a".repeat(MAX_BODY + 9)),
    ] {
        assert_eq!(body(&rest), ("a".repeat(MAX_BODY), false));
    }
}

#[test]
fn a_connection_is_reusable_if_the_server_keeps_it() {
    let reusable = |line: &str, field: &str| {
        let wire = format!("{line} 200 OK\r\nContent-Length: 0\r\n{field}\r\n");
        read(&wire).unwrap().unwrap().1
    };
    assert!(reusable("HTTP/1.1", ""));
    assert!(!reusable("HTTP/1.1", "Connection: a, Close\r\n"));
    assert!(!reusable("HTTP/1.0", ""));
    assert!(reusable("HTTP/1.0", "Connection: Keep-Alive\r\n"));
}

/// RFC 9112 section C.2.2 Keep-Alive Connections: proxies older than HTTP/1.1 send it instead of Connection.
#[test]
fn proxy_connection_keeps_a_connection_too() {
    let reusable = |line: &str, field: &str| {
        let wire = format!("{line} 407 No\r\nContent-Length: 0\r\n{field}\r\n\r\n");
        read(&wire).unwrap().unwrap().1
    };
    assert!(reusable("HTTP/1.0", "Proxy-Connection: Keep-Alive"));
    assert!(!reusable("HTTP/1.1", "Proxy-Connection: close"));
    assert!(!reusable(
        "HTTP/1.0",
        "Connection: close\r\nProxy-Connection: keep-alive"
    ));
}

/// RFC 9110 section 9.3.6 CONNECT
#[test]
fn a_tunnel_begins_after_the_head() {
    for head in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
        "HTTP/1.1 204 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nProxy-Connection: close\r\n\r\n",
        "HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let mut reader = ResponseReader::to_connect();
        assert_eq!(reader.push(head.as_bytes()), Ok(Stage::Complete), "{head}");
        let (response, reusable) = reader.finish().unwrap();
        assert!(response.status.is_success() && response.body.is_empty());
        assert!(reusable, "{head}");
        // A server that speaks first does not use TLS.
        let early = read_by(ResponseReader::to_connect(), &format!("{head}220 Hello"));
        assert!(!early.unwrap().unwrap().1, "{head}");
    }
}

/// RFC 9110 section 9.3.6 CONNECT: only 2xx opens a tunnel.
#[test]
fn a_refusal_of_connect_has_its_body() {
    let wire = "HTTP/1.1 407 No\r\nContent-Length: 4\r\n\r\nbody";
    for (wire, reusable) in [(wire.to_owned(), true), (format!("{wire}more"), false)] {
        let read = read_by(ResponseReader::to_connect(), &wire);
        let (response, kept) = read.unwrap().unwrap();
        assert_eq!((&*response.body, kept), (&b"body"[..], reusable));
    }
    let mut reader = ResponseReader::to_connect();
    let unfinished = b"HTTP/1.1 407 No\r\nContent-Length: 4\r\n\r\nbo";
    assert_eq!(reader.push(unfinished), Ok(Stage::Body));
}

/// RFC 9110 section 15.2 Informational 1xx
#[test]
fn interim_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\nA: b\r\n\r\n";
    let (response, _) = read(&format!("{interim}{OK}\r\n")).unwrap().unwrap();
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(read(interim), Ok(None));
}

/// RFC 9110 section 15.2.2 101 Switching Protocols: the bytes after it are not HTTP.
#[test]
fn a_switch_of_protocols_is_complete_without_a_body() {
    let mut reader = ResponseReader::new();
    let wire = b"HTTP/1.1 101 Go\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(reader.push(wire), Ok(Stage::Complete));
    let (response, reusable) = reader.finish().unwrap();
    assert_eq!(response.status, StatusCode::SWITCHING_PROTOCOLS);
    assert!(response.body.is_empty() && !reusable);
}

/// Old servers send fields that RFC 9112 section 5 Field Syntax no longer allows.
#[test]
fn fields_of_old_servers_are_read() {
    let wire =
        "HTTP/1.0 200 OK\r\nServer : Cougar/9.5\r\nPragma: a,\r\n b\r\nContent-Length: 0\r\n\r\n";
    let (response, _) = read(wire).unwrap().unwrap();
    assert_eq!(response.headers["server"], "Cougar/9.5");
    assert!(response.headers.contains_key("pragma"));
}

#[test]
fn invalid_responses_are_errors() {
    for bad in [
        "\x16\x03\x01",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
    ] {
        assert!(matches!(read(bad), Err(BadResponse::Head(_))), "{bad}");
    }
    for length in ["a", "-1", "+1", "1, 2", ""] {
        let wire = format!("{OK}Content-Length: {length}\r\n\r\n");
        assert_eq!(read(&wire).err(), Some(BadResponse::Length), "{length}");
    }
    assert_eq!(
        read("HTTP/1.1 099 No\r\n\r\n").err(),
        Some(BadResponse::Status)
    );
    let many = format!("{OK}{}\r\n", "A: b\r\n".repeat(MAX_FIELDS));
    assert_eq!(
        read(&many).err(),
        Some(BadResponse::Head(httparse::Error::TooManyHeaders))
    );
    let huge = format!("{OK}A: {}", "b".repeat(MAX_HEAD));
    assert_eq!(read(&huge).err(), Some(BadResponse::TooLarge));
    assert_eq!(
        read(&format!("{huge}\r\n\r\n")).err(),
        Some(BadResponse::TooLarge)
    );
}

/// The response does not depend on the sizes of the reads.
#[test]
fn a_response_may_arrive_byte_by_byte() {
    let wire = format!(
        "HTTP/1.1 100 Continue\r\n\r\n{OK}Transfer-Encoding: chunked\r\n\r\n\
         4\r\nbody\r\n0\r\n\r\n"
    );
    let whole = read(&wire).unwrap();
    for size in 1..20 {
        let mut reader = ResponseReader::new();
        let mut stages = Vec::new();
        for bytes in wire.as_bytes().chunks(size) {
            stages.push(reader.push(bytes).unwrap());
        }
        assert!(stages.is_sorted());
        assert_eq!(stages.last(), Some(&Stage::Complete), "{size}");
        assert_eq!(reader.finish(), whole, "{size}");
    }
}
