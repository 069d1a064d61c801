// SPDX-License-Identifier: MPL-2.0

//! The tables of `docs/troubleshooting.md` are generated from the code.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use tokio::time::Instant;

use super::samples::{Examples, STATUSES, denied, examples, refused};
use super::*;
use crate::auth::Denied;
use crate::push::reconnect::{Policy, Reconnect};

const UPDATE: &str = "WMSPUSH_UPDATE_DOCS";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md")
}

#[test]
fn troubleshooting_has_the_tables_of_the_code() {
    let examples = examples();
    let is = fs::read_to_string(path()).unwrap();
    let mut should_be = is.clone();
    for (name, table) in [
        ("reasons", reasons(examples)),
        ("statuses", statuses(examples)),
    ] {
        should_be = with_table(&should_be, name, &table);
    }
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        fs::write(path(), should_be).unwrap();
        return;
    }
    let wrong = should_be
        .lines()
        .zip(is.lines())
        .find(|(new, old)| new != old);
    assert!(
        is == should_be,
        "`{UPDATE}=1 cargo test --lib push::error` writes {wrong:?}"
    );
}

#[test]
fn each_hresult_of_a_failure_is_in_the_guide() {
    let guide = path().with_file_name("moving-from-the-windows-media-format-sdk.md");
    let guide = fs::read_to_string(guide).unwrap();
    let is_missing = |failure: &&Failure| {
        let hresult = failure.hresult();
        let row = format!("| `{}` | 0x{:08X} |", hresult.name(), hresult.0);
        let reason = format!("`{}`", failure.reason());
        let is_row = |line: &str| line.starts_with(&row) && line.contains(&reason);
        !guide.lines().any(is_row)
    };
    let missing = examples().values().filter(is_missing);
    let missing: Vec<_> = missing
        .map(|failure| (failure.hresult().name(), failure.reason()))
        .collect();
    assert_eq!(missing, [("", ""); 0]);
}

/// Replaces the text between the comments that name the table.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name}: made from the code -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = text.split_once(&begin).expect(&begin);
    let (_, after) = rest.split_once(&end).expect(&end);
    format!("{before}{begin}\n{table}\n{end}{after}")
}

/// The symptoms, except the refusals, which are listed by status.
fn reasons(examples: &Examples) -> String {
    let mut table =
        "| `reason` | the text | what to do | again |\n| --- | --- | --- | --- |\n".to_owned();
    for symptom in Symptom::ALL {
        // The hint for the other cases has the plainest circumstances.
        let plain = examples.get(&(*symptom as usize, symptom.row().hints.len() - 1));
        let plain = plain.unwrap();
        let text = match symptom {
            Symptom::NotAsf | Symptom::MalformedAsf => "what is wrong with the input".to_owned(),
            // Same cell as in the row before.
            Symptom::Reset => continue,
            Symptom::Closed => "media:80 closed (reset) the connection".to_owned(),
            _ => escaped(&plain.to_string()),
        };
        let reason = match symptom {
            Symptom::Closed => "connection-closed`, `connection-reset",
            _ => symptom.row().reason,
        };
        if !is_of_status(plain) {
            let (hints, again) = (hints(examples, *symptom), again(&plain.error));
            writeln!(table, "| `{reason}` | {text} | {hints} | {again} |").unwrap();
        }
    }
    table
}

/// Each status. Those with the same HRESULT and the same hints share a row.
fn statuses(examples: &Examples) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut numbers: Vec<_> = STATUSES.into_iter().chain([401]).collect();
    numbers.sort_unstable();
    for number in numbers {
        let error = match number {
            401 => denied(Role::Server, Denied::WrongCredentials),
            407 => denied(Role::Proxy, Denied::WrongCredentials),
            number => refused(number, ""),
        };
        let failure = Failure::new(Phase::Setup, error);
        let hints = match failure.reason() {
            "denied" => "See `denied` [above](#by-reason).".to_owned(),
            _ => hints(examples, Symptom::of(failure.phase, &failure.error)),
        };
        let (name, again) = (failure.hresult().name(), again(&failure.error));
        let rest = format!("`{name}` | {hints} | {again} |");
        let label = match number {
            302 => "3xx".to_owned(),
            499 => "other 4xx".to_owned(),
            599 => "other 5xx".to_owned(),
            number => number.to_string(),
        };
        match rows.iter_mut().find(|(_, other)| *other == rest) {
            Some((labels, _)) => *labels += &format!(", {label}"),
            None => rows.push((label, rest)),
        }
    }
    let mut table =
        "| status | HRESULT | what to do | again |\n| --- | --- | --- | --- |\n".to_owned();
    for (labels, rest) in rows {
        writeln!(table, "| {labels} | {rest}").unwrap();
    }
    table
}

