//! A manifest that comes in the envelope of a `Policy`: `type` is its kind and `config` its spec.

use super::{check_kind, read_spec};
use crate::decode::{At, Cx, Field, Fields, Record};
use crate::manifest::{Common, Documentary, Kind, Spec};
use crate::secrets::shown;
use crate::yaml::Node;

/// What a `Policy` is.
pub(super) enum Envelope {
    /// A manifest of its own.
    Own,
    /// A manifest of this kind.
    Of(Kind),
    /// Nobody can say; reported.
    Unknown,
}

/// Looks into `spec.type`.
pub(super) fn envelope(spec: Option<&Node>, cx: &mut Cx<'_>) -> Envelope {
    // What is missing is said where the fields are read.
    let Some(node) = spec.and_then(|spec| spec.get("type")) else { return Envelope::Own };
    let written: Option<At<String>> = cx.key("spec", |cx| cx.key("type", |cx| Field::present(node, cx)));
    match written {
        None => Envelope::Unknown,
        Some(written) if written.value == "SecurityPolicy" => Envelope::Own,
        Some(written) if written.value == "Policy" => {
            let help = "write `SecurityPolicy`, or the kind that `config` is the spec of";
            let message = format!("`type: {}` would be an envelope in an envelope", shown(&written));
            written.error(cx.report, super::PV_SHAPE, message, help);
            Envelope::Unknown
        }
        Some(written) => check_kind("type", &written, cx.report).map_or(Envelope::Unknown, Envelope::Of),
    }
}

/// Reads `spec.config` as the spec of `kind`. Around it stands what is for people, and nothing else.
pub(super) fn read(node: &Node, kind: Kind, cx: &mut Cx<'_>) -> Option<(Common, Spec)> {
    cx.key("spec", |cx| {
        let mut fields = Fields::open(node, cx)?;
        fields.ignore("type");
        let documentary = Documentary::take(&mut fields);
        let written = |fields: &Fields<'_, '_, '_>, names: &[&'static str]| -> Vec<&'static str> {
            names.iter().copied().filter(|name| fields.has(name)).collect()
        };
        let (outside, inside) = (
            written(&fields, &["exceptions", "identityTypes", "complianceModes"]),
            written(&fields, &["targetRefs", "targetSelector", "mode", "modeUntil"]),
        );
        for name in &outside {
            let message = format!("`{name}` has no place in the envelope of another kind");
            fields.refuse(name, super::PV_SHAPE, message, "move it to a Policy with `type: SecurityPolicy`");
        }
        for name in &inside {
            let message = format!("`{name}` belongs to the spec of {kind}");
            fields.refuse(name, super::PV_SHAPE, message, format!("move `{name}` into `config`"));
        }
        let config = node.get("config");
        fields.ignore("config");
        if config.is_none() {
            let position = fields.position.clone();
            let help = format!("add `config`, the spec of the {kind}");
            fields.cx.shape(&position, "`config` is missing", help);
        }
        let read = config.and_then(|config| read_spec("config", config, kind, fields.cx));
        fields.finish()?;
        documentary?;
        (outside.is_empty() && inside.is_empty()).then_some(read?)
    })
}
