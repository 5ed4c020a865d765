//! Detectors of type Managed look for the secrets of the route's upstream: without any they would see nothing.

use crate::manifest::{Inject, Kind};
use crate::resolve::attach::{Attachments, of};
use crate::{DataDetectorKind, Route};

/// Whether rule `name` of manifest `owner` looks for nothing but managed secrets, and no upstream of `routes` has one.
pub(in crate::resolve) fn sees_nothing(attached: &Attachments<'_>, routes: &[&Route], owner: &str, name: &str) -> bool {
    if attached.may_miss(Kind::SecretManagement) {
        return false;
    }
    let has_secret = |upstream: usize| {
        let credentials =
            of!(attached.on_upstream(upstream), SecretManagement).flat_map(|(.., policy)| &policy.credentials);
        let mut credentials = credentials;
        credentials.any(|held| held.value_from.is_some() || matches!(held.inject.value, Inject::TokenExchange(_)))
    };
    let with_rule = routes.iter().filter_map(|route| {
        let data = &route.policy.data;
        let rule = data.rules.iter().find(|rule| rule.name == name && rule.owner == owner)?;
        Some((route, rule.detectors.iter().filter_map(|index| data.detectors.get(*index))))
    });
    let mut idle = with_rule.map(|(route, mut detectors)| {
        detectors.all(|one| matches!(one.kind, DataDetectorKind::Managed)) && !route.upstream.is_some_and(has_secret)
    });
    let first = idle.next();
    first == Some(true) && idle.all(|idle| idle)
}
