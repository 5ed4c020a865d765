//! RuntimeSecurityPolicy: hostile content.

use crate::decode::{At, Setting, spec, tagged, words};
use crate::values::{Name, Percent};
use crate::{Part, RuntimeAction};

spec! {
    /// Hostile content of active workloads: instructions where data should be, and text that people cannot see.
    pub struct RuntimeSecurityPolicy {
        /// What is looked for; all of them apply.
        [E] detectors: At<Vec<At<RuntimeDetector>>>,
    }
    later {
        /// Prompt text that clients cannot change.
        [E] "promptLayers",
        /// Whether clients may send system text of their own.
        [E] "systemText",
        /// Marks untrusted parts for the model.
        [E] "isolate",
        /// Demands on answers: schemas, length, links, markup.
        [E] "output",
        /// Limits on the course of a task.
        [E] "behaviour",
        /// Learned baselines.
        [A] "baselines",
    }
}

tagged! {
    /// One thing to look for.
    pub enum RuntimeDetector {
        /// Text that tries to give the model orders, found by signatures on normalised text.
        PromptInjection(InjectionSpec),
        /// Characters that people do not see but models read: zero-width and tag characters, direction changes.
        HiddenText(HiddenTextSpec),
    }
    later {
        "Jailbreak", "EncodedPayload", "Canary", "SqlInjection", "Xss", "CommandInjection", "PathTraversal", "Ssrf", "Regex",
        "External",
    }
}

impl RuntimeDetector {
    #[must_use]
    pub fn name(&self) -> &At<Name> {
        match self {
            Self::PromptInjection(spec) => &spec.name,
            Self::HiddenText(spec) => &spec.name,
        }
    }

    #[must_use]
    pub fn parts(&self) -> &At<Vec<At<Part>>> {
        match self {
            Self::PromptInjection(spec) => &spec.parts,
            Self::HiddenText(spec) => &spec.parts,
        }
    }

    #[must_use]
    pub fn untrusted_only(&self) -> bool {
        match self {
            Self::PromptInjection(spec) => *spec.untrusted_only,
            Self::HiddenText(spec) => *spec.untrusted_only,
        }
    }

    #[must_use]
    pub fn threshold(&self) -> Percent {
        match self {
            Self::PromptInjection(spec) => *spec.threshold,
            Self::HiddenText(spec) => *spec.threshold,
        }
    }

    #[must_use]
    pub fn action(&self) -> RuntimeAction {
        match self {
            Self::PromptInjection(spec) => spec.action.value,
            Self::HiddenText(spec) => spec.action.value,
        }
    }
}

spec! {
    /// Looks for prompt injection.
    pub struct InjectionSpec {
        /// For records and explanations.
        [E] name: At<Name>,
        /// Message parts it looks at. A detector that can see none of them on a route does not load.
        [E] parts: At<Vec<At<Part>>>,
        /// Looks only at those of `parts` that come from outside: ToolResult, Resource, AgentMessage. Write `false` to look at
        /// what users write too.
        [E] untrusted_only: Setting<bool> = "true",
        /// A score at or above it is a finding.
        [E] threshold: Setting<Percent> = "80",
        /// What happens to a finding.
        [E] action: At<RuntimeAction>,
    }
}

spec! {
    /// Looks for hidden text.
    pub struct HiddenTextSpec {
        /// For records and explanations.
        [E] name: At<Name>,
        /// Message parts it looks at. A detector that can see none of them on a route does not load.
        [E] parts: At<Vec<At<Part>>>,
        /// Looks only at those of `parts` that come from outside: ToolResult, Resource, AgentMessage.
        [E] untrusted_only: Setting<bool> = "false",
        /// A score at or above it is a finding.
        [E] threshold: Setting<Percent> = "80",
        /// What happens to a finding.
        [E] action: At<RuntimeAction>,
    }
}

words! {
    /// What happens to a finding.
    impl RuntimeAction {
        /// The message is refused.
        (RuntimeAction::Block) = "Block",
        /// The finding is taken out.
        (RuntimeAction::Redact) = "Redact",
    }
    later { "Annotate", "Allow" }
}