fn is_of_status(failure: &Failure) -> bool {
    matches!(
        &failure.error,
        Error::Protocol(wmhttp::Error::Refused {
            role: Role::Server,
            ..
        })
    )
}

/// The hints of a kind of failure, each with its conditions, and the link to more.
fn hints(examples: &Examples, symptom: Symptom) -> String {
    let row = symptom.row();
    let mut cells = Vec::new();
    for (place, (when, _)) in row.hints.iter().enumerate() {
        let shown = examples.get(&(symptom as usize, place)).unwrap();
        let hint = escaped(&shown.hint());
        let conditions: Vec<_> = when.iter().map(|when| condition(*when)).collect();
        let hint = match (symptom, conditions.is_empty()) {
            (Symptom::NotAsf | Symptom::MalformedAsf, _) => {
                "`hint` depends on the input, and has a pipeline where there is one".to_owned()
            }
            (_, true) if row.hints.len() > 1 => format!("*Otherwise:* {hint}"),
            (_, true) => hint,
            (_, false) => format!("*If {}:* {hint}", conditions.join(" and ")),
        };
        cells.push(hint);
    }
    if !row.see.is_empty() {
        cells.push(format!("[More](#{})", row.see));
    }
    cells.join("<br>")
}

fn condition(when: When) -> &'static str {
    match when {
        When::DuringSetup => "PushSetup has not succeeded",
        When::Accepted => "a push was accepted before",
        When::Repeated => "each connection ends after it has received data",
        When::Proxied => "there is a proxy",
        When::Relayed => "a proxy passes requests on",
        When::Encrypted => "the location is https",
        When::SetupBody => "template-url or auto-destroy is set",
        When::WebServer => "the Server field is that of a web server",
        When::OtherServer => "there is a Server field of another server",
        When::ProxySoftware => "the Server field is that of a proxy",
        When::MediaServer => "the Server field is that of Windows Media Services",
        When::Redirected => "the location redirects to another server",
        When::NamedProxy => "a server has named the proxy in a redirection",
        When::NoPassword => "user-id is set, and user-pw is not",
        When::NoProxyPassword => "proxy-id is set, and proxy-pw is not",
        When::KnownOffered => "the element knows one of the offered schemes",
        When::PlainUser => "user-id has no domain",
        When::BasicOffered => "Basic is offered without encryption",
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('*', "\\*")
}

/// Describes whether the policy retries: at first with `retry-first-connect`, and after a push was accepted.
fn again(error: &Error) -> &'static str {
    let policy = Policy {
        timeout: Duration::from_secs(300),
        retry_first: true,
        resume: true,
        proxied: false,
    };
    let now = Instant::now();
    let first = Reconnect::new(policy).lost(error, false, now, 0);
    let mut accepted = Reconnect::new(policy);
    accepted.configured();
    accepted.started(now);
    accepted.acknowledged(now + Duration::from_secs(1));
    let later = accepted.lost(error, false, now + Duration::from_secs(1), 0);
    match (first.attempt.is_some(), later.attempt.is_some()) {
        (_, false) => "no",
        (true, true) => "yes",
        (false, true) => "after a push was accepted",
    }
}

#[test]
fn each_link_of_the_tables_leads_to_a_section() {
    let text = fs::read_to_string(path()).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchors: Vec<_> = headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title.replace(' ', "-").replace(',', "")
        })
        .collect();
    for symptom in Symptom::ALL {
        let see = symptom.row().see;
        assert!(
            see.is_empty() || anchors.iter().any(|anchor| anchor == see),
            "{see}"
        );
    }
}

/// The element has its own reasons, in WARNINGs and for its settings.
#[test]
fn each_reason_of_the_element_is_documented() {
    let documentation = fs::read_to_string(path()).unwrap();
    let sink = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/sink");
    let mut found = 0;
    for file in fs::read_dir(sink).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        for reason in source.split("reason: \"").skip(1) {
            let (reason, _) = reason.split_once('"').unwrap();
            assert!(
                documentation.contains(&format!("| `{reason}` |")),
                "{reason}"
            );
            found += 1;
        }
    }
    assert!(found >= 3, "{found}");
}
