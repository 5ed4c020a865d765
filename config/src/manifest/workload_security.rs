//! WorkloadSecurityPolicy: of what it will say about workloads, this version has the models they may use, and what it demands of
//! the proxy itself.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::decode::{At, Cx, Fault, Fields, Scalar, Setting, spec, words};
use crate::values::Glob;
use crate::{Code, Harden};

const PV_BLIND: Code = Code(25);

spec! {
    /// What a workload may do at run time. In this version `models` acts, and `self`: what the proxy demands of its own process.
    /// Tools and agents are not limited by this kind yet, and none of its defaults about them holds; so a manifest with neither is
    /// refused (PV-007). Without any such manifest the process is not checked.
    pub struct WorkloadSecurityPolicy {
        /// The proxy's own process, checked at start and at every reload. Of a Gateway; on a Route it is PV-025.
        [E] own as "self": Option<At<SelfSpec>>,
        /// Which models requests of the routes may name, and what they may ask of them. Of several manifests all hold.
        [E] models: Option<At<Models>>,
        /// How the workload itself is confined, as it is set elsewhere.
        [D] sandbox: Option<At<Sandbox>>,
    }
    later {
        /// How a workload proves who it is.
        [E] "identity",
        /// Which tools it may call. They are not denied by default in this version.
        [E] "tools",
        /// Which parts of MCP it may use.
        [E] "mcp",
        /// Which parts of A2A it may use.
        [E] "a2a",
        /// How far its tasks may go.
        [E] "limits",
    }
    check check_acts
}

/// By contract a manifest of this kind denies tools even where it does not speak of them; this version does not, and says so.
fn check_acts(policy: &WorkloadSecurityPolicy, fields: &mut Fields<'_, '_, '_>) {
    if policy.own.is_none() && policy.models.is_none() {
        let position = fields.position.clone();
        let message = "a WorkloadSecurityPolicy without `self` and `models`: in this version nothing of it would act, its default for \
                       tools included";
        let help = "add `self: {harden: Require}` and attach it to the gateway, or `models`, or remove the manifest";
        fields.cx.error(Code(7), &position, message, help);
    }
}

spec! {
    /// Models, and what may be asked of them. A request is judged as it is sent, after what guards changed.
    pub struct Models {
        /// Names of models, at least one; `*` is any run of characters. A request that names another, or none where its endpoint
        /// has one, is refused. An answer has to come from the model that was asked for: of the same name, of a name that goes on
        /// with `-` or `@` and a version, or of another in this list; else it is refused, and a stream is cut.
        [E] allow: At<Vec<At<Glob>>>,
        /// Most tokens that an answer may have. A request has to name a maximum of its own (`max_tokens` and its kin), and no
        /// larger one. Embeddings have none.
        [E] max_output_tokens: Option<At<NonZeroU32>>,
        /// Most tokens that a request may have, by the estimate of limits (docs/limits.md).
        [E] max_input_tokens: Option<At<NonZeroU32>>,
        /// Fields of the request's JSON by name, with dots between names inside each other (`generationConfig.temperature`).
        [E] params: Option<At<BTreeMap<Param, At<Bounds>>>>,
    }
}

spec! {
    /// What a parameter may be: fixed by `is`, or bounded by `min` and `max`.
    pub struct Bounds {
        /// Exactly this, in quotes: a text, a number or a truth value. A request without the parameter is refused. Not with `min`
        /// and `max`.
        [E] is: Option<At<String>>,
        /// At least this, in quotes. A request may leave the parameter out; one that has something else than a number in it is refused.
        [E] min: Option<At<Number>>,
        /// At most this, likewise.
        [E] max: Option<At<Number>>,
    }
    check check_bounds
}

fn check_bounds(bounds: &Bounds, fields: &mut Fields<'_, '_, '_>) {
    let position = fields.position.clone();
    let (message, help) = match (&bounds.is, &bounds.min, &bounds.max) {
        (Some(_), None, None) => return,
        (Some(_), ..) => ("a parameter that is fixed has no bounds", "keep `is`, or `min` and `max`"),
        (None, None, None) => {
            ("a parameter without `is`, `min` and `max` says nothing", "write one of them, or remove it")
        }
        (None, Some(min), Some(max)) if min.value.0 > max.value.0 => {
            ("`min` is more than `max`, so no value would pass", "write the smaller one as `min`")
        }
        (None, ..) => return,
    };
    fields.cx.error(PV_BLIND, &position, message, help);
}

/// The place of a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Param(pub String);

impl Scalar for Param {
    const NAME: &'static str = "Param";
    const DOC: &'static str = "Names of JSON fields with dots between them: `temperature`, `generationConfig.topP`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if text.len() <= 256 && text.split('.').all(is_name) && text.split('.').count() <= 8 {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::new(
            format!("`{}` is no name of a field", cx.field()),
            "write names with dots between them, such as `temperature`",
        ))
    }
}

/// A number in text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl Scalar for Number {
    const NAME: &'static str = "Number";
    const DOC: &'static str = "A decimal number: `1`, `\"0.5\"`; in quotes unless it is whole.";
    const NUMERIC: bool = true;

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        let fault =
            || Fault::new(format!("`{}` is not a number", cx.field()), "write a number such as `1` or `\"0.5\"`");
        number.map(Self).ok_or_else(fault)
    }
}

spec! {
    /// The proxy's own process: no user or group of it is root, no capability but `CAP_NET_BIND_SERVICE`, no new privileges, a
    /// seccomp filter on every thread, a root file system that is mounted read-only, no core dumps, not open to debuggers. What a
    /// process can do for itself of this it has done before: it needs to be given another user and the read-only root.
    pub struct SelfSpec {
        /// What happens where something is missing.
        [E] harden: Setting<Harden> = "Require",
    }
}

words! {
    /// What happens where the proxy's own process is not confined.
    impl Harden {
        /// It is told, and the metric `postern.process.hardened` is 0.
        (Harden::Warn) = "Warn",
        /// The proxy does not start; a reload that begins to demand it is refused.
        (Harden::Require) = "Require",
    }
}

spec! {
    /// How the workload itself is confined.
    pub struct Sandbox {
        /// It is not root.
        [D] run_as_non_root: Option<At<bool>>,
        /// It cannot write to its root file system.
        [D] read_only_root_filesystem: Option<At<bool>>,
        /// Capabilities it keeps.
        [D] capabilities: Vec<At<String>>,
        /// Name of its seccomp profile.
        [D] seccomp: Option<At<String>>,
    }
}
