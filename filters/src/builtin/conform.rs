//! Refuses a request that does not match an OpenAPI document: the head before the body is read, the body before anything is sent,
//! and the body once more where a guard changed it.

use std::sync::Arc;

use postern_config as config;

use crate::contract::{Contract, Mismatch, Unrouted};
use crate::{Context, Flow, Refusal, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Conform {
    guard: Arc<str>,
    owner: String,
    contract: Contract,
}

impl Conform {
    /// # Errors
    /// A pattern that does not compile, which the load has ruled out.
    pub(crate) fn new(contract: &config::Contract) -> Result<Self, regex::Error> {
        Ok(Self {
            guard: format!("schema/{}", contract.name).into(),
            owner: contract.owner.clone(),
            contract: Contract::new(&contract.api)?,
        })
    }

    /// As the coverage matrix has it.
    pub(crate) fn guard(&self) -> &str {
        &self.guard
    }

    /// `APIAccessPolicy/default/orders`.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The operation of a request, as the document writes it.
    pub(crate) fn operation(&self, req: &RequestView<'_>) -> Option<String> {
        let operation = self.contract.operation(req.method, req.path).ok()?;
        Some(format!("{} {}", operation.method, operation.template))
    }

    pub(crate) fn check_head(&self, req: &RequestView<'_>) -> Verdict {
        Ok(self.flow(self.contract.check_head(req)))
    }

    pub(crate) fn check_body(&self, req: &RequestView<'_>, cx: &Context) -> Verdict {
        Ok(self.flow(self.contract.check_body(req, cx.body(), cx.message_limits().json())))
    }

    /// What is judged is what is sent.
    pub(crate) fn check_again(&self, req: &RequestView<'_>, cx: &Context) -> Verdict {
        if cx.is_rewritten() { self.check_body(req, cx) } else { Ok(Flow::Continue) }
    }

    fn flow(&self, judged: Result<(), Mismatch>) -> Flow {
        let Err(mismatch) = judged else { return Flow::Continue };
        let mut refusal = Refusal::new(mismatch.reason(), mismatch.to_string()).by(&*self.guard);
        if let Mismatch::Unrouted(Unrouted::NoMethod { methods, .. }) = mismatch {
            refusal.headers.push(("allow", methods.join(", ")));
        }
        Flow::Refuse(refusal)
    }
}
