// SPDX-License-Identifier: MPL-2.0

//! `GET /metrics`: counters in Prometheus' text format 0.0.4.

use std::collections::BTreeMap;
use std::fmt;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Status;
use super::lock::lock;
use super::shared::PointState;

pub(super) use prometheus_text::CONTENT_TYPE;

/// The metrics of one publishing point over all its sessions.
#[derive(Clone, Debug, Default)]
struct Point {
    receiving: u64,
    bitrate: u64,
    viewers: u64,
    packets: u64,
    bytes: u64,
}

/// The metrics of one scrape.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    points: BTreeMap<String, Point>,
    sessions: u64,
    connections: u64,
    refusals: u64,
    start: u64,
}

/// A metric with a value for each publishing point: name, help, type, value.
type PerPoint = (&'static str, &'static str, MetricType, fn(&Point) -> u64);

/// A metric of the whole program: name, help, type, value.
type Overall = (&'static str, &'static str, MetricType, fn(&Snapshot) -> u64);

const PER_POINT: [PerPoint; 5] = [
    (
        "publishing_point_receiving",
        "Whether a PushStart is in progress",
        MetricType::Gauge,
        |point| point.receiving,
    ),
    (
        "publishing_point_bits_per_second",
        "Bit rate over the last ten seconds",
        MetricType::Gauge,
        |point| point.bitrate,
    ),
    (
        "publishing_point_viewers",
        "Viewers at present",
        MetricType::Gauge,
        |point| point.viewers,
    ),
    (
        "publishing_point_received_packets",
        "Data packets received",
        MetricType::Counter,
        |point| point.packets,
    ),
    (
        "publishing_point_received_bytes",
        "Bytes of data packets received",
        MetricType::Counter,
        |point| point.bytes,
    ),
];

const OVERALL: [Overall; 4] = [
    (
        "publishing_point_sessions",
        "Push sessions at present",
        MetricType::Gauge,
        |snapshot| snapshot.sessions,
    ),
    (
        "publishing_point_connections",
        "Connections at present",
        MetricType::Gauge,
        |snapshot| snapshot.connections,
    ),
    (
        "publishing_point_refused_requests",
        "Requests refused",
        MetricType::Counter,
        |snapshot| snapshot.refusals,
    ),
    (
        "publishing_point_start_time_seconds",
        "Start of the program in seconds since 1970",
        MetricType::Gauge,
        |snapshot| snapshot.start,
    ),
];

impl PointState {
    /// Returns the current metrics.
    pub(super) fn metrics(&self) -> Bytes {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.snapshot()));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_text::encode(&mut text, &registry);
        text.into()
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::of(&self.status());
        snapshot.connections = self.connections() as u64;
        let ledger = lock(&self.ledger);
        snapshot.refusals = ledger.refusals;
        for (name, total) in ledger.totals() {
            let point = snapshot.points.entry(name.to_owned()).or_default();
            point.packets = total.packets;
            point.bytes = total.bytes;
        }
        snapshot
    }
}

impl Snapshot {
    fn of(status: &Status) -> Self {
        let start = status.since.duration_since(UNIX_EPOCH);
        let mut snapshot = Self {
            sessions: status.points.len() as u64,
            start: start.unwrap_or_default().as_secs(),
            ..Self::default()
        };
        for session in &status.points {
            let point = snapshot.points.entry(session.point.clone()).or_default();
            point.receiving |= u64::from(session.receiving);
            point.bitrate += session.bitrate;
            point.viewers += session.viewers.len() as u64;
        }
        snapshot
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, kind, value) in PER_POINT {
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for (name, point) in &self.points {
                let labels = [("point", name.as_str())];
                encode(value(point), kind, metric.encode_family(&labels)?)?;
            }
        }
        for (name, help, kind, value) in OVERALL {
            let metric = encoder.encode_descriptor(name, help, None, kind)?;
            encode(value(self), kind, metric)?;
        }
        Ok(())
    }
}

fn encode(
    value: u64,
    kind: MetricType,
    metric: prometheus_client::encoding::MetricEncoder<'_>,
) -> fmt::Result {
    match kind {
        MetricType::Counter => ConstCounter::new(value).encode(metric),
        _ => ConstGauge::new(value).encode(metric),
    }
}
