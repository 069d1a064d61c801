// SPDX-License-Identifier: MPL-2.0

//! Refusals by status: after an accepted push, at each connection, and during a flood.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::LONG;
use crate::asf::Stream;
use crate::connection::Connection;
use crate::line::Security;
use crate::push::{Kind, Pace, Push};
use crate::receiver::Receiver;
use crate::tls;

/// Accepts one push, resets it, and refuses each PushStart from then on.
fn refuses_later(status: &'static str) -> Receiver {
    Receiver::new(move |mut connection| {
        connection.let_in()?;
        if connection.number > 0 {
            return connection.refuse(status);
        }
        connection.packets(20)?;
        connection.reset()
    })
}

fn a_refusal_after_a_loss_is_retried(status: &'static str, code: &str) {
    let receiver = refuses_later(status);
    let location = receiver.location();
    let mut push = Push::new(&Stream::of(2000), &location, "reconnect-timeout=3000");
    push.play();
    let (report, at) = push.fail();
    let (took, story) = (at - receiver.first_loss(), push.story());
    let records = receiver.records();
    let requests = records.iter().flat_map(|record| &record.requests);
    let starts: Vec<_> = requests
        .filter(|request| !request.is_setup())
        .map(|request| request.at)
        .collect();
    assert!(starts.len() <= 8, "{} PushStarts{story}", starts.len());
    let longest = starts.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest >= Some(Duration::from_millis(700)), "{story}");
    assert!((2900..6000).contains(&took.as_millis()), "{took:?}{story}");
    assert_eq!(report.code, code, "{story}");
    assert!(status.starts_with(&report.http_status().to_string()));
}

