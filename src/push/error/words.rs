// SPDX-License-Identifier: MPL-2.0

//! Texts and hints, filled in from the templates of the table.

use std::time::Duration;

use super::circumstances::Peer;
use super::symptom::known_offered;
use super::table::{Row, Symptom};
use super::{Error, Failure};
use crate::auth::{Denied, Scheme};
use crate::push::{Phase, ProxySource};
use crate::wmhttp;

/// Maximum length, in characters, of a server's text in a sentence.
const LONGEST_QUOTE: usize = 80;

/// Maximum length, in characters, of a server's URL in a sentence.
const LONGEST_URL: usize = 160;

/// The hint for receivers that take no push for some seconds after one.
const RESTING: &str =
    "A receiver that has just ended another push may need some seconds before it accepts the next";

impl Failure {
    pub(super) fn row(&self) -> Row {
        Symptom::of(self.phase, &self.error).row()
    }

    /// Returns the event as a clause without a full stop.
    pub(super) fn clause(&self) -> String {
        fill(self.row().text, self)
    }

    /// Returns the user's next step, in sentences.
    pub fn hint(&self) -> String {
        let hints = self.row().hints.iter();
        let mut fitting = hints.filter(|(when, _)| when.iter().all(|when| when.holds(self)));
        let hint = fitting.next().map_or("", |(_, hint)| hint);
        let hint = fill(hint, self);
        match &self.circumstances.redirected {
            Some(redirected) if self.is_before_the_stream() && !hint.contains(&redirected.url) => {
                let (home, url) = (&redirected.home, shown_url(&redirected.url));
                format!("{hint} {home} has redirected the push to {url}.")
            }
            _ => hint,
        }
    }

    /// Returns whether the failure is about reaching the server, not about the stream.
    fn is_before_the_stream(&self) -> bool {
        let is_own = matches!(self.error, Error::Input(_) | Error::NoResources(_));
        !is_own && !self.is_of_the_stream()
    }

    fn is_of_the_stream(&self) -> bool {
        matches!(self.phase, Phase::Start | Phase::Push | Phase::End)
    }

    /// Returns a sentence about a refusal by an HTTP status; `None` for other failures.
    pub fn refusal(&self, location: &str) -> Option<String> {
        self.http_status()?;
        let status = status(&self.error);
        let refuser = match self.circumstances.is_relayed() {
            true => "The server or the proxy",
            false => "The server",
        };
        Some(format!(
            "{refuser} refused the push to {location}: {status}."
        ))
    }

    /// Returns the event of a push to `location` as a sentence.
    pub fn sentence(&self, location: &str) -> String {
        let clause = self.clause();
        let circumstances = &self.circumstances;
        let attempts = match circumstances.attempts {
            0 => String::new(),
            1 => " after 1 attempt to reconnect".to_owned(),
            attempts => format!(" after {attempts} attempts to reconnect"),
        };
        if circumstances.drained_for.is_some() && circumstances.never_opened {
            let times = match circumstances.attempts {
                0 | 1 => String::new(),
                attempts => format!(", {attempts} times,"),
            };
            return format!(
                "Cannot push to {location}: {clause}{times} until the stream ended. Nothing was sent."
            );
        }
        if let Some(timeout) = circumstances.drained_for {
            let timeout = time(timeout);
            return format!(
                "The push to {location} ended incomplete{attempts}: {clause}, and nothing else was sent within \
                 {timeout} (eos-timeout)."
            );
        }
        // Input is rejected before the header is sent, in any state of the connection.
        let is_input = matches!((&self.error, self.phase), (Error::Input(_), Phase::Start));
        let streamed = self.is_of_the_stream() && !is_input;
        match self.error {
            Error::DrainTimeout(_) if streamed => {
                format!("The push to {location} ended incomplete: {clause}.")
            }
            _ if streamed || circumstances.accepted => {
                format!("The push to {location} failed{attempts}: {clause}.")
            }
            _ => format!("Cannot push to {location}{attempts}: {clause}."),
        }
    }
}

/// Returns `template` with the names in braces replaced by the facts of `failure`.
fn fill(template: &str, failure: &Failure) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').unwrap_or((behind, ""));
        text += before;
        text += &value(name, failure);
        rest = after;
    }
    text + rest
}

