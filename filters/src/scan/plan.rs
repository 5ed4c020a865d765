//! What is looked for in one message part, and what then happens.

use std::sync::Arc;

use postern_config::{ContentAction, Part, TokenRule, WebAttack};

use super::hit::{Hit, Source};
use super::injection::Signatures;
use super::matcher::PatternSet;
use super::model::{Head, Model};
use super::orders::Orders;
use super::words::WordSet;
use crate::text::ContentFinding;

/// One rule's interest in one detector.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `data/never-cards`, `runtime/indirect`.
    pub(crate) guard: String,
    pub(crate) detector: String,
    pub(crate) action: ContentAction,
    /// Scores below do not count.
    pub(crate) threshold: u8,
    /// For action Tokenize.
    pub(crate) tokens: TokenRule,
}

impl Target {
    pub(crate) fn finding(&self, part: Part, hit: &Hit) -> ContentFinding {
        ContentFinding {
            guard: self.guard.clone(),
            detector: self.detector.clone(),
            part,
            action: self.action,
            score: hit.score,
            range: hit.start..hit.end,
            label: None,
        }
    }
}

/// All guards of one part and direction, ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) part: Part,
    pub(crate) hold_back: usize,
    pub(crate) sets: Vec<Arc<PatternSet>>,
    /// Whole words, each list with the index of [`Source::Data`] that it reports as.
    pub(crate) words: Vec<(usize, Arc<WordSet>)>,
    /// By index of [`Source::Data`].
    pub(crate) data: Vec<Vec<Target>>,
    /// Attacks that are looked for in whole values.
    pub(crate) web: Vec<(WebAttack, Vec<Target>)>,
    pub(crate) hidden: Vec<Target>,
    pub(crate) injection: Signed,
    pub(crate) jailbreak: Signed,
    /// What is decoded is judged as `injection` judges.
    pub(crate) encoded: Signed,
    /// What is planted for one exchange.
    pub(crate) canary: Vec<Target>,
}

/// Rules' interest in texts that give orders, and what knows them.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) targets: Vec<Target>,
    pub(crate) signatures: Arc<Signatures>,
    pub(crate) model: Arc<Model>,
}

impl Signed {
    pub(crate) fn is_wanted(&self) -> bool {
        !self.targets.is_empty()
    }

    /// The score below which nobody asked.
    pub(crate) fn least(&self) -> u8 {
        least(&self.targets).max(1)
    }
}

impl Plan {
    /// Who asked for this hit.
    pub(crate) fn targets<'p>(&'p self, hit: &Hit) -> impl Iterator<Item = &'p Target> + use<'p> {
        let targets = match hit.source {
            Source::Data(i) => self.data.get(i).map_or(&[][..], Vec::as_slice),
            Source::Hidden => &self.hidden,
            Source::Injection => &self.injection.targets,
            Source::Jailbreak => &self.jailbreak.targets,
            Source::Encoded => &self.encoded.targets,
            Source::Web(attack) => self.web_targets(attack),
            Source::Canary => &self.canary,
        };
        let score = hit.score;
        targets.iter().filter(move |t| score >= t.threshold)
    }

    fn web_targets(&self, attack: WebAttack) -> &[Target] {
        self.web.iter().find(|(one, _)| *one == attack).map_or(&[], |(_, targets)| targets)
    }

    pub(crate) fn tokenizes(&self) -> bool {
        self.data.iter().flatten().any(|target| target.action == ContentAction::Tokenize)
    }

    pub(crate) fn is_empty(&self) -> bool {
        [&self.hidden, &self.canary].into_iter().all(Vec::is_empty)
            && self.data.is_empty()
            && self.web.is_empty()
            && !self.signed().into_iter().any(Signed::is_wanted)
    }

    fn signed(&self) -> [&Signed; 3] {
        [&self.injection, &self.jailbreak, &self.encoded]
    }

    /// Who asks for texts that give orders, what for, and whose text this is taken for: jailbreaks are what users write.
    pub(crate) fn judged(&self) -> impl Iterator<Item = (&Signed, Source, Head)> {
        let injection = (&self.injection, Source::Injection, Head::of(self.part));
        [injection, (&self.jailbreak, Source::Jailbreak, Head::User)].into_iter()
    }

    /// The state of those at the beginning of a text.
    pub(crate) fn orders(&self) -> Orders {
        let mut orders = Orders::default();
        for (signed, source, head) in self.judged().filter(|(signed, ..)| signed.is_wanted()) {
            orders.ask(source, &signed.signatures, (&signed.model, head), self.hold_back, signed.least());
        }
        orders
    }

    /// Whether a pattern of the operator counts as hostile.
    pub(crate) fn has_hostile_patterns(&self) -> bool {
        self.data.iter().flatten().any(|target| target.guard.starts_with("runtime/"))
    }

    /// Whether a hit leaves the text as it is, whoever asked for it.
    pub(crate) fn keeps(&self, hit: &Hit) -> bool {
        self.targets(hit).all(|target| target.action.keeps())
    }

    /// Whether texts that give orders are changed, and not only refused or noted: then a window has to stay until it is judged.
    pub(crate) fn rewrites_orders(&self) -> bool {
        let targets = self.injection.targets.iter().chain(&self.jailbreak.targets);
        targets.map(|target| target.action).any(|action| action != ContentAction::Block && !action.keeps())
    }

    /// Whether a hit changes nothing of the text, so that part of what it is about may have left.
    pub(crate) fn stands_apart(&self, hit: &Hit) -> bool {
        matches!(hit.source, Source::Injection | Source::Jailbreak) && !self.rewrites_orders() || self.keeps(hit)
    }

    /// Names of the guards that look at this part, sorted, each once.
    pub(crate) fn guard_names(&self) -> Vec<&str> {
        let web = self.web.iter().flat_map(|(_, targets)| targets);
        let signed = self.signed().into_iter().flat_map(|signed| &signed.targets);
        let all = self.data.iter().flatten().chain(&self.hidden).chain(&self.canary).chain(signed).chain(web);
        let mut names: Vec<&str> = all.map(|t| t.guard.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The lowest threshold of `targets`.
pub(crate) fn least(targets: &[Target]) -> u8 {
    targets.iter().map(|t| t.threshold).min().unwrap_or(u8::MAX)
}
