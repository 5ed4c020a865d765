//! Demands on what a model answers.

use super::SchemaDemand;
use crate::decode::{At, Fields, Setting, spec, words};
use crate::values::{Host, Size};
use crate::{Code, Markup, ToolCalls};

spec! {
    /// Demands on what a model answers, whole or as a stream. They are met on the text that the detectors leave of it: in parts
    /// Assistant and Reasoning.
    pub struct OutputSpec {
        /// Where links may lead. Without it, anywhere.
        [E] links: Option<At<LinksSpec>>,
        /// What becomes of HTML. Of several manifests the strictest word counts; where one of them has `links`, at least `Strip`.
        [E] markup: Setting<Markup> = "Strip",
        /// Most bytes of text in one answer, all its choices together. A longer one is refused; a stream ends there.
        [E] max_length: Option<At<Size>>,
        /// Which tools a model may call. Without it, any.
        [E] tool_calls: Option<At<ToolCalls>>,
        /// JSON Schemas of answers and of arguments; all of them apply.
        [E] schemas: Vec<At<SchemaDemand>>,
    }
    check consistent
}

spec! {
    /// Where links in answers may lead. Whatever renders an answer may fetch what its links and images name, and tell it what the
    /// model knows: so a link to any other host is taken out.
    pub struct LinksSpec {
        /// Hosts that links may lead to, by `https` or `http`; every manifest's list must have the host. None, where the list is
        /// empty.
        [E] allow_hosts: At<Vec<At<Host>>>,
    }
}

words! {
    /// What becomes of HTML in an answer, code in it included.
    impl Markup {
        /// It stays.
        (Markup::Allow) = "Allow",
        /// The `<` of a tag becomes `&lt;`.
        (Markup::Escape) = "Escape",
        /// Tags and comments are taken out, scripts and styles with what they hold.
        (Markup::Strip) = "Strip",
    }
}

words! {
    /// Which tools a model may call.
    impl ToolCalls {
        /// Those that the request offered, with arguments that fit the JSON Schema that it offered them with. A request whose
        /// schemas cannot be enforced is refused.
        (ToolCalls::OnlyAllowed) = "OnlyAllowed",
    }
}

fn consistent(spec: &OutputSpec, fields: &mut Fields<'_, '_, '_>) {
    if spec.links.is_some() && *spec.markup == Markup::Allow {
        let message = "`links` cannot hold with `markup: Allow`: HTML loads from anywhere in ways that no list of hosts can judge";
        let help = "write `markup: Strip` or `markup: Escape`, or remove `links`";
        spec.markup.at.error(fields.cx.report, Code(2), message, help);
    }
    let others = spec.max_length.is_some() || spec.tool_calls.is_some() || !spec.schemas.is_empty();
    if spec.links.is_none() && *spec.markup == Markup::Allow && !others {
        let message = "`output` asks for nothing";
        spec.markup.at.error(fields.cx.report, Code(25), message, "remove `output`, or ask for something");
    }
}
