//! The steps of an explanation, each with the manifest that made it and the place where it is written.

use postern_config::manifest::Kind;
use postern_config::written::{Place, Step, json_pointer};
use postern_config::{Effect, Ingress, Route, Stage};
use postern_filters::authz::{Considered, Outcome, Weighing};
use postern_filters::explain::{Explained, Explanation, StepOutcome, allow_entries};
use postern_filters::{Context, Refusal, RequestView};
use serde_json::{Map, Value, json};

use super::{Mark, Set};
use crate::guard::Shut;

const BUILT_IN: &str = "built-in";
/// Most rules that are told one by one.
const MOST_RULES: usize = 64;

/// One line of a trace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    /// 1 to 12, as in §6 of the manifests.
    pub(crate) stage: u8,
    /// `APIAccessPolicy/default/ai-edge`, or `built-in`.
    pub(crate) by: String,
    /// RFC 6901 pointer into the manifest.
    pub(crate) field: Option<String>,
    /// `policies/ai-edge.yaml:17`.
    pub(crate) at: Option<String>,
    /// Name of the rule, limit or guard.
    pub(crate) rule: Option<String>,
    pub(crate) outcome: &'static str,
    /// It was asked for the User behind the caller.
    pub(crate) of_user: bool,
    pub(crate) because: Option<String>,
    pub(crate) facts: Map<String, Value>,
}

impl Line {
    pub(super) fn built_in(stage: u8, rule: &str, outcome: &'static str) -> Self {
        Self::of(stage, BUILT_IN, outcome).rule(rule)
    }

    fn of(stage: u8, by: &str, outcome: &'static str) -> Self {
        Self { stage, by: by.to_owned(), outcome, ..Self::default() }
    }

    fn at(mut self, place: Option<Place>) -> Self {
        if let Some(place) = place {
            self.by = place.manifest;
            self.field = Some(place.pointer);
            self.at = Some(format!("{}:{}", place.position.file, place.position.line));
        }
        self
    }

    fn rule(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    fn because(mut self, why: impl Into<String>) -> Self {
        self.because = Some(why.into());
        self
    }
}

pub(super) fn number(stage: Stage) -> u8 {
    match stage {
        Stage::Frame => 2,
        Stage::Origin => 4,
        Stage::Identify => 5,
        Stage::Rate => 6,
        Stage::Parse => 7,
        Stage::Authorize => 8,
        Stage::Inspect => 9,
        Stage::Answer => 11,
    }
}

/// Who may connect.
pub(super) fn of_ingress(ingress: &Ingress, shut: Option<&Shut>) -> Vec<Line> {
    let mut manifests: Vec<&str> = ingress.allow.iter().map(|list| list.manifest.as_str()).collect();
    manifests.extend(ingress.deny.iter().filter_map(|deny| deny.name.split('#').next()));
    manifests.sort_unstable();
    manifests.dedup();
    let line = |manifest: &str| {
        let line = Line { field: Some("/spec/ingress".to_owned()), ..Line::of(1, manifest, "Pass") };
        match shut.filter(|shut| shut.rule == manifest || shut.rule.starts_with(&format!("{manifest}#"))) {
            Some(shut) => Line { outcome: "Deny", ..line.rule(&shut.rule).because(shut.detail.as_str()) },
            None => line,
        }
    };
    manifests.into_iter().map(line).collect()
}

/// Writes the lines for one route.
pub(super) struct Scribe<'s> {
    pub(super) set: &'s Set,
    pub(super) route: &'s Route,
    pub(super) ids: &'s [String],
    pub(super) view: &'s RequestView<'s>,
}

