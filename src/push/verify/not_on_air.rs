// SPDX-License-Identifier: MPL-2.0

//! The reasons for which viewers do not see a push, and their texts and hints.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::asf;
use crate::auth::Denied;
use crate::push::error::{Circumstances, quoted, time};
use crate::push::{Failure, Phase, Settings};
use crate::wmhttp::HResult;
use crate::wmsp::client::Unreadable;

/// The reason for which viewers do not see a push. `Display` writes a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotOnAir {
    /// The cause.
    pub cause: Cause,
    /// The server and the proxy of the player's requests.
    pub place: Place,
}

/// The cause for which viewers do not see a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The verification was cancelled.
    Cancelled,
    /// This build cannot verify.
    NotBuilt,
    /// There is no push to compare with, or it has not sent a header.
    NothingPushed,
    /// There was no connection, or no response.
    Failed(Failure),
    /// The proxy opened no tunnel to the `https` server, for this reason.
    NoTunnel(String),
    /// The server refuses viewers.
    Refused {
        /// The status.
        status: StatusCode,
        /// The Server field of the response; empty if there is none.
        server: String,
    },
    /// The server, or the proxy, demands a login that failed.
    Denied {
        /// 401 from the server, 407 from the proxy.
        status: StatusCode,
        /// The Server field of the response; empty if there is none.
        server: String,
        /// The reason why the login failed.
        denied: Denied,
    },
    /// The server redirected more than five times.
    TooManyRedirects,
    /// The server redirected from `https` to `http`.
    InsecureRedirect,
    /// The server redirected to a URL of this scheme, such as `mms`, which is not followed.
    ForeignRedirect(String),
    /// The server sends viewers a body that no player can read.
    Unreadable(Unreadable),
    /// The stream ended before any data: with this Reason, or `None` if the connection was closed.
    Ended(Option<HResult>),
    /// The server responded, but sent no header within this time.
    NoHeader(Duration),
    /// The server sent a header, but no data.
    NoData {
        /// Time without data.
        limit: Duration,
        /// Size of the data packets in bytes, by the header.
        packet_size: usize,
    },
    /// Viewers receive another header than the pushed one.
    OtherHeader,
}

/// The server and the proxy of a player's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The server, the proxy in front of it, and related facts.
    pub circumstances: Box<Circumstances>,
    /// The server has redirected viewers to another host.
    pub redirected: bool,
    /// The element has pushed a header.
    pub pushed: bool,
}

impl Place {
    /// Returns the server and the proxy of the settings.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            circumstances: Box::new(Circumstances::of(settings)),
            redirected: false,
            pushed: false,
        }
    }

    fn server(&self) -> String {
        let server = self.circumstances.server.as_ref();
        server.map_or("the server".to_owned(), ToString::to_string)
    }

    fn proxy(&self) -> String {
        let proxy = self.circumstances.proxy.as_ref();
        proxy.map_or("the proxy".to_owned(), |proxy| format!("the proxy {proxy}"))
    }
}

impl Cause {
    /// Returns whether the server reports that there is no stream.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status.as_u16(), 404 | 410 | 503),
            Self::Ended(_) | Self::NoHeader(_) => true,
            _ => false,
        }
    }
}

impl NotOnAir {
    pub(super) fn new(cause: Cause, place: Place) -> Self {
        Self { cause, place }
    }

    /// Returns the user's next step, in sentences.
    pub fn hint(&self) -> String {
        let mut hint = self.usual_reason();
        let is_own = matches!(
            self.cause,
            Cause::Failed(_) | Cause::NoTunnel(_) | Cause::Cancelled | Cause::NotBuilt
        );
        if self.place.redirected {
            hint += &format!(" The server redirected viewers to {}.", self.place.server());
        }
        if let Some(proxy) = self.place.circumstances.proxy.as_ref().filter(|_| !is_own) {
            hint +=
                &format!(" The requests went through the proxy {proxy}, which may have answered.");
        }
        hint
    }

    /// Returns whether the server that accepts the push has not answered viewers with HTTP.
    fn is_silence(&self, failure: &Failure) -> bool {
        let place = &self.place;
        let is_same_server = !place.redirected && place.circumstances.proxy.is_none();
        place.pushed && is_same_server && failure.phase == Phase::Setup
    }

