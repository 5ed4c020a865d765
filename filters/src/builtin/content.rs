//! The content guards of a route: they look at every message part before the decision, and act after it.
//!
//! Looking sets `risk` and `dataClass`, which rules may read; acting refuses, or rewrites what will be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postern_config::{ContentAction, DataClass, DataProtection, Part};

use crate::message::{Message, PartText};
use crate::scan::{ContentGuards, Exchange, TokenKey, TokenMaker, TokenMap};
use crate::{ContentFinding, Context, Edit, FilterError, Flow, Judgement, Reason, Refusal, Verdict};

/// Guards of one direction.
#[derive(Debug)]
pub(crate) struct Content {
    guards: Arc<ContentGuards>,
    /// Of the guards that can see something here, as the coverage matrix has them.
    names: Vec<String>,
    classes: BTreeMap<String, DataClass>,
    /// A rule of the route reads `context.risk`: only then is it worth a pass of its own.
    scores_risk: bool,
    tokens: TokenMaker,
}

/// What a whole message turned out to be.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) verdicts: Verdicts,
    /// The first of them, for the record.
    pub(crate) findings: Vec<ContentFinding>,
    /// Highest class of data found.
    pub(crate) class: Option<DataClass>,
    /// And of what stays in the message.
    pub(crate) left: Option<DataClass>,
}

/// What to do with a whole message.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    blocked: bool,
    /// Guards that block.
    blockers: BTreeSet<String>,
    /// A finding in a text that has no other spelling, such as a query.
    fixed: bool,
    pub(crate) edits: Vec<(usize, Vec<Edit>)>,
}

impl Verdicts {
    /// Why nothing of the message may pass, if so.
    pub(crate) fn refusal(&self, reason: Reason) -> Option<Refusal> {
        if self.blocked {
            return Some(blocked_by(reason, &self.blockers));
        }
        self.fixed.then(|| Refusal::new(reason, "a finding in a text that cannot be rewritten"))
    }
}

impl Outcome {
    fn add(&mut self, index: Option<usize>, judgement: Judgement, classes: &BTreeMap<String, DataClass>) {
        let Judgement { edits, findings, blocked } = judgement;
        self.verdicts.blocked |= blocked;
        self.verdicts.blockers.extend(blockers(&findings).map(str::to_owned));
        for finding in findings {
            let class = class_of(&finding, classes);
            self.class = self.class.max(class);
            if finding.action.keeps() {
                self.left = self.left.max(class);
            }
            if finding.action != ContentAction::Allow && self.findings.len() < Context::MAX_FINDINGS {
                self.findings.push(finding);
            }
        }
        match (edits.is_empty(), index) {
            (true, _) => {}
            (false, Some(index)) => self.verdicts.edits.push((index, edits)),
            (false, None) => self.verdicts.fixed = true,
        }
    }
}

