//! From what policies ask for to what is looked for in each part.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{
    ContentAction, DataDetectorKind, DataProtection, Direction, Part, RuntimeDetector, RuntimeDetectorKind,
    RuntimeSecurity, TokenRule, Validator, WebAttack,
};

use super::hit::Source;
use super::managed::{GUARD as LEAK_GUARD, Managed};
use super::matcher::{Member, PatternSet};
use super::pattern::Pattern;
use super::plan::{Plan, Signed, Target};
use super::words::{Hashes, Phrases, WordSet};
use super::{ScanError, builtin, canary, encoded, hidden, injection, managed, model, words};

#[derive(Debug, Clone)]
struct Compiled {
    pattern: Arc<Pattern>,
    unbounded: bool,
    strict: bool,
}

pub(super) struct Compiler<'a> {
    data: &'a DataProtection,
    runtime: &'a RuntimeSecurity,
    managed: &'a Managed,
    direction: Direction,
    patterns: BTreeMap<usize, Compiled>,
    /// Whole words, by detector of data.
    lists: BTreeMap<usize, Arc<WordSet>>,
    /// Patterns of hostile content, by detector of hostile content.
    hostile: BTreeMap<usize, Compiled>,
    /// The managed secrets, and whether each is looked for whole.
    secrets: Option<Vec<(Arc<Pattern>, bool)>>,
    /// Parts often ask for the same.
    sets: BTreeMap<SetKey, Vec<Arc<PatternSet>>>,
}

/// What is looked for together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SetKey {
    data: Vec<usize>,
    hostile: Vec<usize>,
    markup: bool,
    leaks: bool,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(
        data: &'a DataProtection,
        runtime: &'a RuntimeSecurity,
        managed: &'a Managed,
        direction: Direction,
    ) -> Self {
        Self {
            data,
            runtime,
            managed,
            direction,
            patterns: BTreeMap::new(),
            lists: BTreeMap::new(),
            hostile: BTreeMap::new(),
            secrets: None,
            sets: BTreeMap::new(),
        }
    }
}

