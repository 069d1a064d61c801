// SPDX-License-Identifier: MPL-2.0

//! Publishing points: the configured ones, and those that clients create by 2.2.2.1.1 Template-URL.

use std::collections::BTreeSet;

use super::point_name;

/// The publishing points of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Points {
    /// Every path is a publishing point.
    #[default]
    Any,
    /// These paths, and those that clients create from them by 2.2.2.1.1 Template-URL.
    Listed(BTreeSet<String>),
}

impl Points {
    /// Replaces the paths by the [names](point_name) of their publishing points.
    #[must_use]
    pub fn by_name(self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Listed(paths) => {
                Self::Listed(paths.iter().map(|path| point_name(path)).collect())
            }
        }
    }
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

    /// 2.2.2.1.1 Template-URL: returns whether `path` exists, or can be created from the template.
    pub(super) fn accepts(&self, path: &str, template: Option<&str>) -> bool {
        let has_template = template.is_some_and(|template| self.contains(template));
        let has_room = self.created.len() < Self::MAX_CREATED;
        self.contains(path) || has_template && has_room
    }

    /// Creates an [accepted](Self::accepts) `path`, unless it exists.
    pub(super) fn create(&mut self, path: &str) {
        if !self.contains(path) {
            self.created.insert(path.to_owned());
        }
    }

    /// 2.2.2.1.2 AutoDestroy: removes a point that a client has created. Returns whether there was one.
    pub(super) fn remove(&mut self, path: &str) -> bool {
        self.created.remove(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Existing {
        Existing::new(Points::Listed(BTreeSet::from(["/live".to_owned()])))
    }

    #[test]
    fn a_client_removes_created_points_only() {
        let mut points = listed();
        assert!(!points.accepts("/new", None));
        assert!(!points.accepts("/new", Some("/other")));
        assert!(points.accepts("/new", Some("/live")));
        assert!(!points.contains("/new"));
        points.create("/new");
        assert!(points.contains("/new") && points.accepts("/new", None));
        assert!(points.remove("/new") && !points.contains("/new"));
        points.create("/live");
        assert!(!points.remove("/live") && points.contains("/live"));
    }

    #[test]
    fn the_number_of_created_points_is_limited() {
        let mut points = listed();
        for number in 0..Existing::MAX_CREATED {
            let path = format!("/{number}");
            assert!(points.accepts(&path, Some("/live")));
            points.create(&path);
        }
        assert!(!points.accepts("/new", Some("/live")));
        assert!(points.accepts("/0", None));
    }
}
