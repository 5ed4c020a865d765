//! One variant per check. A `match` without a wildcard finds every place that has to know a new one.

use std::sync::Arc;

use postern_config::Stage;

use crate::builtin::{
    Assure, Authorize, Conform, Content, Cors, CrossSite, Decode, Depth, Digest, Exceptions, External, Frame, Identify,
    Limits, Models, OfTenant, Parse, Prompts, Rehearse,
};
use crate::course::{CallLimits, TaskAge};
use crate::output::{AnswerSchemas, ToolCalls};
use crate::{Context, Flow, RequestView, Verdict, mutant};

/// A check of requests. It holds settings, never request state.
#[derive(Debug)]
pub(crate) enum Filter {
    /// What has ended.
    Exceptions(Exceptions),
    Cors(Arc<Cors>),
    Frame(Frame),
    CrossSite(CrossSite),
    /// Whose data is asked for. It goes on whatever it finds.
    OfTenant(OfTenant),
    Identify(Box<Identify>),
    Assure(Assure),
    /// How long the chain of those is who act for each other.
    Depth(Depth),
    Limits(Limits),
    /// Operation and parameters, as a document has them.
    Operation(Arc<Conform>),
    /// The body against what was signed of it.
    Digest(Digest),
    /// The body without its coding.
    Decode(Decode),
    Parse(Parse),
    /// The tools that it offers.
    ToolCalls(Box<ToolCalls>),
    /// The calls that it tells of.
    Course(CallLimits),
    /// How long ago it began what it goes on with.
    TaskAge(TaskAge),
    /// No stream where the answer has to fit a schema.
    AnswerSchemas(Arc<AnswerSchemas>),
    /// Who may say what operators say.
    Prompts(Arc<Prompts>),
    /// The body, as a document has it.
    Schema(Arc<Conform>),
    /// Content guards looking, before the decision.
    Look(Arc<Content>),
    Authorize(Arc<Authorize>),
    /// Models by name, and what is asked of them.
    Models(Arc<Models>),
    /// Content guards acting, after the decision.
    Act(Arc<Content>),
    /// Services outside judging what those left.
    External(External),
    /// What models are told is put in, over a body that the guards are done with.
    PutPrompts(Arc<Prompts>),
    /// The decision once more, over a body that the guards changed: what is decided is what is sent.
    Reauthorize(Arc<Authorize>),
    /// The document once more, over a body that the guards changed.
    SchemaAgain(Arc<Conform>),
    /// Looks at what manifests on trial would have made of it. It goes on whatever it finds.
    Rehearse(Box<Rehearse>),
    /// Asks for what a test says.
    #[cfg(test)]
    Asks(crate::chain::tests::Asks),
}

impl Filter {
    /// Whether it works on the head alone, so that it runs before the body is read.
    pub(crate) fn reads_head_only(&self) -> bool {
        match self {
            Self::Exceptions(_)
            | Self::Frame(_)
            | Self::CrossSite(_)
            | Self::OfTenant(_)
            | Self::Identify(_)
            | Self::Assure(_)
            | Self::Depth(_)
            | Self::Operation(_)
            | Self::Cors(_) => true,
            Self::Limits(filter) => filter.reads_head_only(),
            Self::Rehearse(filter) => filter.reads_head_only(),
            #[cfg(test)]
            Self::Asks(asks) => asks.reads_head_only,
            Self::Digest(_)
            | Self::Decode(_)
            | Self::Parse(_)
            | Self::ToolCalls(_)
            | Self::Course(_)
            | Self::TaskAge(_)
            | Self::AnswerSchemas(_)
            | Self::Prompts(_)
            | Self::PutPrompts(_)
            | Self::Schema(_)
            | Self::Look(_)
            | Self::Authorize(_)
            | Self::Models(_)
            | Self::Act(_)
            | Self::External(_)
            | Self::Reauthorize(_)
            | Self::SchemaAgain(_) => false,
        }
    }

    /// Whether it may be asked again about a request that was permitted: it counts nothing and changes nothing.
    pub(crate) fn decides(&self) -> bool {
        match self {
            Self::Exceptions(_)
            | Self::Frame(_)
            | Self::CrossSite(_)
            | Self::OfTenant(_)
            | Self::Identify(_)
            | Self::Assure(_)
            | Self::Depth(_)
            | Self::Operation(_)
            | Self::Parse(_)
            | Self::Schema(_)
            | Self::Authorize(_)
            | Self::Models(_) => true,
            #[cfg(test)]
            Self::Asks(_) => true,
            // What was recalled of the body is what the guards left of it, with all that was put in.
            Self::Digest(_) | Self::Decode(_) | Self::Prompts(_) | Self::PutPrompts(_) => false,
            Self::Cors(_)
            | Self::Limits(_)
            | Self::ToolCalls(_)
            | Self::Course(_)
            | Self::TaskAge(_)
            | Self::AnswerSchemas(_)
            | Self::Look(_)
            | Self::Act(_)
            | Self::External(_)
            | Self::Reauthorize(_)
            | Self::SchemaAgain(_)
            | Self::Rehearse(_) => false,
        }
    }