/// Returns the replacement for `name`.
fn value(name: &str, failure: &Failure) -> String {
    let circumstances = &failure.circumstances;
    let server = circumstances.server.as_ref();
    let redirected = circumstances.redirected.as_ref();
    match name {
        "server" => server.map_or("the server".into(), Peer::to_string),
        "host" => host(server),
        "port" => port(server),
        "port-number" => server.map_or_else(String::new, |peer| peer.port.to_string()),
        "usual-port" => usual_port(server).to_owned(),
        "control-protocol" => format!(
            "The control protocol of Windows Media Services listens on another port, often {}: set that in location.",
            usual_port(server)
        ),
        "answerer" => answerer(failure),
        "credentials" => credentials(circumstances.no_password, "user-pw"),
        "proxy-credentials" => credentials(circumstances.no_proxy_password, "proxy-pw"),
        "responder" => responder(failure),
        "peer" if failure.phase == Phase::Proxy => this_proxy(failure),
        "peer" if circumstances.proxy.is_some() => {
            format!("{} or {}", value("server", failure), this_proxy(failure))
        }
        "peer" => value("server", failure),
        "software" => quoted(failure.error.software()),
        "status" => status(&failure.error),
        "limit" => limit(failure),
        "time" if circumstances.at_end => limit(failure) + " of the end of the stream",
        "time" => limit(failure),
        "timeout-setting" if circumstances.at_end => "eos-timeout".to_owned(),
        "timeout-setting" => "timeout".to_owned(),
        "detail" => detail(&failure.error),
        "offered" => offered(&failure.error),
        "known-offered" => allowed(failure),
        "home" => redirected.map_or_else(String::new, |redirected| redirected.home.to_string()),
        "url" => redirected.map_or_else(String::new, |redirected| shown_url(&redirected.url)),
        "insecure-url" => insecure_url(&failure.error),
        "names" => names(&failure.error),
        "input-hint" => input_hint(&failure.error).to_owned(),
        "resting" if circumstances.retries_first => format!("{RESTING}."),
        "resting" => format!("{RESTING}: set retry-first-connect=true."),
        name => proxy_value(name, failure),
    }
}

/// Returns the replacement for a `name` of the proxy.
fn proxy_value(name: &str, failure: &Failure) -> String {
    let proxy = failure.circumstances.proxy.as_ref();
    let peer = proxy.map(|proxy| &proxy.peer);
    let source = proxy.and_then(|proxy| proxy.source);
    match (name, source) {
        ("proxy", _) => this_proxy(failure),
        ("proxy-host", _) => host(peer),
        ("proxy-address", _) => peer.map_or_else(String::new, Peer::to_string),
        ("proxy-port", _) => port(peer),
        ("proxy-source", Some(ProxySource::Property)) => "the property proxy".to_owned(),
        ("proxy-source", Some(ProxySource::Environment(name))) => name.to_owned(),
        ("proxy-source", None) => "the redirection of the server".to_owned(),
        ("proxy-setting", Some(ProxySource::Property)) => {
            "To push without it, set proxy to an empty string (gst-launch-1.0: proxy='\"\"')."
                .to_owned()
        }
        ("proxy-setting", Some(ProxySource::Environment(name))) => {
            let host = host(failure.circumstances.server.as_ref());
            format!("To push without it, unset {name}, or add {host} to no_proxy.")
        }
        ("proxy-setting", None) => "The server has named this proxy in a redirection.".to_owned(),
        _ => String::new(),
    }
}

fn host(peer: Option<&Peer>) -> String {
    peer.map_or("the server".into(), |peer| peer.host.clone())
}

fn port(peer: Option<&Peer>) -> String {
    peer.map_or("that port".into(), |peer| format!("port {}", peer.port))
}

/// Returns the port on which Windows Media Services most often listen beside a server on the port of `peer`.
fn usual_port(peer: Option<&Peer>) -> &'static str {
    match peer {
        Some(Peer { port: 8080, .. }) => "80",
        _ => "8080",
    }
}

fn this_proxy(failure: &Failure) -> String {
    let proxy = failure.circumstances.proxy.as_ref();
    proxy.map_or("the proxy".into(), |proxy| format!("the proxy {proxy}"))
}

/// Returns the time limit that has passed.
fn limit(failure: &Failure) -> String {
    failure.error.limit().map_or_else(String::new, time)
}

/// Returns the possible senders of a response.
fn responder(failure: &Failure) -> String {
    let mut responder = value("server", failure);
    if failure.circumstances.is_relayed() {
        responder += " or ";
        responder += &this_proxy(failure);
    }
    responder
}

/// Returns the possible senders of a response, with the Server field.
fn answerer(failure: &Failure) -> String {
    let answerer = responder(failure);
    match failure.error.software() {
        "" => answerer,
        software => format!("{answerer} ({})", quoted(software)),
    }
}

