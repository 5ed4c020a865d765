//! All scanners of a plan over one text: the one engine for whole texts and for streams.

use std::sync::Arc;

use super::canary::{Canary, CanaryRun};
use super::encoded::{self, EncodedRuns};
use super::fold::Form;
use super::hidden::HiddenRuns;
use super::hit::{Hit, Source};
use super::matcher::Matcher;
use super::model::Head;
use super::orders::{self, Orders};
use super::plan::{Plan, least};
use super::resolve::{Known, Resolved, Resolver};
use super::view::View;
use super::web;
use super::words::WordRun;

#[derive(Debug)]
pub(crate) struct Run {
    plan: Arc<Plan>,
    plain: View,
    skeleton: View,
    matchers: Vec<Matcher>,
    hidden: Option<HiddenRuns>,
    orders: Orders,
    encoded: Option<EncodedRuns>,
    words: Vec<WordRun>,
    canary: Option<CanaryRun>,
    /// The text comes whole, so that its attacks can be judged.
    whole: bool,
    resolver: Resolver,
    /// Bytes read.
    text_end: usize,
}

impl Run {
    /// `whole`: the text comes in one push and is no stream.
    pub(crate) fn new(plan: &Arc<Plan>, whole: bool) -> Self {
        let limit = plan.hold_back;
        Self {
            plan: Arc::clone(plan),
            plain: View::new(Form::Plain),
            skeleton: View::new(Form::Skeleton),
            matchers: plan.sets.iter().map(|set| Matcher::new(set, limit, whole)).collect(),
            hidden: (!plan.hidden.is_empty()).then(|| HiddenRuns::new(limit, least(&plan.hidden).max(1))),
            orders: plan.orders(),
            encoded: plan
                .encoded
                .is_wanted()
                .then(|| EncodedRuns::new(&plan.encoded, Head::of(plan.part), limit, plan.encoded.least())),
            words: plan.words.iter().map(|(slot, set)| WordRun::new(set, Source::Data(*slot), limit)).collect(),
            canary: None,
            whole,
            resolver: Resolver::default(),
            text_end: 0,
        }
    }

    /// Looks for this one as well, where anybody asks for it.
    pub(crate) fn with_canary(mut self, canary: Option<&Arc<Canary>>) -> Self {
        let wanted = canary.filter(|_| !self.plan.canary.is_empty());
        self.canary = wanted.map(|canary| CanaryRun::new(canary, self.plan.hold_back));
        self
    }