impl Scribe<'_> {
    pub(super) fn lines(&self, explanation: &Explanation) -> Vec<Line> {
        let mut lines = Vec::new();
        for step in &explanation.steps {
            let refused = matches!(step.outcome, StepOutcome::Deny | StepOutcome::Error);
            let refusal = explanation.refusal.as_ref().filter(|_| refused);
            lines.extend(self.step(step, refusal, explanation.weighing.as_ref()));
        }
        lines
    }

    /// What had a part in it.
    pub(super) fn used(cx: &Context) -> Vec<Mark> {
        let rules = cx.rule().into_iter().flat_map(|rules| rules.split(", "));
        let names = cx.entries().iter().chain(cx.bindings()).map(|name| &**name).chain(rules);
        names.filter_map(Mark::of).collect()
    }

    fn step(&self, step: &Explained, refusal: Option<&Refusal>, weighing: Option<&Weighing>) -> Vec<Line> {
        let one = || {
            let line =
                Line { facts: step.facts.clone(), ..Line::of(number(step.stage), BUILT_IN, step.outcome.as_str()) };
            match refusal {
                Some(refusal) => line.because(refusal.detail.as_str()),
                None => line,
            }
        };
        match step.filter {
            "exceptions" => vec![self.exception(one(), refusal)],
            "frame" => self.frame(one(), refusal),
            "crossSite" => vec![one().at(self.access(&[Step::Key("crossSite")])).rule(step.filter)],
            "limits" => self.limits(step, refusal),
            "identify" => self.identify(one(), refusal),
            "authorize" => self.authorize(one(), weighing, refusal),
            "operation" | "schema" => vec![self.schema(one())],
            "schemaAgain" if refusal.is_none() => Vec::new(),
            "schemaAgain" => vec![self.schema(one())],
            "look" | "act" | "prompts" | "putPrompts" => self.content(step, &one, refusal),
            "reauthorize" if refusal.is_none() => Vec::new(),
            // What it saw is told as the shadow of the decision.
            "rehearse" => Vec::new(),
            name => vec![one().rule(name)],
        }
    }

    fn schema(&self, line: Line) -> Line {
        let owner =
            line.facts.get("policy").and_then(Value::as_str).and_then(|owner| self.set.opened.written.get(owner));
        line.at(owner.and_then(|manifest| manifest.place(&[Step::Key("schemaFrom")])))
    }

    fn access(&self, steps: &[Step<'_>]) -> Option<Place> {
        self.set.opened.written.first(self.ids, Kind::ApiAccessPolicy, steps)
    }

    /// `Policy/default/posture#public-status-page` stands in that manifest.
    fn exception(&self, line: Line, refusal: Option<&Refusal>) -> Line {
        let named = refusal.and_then(|refusal| refusal.rule.as_deref());
        let named = named.or_else(|| self.route.policy.waived.first().map(|waived| &*waived.exception));
        let Some((manifest, name)) = named.and_then(|id| id.split_once('#')) else { return line.rule("exceptions") };
        let place = self.set.opened.written.get(manifest);
        let place = place.and_then(|manifest| manifest.place(&[Step::Key("exceptions"), Step::Named(name)]));
        line.at(place).rule(name)
    }

    /// One line for each list; and one of our own where they all take the request, and it is refused.
    fn frame(&self, own: Line, refusal: Option<&Refusal>) -> Vec<Line> {
        let entries = allow_entries(&self.route.policy.access, self.view);
        let refused_by_list = refusal.is_some() && entries.iter().any(Option::is_none);
        let mut lines = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let list = self.route.policy.access.allow.get(number);
            let manifest = list.and_then(|list| self.set.opened.written.get(&list.manifest));
            let steps = [Some(Step::Key("allow")), entry.map(Step::Item)];
            let steps: Vec<Step<'_>> = steps.into_iter().flatten().collect();
            let line = Line::of(2, BUILT_IN, if entry.is_some() { "Pass" } else { "Deny" });
            let line = line.at(manifest.and_then(|manifest| manifest.place(&steps)));
            let refused = entry.is_none();
            lines.push(match refusal.filter(|_| refused) {
                Some(refusal) => line.because(refusal.detail.as_str()),
                None => line,
            });
            if refused {
                break; // the data path asks no further
            }
        }
        if !refused_by_list {
            lines.push(own.rule("frame"));
        }
        lines
    }

    fn limits(&self, step: &Explained, refusal: Option<&Refusal>) -> Vec<Line> {
        let guards = step.guards.iter();
        guards
            .map(|guard| {
                let name = guard.strip_prefix("limit/").unwrap_or(guard);
                let place = self.access(&[Step::Key("rateLimits"), Step::Named(name)]);
                let by_it = refusal.filter(|refusal| refusal.rule.as_deref() == Some(guard));
                let outcome = if by_it.is_some() { step.outcome.as_str() } else { "Pass" };
                let mut line = Line::of(number(step.stage), BUILT_IN, outcome).at(place).rule(name);
                // The headers speak of every limit of the step; only what is said of this one is its own.
                let own = format!("\"{name}\";");
                let said = step.facts.get("ratelimit").and_then(Value::as_str).filter(|said| said.contains(&own));
                if let Some(left) =
                    said.and_then(|said| said.split("r=").nth(1)).and_then(|rest| rest.split(';').next())
                {
                    line.facts
                        .insert("remaining".to_owned(), left.parse::<u64>().map_or(json!(left), |left| json!(left)));
                }
                by_it.map(|refusal| refusal.detail.clone()).into_iter().fold(line, Line::because)
            })
            .collect()
    }

    fn identify(&self, line: Line, refusal: Option<&Refusal>) -> Vec<Line> {
        let written = &self.set.opened.written;
        let demand = self.access(&[Step::Key("authentication")]);
        if refusal.is_some() {
            return vec![line.at(demand).rule("identify")];
        }
        let provider = line.facts.get("provider").and_then(Value::as_str).map(str::to_owned);
        let place = provider
            .and_then(|name| written.first(self.ids, Kind::IamPolicy, &[Step::Key("providers"), Step::Named(&name)]));
        let mut lines = vec![line.at(place)];
        lines.extend(demand.map(|place| Line::of(5, BUILT_IN, "Pass").at(Some(place))));
        lines
    }

    fn authorize(&self, own: Line, weighing: Option<&Weighing>, refusal: Option<&Refusal>) -> Vec<Line> {
        let stage = own.stage;
        let considered = weighing.into_iter().flat_map(|weighing| &weighing.considered);
        let near: Vec<&Considered> = considered.filter(|one| one.same_action).collect();
        let mut lines: Vec<Line> = near.iter().take(MOST_RULES).map(|one| considered_line(stage, one)).collect();
        if near.len() > MOST_RULES {
            let more = near.len() - MOST_RULES;
            lines.push(
                Line::of(stage, BUILT_IN, "NoMatch").because(format!("{more} more rules are not told one by one")),
            );
        }
        let built_in =
            refusal.and_then(|refusal| refusal.rule.as_deref()).and_then(|rule| rule.strip_prefix("built-in "));
        if let Some(rule) = built_in {
            let why = weighing.and_then(|weighing| weighing.before.clone());
            let line = Line { because: why, ..Line::of(stage, BUILT_IN, own.outcome) };
            lines.push(line.rule(rule));
        }
        if let Some(roles) = weighing.map(|weighing| &weighing.roles).filter(|roles| !roles.is_empty()) {
            let roles: Vec<&str> = roles.iter().map(|role| &**role).collect();
            let mut line = Line::of(stage, BUILT_IN, "Pass").rule("roles");
            line.facts.insert("roles".to_owned(), json!(roles));
            lines.insert(0, line);
        }
        lines
    }

    fn content(&self, step: &Explained, one: &dyn Fn() -> Line, refusal: Option<&Refusal>) -> Vec<Line> {
        let owner = |guard: &str| {
            let known = self.route.policy.coverage.guards.iter().find(|known| known.name == guard);
            known.map(|known| known.owner.clone())
        };
        if step.filter == "look" {
            return vec![one().rule("look")];
        }
        let blocked: Vec<&str> =
            refusal.and_then(|refusal| refusal.rule.as_deref()).into_iter().flat_map(|by| by.split(", ")).collect();
        let guards = step.guards.iter().map(|guard| {
            let blocks = blocked.contains(&&**guard);
            let outcome = if blocks { "Deny" } else { "Pass" };
            let by = owner(guard).unwrap_or_else(|| BUILT_IN.to_owned());
            let steps = match guard.split_once('/') {
                Some(("data", name)) => vec![Step::Key("rules"), Step::Named(name)],
                Some(("layer", name)) => vec![Step::Key("promptLayers"), Step::Named(name)],
                Some((_, name)) => vec![Step::Key("detectors"), Step::Named(name)],
                None => vec![Step::Key(guard)],
            };
            let place = self.set.opened.written.get(&by);
            let place = place.and_then(|manifest| manifest.place(&steps));
            Line::of(number(step.stage), &by, outcome).at(place).rule(guard)
        });
        let mut lines: Vec<Line> = guards.collect();
        if refusal.is_some() && !lines.iter().any(|line| line.outcome == "Deny") {
            lines.push(one().rule(step.filter));
        }
        lines
    }
}

fn considered_line(stage: u8, one: &Considered) -> Line {
    let name = one.rule.rsplit(' ').next().unwrap_or(&one.rule);
    let outcome = match (&one.outcome, one.effect) {
        (Outcome::Misses { .. }, _) => "NoMatch",
        (Outcome::Matches, Effect::Permit) => "Permit",
        (Outcome::Matches, Effect::Forbid) => "Forbid",
    };
    let pointer = json_pointer(&one.origin.pointer);
    let field = pointer.strip_suffix("/name").unwrap_or(&pointer).to_owned();
    let at = format!("{}:{}", one.origin.position.file, one.origin.position.line);
    let because = match &one.outcome {
        Outcome::Misses { missing, .. } => Some(missing.join("; ")),
        Outcome::Matches => None,
    };
    Line {
        field: Some(field),
        at: Some(at),
        because,
        of_user: one.of_user,
        facts: one.facts.clone(),
        ..Line::of(stage, &one.origin.manifest, outcome).rule(name)
    }
}