impl Compiler<'_> {
    pub(super) fn plan(&mut self, part: Part) -> Result<Plan, ScanError> {
        let mut wanted: BTreeMap<usize, Vec<Target>> = BTreeMap::new();
        let applies = |request, response| match self.direction {
            Direction::Request => request,
            Direction::Response => response,
        };
        for rule in &self.data.rules {
            if !applies(rule.request, rule.response) || !rule.parts.contains(&part) {
                continue;
            }
            for &index in &rule.detectors {
                let detector = self.data.detectors.get(index);
                let name = detector.ok_or_else(|| ScanError::Dangling { rule: rule.name.clone(), index })?.name.clone();
                let guard = format!("data/{}", rule.name);
                wanted.entry(index).or_default().push(Target {
                    guard,
                    detector: name,
                    action: rule.action,
                    threshold: 0,
                    // What is put back are values of the request.
                    tokens: TokenRule {
                        restore: rule.tokens.restore && self.direction == Direction::Request,
                        ..rule.tokens
                    },
                });
            }
        }
        let hidden = self.runtime_targets(part, &RuntimeDetectorKind::HiddenText);
        let injection = self.runtime_targets(part, &RuntimeDetectorKind::PromptInjection);
        let jailbreak = self.runtime_targets(part, &RuntimeDetectorKind::Jailbreak);
        let encoded = self.runtime_targets(part, &RuntimeDetectorKind::EncodedPayload);
        for (targets, detector, needs) in [
            (&injection, "PromptInjection", injection::NEEDS),
            (&jailbreak, "Jailbreak", injection::NEEDS),
            (&encoded, "EncodedPayload", encoded::NEEDS),
        ] {
            if !targets.is_empty() {
                self.check_hold_back(detector, needs)?;
            }
        }
        let canary = match self.direction {
            // What is planted can only come back.
            Direction::Request => Vec::new(),
            Direction::Response => self.runtime_targets(part, &RuntimeDetectorKind::Canary),
        };
        if let Some(target) = canary.first() {
            self.check_hold_back(&target.detector, canary::NEEDS)?;
        }
        let web = WebAttack::ALL.map(|attack| (attack, self.runtime_targets(part, &RuntimeDetectorKind::Web(attack))));
        let own = self.own_secrets(&wanted);
        let leaks = self.leak_targets(part, &own)?;
        let words = self.words(wanted.keys().copied())?;
        let hostile = self.hostile_targets(part);
        let key = SetKey {
            data: wanted.keys().copied().collect(),
            hostile: hostile.iter().map(|(index, _)| *index).collect(),
            markup: !hidden.is_empty(),
            leaks: !leaks.is_empty(),
        };
        let sets = self.sets(key)?;
        let hostile = hostile.into_iter().map(|(_, target)| vec![target]);
        let data = wanted.into_values().chain(hostile).chain(leaks).collect();
        let web = web.into_iter().filter(|(_, targets)| !targets.is_empty()).collect();
        let model = model::shipped()?;
        let signed = |targets, signatures| Signed { targets, signatures, model: Arc::clone(&model) };
        Ok(Plan {
            part,
            hold_back: self.data.hold_back,
            sets,
            words,
            data,
            web,
            hidden,
            injection: signed(injection, injection::signatures()?),
            jailbreak: signed(jailbreak, injection::jailbreaks()?),
            encoded: signed(encoded, injection::signatures()?),
            canary,
        })
    }

    /// Lists of words among the detectors, each with its place among them.
    fn words(&mut self, wanted: impl Iterator<Item = usize>) -> Result<Vec<(usize, Arc<WordSet>)>, ScanError> {
        let mut words = Vec::new();
        for (slot, index) in wanted.enumerate() {
            let Some(detector) = self.data.detectors.get(index) else { continue };
            let made = match (self.lists.get(&index), &detector.kind) {
                (Some(known), _) => Arc::clone(known),
                (None, DataDetectorKind::Dictionary(list)) => Arc::new(WordSet::Phrases(Phrases::new(list.entries()))),
                (None, DataDetectorKind::ExactMatch(list)) => Arc::new(WordSet::Hashes(Box::new(Hashes::new(list)))),
                (None, DataDetectorKind::Builtin(_) | DataDetectorKind::Regex { .. } | DataDetectorKind::Managed) => {
                    continue;
                }
            };
            self.check_hold_back(&detector.name, words::NEEDS)?;
            self.lists.insert(index, Arc::clone(&made));
            words.push((slot, made));
        }
        Ok(words)
    }

    /// Who asked for the secrets of the upstream.
    fn own_secrets(&self, wanted: &BTreeMap<usize, Vec<Target>>) -> Vec<Target> {
        let of_secrets = |index: &usize| {
            self.data.detectors.get(*index).is_some_and(|one| matches!(one.kind, DataDetectorKind::Managed))
        };
        wanted.iter().filter(|(index, _)| of_secrets(index)).flat_map(|(_, targets)| targets).cloned().collect()
    }

    /// Who asked for patterns of hostile content, with the number of each detector.
    fn hostile_targets(&self, part: Part) -> Vec<(usize, Target)> {
        let detectors = self.runtime.detectors.iter().enumerate();
        let wanted =
            detectors.filter(|(_, one)| matches!(one.kind, RuntimeDetectorKind::Regex(_)) && one.parts.contains(&part));
        wanted.map(|(index, one)| (index, runtime_target(one))).collect()
    }

    fn runtime_targets(&self, part: Part, kind: &RuntimeDetectorKind) -> Vec<Target> {
        let wanted = self.runtime.detectors.iter().filter(|d| d.kind == *kind && d.parts.contains(&part));
        wanted.map(runtime_target).collect()
    }

    /// What happens to each of the secrets where it is found in `part`; nothing where none is looked for.
    fn leak_targets(&mut self, part: Part, own: &[Target]) -> Result<Vec<Vec<Target>>, ScanError> {
        let leak = self.managed.action.filter(|_| self.managed.parts.contains(&part));
        if leak.is_none() && own.is_empty() {
            return Ok(Vec::new());
        }
        let named = self.managed.secrets.iter().map(|(name, _)| name.clone());
        let targets = named.zip(self.secrets()?).map(|(detector, (_, whole))| {
            let leak = leak.map(|action| Target {
                guard: LEAK_GUARD.to_owned(),
                detector,
                action,
                threshold: 0,
                tokens: TokenRule::default(),
            });
            let mut targets: Vec<Target> = leak.into_iter().chain(own.iter().cloned()).collect();
            if !whole {
                // Of one that is found by its end, the rest would be left.
                targets.iter_mut().filter(|one| !one.action.keeps()).for_each(|one| one.action = ContentAction::Block);
            }
            targets
        });
        Ok(targets.collect())
    }

    fn secrets(&mut self) -> Result<Vec<(Arc<Pattern>, bool)>, ScanError> {
        if self.secrets.is_none() {
            let mut made = Vec::new();
            for (name, value) in &self.managed.secrets {
                let (pattern, whole) = managed::pattern(name, value)?;
                self.check_hold_back(name, pattern.max_len.unwrap_or(usize::MAX))?;
                made.push((Arc::new(pattern), whole));
            }
            self.secrets = Some(made);
        }
        Ok(self.secrets.clone().unwrap_or_default())
    }

    fn sets(&mut self, key: SetKey) -> Result<Vec<Arc<PatternSet>>, ScanError> {
        if let Some(sets) = self.sets.get(&key) {
            return Ok(sets.clone());
        }
        let mut members = Vec::new();
        for (slot, index) in key.data.iter().enumerate() {
            let Some(Compiled { pattern, unbounded, strict }) = self.detector(*index)? else { continue };
            members.push(Member { pattern, source: Source::Data(slot), unbounded, strict });
        }
        for (place, index) in key.hostile.iter().enumerate() {
            let Some(Compiled { pattern, unbounded, strict }) = self.hostile(*index)? else { continue };
            let source = Source::Data(key.data.len().saturating_add(place));
            members.push(Member { pattern, source, unbounded, strict });
        }
        let SetKey { markup, leaks, .. } = key;
        if leaks {
            let behind = key.data.len().saturating_add(key.hostile.len());
            let secrets = self.secrets()?.into_iter().enumerate();
            members.extend(secrets.map(|(index, (pattern, _))| Member {
                pattern,
                source: Source::Data(behind.saturating_add(index)),
                unbounded: false,
                strict: true,
            }));
        }
        if markup {
            let (pattern, needs) = hidden::markup::pattern()?;
            self.check_hold_back("HiddenText", needs)?;
            members.push(Member { pattern, source: Source::Hidden, unbounded: false, strict: false });
        }
        let sets: Vec<Arc<PatternSet>> = PatternSet::split(members).into_iter().map(Arc::new).collect();
        self.sets.insert(key, sets.clone());
        Ok(sets)
    }

    /// Nothing for what is no pattern.
    fn detector(&mut self, index: usize) -> Result<Option<Compiled>, ScanError> {
        if let Some(known) = self.patterns.get(&index) {
            return Ok(Some(known.clone()));
        }
        let Some(detector) = self.data.detectors.get(index) else {
            return Err(ScanError::Dangling { rule: String::new(), index });
        };
        let made = match &detector.kind {
            DataDetectorKind::Builtin(id) => self.builtin(id),
            DataDetectorKind::Regex { pattern, validate } => self.regex(pattern, *validate),
            DataDetectorKind::Dictionary(_) | DataDetectorKind::ExactMatch(_) | DataDetectorKind::Managed => {
                return Ok(None);
            }
        };
        let compiled = made.map_err(|error| error.of(&detector.name))?;
        self.patterns.insert(index, compiled.clone());
        Ok(Some(compiled))
    }

    fn hostile(&mut self, index: usize) -> Result<Option<Compiled>, ScanError> {
        if let Some(known) = self.hostile.get(&index) {
            return Ok(Some(known.clone()));
        }
        let Some(detector) = self.runtime.detectors.get(index) else { return Ok(None) };
        let RuntimeDetectorKind::Regex(pattern) = &detector.kind else { return Ok(None) };
        let compiled = self.regex(pattern, None).map_err(|error| error.of(&detector.name))?;
        self.hostile.insert(index, compiled.clone());
        Ok(Some(compiled))
    }

    fn builtin(&self, id: &str) -> Result<Compiled, ScanError> {
        let (pattern, needs) = builtin::detector(id)?;
        self.check_hold_back(id, needs)?;
        Ok(Compiled { pattern, unbounded: false, strict: false })
    }

    fn regex(&self, pattern: &str, validate: Option<Validator>) -> Result<Compiled, ScanError> {
        let pattern = Pattern::from_regex(pattern, validate)?;
        let unbounded = pattern.max_len.is_none_or(|len| len > self.data.hold_back);
        Ok(Compiled { pattern: Arc::new(pattern), unbounded, strict: true })
    }

    fn check_hold_back(&self, detector: &str, needed: usize) -> Result<(), ScanError> {
        let hold_back = self.data.hold_back;
        if hold_back < needed {
            return Err(ScanError::HoldBackTooSmall { detector: detector.to_owned(), hold_back, needed });
        }
        Ok(())
    }

    pub(super) fn unbounded(&self) -> Vec<String> {
        let long = self.patterns.iter().filter(|(_, c)| c.unbounded);
        let data = long.filter_map(|(i, _)| self.data.detectors.get(*i)).map(|d| d.name.clone());
        let long = self.hostile.iter().filter(|(_, c)| c.unbounded);
        data.chain(long.filter_map(|(i, _)| self.runtime.detectors.get(*i)).map(|d| d.name.clone())).collect()
    }
}

fn runtime_target(detector: &RuntimeDetector) -> Target {
    Target {
        guard: format!("runtime/{}", detector.name),
        detector: detector.name.clone(),
        action: detector.action.into(),
        threshold: detector.threshold.max(1),
        tokens: TokenRule::default(),
    }
}