    /// Over a whole text, and on behind a hit that blocks.
    pub(crate) fn to_the_end(plan: &Arc<Plan>) -> Self {
        Self { resolver: Resolver::of_everything(), ..Self::new(plan, true) }
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn push<'p>(&mut self, plan: &'p Plan, text: &str) -> Resolved<'p> {
        let mut hits = Vec::new();
        let at = self.text_end;
        self.text_end += text.len();
        if !self.matchers.is_empty() {
            self.plain.push(text, at);
        }
        for matcher in &mut self.matchers {
            matcher.read(&self.plain, &mut hits);
            matcher.expire(&self.plain, self.text_end, &mut hits);
        }
        if let Some(hidden) = &mut self.hidden {
            hidden.read(text, at, &mut hits);
        }
        if !self.orders.is_empty() {
            self.skeleton.push(text, at);
            self.orders.read(&self.skeleton, self.text_end, &mut hits);
        }
        if let Some(encoded) = &mut self.encoded {
            encoded.read(text, at, &mut hits);
        }
        for words in &mut self.words {
            words.read(text, at, &mut hits);
        }
        if let Some(canary) = &mut self.canary {
            canary.read(text, at, &mut hits);
        }
        if self.whole {
            web_hits(plan, text, &mut hits);
        }
        let resolved = self.resolve(plan, hits, false);
        self.forget(resolved.floor);
        resolved
    }

    pub(crate) fn finish<'p>(&mut self, plan: &'p Plan) -> Resolved<'p> {
        let mut hits = Vec::new();
        for matcher in &mut self.matchers {
            matcher.finish(&self.plain, self.text_end, &mut hits);
        }
        if let Some(hidden) = &mut self.hidden {
            hidden.finish(self.text_end, &mut hits);
        }
        self.orders.finish(&self.skeleton, self.text_end, &mut hits);
        if let Some(encoded) = &mut self.encoded {
            encoded.finish(self.text_end, &mut hits);
        }
        for words in &mut self.words {
            words.finish(self.text_end, &mut hits);
        }
        if let Some(canary) = &mut self.canary {
            canary.finish(self.text_end, &mut hits);
        }
        self.resolve(plan, hits, true)
    }

    /// What is evidently a match counts as found; everything else is let go, but not forgotten.
    pub(crate) fn stall<'p>(&mut self, plan: &'p Plan) -> Resolved<'p> {
        let mut hits = Vec::new();
        for matcher in &mut self.matchers {
            matcher.stall(&self.plain, self.text_end, &mut hits);
        }
        if let Some(hidden) = &mut self.hidden {
            hidden.stall(self.text_end, &mut hits);
        }
        self.orders.stall(self.text_end);
        if let Some(encoded) = &mut self.encoded {
            encoded.stall(self.text_end, &mut hits);
        }
        for words in &mut self.words {
            words.stall(self.text_end, &mut hits);
        }
        if let Some(canary) = &mut self.canary {
            canary.stall(self.text_end, &mut hits);
        }
        let resolved = self.resolve(plan, hits, true);
        self.resolver.skip_to(self.text_end);
        Resolved { floor: self.text_end, ..resolved }
    }

    fn resolve<'p>(&mut self, plan: &'p Plan, mut hits: Vec<Hit>, finished: bool) -> Resolved<'p> {
        self.resolver.add(plan, &mut hits);
        let (live, open) = if finished { (self.text_end, self.text_end) } else { self.live() };
        self.resolver.resolve(plan, Known { text_end: self.text_end, live, open, finished })
    }

    /// Nothing before the first can still become part of a hit that changes the text, nor before the second of any.
    fn live(&self) -> (usize, usize) {
        let matchers = self.matchers.iter().filter_map(|m| m.live(&self.plain, self.text_end));
        let hidden = self.hidden.as_ref().and_then(HiddenRuns::live);
        let encoded = self.encoded.as_ref().and_then(EncodedRuns::live);
        let words = self.words.iter().filter_map(|w| w.live(self.text_end));
        let canary = self.canary.as_ref().and_then(|c| c.live(self.text_end));
        let rest = matchers.chain(hidden).chain(encoded).chain(words).chain(canary).min().unwrap_or(self.text_end);
        let open = self.orders.live(self.text_end).map_or(rest, |orders| rest.min(orders));
        if self.plan.rewrites_orders() {
            return (open, open);
        }
        let suspect = self.orders.suspect(&self.skeleton, self.text_end);
        (suspect.map_or(rest, |orders| rest.min(orders)), open)
    }

    fn forget(&mut self, floor: usize) {
        let keep = self.matchers.iter().filter_map(Matcher::keeps).min().unwrap_or(floor).min(floor);
        self.plain.forget(keep, self.text_end);
        self.skeleton.forget(floor, self.text_end);
    }
}

/// Attacks in the whole of a text.
fn web_hits(plan: &Plan, text: &str, hits: &mut Vec<Hit>) {
    for (attack, targets) in &plan.web {
        let score = web::score(*attack, text);
        if score >= least(targets).max(1) {
            let (source, end) = (Source::Web(*attack), text.len());
            hits.push(Hit { start: 0, end, seen: end, source, score, open: false, tail: false });
        }
    }
}

/// The highest score of a detector of hostile content in `text`, thresholds aside.
pub(crate) fn risk(plan: &Arc<Plan>, text: &str) -> u8 {
    let mut hits = Vec::new();
    let patterns = plan.has_hostile_patterns().then(|| {
        let mut run = Run::to_the_end(plan);
        let mut found = run.push(plan, text).findings;
        found.extend(run.finish(plan).findings);
        found.iter().filter(|finding| finding.guard.starts_with("runtime/")).map(|finding| finding.score).max()
    });
    let web = plan.web.iter().map(|(attack, _)| web::score(*attack, text)).max();
    if !plan.hidden.is_empty() {
        let mut hidden = HiddenRuns::new(plan.hold_back, 1);
        hidden.read(text, 0, &mut hits);
        hidden.finish(text.len(), &mut hits);
    }
    let signed = plan.judged().filter(|(signed, ..)| signed.is_wanted());
    let signed = signed.map(|(signed, _, head)| {
        orders::percent(&signed.signatures, (&signed.model, head), plan.hold_back, text) as u8
    });
    let encoded =
        plan.encoded.is_wanted().then(|| encoded::score(&plan.encoded, Head::of(plan.part), plan.hold_back, text));
    let others = patterns.flatten().into_iter().chain(web).chain(signed).chain(encoded);
    hits.iter().map(|hit| hit.score).chain(others).max().unwrap_or(0)
}
