//! What manifests on trial would have made of a request: looked at beside what acts, told in the record, and nothing else.
//!
//! Nothing here refuses, changes or delays anything, and what acts never reads what is noted here. Rules are not among it:
//! authorization rehearses its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use postern_config::{Part, Stage as Place};

use super::content::Content;
use super::cross_site::CrossSite;
use super::frame::Frame;
use super::prompts::{self, Prompts};
use crate::authz::Rehearsal;
use crate::limit::{Facts, LimitSet, Stage, Tokens};
use crate::message::{Message, fixed_texts, read_headers};
use crate::scan::Exchange;
use crate::{ContentFinding, Context, Flow, Reason, RequestView, Verdict};

/// One look, in the place in the chain where it would have been acted on.
#[derive(Debug)]
pub(crate) enum Rehearse {
    /// Method, path, content type, and from which site.
    Head {
        frame: Frame,
        cross_site: CrossSite,
        blame: Blame,
    },
    Limits {
        limits: Arc<LimitSet>,
        stage: Stage,
        route: String,
        blame: Blame,
    },
    Size {
        most: u64,
        blame: Blame,
    },
    Content {
        content: Content,
        blame: Blame,
    },
    /// Who may say what operators say.
    System {
        blame: Blame,
    },
}

/// Which manifest would have done it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blame {
    /// Those on trial that could have.
    all: Vec<Arc<str>>,
    /// By the name of a limit or of a guard.
    owners: BTreeMap<String, Arc<str>>,
}

impl Blame {
    pub(crate) fn new(all: Vec<Arc<str>>, owners: BTreeMap<String, Arc<str>>) -> Self {
        Self { all, owners }
    }

    /// The owner of what is named, or the only one there is.
    fn of<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Arc<str> {
        let mut owners: Vec<&Arc<str>> = names.into_iter().filter_map(|name| self.owners.get(name)).collect();
        owners.sort();
        owners.dedup();
        match (owners[..].first(), owners.len(), &self.all[..]) {
            (Some(owner), 1, _) => Arc::clone(owner),
            (_, _, [only]) => Arc::clone(only),
            _ => Arc::from("several"),
        }
    }

    fn refusal(&self, reason: Reason, rule: String) -> Rehearsal {
        let outcome = if reason == Reason::Undecided { "Error" } else { "Deny" };
        Rehearsal { policy: self.of(rule.split(", ")), rule, outcome, reason: Some(reason) }
    }

    /// What comes of findings: a refusal, or something that would have been covered.
    pub(crate) fn of_findings(&self, reason: Reason, blocked: bool, findings: &[ContentFinding]) -> Option<Rehearsal> {
        let mut guards: Vec<&str> = findings.iter().map(|finding| finding.guard.as_str()).collect();
        guards.sort_unstable();
        guards.dedup();
        let rule = guards.join(", ");
        if blocked {
            return Some(self.refusal(reason, rule));
        }
        let policy = self.of(guards.iter().copied());
        (!findings.is_empty()).then_some(Rehearsal { policy, rule, outcome: "Rewrite", reason: None })
    }
}

impl Rehearse {
    pub(crate) const NAME: &str = "rehearse";

    pub(crate) fn stage(&self) -> Place {
        match self {
            Self::Head { .. } => Place::Frame,
            Self::Limits { .. } => Place::Rate,
            Self::Size { .. } | Self::Content { .. } | Self::System { .. } => Place::Parse,
        }
    }

    pub(crate) fn reads_head_only(&self) -> bool {
        match self {
            Self::Head { .. } => true,
            Self::Limits { stage, .. } => *stage != Stage::Model,
            Self::Size { .. } | Self::Content { .. } | Self::System { .. } => false,
        }
    }