    /// Its place among the stages of §6 of the manifests.
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::Exceptions(_) | Self::Frame(_) => Stage::Frame,
            Self::Cors(_) | Self::CrossSite(_) => Stage::Origin,
            Self::OfTenant(_) => Stage::Identify,
            Self::Limits(_) => Stage::Rate,
            Self::Identify(_) | Self::Assure(_) | Self::Depth(_) => Stage::Identify,
            Self::Operation(_)
            | Self::Digest(_)
            | Self::Decode(_)
            | Self::Parse(_)
            | Self::ToolCalls(_)
            | Self::Course(_)
            | Self::AnswerSchemas(_)
            | Self::Prompts(_)
            | Self::Schema(_)
            | Self::Look(_) => Stage::Parse,
            Self::Authorize(_) | Self::Models(_) | Self::TaskAge(_) | Self::Reauthorize(_) => Stage::Authorize,
            Self::Act(_) | Self::External(_) | Self::PutPrompts(_) | Self::SchemaAgain(_) => Stage::Inspect,
            Self::Rehearse(filter) => filter.stage(),
            #[cfg(test)]
            Self::Asks(_) => Stage::Frame,
        }
    }

    /// Name in explanations.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Exceptions(_) => "exceptions",
            Self::Frame(_) => Frame::GUARD,
            Self::Cors(_) => "cors",
            Self::CrossSite(_) => CrossSite::GUARD,
            Self::OfTenant(_) => "tenant",
            Self::Limits(_) => "limits",
            Self::Assure(_) => "assure",
            Self::Identify(_) => Identify::GUARD,
            Self::Operation(_) => "operation",
            Self::Digest(_) => Digest::GUARD,
            Self::Decode(_) => Decode::NAME,
            Self::Parse(_) => Parse::GUARD,
            Self::Depth(_) => Depth::NAME,
            Self::ToolCalls(_) => "toolCalls",
            Self::Course(_) => CallLimits::NAME,
            Self::TaskAge(_) => TaskAge::NAME,
            Self::AnswerSchemas(_) => AnswerSchemas::NAME,
            Self::Prompts(_) => "prompts",
            Self::Schema(_) => "schema",
            Self::Look(_) => "look",
            Self::Authorize(_) => Authorize::GUARD,
            Self::Models(_) => Models::GUARD,
            Self::Act(_) => "act",
            Self::External(_) => External::NAME,
            Self::PutPrompts(_) => "putPrompts",
            Self::Reauthorize(_) => "reauthorize",
            Self::SchemaAgain(_) => "schemaAgain",
            Self::Rehearse(_) => Rehearse::NAME,
            #[cfg(test)]
            Self::Asks(_) => "asks",
        }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        if mutant::is(self.name()) {
            return Ok(Flow::Continue);
        }
        match self {
            Self::Exceptions(filter) => filter.check(cx),
            Self::Cors(filter) => filter.check(req, cx),
            Self::Frame(filter) => filter.check(req, cx),
            Self::CrossSite(filter) => filter.check(req, cx),
            Self::OfTenant(filter) => {
                filter.find(req, cx);
                Ok(Flow::Continue)
            }
            Self::Identify(filter) => filter.check(req, cx),
            Self::Assure(filter) => filter.check(cx),
            Self::Limits(filter) => filter.check(req, cx),
            Self::Operation(filter) => filter.check_head(req),
            Self::Digest(filter) => filter.check(req, cx),
            Self::Decode(filter) => filter.check(req, cx),
            Self::Parse(filter) => filter.check(req, cx),
            Self::Depth(filter) => filter.check(cx),
            Self::ToolCalls(filter) => filter.check(cx),
            Self::Course(filter) => filter.check(cx),
            Self::TaskAge(filter) => filter.check(cx),
            Self::AnswerSchemas(filter) => filter.check(cx),
            Self::Prompts(filter) => filter.check(cx),
            Self::Schema(filter) => filter.check_body(req, cx),
            Self::Look(filter) => filter.look(cx),
            Self::Authorize(filter) => filter.check(req, cx),
            Self::Models(filter) => filter.check(cx),
            Self::Act(filter) => filter.act(cx),
            Self::External(filter) => filter.check(req, cx),
            Self::PutPrompts(filter) => filter.put(cx),
            Self::Reauthorize(filter) => filter.check_again(req, cx),
            Self::SchemaAgain(filter) => filter.check_again(req, cx),
            Self::Rehearse(filter) => filter.check(req, cx),
            #[cfg(test)]
            Self::Asks(asks) => asks.check(cx),
        }
    }
}