/// A2
#[test]
fn a_later_refusal_is_an_error_within_the_timeout() {
    let refusals = [
        ("403 Forbidden", "RESOURCE/NotAuthorized"),
        ("409 Conflict", "RESOURCE/Busy"),
        ("503 Service Unavailable", "RESOURCE/Busy"),
    ];
    let threads = refusals.map(|(status, code)| {
        std::thread::spawn(move || a_refusal_after_a_loss_is_retried(status, code))
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

const ALICE: &str = "user-id=alice user-pw=s3cret";

/// Accepts a push with this nonce, and challenges the others. `None` after a PushStart with another nonce.
fn let_in_by_digest(mut connection: Connection, nonce: &str) -> io::Result<Option<Connection>> {
    let nonce = format!("nonce=\"{nonce}\"");
    loop {
        let request = connection.request()?;
        let authorization = request.field("Authorization").unwrap_or_default();
        if !authorization.contains(&nonce) {
            let stale = !authorization.is_empty();
            let challenge = format!(
                "WWW-Authenticate: Digest realm=\"live\", {nonce}, qop=\"auth\", stale={stale}\r\n\
                 Content-Length: 0\r\n"
            );
            connection.answer("401 Unauthorized", &challenge)?;
            if request.is_setup() {
                continue;
            }
            connection.until_it_leaves()?;
            return Ok(None);
        }
        if !request.is_setup() {
            return Ok(Some(connection));
        }
        connection.accept_setup()?;
    }
}

/// The lifetime of a nonce.
#[derive(Clone, Copy, Debug)]
enum Nonce {
    OneConnection,
    UntilALoss,
}

fn nonces_are_answered(validity: Nonce) {
    const LOSSES: usize = 4;
    let losses = AtomicUsize::new(0);
    let receiver = Receiver::new(move |connection| {
        let nonce = match validity {
            Nonce::OneConnection => format!("connection-{}", connection.number),
            Nonce::UntilALoss => format!("losses-{}", losses.load(Ordering::SeqCst)),
        };
        let Some(mut connection) = let_in_by_digest(connection, &nonce)? else {
            return Ok(());
        };
        if losses.load(Ordering::SeqCst) < LOSSES {
            connection.packets(10)?;
            losses.fetch_add(1, Ordering::SeqCst);
            return connection.reset();
        }
        connection.serve_data()
    });
    let properties = format!("{ALICE} eos-timeout=10000");
    let mut push = Push::new(&Stream::of(600), &receiver.location(), &properties);
    push.play();
    push.end_well();
    let story = format!("{validity:?}{}", push.story());
    assert!(receiver.numbers().contains(&599), "{story}");
    let records = receiver.records();
    let served = records.iter().filter(|record| !record.packets.is_empty());
    assert!(served.count() > LOSSES, "{story}");
    assert!(records.len() <= 4 * LOSSES, "{story}");
}

/// A6
#[test]
fn a_new_nonce_is_answered_after_each_loss() {
    let all = [Nonce::OneConnection, Nonce::UntilALoss];
    let threads = all.map(|validity| std::thread::spawn(move || nonces_are_answered(validity)));
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A6
#[test]
fn a_new_nonce_is_answered_after_ready() {
    let receiver = Receiver::new(|connection| {
        let nonce = format!("connection-{}", connection.number);
        match let_in_by_digest(connection, &nonce)? {
            Some(connection) => connection.serve_data(),
            None => Ok(()),
        }
    });
    let mut push = Push::new(&Stream::of(100), &receiver.location(), ALICE);
    for run in 1..=3 {
        push.play();
        receiver.wait_for_packets(20 * run);
        push.stop();
    }
    push.play();
    push.end_well();
    assert_eq!(push.errors(), 0, "{}", push.story());
}

/// A8
#[test]
fn a_year_of_retry_after_is_capped_and_posted() {
    let receiver = Receiver::new(|mut connection| {
        if connection.number > 0 {
            connection.request()?;
            let fields = "Retry-After: 31536000\r\nContent-Length: 0\r\nConnection: close\r\n";
            return connection.answer("503 Service Unavailable", fields);
        }
        connection.let_in()?;
        connection.packets(20)?;
        connection.reset()
    });
    let properties = "reconnect-timeout=4294967295";
    let mut push = Push::new(&Stream::of(3000), &receiver.location(), properties);
    push.play();
    let retry_in = |kind: &Kind| match kind {
        Kind::Status(status) => status.get::<u32>("retry-in").unwrap(),
        _ => 0,
    };
    // Longer than any backoff.
    let posted = push.find(LONG, |kind| retry_in(kind) > 10_000);
    let posted = posted.map(|message| retry_in(&message.kind));
    assert!(
        posted.is_some_and(|wait| wait <= 300_000),
        "{posted:?}{}",
        push.story()
    );
}

/// Accepts PushSetup, and responds to PushStart at once.
fn answers_at_once(security: Option<Security>, status: &'static str) -> Receiver {
    let fields =
        "WWW-Authenticate: Basic realm=\"live\"\r\nContent-Length: 0\r\nConnection: close\r\n";
    let script = move |mut connection: Connection| {
        connection.let_in()?;
        connection.answer(status, fields)
    };
    match security {
        Some(security) => Receiver::tls(security, script),
        None => Receiver::new(script),
    }
}

/// Returns the statuses in the ERRORs of this many floods; 0 without one.
fn statuses(receiver: &Receiver, floods: usize) -> Vec<u32> {
    let properties = format!("reconnect-timeout=0 ssl-ca-file={}", tls::authority());
    let flood = |_| {
        let stream = Stream::of(3000);
        let mut push = Push::with(Pace::Flood, &stream, &receiver.location(), &properties);
        push.play();
        match &push.end().kind {
            Kind::Error(report) => report.http_status(),
            _ => 0,
        }
    };
    (0..floods).map(flood).collect()
}

/// A11
#[test]
fn no_status_is_lost_under_a_flood() {
    const FLOODS: usize = 12;
    for (status, code) in [("403 Forbidden", 403), ("401 Unauthorized", 401)] {
        for security in [None, Some(tls::security())] {
            let receiver = answers_at_once(security, status);
            let found = statuses(&receiver, FLOODS);
            assert_eq!(found, [code; FLOODS], "{}", receiver.location());
        }
    }
}