    /// Returns the hint for a login of viewers that failed.
    fn denied(&self, status: StatusCode, denied: &Denied) -> &'static str {
        let by_proxy = status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        let circumstances = &self.place.circumstances;
        match denied {
            Denied::WrongCredentials if by_proxy => "Check proxy-id and proxy-pw.",
            Denied::WrongCredentials => {
                "Check the user and the password that the handler of acquire-credentials returns for viewers."
            }
            Denied::NoCredentials if by_proxy => "Set proxy-id and proxy-pw.",
            Denied::NoCredentials => {
                "The server asks viewers for credentials. Allow anonymous viewers at the publishing point, or answer \
                 acquire-credentials when its flags have viewer."
            }
            Denied::NoUsableScheme { offered } if offered.is_empty() => {
                "The server asks viewers for credentials and offers no scheme: allow anonymous viewers at the \
                 publishing point, or enable an authentication plug-in there."
            }
            Denied::NoUsableScheme { offered }
                if offers_basic(offered)
                    && !circumstances.without_basic
                    && (by_proxy || !circumstances.encrypted) =>
            {
                "Set allow-cleartext-auth=true to send the password over a connection that is not encrypted, or use \
                 https."
            }
            Denied::NoUsableScheme { .. } => {
                "The element knows Negotiate, NTLM, Digest and Basic: enable one of them on the server, and allow it \
                 with auth-methods."
            }
            Denied::LoginIncomplete { .. } => {
                "A proxy or load balancer in between may spread requests over connections, which NTLM and Negotiate do \
                 not survive: select another scheme with auth-methods."
            }
        }
    }

    fn usual_reason(&self) -> String {
        match &self.cause {
            Cause::Cancelled => "The element was stopped meanwhile, or the network thread is busy.".to_owned(),
            Cause::NotBuilt => "Build the plugin with the feature verify.".to_owned(),
            Cause::NothingPushed => NOTHING_PUSHED.to_owned(),
            Cause::Failed(failure) if self.is_silence(failure) => SILENCE.to_owned(),
            Cause::Failed(failure) => failure.hint(),
            Cause::NoTunnel(_) => NO_TUNNEL.to_owned(),
            Cause::Refused { status, .. } => refused(*status).to_owned(),
            Cause::Denied { status, denied, .. } => self.denied(*status, denied).to_owned(),
            Cause::TooManyRedirects | Cause::InsecureRedirect | Cause::ForeignRedirect(_) => {
                "Open location in a player and see where the server leads it: viewers need another URL.".to_owned()
            }
            Cause::Unreadable(Unreadable::Foreign(Some(
                asf::Format::Metafile | asf::Format::Playlist,
            ))) => {
                "The server answers viewers with a playlist: they watch the URL in it. Check that it names the \
                 publishing point."
                    .to_owned()
            }
            Cause::Unreadable(_) => format!(
                "Another service may answer viewers on {}: check the port and the path that they use.",
                self.place.server()
            ),
            Cause::Ended(_) => {
                "The server accepts viewers and has nothing for them: see its log. The publishing point may be \
                 stopped, or play another source."
                    .to_owned()
            }
            Cause::NoHeader(_) => {
                "The server may lack the header of this push, as after a session that it resumed without one: start \
                 a new session, and set resume=false."
                    .to_owned()
            }
            Cause::NoData { packet_size, .. } => no_data(*packet_size),
            Cause::OtherHeader => OTHER_HEADER.to_owned(),
        }
    }
}

/// Hint for a server that accepts the push, and does not answer viewers with HTTP.
const SILENCE: &str = "The server accepts the push and does not answer viewers here: check whether they use another \
     port, path or protocol, such as mms or rtsp. If the server is slow, raise timeout.";

const NOTHING_PUSHED: &str = "Start the push, and verify while session-state is streaming.";

const NO_TUNNEL: &str = "Over https, verify answers a proxy by Basic alone: set proxy-id and proxy-pw, and \
     allow-cleartext-auth=true. Check in the proxy's settings that it permits CONNECT to this host and port. The push \
     itself answers by all schemes.";