fn status(error: &Error) -> String {
    match error.http_status() {
        Some((status, "")) => status.as_u16().to_string(),
        Some((status, reason)) => format!("{} {}", status.as_u16(), quoted(reason)),
        None => String::new(),
    }
}

fn offered(error: &Error) -> String {
    match error {
        Error::Protocol(wmhttp::Error::Denied {
            denied: Denied::NoUsableScheme { offered },
            ..
        }) => quoted(&offered.join(", ")),
        Error::Protocol(wmhttp::Error::Denied {
            denied: Denied::LoginIncomplete { schemes },
            ..
        }) => {
            let names: Vec<_> = schemes.iter().map(|scheme| scheme.as_str()).collect();
            names.join(" and ")
        }
        _ => String::new(),
    }
}

/// Returns the credentials that a server refused.
fn credentials(no_password: bool, property: &str) -> String {
    match no_password {
        true => format!("the user, because {property} is not set"),
        false => "the user and password".to_owned(),
    }
}

/// Returns the setting that allows one of the offered schemes.
fn allowed(failure: &Failure) -> String {
    let known = known_offered(&failure.error);
    let names: Vec<_> = known.iter().map(|scheme| scheme.as_str()).collect();
    let names = names.join(" or ");
    match *known {
        [Scheme::Basic] if !failure.circumstances.encrypted => {
            "Allow Basic with auth-methods, and set allow-cleartext-auth=true to send the password over a connection \
             that is not encrypted"
                .to_owned()
        }
        _ => format!("Allow {names} with auth-methods"),
    }
}

/// Returns a URL of the peer's, truncated after [`LONGEST_URL`] characters.
fn shown_url(url: &str) -> String {
    shortened(url, LONGEST_URL)
}

fn insecure_url(error: &Error) -> String {
    match error {
        Error::Protocol(wmhttp::Error::InsecureRedirect { url }) => shown_url(url),
        _ => String::new(),
    }
}

/// Returns the names in a certificate.
fn names(error: &Error) -> String {
    let Error::Tls(super::TlsError::WrongName(names)) = error else {
        return String::new();
    };
    if names.is_empty() {
        return "no name at all".to_owned();
    }
    quoted(&names.join(", "))
}

fn detail(error: &Error) -> String {
    match error {
        Error::Unresolvable(detail)
        | Error::CannotConnect {
            message: detail, ..
        }
        | Error::Broken {
            message: detail, ..
        }
        | Error::BadResponse(detail)
        | Error::NoResources(detail) => system_words(detail),
        Error::Tls(error) => system_words(error.detail()),
        Error::Protocol(error) => error.to_string(),
        Error::Input(error) => error.to_string(),
        _ => String::new(),
    }
}

fn input_hint(error: &Error) -> &'static str {
    match error {
        Error::Input(error) => error.hint(),
        _ => "",
    }
}

/// The standard library's words in front of the reason for which a name cannot be resolved.
const LOOKUP: &str = "failed to lookup address information: ";

/// Returns a message of the system as a part of a sentence: `Connection refused (os error 111)` without the number and
/// the capital.
fn system_words(message: &str) -> String {
    let message = message.strip_prefix(LOOKUP).unwrap_or(message);
    let message = message.split(" (os error").next().unwrap_or_default();
    let message = message.trim_end_matches(['.', ' ']);
    let word = message.split(' ').next().unwrap_or_default();
    let capitals = word.chars().filter(|one| one.is_uppercase()).count();
    match message.chars().next() {
        Some(first) if first.is_uppercase() && capitals == 1 => first
            .to_lowercase()
            .chain(message.chars().skip(1))
            .collect(),
        _ => message.to_owned(),
    }
}

/// Returns a text of the peer's on one line, truncated after [`LONGEST_QUOTE`] characters, without a final full stop.
pub(in crate::push) fn quoted(text: &str) -> String {
    shortened(text.trim().trim_end_matches('.'), LONGEST_QUOTE)
}

/// Returns a text on one line, truncated after `longest` characters.
fn shortened(text: &str, longest: usize) -> String {
    let clean = |other: char| if other.is_control() { ' ' } else { other };
    let mut characters = text.chars().map(clean);
    let mut quote: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        quote.push('…');
    }
    quote
}

/// Returns a duration in seconds if it is a whole number of them, otherwise in milliseconds.
pub(in crate::push) fn time(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds if milliseconds % 1000 == 0 => format!("{} s", duration.as_secs()),
        milliseconds => format!("{milliseconds} ms"),
    }
}
