//! RuntimeSecurityPolicy: hostile content.

mod behaviour;
mod external;
mod output;
mod prompts;
mod schemas;

pub use behaviour::Behaviour;
pub use external::ExternalSpec;
pub use output::*;
pub use prompts::{CanarySpec, LayerRole, PromptLayer, SystemText};
pub use schemas::SchemaDemand;

use crate::decode::{At, Setting, spec, tagged, words};
use crate::values::{Name, Pattern, Percent};
use crate::{Part, RuntimeAction};

spec! {
    /// Hostile content of active workloads: instructions where data should be, and text that people cannot see.
    pub struct RuntimeSecurityPolicy {
        /// What is looked for; all of them apply.
        [E] detectors: Vec<At<RuntimeDetector>>,
        /// Texts of the operator's that every request to a model carries; all of them apply. They are in the requests of every
        /// endpoint at which a model writes; one that has no place for them (`/completions`) is refused.
        [E] prompt_layers: Vec<At<PromptLayer>>,
        /// Whether clients may send system text. It holds where it is written and where `promptLayers` is; `Deny` of one manifest
        /// is not undone by another.
        [E] system_text: Setting<SystemText> = "Deny",
        /// Encloses text from outside (ToolResult, Resource, AgentMessage) in marks that are new for every request, and tells the
        /// model what they mean.
        [E] isolate: Setting<bool> = "false",
        /// Demands on answers: links, markup, length, schemas, calls of tools. On routes to models.
        [E] output: Option<At<OutputSpec>>,
        /// Limits on the course of a task.
        [E] behaviour: Option<At<Behaviour>>,
    }
    later {
        /// Learned baselines.
        [A] "baselines",
    }
}

tagged! {
    /// One thing to look for.
    pub enum RuntimeDetector {
        /// Text that tries to give the model orders, found by a classifier and by signatures on normalised text.
        PromptInjection(InjectionSpec),
        /// Text by which a user would have the model do what it must not: another character, no rules, no refusals. Found by
        /// a classifier and by signatures on normalised text.
        Jailbreak(HiddenTextSpec),
        /// Characters that people do not see but models read: zero-width and tag characters, direction changes.
        HiddenText(HiddenTextSpec),
        /// Text in an encoding that only a model reads: base64, hexadecimal, escapes, one inside of another. Orders in it score as
        /// those that stand in the open, and ten more; other readable text scores 50.
        EncodedPayload(InjectionSpec),
        /// A value that would end a string of SQL and go on as SQL.
        SqlInjection(WebSpec),
        /// A value that a browser would run as a script.
        Xss(WebSpec),
        /// A value that would end an argument of a shell and go on as a command.
        CommandInjection(WebSpec),
        /// A value that leads out of a folder, or to a file of the system.
        PathTraversal(WebSpec),
        /// A URL of a place inside: an address of this machine or of a private network, the metadata of a cloud.
        Ssrf(WebSpec),
        /// A regular expression.
        Regex(RuntimeRegexSpec),
        /// A planted value, which shows that a model repeats what it was told.
        Canary(CanarySpec),
        /// A service of the operator's, which is asked over HTTP.
        External(Box<ExternalSpec>),
    }
}

impl RuntimeDetector {
    #[must_use]
    pub fn name(&self) -> &At<Name> {
        match self {
            Self::PromptInjection(spec) | Self::EncodedPayload(spec) => &spec.name,
            Self::HiddenText(spec) | Self::Jailbreak(spec) => &spec.name,
            Self::SqlInjection(spec)
            | Self::Xss(spec)
            | Self::CommandInjection(spec)
            | Self::PathTraversal(spec)
            | Self::Ssrf(spec) => &spec.name,
            Self::Regex(spec) => &spec.name,
            Self::Canary(spec) => &spec.name,
            Self::External(spec) => &spec.name,
        }
    }

