// SPDX-License-Identifier: MPL-2.0

//! Publishing points: the configured ones, and those that clients create by 2.2.2.1.1 Template-URL.

use std::collections::BTreeSet;

/// The publishing points of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Points {
    /// Every path is a publishing point.
    #[default]
    Any,
    /// These paths, and those that clients create from them by 2.2.2.1.1 Template-URL.
    Listed(BTreeSet<String>),
}

/// The configured publishing points and the created ones. Clients can remove the created ones only.
pub(super) struct Existing {
    configured: Points,
    created: BTreeSet<String>,
}

impl Existing {
    /// Publishing points that clients can create, at most.
    const MAX_CREATED: usize = 1024;

    pub(super) fn new(configured: Points) -> Self {
        Self {
            configured,
            created: BTreeSet::new(),
        }
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        match &self.configured {
            Points::Any => true,
            Points::Listed(paths) => paths.contains(path) || self.created.contains(path),
        }
    }

    /// 2.2.2.1.1: creates `path` if it is new and its template exists. Returns whether `path` exists then.
    pub(super) fn create(&mut self, path: &str, template: Option<&str>) -> bool {
        if self.contains(path) {
            return true;
        }
        let has_template = template.is_some_and(|template| self.contains(template));
        let has_room = self.created.len() < Self::MAX_CREATED;
        has_template && has_room && self.created.insert(path.to_owned())
    }

    /// 2.2.2.1.2 AutoDestroy: removes a point that a client has created. Returns whether there was one.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        self.created.remove(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_removes_created_points_only() {
        let configured = Points::Listed(BTreeSet::from(["/live".to_owned()]));
        let mut points = Existing::new(configured);
        assert!(!points.create("/new", None));
        assert!(!points.create("/new", Some("/other")));
        assert!(points.create("/new", Some("/live")));
        assert!(points.remove("/new") && !points.contains("/new"));
        assert!(points.create("/live", None));
        assert!(!points.remove("/live") && points.contains("/live"));
    }

    #[test]
    fn the_number_of_created_points_is_limited() {
        let configured = Points::Listed(BTreeSet::from(["/live".to_owned()]));
        let mut points = Existing::new(configured);
        let created =
            (0..2000).filter(|number| points.create(&format!("/{number}"), Some("/live")));
        assert_eq!(created.count(), Existing::MAX_CREATED);
    }
}