const OTHER_HEADER: &str = "The server has kept the header of an earlier push, or another encoder pushes to the same \
     place. Start a new session: set resume=false, or stop the push and the publishing point, and start both again.";

fn offers_basic(offered: &[String]) -> bool {
    offered
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case("basic"))
}

/// Returns the hint for a refusal of viewers by a server that accepts the push.
fn refused(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => {
            "The server accepts pushes and refuses viewers: allow them to read at the publishing point, and check its \
             list of addresses."
        }
        404 | 410 => {
            "The server accepts pushes and shows viewers nothing at this path. Check that the publishing point is \
             started, and whether viewers use another path or port than encoders."
        }
        407 => {
            "A proxy between this computer and the server asks for credentials: set proxy to its address, and proxy-id \
             and proxy-pw."
        }
        408 | 429 | 503 => {
            "The server is at its limit of viewers, or the publishing point is stopped."
        }
        502 | 504 => "A gateway or proxy cannot reach the server behind it.",
        200..=299 => {
            "The server answers viewers without a stream: check whether they use another port or path than encoders."
        }
        300..=399 => {
            "The server redirects viewers to no URL that a player can follow: see its settings, and open location in \
             a player."
        }
        _ => "See the log of the server.",
    }
}

/// Returns the Server field of a response for a text.
fn in_brackets(software: &str) -> String {
    match software {
        "" => String::new(),
        software => format!(" ({})", quoted(software)),
    }
}

fn no_data(packet_size: usize) -> String {
    format!(
        "The server may drop data packets of {packet_size} bytes, as relays do that carry at most 8192 (packet-size of \
         asfmux), or wait for a key frame: shorten the distance between key frames. Check that the push still \
         sends: bytes-acked in stats."
    )
}

impl fmt::Display for NotOnAir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.place.server();
        match &self.cause {
            Cause::Cancelled => f.write_str("the verification was cancelled"),
            Cause::NotBuilt => f.write_str("this build of the plugin cannot verify"),
            Cause::NothingPushed => f.write_str("this element is pushing nothing"),
            Cause::Failed(failure) => fmt::Display::fmt(failure, f),
            Cause::NoTunnel(reason) => {
                let proxy = self.place.proxy();
                write!(
                    f,
                    "{proxy} opened no tunnel to {server}: {}",
                    quoted(reason)
                )
            }
            Cause::Refused {
                status,
                server: software,
            } => {
                let software = in_brackets(software);
                write!(f, "{server}{software} answered viewers {status}")
            }
            Cause::Denied {
                status,
                server: software,
                denied,
            } => {
                let party = match *status {
                    StatusCode::PROXY_AUTHENTICATION_REQUIRED => self.place.proxy(),
                    _ => format!("{server}{}", in_brackets(software)),
                };
                match denied {
                    Denied::NoCredentials => write!(f, "{party} answered viewers {status}"),
                    denied => write!(f, "{party} answered viewers {status}: {denied}"),
                }
            }
            Cause::TooManyRedirects => write!(f, "{server} redirects viewers too often"),
            Cause::InsecureRedirect => write!(f, "{server} redirects viewers from https to http"),
            Cause::ForeignRedirect(scheme) => {
                write!(
                    f,
                    "{server} redirects viewers to a URL of {}",
                    quoted(scheme)
                )
            }
            Cause::Unreadable(error) => write!(f, "{server} sends viewers no stream: {error}"),
            Cause::Ended(Some(reason)) => {
                write!(
                    f,
                    "{server} ended the stream of viewers before it sent data: {reason}"
                )
            }
            Cause::Ended(None) => {
                write!(
                    f,
                    "{server} closed the connection of viewers before it sent data"
                )
            }
            Cause::NoHeader(limit) => {
                write!(f, "{server} sent viewers no header within {}", time(*limit))
            }
            Cause::NoData { limit, .. } => {
                write!(
                    f,
                    "{server} sent viewers the header and no data within {}",
                    time(*limit)
                )
            }
            Cause::OtherHeader => {
                write!(
                    f,
                    "{server} sends viewers another header than the one that was pushed"
                )
            }
        }
    }
}
