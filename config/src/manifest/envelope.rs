//! What every manifest has around the fields of its kind.

use std::collections::BTreeMap;

use super::{Kind, TargetKind};
use crate::Code;
use crate::decode::{At, Cx, Decode, Fault, Fields, Record, Scalar, Setting, spec, words};
use crate::values::{Name, Time};

/// A label or annotation name: `app`, `platform.platformspec.io/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(String);

impl LabelName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scalar for LabelName {
    const NAME: &'static str = "Label name";
    const DOC: &'static str = "Letters, digits, `-`, `_`, `.`, with at most one `/`: `app`, \
        `platform.platformspec.io/name`. At most 253 bytes.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.ends_with(|c: char| c.is_ascii_alphanumeric())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        let valid = text.len() <= 253 && text.split('/').count() <= 2 && text.split('/').all(part);
        if valid {
            return Ok(Self(text.to_owned()));
        }
        let message = format!("`{}` is no label name", crate::secrets::shown(text));
        Err(Fault::new(message, format!("use letters, digits, `-`, `_`, `.` and at most one `/` in `{}`", cx.field())))
    }
}

spec! {
    /// Name and place of a manifest.
    pub struct Metadata {
        /// Unique for a kind within its namespace.
        [E] name: At<Name>,
        /// A manifest attaches only within its namespace. Only the system namespace (`manifests.systemNamespace`) holds
        /// process-wide kinds and may name `env:` and `file:` material (PV-008).
        [E] namespace: Setting<Name> = "default",
        /// For people and tools; `platform.platformspec.io/name` is recommended.
        [D] labels: Option<At<BTreeMap<LabelName, At<String>>>>,
        /// For people and tools.
        [D] annotations: Option<At<BTreeMap<LabelName, At<String>>>>,
    }
}

words! {
    /// What a manifest attaches to.
    impl TargetKind {
        /// The process; with `sectionName`, one listener.
        (TargetKind::Gateway) = "Gateway",
        /// One of `routes` of the bootstrap.
        (TargetKind::Route) = "Route",
        /// One of `upstreams` of the bootstrap.
        (TargetKind::Upstream) = "Upstream",
    }
}

words! {
    /// The group of a target.
    pub enum TargetGroup {
        /// Objects of the bootstrap file.
        Bootstrap = "",
    }
    later { "gateway.networking.k8s.io" }
}

spec! {
    /// One object that the manifest applies to.
    pub struct TargetRef {
        /// What kind of object it is.
        [E] kind: At<TargetKind>,
        /// Its name in the bootstrap.
        [E] name: At<Name>,
        /// A listener's name; with `kind: Gateway` only, and only for kinds that act on listeners.
        [E] section_name: Option<At<Name>>,
        /// Empty for objects of the bootstrap file.
        [E] group: Setting<TargetGroup> = "\"\"",
    }
}

spec! {
    /// All objects that carry certain labels.
    pub struct TargetSelector {
        /// `Route` or `Upstream`.
        [E] kind: At<TargetKind>,
        /// Labels an object must carry, all of them; at least one.
        [E] match_labels: At<BTreeMap<LabelName, At<String>>>,
    }
    check check_selector
}

fn check_selector(selector: &TargetSelector, fields: &mut Fields<'_, '_, '_>) {
    if selector.kind.value == TargetKind::Gateway {
        let help = "select routes or upstreams, or name the gateway in `targetRefs`";
        selector.kind.error(fields.cx.report, Code(2), "a gateway cannot be selected by labels", help);
    }
    if selector.match_labels.is_empty() {
        let help = "name at least one label, or attach to the gateway to reach everything";
        selector.match_labels.error(fields.cx.report, Code(2), "`matchLabels` is empty", help);
    }
}

spec! {
    /// Fields for people, on every kind.
    pub struct Documentary {
        /// A short name.
        [D] title: Option<At<String>>,
        /// What the manifest is for.
        [D] description: Option<At<String>>,
        /// A team or mailbox.
        [D] owner: Option<At<String>>,
    }
}

spec! {
    /// Where a manifest applies: exactly one of the two.
    pub struct Attachment {
        /// The objects it applies to, by name.
        [E] target_refs: Option<At<Vec<At<TargetRef>>>>,
        /// The objects it applies to, by labels.
        [E] target_selector: Option<At<TargetSelector>>,
    }
}

words! {
    /// Whether a manifest acts or only reports.
    pub enum Mode {
        /// It acts.
        Enforce = "Enforce",
        /// It only says what it would do: its permits do not permit, its denials do not deny, and where it would have decided otherwise that
        /// is in the record and counted (`postern.shadow.decisions`). It satisfies no demand for a policy. On AccessControlPolicy, RBACPolicy,
        /// APIAccessPolicy, DataProtectionPolicy and RuntimeSecurityPolicy; PV-007 on the others, and for fields of which nobody could say what
        /// they would have done.
        Audit = "Audit",
    }
}