    #[must_use]
    pub fn parts(&self) -> &At<Vec<At<Part>>> {
        match self {
            Self::PromptInjection(spec) | Self::EncodedPayload(spec) => &spec.parts,
            Self::HiddenText(spec) | Self::Jailbreak(spec) => &spec.parts,
            Self::SqlInjection(spec)
            | Self::Xss(spec)
            | Self::CommandInjection(spec)
            | Self::PathTraversal(spec)
            | Self::Ssrf(spec) => &spec.parts,
            Self::Regex(spec) => &spec.parts,
            Self::Canary(spec) => &spec.parts,
            Self::External(spec) => &spec.parts,
        }
    }

    #[must_use]
    pub fn untrusted_only(&self) -> bool {
        match self {
            Self::PromptInjection(spec) | Self::EncodedPayload(spec) => *spec.untrusted_only,
            Self::HiddenText(spec) | Self::Jailbreak(spec) => *spec.untrusted_only,
            Self::SqlInjection(spec)
            | Self::Xss(spec)
            | Self::CommandInjection(spec)
            | Self::PathTraversal(spec)
            | Self::Ssrf(spec) => *spec.untrusted_only,
            Self::Regex(spec) => *spec.untrusted_only,
            Self::Canary(_) => false,
            Self::External(spec) => *spec.untrusted_only,
        }
    }

    #[must_use]
    pub fn threshold(&self) -> Percent {
        match self {
            Self::PromptInjection(spec) | Self::EncodedPayload(spec) => *spec.threshold,
            Self::HiddenText(spec) | Self::Jailbreak(spec) => *spec.threshold,
            Self::SqlInjection(spec)
            | Self::Xss(spec)
            | Self::CommandInjection(spec)
            | Self::PathTraversal(spec)
            | Self::Ssrf(spec) => *spec.threshold,
            Self::Regex(_) | Self::Canary(_) => Percent(100),
            Self::External(spec) => *spec.threshold,
        }
    }

    #[must_use]
    pub fn action(&self) -> RuntimeAction {
        match self {
            Self::PromptInjection(spec) | Self::EncodedPayload(spec) => spec.action.value,
            Self::HiddenText(spec) | Self::Jailbreak(spec) => spec.action.value,
            Self::SqlInjection(spec)
            | Self::Xss(spec)
            | Self::CommandInjection(spec)
            | Self::PathTraversal(spec)
            | Self::Ssrf(spec) => spec.action.value,
            Self::Regex(spec) => spec.action.value,
            Self::Canary(spec) => spec.action.value,
            Self::External(spec) => spec.action.value,
        }
    }
}

spec! {
    /// Looks for orders to the model.
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
    /// Looks for text that has no business there.
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

spec! {
    /// Looks for attacks on what stands behind: whole values are judged, so it is for parts that do not come as streams (PV-053).
    pub struct WebSpec {
        /// For records and explanations.
        [E] name: At<Name>,
        /// Message parts it looks at. A detector that can see none of them on a route does not load.
        [E] parts: At<Vec<At<Part>>>,
        /// Looks only at those of `parts` that come from outside: ToolResult, Resource, AgentMessage.
        [E] untrusted_only: Setting<bool> = "false",
        /// A score at or above it is a finding.
        [E] threshold: Setting<Percent> = "80",
        /// What happens to a finding. `Redact` takes out the whole value.
        [E] action: At<RuntimeAction>,
    }
}

spec! {
    /// Looks for a pattern.
    pub struct RuntimeRegexSpec {
        /// For records and explanations.
        [E] name: At<Name>,
        /// What it matches. Where a part may come as a stream no match may be longer than `streaming.holdBack` (PV-053).
        [E] pattern: At<Pattern>,
        /// Message parts it looks at. A detector that can see none of them on a route does not load.
        [E] parts: At<Vec<At<Part>>>,
        /// Looks only at those of `parts` that come from outside: ToolResult, Resource, AgentMessage.
        [E] untrusted_only: Setting<bool> = "false",
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
        /// The finding stays as it is, and the record tells of it.
        (RuntimeAction::Annotate) = "Annotate",
        /// The finding stays as it is, and the record does not tell of it. Rules still read the risk.
        (RuntimeAction::Allow) = "Allow",
    }
}
