//! One variant per check. A `match` without a wildcard finds every place that has to know a new one.

use std::sync::Arc;

use crate::builtin::{
    AddressLimits, Assure, Authorize, Content, CrossSite, Exceptions, Frame, Identify, Parse, PrincipalLimits,
};
use crate::{Context, RequestView, Verdict};

/// A check of requests. It holds settings, never request state.
#[derive(Debug)]
pub(crate) enum Filter {
    /// What has ended.
    Exceptions(Exceptions),
    Frame(Frame),
    CrossSite(CrossSite),
    AddressLimits(AddressLimits),
    Identify(Identify),
    Assure(Assure),
    PrincipalLimits(PrincipalLimits),
    Parse(Parse),
    /// Content guards looking, before the decision.
    Look(Arc<Content>),
    Authorize(Arc<Authorize>),
    /// Content guards acting, after the decision.
    Act(Arc<Content>),
    /// The decision once more, over a body that the guards changed: what is decided is what is sent.
    Reauthorize(Arc<Authorize>),
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
            | Self::AddressLimits(_)
            | Self::Identify(_)
            | Self::Assure(_)
            | Self::PrincipalLimits(_) => true,
            #[cfg(test)]
            Self::Asks(asks) => asks.reads_head_only,
            Self::Parse(_) | Self::Look(_) | Self::Authorize(_) | Self::Act(_) | Self::Reauthorize(_) => false,
        }
    }

    /// Whether it may be asked again about a request that was permitted: it counts nothing and changes nothing.
    pub(crate) fn decides(&self) -> bool {
        match self {
            Self::Exceptions(_)
            | Self::Frame(_)
            | Self::CrossSite(_)
            | Self::Identify(_)
            | Self::Assure(_)
            | Self::Parse(_)
            | Self::Authorize(_) => true,
            #[cfg(test)]
            Self::Asks(_) => true,
            Self::AddressLimits(_) | Self::PrincipalLimits(_) | Self::Look(_) | Self::Act(_) | Self::Reauthorize(_) => {
                false
            }
        }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        match self {
            Self::Exceptions(filter) => filter.check(cx),
            Self::Frame(filter) => filter.check(req, cx),
            Self::CrossSite(filter) => filter.check(req, cx),
            Self::AddressLimits(filter) => filter.check(req, cx),
            Self::Identify(filter) => filter.check(req, cx),
            Self::Assure(filter) => filter.check(cx),
            Self::PrincipalLimits(filter) => filter.check(req, cx),
            Self::Parse(filter) => filter.check(req, cx),
            Self::Look(filter) => filter.look(cx),
            Self::Authorize(filter) => filter.check(req, cx),
            Self::Act(filter) => filter.act(cx),
            Self::Reauthorize(filter) => filter.check_again(req, cx),
            #[cfg(test)]
            Self::Asks(asks) => asks.check(cx),
        }
    }
}