spec! {
    /// Fields of kinds that can be tried out before they act.
    pub struct Trial {
        /// Whether it acts.
        [E] mode: Setting<Mode> = "Enforce",
        /// With `mode: Audit`, and required there (PV-003): the moment at which it begins to act, at most 30 days after a load. No reload is
        /// needed.
        [E] mode_until: Option<At<Time>>,
    }
}

/// The fields that specs of all kinds share.
#[derive(Debug, Clone)]
pub struct Common {
    pub title: Option<At<String>>,
    pub description: Option<At<String>>,
    pub owner: Option<At<String>>,
    /// Where it applies.
    pub target: Target,
    /// Of a manifest in `mode: Audit`, the moment from which it acts.
    pub trial: Option<At<Time>>,
}

/// What a manifest applies to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A process-wide kind.
    Process,
    Refs(At<Vec<At<TargetRef>>>),
    Selector(At<TargetSelector>),
}

const PV_TARGET: Code = Code(4);

impl Common {
    pub(super) fn take(kind: Kind, fields: &mut Fields<'_, '_, '_>) -> Option<Self> {
        let documentary = Documentary::take(fields);
        let trial = if kind.has_mode() { trial(kind, fields) } else { Some(None) };
        let target = if kind.targets().is_empty() { no_target(kind, fields) } else { one_target(kind, fields) };
        let Documentary { title, description, owner } = documentary?;
        Some(Self { title, description, owner, target: target?, trial: trial? })
    }
}

/// The end of a trial; `Some(None)` for what acts at once.
#[expect(clippy::option_option, reason = "refused, acting and on trial are three cases of one field")]
fn trial(kind: Kind, fields: &mut Fields<'_, '_, '_>) -> Option<Option<At<Time>>> {
    let Trial { mode, mode_until } = Trial::take(fields)?;
    let report = &mut *fields.cx.report;
    match (*mode, mode_until) {
        (Mode::Enforce, None) => Some(None),
        (Mode::Enforce, Some(until)) => {
            until.error(report, Code(2), "`modeUntil` belongs to `mode: Audit`", "remove it, or write `mode: Audit`");
            None
        }
        (Mode::Audit, _) if !kind.can_be_tried() => {
            let message = format!("`mode: Audit` of {kind} is not enforced by this version");
            mode.at.error(
                report,
                Code(7),
                message,
                match kind {
                    Kind::WorkloadSecurityPolicy => {
                        "write `Enforce`, and `self: {harden: Warn}`, which tells and refuses nothing"
                    }
                    _ => "write `Enforce`; rules, access to APIs and content guards of routes can be tried out",
                },
            );
            None
        }
        (Mode::Audit, None) => {
            let help = "add `modeUntil`, the moment from which it acts";
            mode.at.error(report, Code(3), "`mode: Audit` does not say until when", help);
            None
        }
        (Mode::Audit, Some(until)) => Some(Some(until)),
    }
}

fn no_target(kind: Kind, fields: &mut Fields<'_, '_, '_>) -> Option<Target> {
    let both = ["targetRefs", "targetSelector"].map(|name| {
        let message = format!("{kind} is process-wide and attaches to nothing");
        fields.refuse(name, PV_TARGET, message, format!("remove `{name}`"))
    });
    both.iter().all(Option::is_some).then_some(Target::Process)
}

fn one_target(kind: Kind, fields: &mut Fields<'_, '_, '_>) -> Option<Target> {
    let Attachment { target_refs, target_selector } = Attachment::take(fields)?;
    let (message, help) = match (target_refs, target_selector) {
        (Some(refs), None) if !refs.is_empty() => return Some(Target::Refs(refs)),
        (None, Some(selector)) => return Some(Target::Selector(selector)),
        (Some(_), None) => ("`targetRefs` is empty".to_owned(), "name at least one target"),
        (Some(_), Some(_)) => ("both `targetRefs` and `targetSelector` are written".to_owned(), "keep one of them"),
        (None, None) => (
            format!("{kind} says nowhere where it applies"),
            "add `targetRefs: [{kind: …, name: …}]` or a `targetSelector`",
        ),
    };
    let position = fields.position.clone();
    fields.cx.error(PV_TARGET, &position, message, help);
    None
}

/// What the reference says about the shared fields of a kind.
#[must_use]
pub fn common_fields(kind: Kind) -> Vec<crate::decode::FieldShape> {
    let mut fields = if kind.targets().is_empty() { Vec::new() } else { Attachment::fields() };
    if kind.has_mode() {
        fields.extend(Trial::fields());
    }
    fields.extend(Documentary::fields());
    fields
}

/// What the reference says about `metadata`.
#[must_use]
pub fn metadata_shape() -> crate::decode::Shape {
    Metadata::shape()
}
