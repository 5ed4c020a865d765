//! One credential that several manifests write: the shorter times count.

use std::time::Duration;

use crate::manifest::RotationSpec;
use crate::resolve::attach::{Attachments, of};
use crate::snapshot::Rotation;

/// What all manifests of an upstream together say about the credential of this name; `None` where none says anything.
pub(super) fn merge(attached: &Attachments<'_>, upstream: usize, name: &str) -> Option<Rotation> {
    let policies = of!(attached.on_upstream(upstream), SecretManagement);
    let written: Vec<&RotationSpec> = policies
        .flat_map(|(.., policy)| &policy.credentials)
        .filter(|credential| credential.name.as_str() == name)
        .filter_map(|credential| credential.rotation.as_deref())
        .collect();
    let shortest = |of: fn(&RotationSpec) -> Option<Duration>| written.iter().filter_map(|rotation| of(rotation)).min();
    let default = written.first()?;
    Some(Rotation {
        max_age: shortest(|rotation| rotation.max_age.as_ref().map(|age| age.value)),
        // What nobody wrote is the default, which is no tighter than what somebody wrote.
        overlap: shortest(|rotation| rotation.overlap.written().map(|overlap| overlap.value))
            .unwrap_or(*default.overlap),
        grace: shortest(|rotation| rotation.grace_after.as_ref().map(|grace| grace.value)),
    })
}