impl Content {
    pub(crate) fn new(
        guards: Arc<ContentGuards>,
        names: Vec<String>,
        data: &DataProtection,
        scores_risk: bool,
        key: TokenKey,
    ) -> Self {
        let classes = data.detectors.iter().map(|detector| (detector.name.clone(), detector.class)).collect();
        Self { guards, names, classes, scores_risk, tokens: TokenMaker { key, lasts: data.keeps_tokens } }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn looks_at(&self, part: Part) -> bool {
        !self.guards.guards_of(part).is_empty()
    }

    pub(crate) fn guards(&self) -> &Arc<ContentGuards> {
        &self.guards
    }

    /// For what is replaced by tokens, if anything is.
    pub(crate) fn tokens(&self, cx: &Context) -> Option<Arc<TokenMap>> {
        let made = || TokenMap::new(&self.tokens, cx.known_principal().map(Arc::as_ref), cx.tenant().map(Arc::as_ref));
        self.guards.tokenizes().then(|| Arc::new(made()))
    }

    /// The highest class of what `findings` leave as it is.
    pub(crate) fn left_by(&self, findings: &[ContentFinding]) -> Option<DataClass> {
        findings.iter().filter(|one| one.action.keeps()).filter_map(|one| class_of(one, &self.classes)).max()
    }

    /// Judges every part, without acting. What was found is recorded even if the decision falls before anything is done
    /// about it.
    pub(crate) fn look(&self, cx: &mut Context) -> Verdict {
        let exchange = Exchange { tokens: self.tokens(cx), canary: None };
        let Outcome { verdicts, findings, class, .. } = self.judge_texts(cx.message()?.texts(), &exchange);
        let risk = if self.scores_risk { self.risk(cx.message()?) } else { 0 };
        cx.set_seen(verdicts, risk, class.unwrap_or(DataClass::Public));
        cx.set_token_map(exchange.tokens);
        cx.add_findings(findings);
        Ok(Flow::Continue)
    }

    /// Refuses or rewrites the request according to what was seen.
    pub(crate) fn act(&self, cx: &mut Context) -> Verdict {
        let verdicts = cx.take_verdicts().ok_or_else(|| FilterError::Content("nothing was looked at".to_owned()))?;
        if let Some(refusal) = verdicts.refusal(Reason::ContentRefused) {
            return Ok(Flow::Refuse(refusal));
        }
        if !verdicts.edits.is_empty() {
            match cx.message()?.rewrite(&verdicts.edits) {
                Ok(body) => cx.replace_body(body),
                // Found, and in a place that cannot be changed: it does not pass.
                Err(error) => return Ok(Flow::refuse(Reason::ContentRefused, error.to_string())),
            }
        }
        Ok(Flow::Continue)
    }

    /// The highest score of a detector of hostile content, thresholds aside.
    fn risk(&self, message: &Message) -> u8 {
        message.texts().map(|text| self.guards.risk(text.part, text.text)).max().unwrap_or(0)
    }

    pub(crate) fn judge(&self, message: &Message, exchange: &Exchange) -> Outcome {
        self.judge_texts(message.texts(), exchange)
    }

    pub(crate) fn judge_texts<'t>(&self, texts: impl Iterator<Item = PartText<'t>>, exchange: &Exchange) -> Outcome {
        let mut outcome = Outcome::default();
        for text in texts {
            outcome.add(text.index, self.guards.judge_for(text.part, text.text, exchange), &self.classes);
        }
        outcome
    }
}

/// A detector of hostile content may have the name of one of data.
fn class_of(finding: &ContentFinding, classes: &BTreeMap<String, DataClass>) -> Option<DataClass> {
    finding.guard.starts_with("data/").then(|| classes.get(&finding.detector).copied()).flatten()
}

fn blockers(findings: &[ContentFinding]) -> impl Iterator<Item = &str> {
    findings.iter().filter(|finding| finding.action == ContentAction::Block).map(|finding| finding.guard.as_str())
}

/// A refusal that names the guards that blocked, and nothing of what they found.
pub(crate) fn blocked(reason: Reason, findings: &[ContentFinding]) -> Refusal {
    blocked_by(reason, &blockers(findings).map(str::to_owned).collect())
}

