//! What is on trial on a route, compiled to look on: the pieces stand in the chain behind those that act.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postern_config::{DataProtection, Dialect, Direction, Output, RateLimit, Report, Route, RuntimeSecurity};

use super::{Compiler, TriedAnswers};
use crate::builtin::{Blame, Content, CrossSite, Frame, Prompts, Rehearse};
use crate::chain::Step;
use crate::filter::Filter;
use crate::limit::{LimitSet, Stage};

/// What is left on trial of a route.
#[derive(Debug)]
pub(super) struct Tried<'a> {
    /// The route once all of it acts.
    whole: &'a Route,
    manifests: BTreeSet<&'a str>,
}

impl<'a> Tried<'a> {
    /// Of the version of `route` with this number; nothing where nothing is left.
    pub(super) fn of(route: &'a Route, version: usize) -> Option<Self> {
        let left = route.later.get(version..)?;
        let manifests = left.iter().flat_map(|later| &later.manifests).map(String::as_str).collect();
        left.last().map(|last| Self { whole: &last.route, manifests })
    }

    /// Those of a kind.
    fn of_kind(&self, kinds: &[&str]) -> Vec<Arc<str>> {
        let wanted = |name: &&&str| kinds.iter().any(|kind| name.split('/').next() == Some(*kind));
        self.manifests.iter().filter(wanted).map(|name| Arc::from(*name)).collect()
    }
}

/// The pieces, each for its place.
#[derive(Debug, Default)]
pub(super) struct Rehearsals {
    head: Option<Rehearse>,
    address: Option<Rehearse>,
    principal: Option<Rehearse>,
    message: Vec<Rehearse>,
    pub(super) answers: Option<Arc<TriedAnswers>>,
}

const ACCESS: &str = "APIAccessPolicy";
const DATA: &str = "DataProtectionPolicy";
const RUNTIME: &str = "RuntimeSecurityPolicy";

impl Rehearsals {
    /// Behind what acts at the same place. Where nothing acts there, at the end of what was there before.
    pub(super) fn among(self, steps: Vec<Step>) -> Vec<Step> {
        let Self { head, address, principal, message, answers: _ } = self;
        let (mut head, mut address, mut principal, mut message) = (head, address, principal, Some(message));
        let mut all = Vec::with_capacity(steps.len().saturating_add(6));
        for step in steps {
            let (before_identify, before_parse, before_decision) = match &step.filter {
                Filter::OfTenant(_) | Filter::Identify(_) => (true, false, false),
                Filter::Digest(_) | Filter::Parse(_) => (false, true, false),
                Filter::Authorize(_) => (false, false, true),
                _ => (false, false, false),
            };
            if before_identify {
                all.extend(head.take().into_iter().chain(address.take()).map(look_on));
            }
            if before_parse {
                all.extend(principal.take().map(look_on));
            }
            if before_decision {
                all.extend(message.take().into_iter().flatten().map(look_on));
            }
            all.push(step);
        }
        all
    }
}

fn look_on(rehearse: Rehearse) -> Step {
    Step { filter: Filter::Rehearse(Box::new(rehearse)), guards: Vec::new() }
}

