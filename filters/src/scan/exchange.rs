//! What guards know of one exchange: which tokens it makes, and what was planted in its request.

use std::sync::Arc;

use postern_config::Part;

use super::{Canary, ContentGuards, TokenMap};
use crate::text::{Judgement, TextGuard, TextGuards};

/// Nothing where nobody said so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange {
    /// For what is replaced by tokens; without them it is taken out.
    pub(crate) tokens: Option<Arc<TokenMap>>,
    /// What must not come back.
    pub(crate) canary: Option<Arc<Canary>>,
}

/// Guards of a route, in one exchange.
#[derive(Debug)]
pub(crate) struct InExchange {
    pub(crate) guards: Arc<ContentGuards>,
    pub(crate) exchange: Exchange,
}

impl TextGuards for InExchange {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        self.guards.judge_for(part, text, &self.exchange)
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        self.guards.open_for(part, &self.exchange)
    }
}