fn blocked_by(reason: Reason, guards: &BTreeSet<String>) -> Refusal {
    let guards = guards.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Refusal::new(reason, format!("blocked by {guards}")).by(guards)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use postern_config::{
        DataDetector, DataDetectorKind, DataRule, Direction, RuntimeAction, RuntimeDetector, RuntimeDetectorKind,
        RuntimeSecurity,
    };

    use super::*;
    use crate::testing::context;

    fn content(action: ContentAction, class: DataClass, runtime: Option<RuntimeAction>) -> Content {
        let kind = DataDetectorKind::Regex { pattern: "BADGE-[0-9]{3}".to_owned(), validate: None };
        let data = DataProtection {
            detectors: vec![DataDetector { name: "badge".to_owned(), kind, class }],
            rules: vec![DataRule {
                name: "badges".to_owned(),
                owner: "DataProtectionPolicy/default/d".to_owned(),
                request: true,
                response: true,
                parts: vec![Part::HttpBody, Part::HttpQuery],
                detectors: vec![0],
                action,
                tokens: postern_config::TokenRule::default(),
            }],
            hold_back: 1024,
            ..DataProtection::default()
        };
        // Named as the detector of data, which is another one.
        let hidden = |action| RuntimeDetector {
            name: "badge".to_owned(),
            owner: "RuntimeSecurityPolicy/default/r".to_owned(),
            kind: RuntimeDetectorKind::HiddenText,
            parts: vec![Part::HttpBody],
            threshold: 50,
            action,
        };
        let runtime =
            RuntimeSecurity { detectors: runtime.map(hidden).into_iter().collect(), ..RuntimeSecurity::default() };
        let guards = ContentGuards::compile(&data, &runtime, Direction::Request).unwrap();
        Content::new(Arc::new(guards), vec!["data/badges".to_owned()], &data, true, TokenKey::of_process())
    }

    fn walk(content: &Content, query: Option<&str>, body: &str) -> (Verdict, Context) {
        let mut cx = context();
        let body = Bytes::copy_from_slice(body.as_bytes());
        cx.set_body(body.clone());
        cx.set_message(Message::http(Some("text/plain"), query, None, body, crate::MessageLimits::default()).unwrap());
        assert_eq!(content.look(&mut cx).unwrap(), Flow::Continue, "looking does not act");
        (content.act(&mut cx), cx)
    }

    #[test]
    fn looks_first_and_acts_later() {
        for (action, body, want) in [
            (ContentAction::Redact, "it is BADGE-123.", Some("it is [redacted:badge].")),
            (ContentAction::Mask, "it is BADGE-123.", Some("it is ****E-123.")),
            (ContentAction::Block, "it is BADGE-123.", None),
            (ContentAction::Block, "it is BADGE-12.", Some("it is BADGE-12.")),
        ] {
            let (flow, cx) = walk(&content(action, DataClass::Confidential, None), None, body);
            let passed = matches!(flow, Ok(Flow::Continue)).then(|| std::str::from_utf8(cx.body()).unwrap());
            assert_eq!(passed, want, "{action:?} {body}");
            let found = body.contains("123");
            assert_eq!(cx.findings().len(), usize::from(found));
            let class = if found { DataClass::Confidential } else { DataClass::Public };
            assert_eq!(cx.data_class(), class, "also after it has acted");
        }
    }

    #[test]
    fn a_finding_in_a_query_refuses_as_it_cannot_be_rewritten() {
        let content = content(ContentAction::Redact, DataClass::Internal, None);
        let (flow, _) = walk(&content, Some("note=BADGE%2D123"), "fine");
        assert!(matches!(flow, Ok(Flow::Refuse(refusal)) if refusal.reason == Reason::ContentRefused));
    }

    #[test]
    fn a_detector_of_hostile_content_has_no_class_though_it_shares_a_name() {
        let content = content(ContentAction::Redact, DataClass::Restricted, Some(RuntimeAction::Redact));
        let (flow, cx) = walk(&content, None, "fine\u{e006f}\u{e0062}\u{e0065}\u{e0079}");
        assert!(matches!(flow, Ok(Flow::Continue)));
        assert_eq!(
            (cx.data_class(), cx.findings().len(), cx.body().as_ref()),
            (DataClass::Public, 1, b"fine".as_slice())
        );
        assert!(cx.risk() > 0);
    }

    #[test]
    fn all_findings_are_acted_on_and_few_are_kept() {
        let body = format!("{} BADGE-999", "BADGE-123 ".repeat(5000));
        let (flow, cx) = walk(&content(ContentAction::Redact, DataClass::Internal, None), None, &body);
        assert!(matches!(flow, Ok(Flow::Continue)));
        assert_eq!(cx.findings().len(), Context::MAX_FINDINGS);
        assert_eq!(cx.body(), &body.replace("BADGE-123", "[redacted:badge]").replace("BADGE-999", "[redacted:badge]"));
    }

    #[test]
    fn acting_without_having_looked_decides_nothing() {
        assert!(content(ContentAction::Redact, DataClass::Public, None).act(&mut context()).is_err());
    }
}