impl Compiler<'_> {
    /// `None` after a problem was reported.
    pub(super) fn rehearsals(&self, tried: &Tried<'_>, report: &mut Report) -> Option<Rehearsals> {
        let (policy, whole) = (&self.route.policy, &tried.whole.policy);
        let access = &policy.access;
        let request = self.tried_guards(tried, Direction::Request, report)?;
        let answers = self.tried_guards(tried, Direction::Response, report)?;
        let inspected = request.is_some() || answers.is_some() || self.route.dialect != Dialect::Http;
        let of_access = tried.of_kind(&[ACCESS]);
        let owners = whole.access.allow.iter().map(|list| (list.manifest.clone(), Arc::from(list.manifest.as_str())));
        let owners = owners.filter(|(name, _)| tried.manifests.contains(name.as_str()));
        // What one of them says, where there is one.
        let of_site = of_access.first().filter(|_| of_access.len() == 1).cloned();
        let owners = owners.chain(of_site.map(|owner| (CrossSite::GUARD.to_owned(), owner))).collect();
        let mut made = Rehearsals {
            head: Some(Rehearse::Head {
                frame: Frame::new(&whole.access, inspected),
                cross_site: CrossSite::new(&whole.access.cross_site),
                blame: Blame::new(tried.of_kind(&[ACCESS, DATA, RUNTIME]), owners),
            }),
            ..Rehearsals::default()
        };
        if whole.access.max_body > access.max_body {
            let message =
                "`maxBodySize` on trial is larger than what holds now, and a trial can only tell what it would refuse";
            self.problem(report, 7, message.to_owned(), "write a smaller one, or let it act");
        }
        if whole.access.max_body < access.max_body && self.route.streams_bodies {
            let message =
                "`maxBodySize` cannot be on trial where bodies are forwarded as they come: nobody has the whole of one";
            self.problem(report, 7, message.to_owned(), "write `mode: Enforce`, or `bodies: Whole` on the route");
        }
        let unread = (policy.data.revision.opaque, whole.data.revision.opaque);
        if self.route.dialect != Dialect::Http && unread.0 != unread.1 {
            let message =
                "`opaque` on trial is not what holds now, and nobody could say what it would refuse of answers";
            self.problem(report, 7, message.to_owned(), "write it into a manifest of its own that acts");
        }
        let denied_by = whole.runtime.prompts.system_denied_by.as_deref();
        let denied_by = denied_by.filter(|_| policy.runtime.prompts.system_denied_by.is_none());
        made.message.extend(denied_by.map(|owner| {
            let owners = BTreeMap::from([(Prompts::SYSTEM.to_owned(), Arc::from(owner))]);
            Rehearse::System { blame: Blame::new(tried.of_kind(&[RUNTIME]), owners) }
        }));
        let blame = Blame::new(of_access.clone(), BTreeMap::new());
        made.message.push(Rehearse::Size { most: whole.access.max_body, blame });
        let limits = self.tried_limits(tried, report)?;
        let mut owners = BTreeMap::new();
        for limit in whole.access.rate_limits.iter().filter(|limit| tried.manifests.contains(owner(limit).as_str())) {
            owners.insert(format!("limit/{}", limit.name), Arc::from(owner(limit)));
        }
        let at = |stage| {
            (!limits.guard_names(stage).is_empty()).then(|| Rehearse::Limits {
                limits: limits.clone(),
                stage,
                route: self.route.name.clone(),
                blame: Blame::new(of_access.clone(), owners.clone()),
            })
        };
        (made.address, made.principal) = (at(Stage::Address), at(Stage::Principal));
        made.message.extend(at(Stage::Model));
        made.message.extend(request.map(|(content, blame)| Rehearse::Content { content, blame }));
        made.answers = self.tried_answers(tried, answers).map(Arc::new);
        Some(made)
    }

    /// What looks at answers, and how long they may be by what is on trial.
    fn tried_answers(&self, tried: &Tried<'_>, guards: Option<(Content, Blame)>) -> Option<TriedAnswers> {
        let length = tried.whole.policy.runtime.output.max_length.as_ref();
        let length = length.filter(|most| tried.manifests.contains(most.owner.as_str()));
        let max_length = length.map(|most| most.value);
        let alone = length.map(|most| {
            let owners = BTreeMap::from([(Output::LENGTH.to_owned(), Arc::from(most.owner.as_str()))]);
            Blame::new(tried.of_kind(&[DATA, RUNTIME]), owners)
        });
        let (content, blame) = match guards {
            Some((content, blame)) => (Some(content), blame),
            None => (None, alone?),
        };
        Some(TriedAnswers { content, max_length, blame })
    }

    /// The limits on trial, counted apart from all others: what acts later begins unspent.
    fn tried_limits(&self, tried: &Tried<'_>, report: &mut Report) -> Option<Arc<LimitSet>> {
        let limits = tried.whole.policy.access.rate_limits.iter();
        let limits = limits.filter(|limit| tried.manifests.contains(owner(limit).as_str()));
        let apart = |limit: &RateLimit| RateLimit { owner: format!("on trial {}", limit.owner), ..limit.clone() };
        let limits: Vec<RateLimit> = limits.map(apart).collect();
        let made = LimitSet::compile(&limits, self.limits);
        made.map_err(|error| self.problem(report, 71, error.to_string(), "correct the limit")).ok().map(Arc::new)
    }

    /// Guards of the manifests on trial, and those alone.
    #[expect(clippy::option_option, reason = "failed, absent and present are three cases of one step")]
    fn tried_guards(
        &self,
        tried: &Tried<'_>,
        direction: Direction,
        report: &mut Report,
    ) -> Option<Option<(Content, Blame)>> {
        let policy = &tried.whole.policy;
        let mut owners = BTreeMap::new();
        let mut data = DataProtection { rules: Vec::new(), ..policy.data.clone() };
        for rule in policy.data.rules.iter().filter(|rule| tried.manifests.contains(rule.owner.as_str())) {
            owners.insert(format!("data/{}", rule.name), Arc::from(rule.owner.as_str()));
            data.rules.push(rule.clone());
        }
        let output = policy.runtime.output.of(|owner| tried.manifests.contains(owner));
        let mut runtime = RuntimeSecurity { output, ..RuntimeSecurity::default() };
        for (name, owner) in runtime.output.guards() {
            owners.insert(name.to_owned(), Arc::from(owner));
        }
        for detector in policy.runtime.detectors.iter().filter(|one| tried.manifests.contains(one.owner.as_str())) {
            owners.insert(format!("runtime/{}", detector.name), Arc::from(detector.owner.as_str()));
            runtime.detectors.push(detector.clone());
        }
        let made = self.guards(&data, &runtime, &self.secrets_for(&data, None)?, false, direction, report)?;
        Some(made.map(|content| (content, Blame::new(tried.of_kind(&[DATA, RUNTIME]), owners))))
    }
}

/// The manifest of a limit: `APIAccessPolicy/default/ai-edge`.
fn owner(limit: &RateLimit) -> String {
    format!("{ACCESS}/{}", limit.owner)
}
