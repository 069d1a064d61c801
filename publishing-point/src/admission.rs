// SPDX-License-Identifier: MPL-2.0

//! The admission of connections: limits in total and per peer, with a reserve for pushes.
//!
//! At a limit, a new connection displaces an idle one: first one without a request, then one between two requests, then
//! one with a PushSetup and no PushStart. Viewers and pushes are never disconnected for a new connection. Viewers may
//! take all but an eighth of the connections, which is reserved for pushes.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::lock::lock;

/// PushSetups that a connection may send at once without a PushStart.
const SETUPS: u32 = 16;

/// The time after which another PushSetup is allowed.
const SETUP_INTERVAL: Duration = Duration::from_secs(5);

/// The use of a connection, in the order of eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// No request was received.
    New,
    /// A request has been answered, or is being answered.
    Idle,
    /// A PushSetup was accepted, and no PushStart has followed.
    Setup,
    Viewer,
    Push,
}

#[derive(Debug)]
struct Admitted {
    peer: IpAddr,
    used_for: Use,
    /// Increases with each change of use: the least recently used connection is evicted first.
    turn: u64,
    task: Option<AbortHandle>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    connections: usize,
    viewers: usize,
}

/// The number of connections that are allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) per_peer: usize,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_id: HashMap<u64, Admitted>,
    /// Ids in the order of eviction.
    order: BTreeMap<(Use, u64), u64>,
    peers: HashMap<IpAddr, Counts>,
    viewers: usize,
    last: u64,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Mutex::default(),
        }
    }

    /// Admits a connection of this peer, if necessary by evicting another. Returns its id, or `None` if there is no
    /// room.
    fn admit(&self, peer: IpAddr) -> Option<u64> {
        let peer = network(peer);
        let mut entries = lock(&self.entries);
        if entries.of(peer).connections >= self.limits.per_peer
            && !entries.evict(|entry| entry.peer == peer)
        {
            return None;
        }
        if entries.by_id.len() >= self.limits.connections && !entries.evict(|_| true) {
            return None;
        }
        Some(entries.insert(peer))
    }

    /// Sets the task that serves a connection. Eviction aborts it.
    pub(super) fn attach(&self, id: u64, task: AbortHandle) {
        if let Some(entry) = lock(&self.entries).by_id.get_mut(&id) {
            entry.task = Some(task);
        }
    }

    /// Evicts one idle connection. Returns whether there was one.
    pub(super) fn make_room(&self) -> bool {
        lock(&self.entries).evict(|_| true)
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.entries).by_id.len()
    }

    /// Changes the use of a connection. Returns false if it was evicted, or if the use is not allowed.
    fn change(&self, id: u64, used_for: Use) -> bool {
        let mut entries = lock(&self.entries);
        let Some(entry) = entries.by_id.get(&id) else {
            return false;
        };
        let becomes_viewer = used_for == Use::Viewer && entry.used_for != Use::Viewer;
        let peer = entry.peer;
        if becomes_viewer
            && (entries.viewers >= viewers_of(self.limits.connections)
                || entries.of(peer).viewers >= viewers_of(self.limits.per_peer))
        {
            return false;
        }
        entries.change(id, used_for);
        true
    }
}

/// Returns the part of a limit that viewers may take.
fn viewers_of(limit: usize) -> usize {
    let reserve = (limit / 8).max(1).min(limit.saturating_sub(1));
    limit - reserve
}

impl Entries {
    fn of(&self, peer: IpAddr) -> Counts {
        self.peers.get(&peer).copied().unwrap_or_default()
    }

    fn insert(&mut self, peer: IpAddr) -> u64 {
        self.last += 1;
        let id = self.last;
        let entry = Admitted {
            peer,
            used_for: Use::New,
            turn: id,
            task: None,
        };
        self.order.insert((entry.used_for, entry.turn), id);
        self.by_id.insert(id, entry);
        self.peers.entry(peer).or_default().connections += 1;
        id
    }

    fn change(&mut self, id: u64, used_for: Use) {
        self.last += 1;
        let turn = self.last;
        let Some(entry) = self.by_id.get_mut(&id) else {
            return;
        };
        self.order.remove(&(entry.used_for, entry.turn));
        self.order.insert((used_for, turn), id);
        let before = std::mem::replace(&mut entry.used_for, used_for);
        entry.turn = turn;
        let peer = self.peers.entry(entry.peer).or_default();
        for viewers in [&mut self.viewers, &mut peer.viewers] {
            *viewers += usize::from(used_for == Use::Viewer);
            *viewers -= usize::from(before == Use::Viewer);
        }
    }

    fn remove(&mut self, id: u64) -> Option<Admitted> {
        self.change(id, Use::New);
        let entry = self.by_id.remove(&id)?;
        self.order.remove(&(entry.used_for, entry.turn));
        let peer = self.peers.entry(entry.peer).or_default();
        peer.connections -= 1;
        if peer.connections == 0 {
            self.peers.remove(&entry.peer);
        }
        Some(entry)
    }

