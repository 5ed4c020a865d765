//! The policies that judge: of a route, or those that nobody had to write.

use std::collections::BTreeMap;
use std::path::Path;

use postern_config::{DataProtection, Dialect, Direction, Part, Route, RuntimeSecurity, Snapshot};
use postern_filters::scan::{ContentGuards, ScanError, defaults, injection_score};
use serde_json::Value;

use super::input::Row;
use super::tell::{self, Detector};
use super::{Scan, part};
use crate::clock::{Clock, SystemClock};

/// Demands on answers have no detector of their own.
const OUTPUT: Detector = Detector { class: None, kind: "Output" };

/// Guards of both directions.
pub(super) struct Policy {
    request: ContentGuards,
    response: ContentGuards,
    /// What they look for, by guard and detector.
    data: BTreeMap<String, Detector>,
    hostile: BTreeMap<String, Detector>,
    part: Part,
    /// What whoever reads the outcome has to know.
    pub(super) notes: Vec<String>,
}

impl Policy {
    /// # Errors
    /// Why there is none, for people.
    pub(super) fn load(asked: &Scan) -> Result<Self, String> {
        let Some(config) = &asked.config else {
            let (data, runtime) = defaults();
            return Self::compile(&data, &runtime, Part::User);
        };
        let now = SystemClock.unix_ms() / 1000;
        let loaded = postern_config::load(config, now).map_err(|report| report.to_string())?;
        let route = choose(&loaded.snapshot, asked.route.as_deref(), config)?.at(now);
        let part = if route.dialect == Dialect::Http { Part::HttpBody } else { Part::User };
        let mut policy = Self::compile(&route.policy.data, &route.policy.runtime, part)?;
        if route.policy.leaks.is_some() {
            let note =
                "secrets of the upstream, which `leakDetection` looks for, are not looked for here: nothing reads them";
            policy.notes.push(note.to_owned());
        }
        let external: Vec<String> =
            route.policy.runtime.external().map(|(detector, _)| format!("`{}`", detector.name)).collect();
        if !external.is_empty() {
            let names = external.join(", ");
            policy.notes.push(format!("detectors of type `External` are not asked here, as nothing is sent: {names}"));
        }
        Ok(policy)
    }

    fn compile(data: &DataProtection, runtime: &RuntimeSecurity, part: Part) -> Result<Self, String> {
        let of = |direction| ContentGuards::compile(data, runtime, direction).map_err(|error| told(&error));
        let (request, response) = (of(Direction::Request)?, of(Direction::Response)?);
        let named = data
            .detectors
            .iter()
            .map(|one| (one.name.clone(), Detector { class: Some(one.class), kind: one.kind.as_str() }));
        let hostile =
            runtime.detectors.iter().map(|one| (one.name.clone(), Detector { class: None, kind: one.kind.as_str() }));
        Ok(Self { request, response, data: named.collect(), hostile: hostile.collect(), part, notes: Vec::new() })
    }

    /// What is told of one text.
    ///
    /// # Errors
    /// Why it cannot be judged.
    pub(super) fn judge(&self, row: &Row, asked: &Scan) -> Result<Value, String> {
        let part = row.part.as_deref().map_or(Ok(asked.part.unwrap_or(self.part)), part)?;
        let direction = match row.direction.as_deref() {
            None => asked.direction.map_or_else(|| usual(part), super::Way::direction),
            Some("request") => Direction::Request,
            Some("response") => Direction::Response,
            Some(_) => return Err("`direction` is neither `request` nor `response`".to_owned()),
        };
        let guards = if direction == Direction::Request { &self.request } else { &self.response };
        let findings = guards.findings(part, &row.text);
        let score = injection_score(part, &row.text).map_err(|error| told(&error))?;
        let detector = |guard: &str, name: &str| match guard.split('/').next() {
            Some("data") => self.data.get(name),
            Some("output") => Some(&OUTPUT),
            _ => self.hostile.get(name),
        };
        Ok(tell::line(row, part, &findings, &guards.guards_of(part), &score, detector))
    }
}

/// The way that texts of this part usually go.
fn usual(part: Part) -> Direction {
    match part {
        Part::Assistant | Part::Reasoning | Part::ToolArguments => Direction::Response,
        _ => Direction::Request,
    }
}

/// The route that is asked for, or the only one with policies of content.
fn choose<'s>(snapshot: &'s Snapshot, name: Option<&str>, config: &Path) -> Result<&'s Route, String> {
    let guarded = |route: &&Route| {
        let (data, runtime) = (&route.policy.data, &route.policy.runtime);
        !data.rules.is_empty() || !runtime.detectors.is_empty() || !runtime.output.is_empty()
    };
    let names =
        |routes: &[&Route]| routes.iter().map(|route| format!("`{}`", route.name)).collect::<Vec<_>>().join(", ");
    let guarded: Vec<&Route> = snapshot.routes.iter().filter(guarded).collect();
    if let Some(name) = name {
        return snapshot.routes.iter().find(|route| route.name == name).ok_or_else(|| {
            let all: Vec<&Route> = snapshot.routes.iter().collect();
            format!("postern: there is no route `{name}`; the routes are {}", names(&all))
        });
    }
    match guarded.as_slice() {
        [only] => Ok(only),
        [] => Err(format!(
            "postern: no route of `{}` has a DataProtectionPolicy or RuntimeSecurityPolicy that sees anything; leave \
             `--config` out for the built-in detectors",
            config.display()
        )),
        several => Err(format!(
            "postern: several routes have policies of content; choose one with `--route`: {}",
            names(several)
        )),
    }
}

/// An error with its causes.
fn told(error: &ScanError) -> String {
    let mut text = format!("postern: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