    /// Goes on, whatever it sees.
    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        // What would have been refused before would not have come here.
        if !cx.is_tried_and_refused()
            && let Some(tried) = self.look(req, cx)
        {
            cx.set_tried(tried);
        }
        Ok(Flow::Continue)
    }

    fn look(&self, req: &RequestView<'_>, cx: &mut Context) -> Option<Rehearsal> {
        match self {
            Self::Head { frame, cross_site, blame } => head(frame, cross_site, blame, req, cx),
            Self::Limits { limits, stage, route, blame } => {
                let principal = cx.known_principal().cloned();
                if *stage != Stage::Address && principal.is_none() {
                    return Some(blame.refusal(Reason::Undecided, String::new()));
                }
                let facts = Facts {
                    principal: principal.as_deref().filter(|_| *stage != Stage::Address),
                    source: req.source,
                    route,
                    model: cx.model(),
                    headers: Some(req.headers),
                    // Limits of tokens cannot be tried out.
                    tokens: Tokens::default(),
                };
                let (over, seats) = limits.rehearse(*stage, &facts, cx.uptime());
                let refusal = over.map(|name| blame.refusal(Reason::OverLimit, format!("limit/{name}")));
                cx.keep_seats(seats);
                refusal
            }
            Self::Size { most, blame } => {
                let length = u64::try_from(cx.body().len()).unwrap_or(u64::MAX);
                if cx.is_tried_bodiless() && length > 0 {
                    return Some(blame.refusal(Reason::UnsupportedContent, String::new()));
                }
                (length > *most).then(|| blame.refusal(Reason::TooLarge, "maxBodySize".to_owned()))
            }
            Self::Content { content, blame } => self::content(content, blame, req, cx),
            Self::System { blame } => {
                let denied = cx.message().ok().and_then(prompts::denied);
                denied.map(|_| blame.refusal(Reason::ContentRefused, Prompts::SYSTEM.to_owned()))
            }
        }
    }
}

fn head(
    frame: &Frame,
    cross_site: &CrossSite,
    blame: &Blame,
    req: &RequestView<'_>,
    cx: &mut Context,
) -> Option<Rehearsal> {
    let mut taken_by: Vec<Arc<str>> = Vec::new();
    let mut bodiless = false;
    let flow = frame.judge(req, |entry, takes_no_body| {
        taken_by.push(Arc::clone(entry));
        bodiless |= takes_no_body;
    });
    if bodiless {
        cx.set_tried_bodiless();
    }
    if let Flow::Refuse(refusal) = flow {
        // The list that comes after those that took it is the one that did not.
        let rule = frame.list(taken_by.len()).unwrap_or_default();
        return Some(blame.refusal(refusal.reason, rule.to_owned()));
    }
    match cross_site.check(req, cx) {
        Ok(Flow::Refuse(refusal)) => Some(blame.refusal(refusal.reason, CrossSite::GUARD.to_owned())),
        Ok(_) => None,
        Err(_) => Some(blame.refusal(Reason::Undecided, CrossSite::GUARD.to_owned())),
    }
}

fn content(content: &Content, blame: &Blame, req: &RequestView<'_>, cx: &mut Context) -> Option<Rehearsal> {
    let outcome = match cx.message() {
        // Nothing that acts reads bodies here: what is on trial would.
        Ok(Message::Unread) => {
            let content_type = req.sole_header(&CONTENT_TYPE);
            match Message::http(content_type, req.query, Some(req.headers), cx.body().clone(), cx.message_limits()) {
                Ok(message) if message.opaque().is_some() => {
                    return Some(blame.refusal(Reason::ContentRefused, String::new()));
                }
                Ok(message) => content.judge(&message, &Exchange::default()),
                Err(error) => return Some(blame.refusal(error.reason(), String::new())),
            }
        }
        // Nothing that acts reads header lines here.
        Ok(message) if content.looks_at(Part::HttpHeader) && !message.has_headers() => {
            match read_headers(req.headers) {
                Ok(headers) => content
                    .judge_texts(message.texts().chain(fixed_texts(Part::HttpHeader, &headers)), &Exchange::default()),
                Err(error) => return Some(blame.refusal(error.reason(), String::new())),
            }
        }
        Ok(message) => content.judge(message, &Exchange::default()),
        Err(_) => return Some(blame.refusal(Reason::Undecided, String::new())),
    };
    let blocked = outcome.verdicts.refusal(Reason::ContentRefused).is_some();
    let told = blame.of_findings(Reason::ContentRefused, blocked, &outcome.findings);
    cx.add_tried_findings(outcome.findings);
    told
}