    /// Evicts the first evictable connection that `wanted` accepts. Returns whether there was one.
    fn evict(&mut self, wanted: impl Fn(&Admitted) -> bool) -> bool {
        let idle = self.order.range(..(Use::Viewer, 0)).map(|(_, id)| *id);
        let mut wanted = idle.filter(|id| self.by_id.get(id).is_some_and(&wanted));
        let Some(id) = wanted.next() else {
            return false;
        };
        let task = self.remove(id).and_then(|entry| entry.task);
        if let Some(task) = task {
            task.abort();
        }
        true
    }
}

/// Returns the network that counts as one peer: an IPv4 address, or the first 64 bits of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(prefix).into()
        }
        address => address,
    }
}

/// The admission of one connection, which ends when this is dropped.
pub(super) struct Ticket {
    admission: Arc<Admission>,
    id: u64,
    pub(super) peer: IpAddr,
}

impl Ticket {
    /// Admits a connection; `None` if there is no room.
    pub(super) fn new(admission: &Arc<Admission>, peer: IpAddr) -> Option<Self> {
        let id = admission.admit(peer)?;
        Some(Self {
            admission: admission.clone(),
            id,
            peer: network(peer),
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Changes the use of the connection. If it returns false, close the connection.
    pub(super) fn change(&self, used_for: Use) -> bool {
        self.admission.change(self.id, used_for)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.admission.entries).remove(self.id);
    }
}

/// The rate of PushSetups on one connection.
#[derive(Debug)]
pub(super) struct SetupRate {
    left: u32,
    /// Time up to which earlier PushSetups were credited again.
    counted: Duration,
}

impl SetupRate {
    pub(super) fn new() -> Self {
        Self {
            left: SETUPS,
            counted: Duration::ZERO,
        }
    }

    /// Returns whether another PushSetup is allowed, and counts it.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.counted).as_secs() / SETUP_INTERVAL.as_secs();
        if passed > 0 {
            let given = u32::try_from(passed).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(given).min(SETUPS);
            self.counted = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }

    /// Clears the count after an accepted PushStart, which gives its PushSetups a purpose.
    pub(super) fn reset(&mut self) {
        self.left = SETUPS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, per_peer: usize) -> Admission {
        Admission::new(Limits {
            connections,
            per_peer,
        })
    }

    fn peer(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    #[test]
    fn idle_connections_are_evicted_in_order_and_pushes_never() {
        let admission = admission(4, 4);
        let [push, setup, idle, new] = [1, 2, 3, 4].map(|n| admission.admit(peer(n)).unwrap());
        assert!(admission.change(push, Use::Push));
        assert!(admission.change(setup, Use::Setup));
        assert!(admission.change(idle, Use::Idle));
        for (number, gone) in [new, idle, setup].into_iter().enumerate() {
            let id = admission.admit(peer(5)).unwrap();
            assert!(!admission.change(gone, Use::Idle), "{number}");
            assert!(admission.change(id, Use::Push));
        }
        assert_eq!(admission.admit(peer(6)), None);
        assert!(!admission.make_room());
        assert!(admission.change(push, Use::Push));
    }

    #[test]
    fn a_peer_at_its_limit_displaces_itself_only() {
        let admission = admission(10, 2);
        let other = admission.admit(peer(1)).unwrap();
        let first = admission.admit(peer(2)).unwrap();
        for _ in 0..20 {
            assert!(admission.admit(peer(2)).is_some());
        }
        assert_eq!(admission.count(), 3);
        assert!(admission.change(other, Use::Idle));
        assert!(!admission.change(first, Use::Idle));
    }

    #[test]
    fn viewers_leave_a_reserve_for_pushes() {
        let admission = admission(16, 16);
        let ids: Vec<_> = (0..16).map(|n| admission.admit(peer(n)).unwrap()).collect();
        let viewers = ids.iter().filter(|id| admission.change(**id, Use::Viewer));
        assert_eq!(viewers.count(), 14);
        assert!(admission.admit(peer(99)).is_some());
        lock(&admission.entries).remove(ids[0]);
        assert!(
            admission.change(ids[15], Use::Viewer),
            "a place is free again"
        );
        assert_eq!([1, 2, 8, 64].map(viewers_of), [1, 1, 7, 56]);
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), peer(1));
    }

    #[test]
    fn the_rate_of_unused_push_setups_is_limited() {
        let mut rate = SetupRate::new();
        let at = |seconds| Duration::from_secs(seconds);
        let allowed = (0..1023).filter(|_| rate.take(at(100)));
        assert_eq!(allowed.count(), SETUPS as usize);
        assert!(rate.take(at(105)) && !rate.take(at(106)));
        rate.reset();
        assert!(rate.take(at(106)));
    }
}
