// SPDX-License-Identifier: MPL-2.0

//! Lines over TCP, and TLS over them.

use tokio::sync::mpsc;
use url::{Host, Url};

use super::Settings;
use super::Trust;
use super::client::Connector;
use super::connect::connect;
use super::exchange::Opening;
use super::line::Line;

/// A step in making a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Milestone {
    /// The addresses of the host are known.
    Resolved,
    /// TCP is connected, and TLS begins.
    Securing,
}

/// Connects to servers and proxies.
pub(super) struct TcpConnector {
    trust: Trust,
    /// Hosts with the interface by which each is reached.
    zones: Vec<(Host<String>, String)>,
    milestones: mpsc::UnboundedSender<Milestone>,
}

impl TcpConnector {
    /// A connector that sends the [`Milestone`]s of each connection to `milestones`.
    pub(super) fn new(settings: &Settings, milestones: mpsc::UnboundedSender<Milestone>) -> Self {
        let session = &settings.session;
        let server = host(&session.url).zip(settings.zone.clone());
        let proxy = session.access.proxy.as_ref().and_then(host);
        let proxy = proxy.zip(settings.proxy_zone.clone());
        Self {
            trust: settings.trust.clone(),
            zones: server.into_iter().chain(proxy).collect(),
            milestones,
        }
    }

    fn zone(&self, peer: &Url) -> Option<String> {
        let host = host(peer)?;
        let zone = self.zones.iter().find(|(known, _)| *known == host);
        zone.map(|(_, zone)| zone.clone())
    }
}

fn host(url: &Url) -> Option<Host<String>> {
    url.host().map(|host| host.to_owned())
}

impl Connector for TcpConnector {
    type Link = Line;

    fn connect(&self, peer: &Url) -> Opening<Line> {
        let zone = self.zone(peer);
        let (peer, milestones) = (peer.clone(), self.milestones.clone());
        Box::pin(async move {
            let host = peer.host().unwrap_or(Host::Domain(""));
            let port = peer.port_or_known_default().unwrap_or_default();
            let resolved = || {
                // Fails only after the driver has been dropped.
                let _ = milestones.send(Milestone::Resolved);
            };
            connect(&host, port, zone.as_deref(), resolved)
                .await
                .map(Line::new)
        })
    }

    fn secure(&self, opening: Opening<Line>, server: &Url) -> Opening<Line> {
        let (trust, server) = (self.trust.clone(), server.clone());
        let milestones = self.milestones.clone();
        Box::pin(async move {
            let line = opening.await?;
            let _ = milestones.send(Milestone::Securing);
            trust.secure(line, &server).await
        })
    }
}
