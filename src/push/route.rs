// SPDX-License-Identifier: MPL-2.0

//! The transport of each request, by the scheme of its URL.

use std::time::Duration;

use tokio::sync::mpsc;
use url::Url;

use super::Settings;
use super::http::HttpTransport;
#[cfg(feature = "tls")]
use super::https::HttpsTransport;
#[cfg(not(feature = "tls"))]
use super::no_tls::HttpsTransport;
use super::transport::{Exchange, Progress, Transport};
use crate::wmhttp::Request;

/// Sends what goes to `http` URLs straight over TCP, and what goes to `https` URLs, or proxies of them, over TLS.
pub(super) struct Route {
    http: HttpTransport,
    https: HttpsTransport,
    /// Where the last request went, or the first will go.
    encrypted: bool,
}

impl Route {
    /// Transports that tell `progress` how connecting goes.
    pub(super) fn new(settings: &Settings, progress: mpsc::UnboundedSender<Progress>) -> Self {
        Self {
            http: HttpTransport::new(settings, progress.clone()),
            https: HttpsTransport::new(settings, progress),
            encrypted: is_encrypted(&settings.session.url),
        }
    }

    fn current(&self) -> &dyn Transport {
        if self.encrypted {
            &self.https
        } else {
            &self.http
        }
    }
}

impl Transport for Route {
    fn connection_stands(&self) -> bool {
        self.current().connection_stands()
    }

    fn acknowledged(&self, handed_over: Option<u64>) -> Option<u64> {
        self.current().acknowledged(handed_over)
    }

    fn round_trip_time(&self) -> Option<Duration> {
        self.current().round_trip_time()
    }

    fn unacknowledged(&self) -> Option<usize> {
        self.current().unacknowledged()
    }

    fn was_reset(&self, body_bytes: u64) -> bool {
        self.current().was_reset(body_bytes)
    }

    fn start(&mut self, request: Request) -> Exchange {
        self.encrypted =
            is_encrypted(&request.url) || request.proxy.as_ref().is_some_and(is_encrypted);
        // A redirection may lead from one to the other: nobody comes back to the connection that is left.
        if self.encrypted {
            self.http.leave();
            self.https.start(request)
        } else {
            self.https.leave();
            self.http.start(request)
        }
    }
}

fn is_encrypted(url: &Url) -> bool {
    url.scheme() == "https"
}
