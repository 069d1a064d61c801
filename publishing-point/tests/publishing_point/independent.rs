// SPDX-License-Identifier: MPL-2.0

//! The publishing point with an independent HTTP client.

use bytes::Bytes;
use publishing_point::Handle;
use reqwest::{Client, Response};
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::Received;

use crate::client::{PATIENCE, end, packet, serve};

/// Calls `act` with a client.
fn with_client<F: Future<Output = T>, T>(act: impl FnOnce(Client) -> F) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = builder()
        .http1_title_case_headers()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .unwrap();
    runtime.block_on(act(client))
}

async fn post(
    client: &Client,
    point: &Handle,
    kind: &str,
    cookie: &str,
    body: Bytes,
) -> Result<Response, reqwest::Error> {
    let request = client
        .post(format!("http://{}/live", point.local_addr()))
        .header("Content-Type", format!("application/x-wms-{kind}"))
        .header("User-Agent", "WMEncoder/12.0")
        .header("Cookie", cookie)
        // reqwest omits it for an empty body.
        .header("Content-Length", body.len());
    request.body(body).send().await
}

fn builder() -> reqwest::ClientBuilder {
    // Fails unless it is the first call, which does not matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
}

#[test]
fn reqwest_pushes_a_stream() {
    let point = serve(|_| {});
    let header = packet(b'H', b"header");
    let data = packet(b'D', b"data");
    let body = [header, data, end(0)].concat();
    with_client(async |client| {
        let setup = post(&client, &point, "pushsetup", "push-id=0", Bytes::new()).await;
        let setup = setup.unwrap();
        assert_eq!(setup.status(), 204);
        let cookie = setup.headers()["set-cookie"].to_str().unwrap().to_owned();
        // After the end of the stream no response is required.
        let _ = post(&client, &point, "pushstart", &cookie, body.into()).await;
    });
    let over = |pushes: &[&publishing_point::Push]| pushes.iter().all(|push| push.over);
    let pushes = point
        .wait_for_pushes(over, PATIENCE)
        .expect("the push ends");
    let [push] = &pushes[..] else {
        panic!("{} pushes", pushes.len());
    };
    let [
        Received::Header(header),
        Received::Data(data),
        Received::EndOfStream(HResult::S_OK),
    ] = &push.received[..]
    else {
        panic!("{:?}", push.received);
    };
    assert_eq!((&header[..], &data[..]), (&b"header"[..], &b"data"[..]));
}

#[test]
fn reqwest_reads_the_status() {
    let point = serve(|_| {});
    let (kind, body) = with_client(async |client| {
        let url = format!("http://{}/status", point.local_addr());
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].clone();
        (kind, response.bytes().await.unwrap())
    });
    assert_eq!(kind, "application/json");
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status["points"].as_array().map(Vec::len), Some(0));
}
