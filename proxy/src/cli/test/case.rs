//! One case: from what was written to a question, and from its answer to a verdict.

use std::net::IpAddr;
use std::path::Path;

use bytes::Bytes;
use postern_config::cases::{Case, CaseFile, DecisionWord, Expectation, IdentityCase, RequestCase, ShadowWord};
use postern_config::decode::At;
use postern_config::{Code, Report};
use postern_filters::audit::Decision;
use postern_filters::{Reason, dialect};

use super::Verdict;
use crate::explain::{Answer, Caller, Question, Set, Who};

const PV_SHAPE: Code = Code(2);
/// Largest body of a case.
const MAX_BODY: u64 = 16 << 20;

/// A case that can be asked.
pub(super) struct Asked<'c> {
    file: String,
    written: &'c At<Case>,
    question: Question,
}

/// The cases of one file. What cannot be asked is in `report`.
pub(super) fn read<'c>(
    dir: &Path,
    path: &Path,
    file: &'c CaseFile,
    now_ms: i64,
    report: &mut Report,
) -> Vec<Asked<'c>> {
    let name = path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let folder = path.parent().unwrap_or(dir);
    let asked = file.cases.iter().filter_map(|case| {
        let question = question(case, folder, now_ms, report)?;
        check_expectation(&case.expect, report)?;
        Some(Asked { file: name.clone(), written: case, question })
    });
    asked.collect()
}

fn owned(text: &Option<At<String>>) -> Option<String> {
    text.as_ref().map(|text| text.value.clone())
}

fn question(case: &Case, folder: &Path, now_ms: i64, report: &mut Report) -> Option<Question> {
    let RequestCase { route, listener, method, host, path, headers, source, model, stream, body, body_from } =
        &case.request.value;
    let caller = caller(case, report);
    let source = match source {
        None => Some(None),
        Some(text) => match text.parse::<IpAddr>() {
            Ok(address) => Some(Some(address)),
            Err(_no_address) => {
                text.error(
                    report,
                    PV_SHAPE,
                    format!("`{}` is no address", text.value),
                    "write one such as `192.0.2.7`",
                );
                None
            }
        },
    };
    let body = match (body, body_from) {
        (Some(_), Some(from)) => {
            from.error(report, PV_SHAPE, "`body` and `bodyFrom` are both written", "keep one of them");
            None
        }
        (Some(body), None) => Some(Some(Bytes::from(body.value.clone()))),
        (None, Some(from)) => read_body(folder, from, report).map(Some),
        (None, None) => Some(None),
    };
    let headers = headers.iter().flat_map(|headers| headers.iter());
    Some(Question {
        route: owned(route),
        listener: owned(listener),
        method: owned(method),
        host: owned(host),
        target: owned(path),
        headers: headers.map(|(name, value)| (name.clone(), value.value.clone())).collect(),
        source: source?,
        model: owned(model),
        stream: **stream,
        body: body?,
        at_ms: case.at.as_ref().map_or(now_ms, |at| at.value.0.saturating_mul(1000)),
        caller: caller?,
    })
}

fn read_body(folder: &Path, from: &At<String>, report: &mut Report) -> Option<Bytes> {
    let path = folder.join(&from.value);
    let read = std::fs::metadata(&path).and_then(|meta| {
        if meta.len() > MAX_BODY {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "longer than 16Mi"));
        }
        std::fs::read(&path)
    });
    read.map(Bytes::from)
        .map_err(|error| {
            let message = format!("`{}` cannot be read: {error}", path.display());
            from.error(report, PV_SHAPE, message, "name a file relative to the file of cases");
        })
        .ok()
}

fn caller(case: &Case, report: &mut Report) -> Option<Caller> {
    let who = case.caller.parse::<Who>().map_err(|message| {
        case.caller.error(
            report,
            PV_SHAPE,
            message,
            "for example `user/mia`, or `agent/spiffe://example.org/ns/acme/sa/bot`",
        );
    });
    let Some(identity) = &case.identity else { return Some(Caller { who: who.ok()?, ..Caller::default() }) };
    let IdentityCase { provider, issuer, tenant, groups, scopes, tags, acr, amr, age, bound, on_behalf_of } =
        &identity.value;
    let texts = |list: &[At<String>]| list.iter().map(|text| text.value.clone()).collect::<Vec<_>>();
    let user = match on_behalf_of {
        None => Some(None),
        Some(user) => match user.strip_prefix("user/") {
            Some(name) if !name.is_empty() => Some(Some(name.to_owned())),
            _ => {
                let message = format!("an Agent acts for a User, not for `{}`", user.value);
                user.error(report, PV_SHAPE, message, "write `user/NAME`");
                None
            }
        },
    };
    let tags = tags.iter().flat_map(|tags| tags.iter());
    Some(Caller {
        who: who.ok()?,
        provider: owned(provider),
        issuer: owned(issuer),
        tenant: owned(tenant),
        groups: texts(groups),
        scopes: texts(scopes),
        tags: tags.map(|(name, values)| (name.clone(), texts(&values.value))).collect(),
        acr: owned(acr),
        amr: texts(amr),
        age: i64::try_from(age.as_secs()).unwrap_or(i64::MAX),
        bound: bound.as_ref().map(|bound| bound.value),
        on_behalf_of: user?,
    })
}

fn check_expectation(expect: &Expectation, report: &mut Report) -> Option<()> {
    let mut good = Some(());
    if let Some(reason) = &expect.reason
        && !Reason::ALL.iter().any(|known| known.as_str() == reason.value)
    {
        let words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        reason.error(
            report,
            PV_SHAPE,
            format!("`{}` is no reason", reason.value),
            format!("write one of {}", words.join(", ")),
        );
        good = None;
    }
    let refusal = expect.reason.as_ref().filter(|_| expect.decision.value == DecisionWord::Allow);
    if let Some(reason) = refusal {
        reason.error(report, PV_SHAPE, "what is allowed has no reason", "remove `reason`, or expect `Deny`");
        good = None;
    }
    good
}

impl Asked<'_> {
    pub(super) fn judge(&self, set: &Set) -> Verdict {
        let mut verdict = Verdict {
            file: self.file.clone(),
            position: self.written.position.clone(),
            name: self.written.name.value.clone(),
            came: String::new(),
            wrong: Vec::new(),
            hint: None,
            used: std::collections::BTreeSet::new(),
        };
        match set.ask(&self.question) {
            Err(error) => {
                verdict.came = "could not be asked".to_owned();
                verdict.wrong.push(error.to_string());
            }
            Ok(answer) => {
                verdict.came = answer.summary();
                verdict.wrong = wrong(&self.written.expect, &answer);
                verdict.hint = hint(&answer).filter(|_| !verdict.wrong.is_empty());
                verdict.used = answer.used;
            }
        }
        verdict
    }
}

/// What is not as expected.
fn wrong(expect: &Expectation, answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, want: &str, got: &str, same: bool| {
        if !same {
            wrong.push(format!("{what} is {got}, expected {want}"));
        }
    };
    let want = match expect.decision.value {
        DecisionWord::Allow => Decision::Allow,
        DecisionWord::Deny => Decision::Deny,
        DecisionWord::Error => Decision::Error,
    };
    compare("decision", want.as_str(), answer.decision.as_str(), want == answer.decision);
    let refusal = answer.refusal.as_ref();
    if let Some(reason) = &expect.reason {
        let got = refusal.map_or("none", |refusal| refusal.reason.as_str());
        compare("reason", &reason.value, got, reason.value == got);
    }
    if let Some(rule) = &expect.rule {
        let got = answer.rule.as_deref().unwrap_or("none");
        compare("rule", &rule.value, got, names(got, &rule.value));
    }
    if let Some(status) = &expect.status {
        let got = refusal.map(|refusal| dialect::refusal(answer.dialect, refusal.reason, "").0.to_string());
        let got = got.unwrap_or_else(|| "the upstream's".to_owned());
        compare("status", &status.value.to_string(), &got, got == status.value.to_string());
    }
    if let Some(shadow) = &expect.shadow {
        let would = answer.shadow.as_ref();
        let want = match shadow.decision.value {
            ShadowWord::Allow => "Allow",
            ShadowWord::Rewrite => "Rewrite",
            ShadowWord::Deny => "Deny",
            ShadowWord::Error => "Error",
        };
        let got = would.map_or(answer.decision.as_str(), |would| would.outcome);
        compare("decision with what is on trial", want, got, want == got);
        if let Some(rule) = &shadow.rule {
            let got = would.map(|would| would.rule.as_str()).or(answer.rule.as_deref()).unwrap_or("none");
            compare("rule with what is on trial", &rule.value, got, names(got, &rule.value));
        }
        if let Some(policy) = &shadow.policy {
            let got = would.map_or("none", |would| &*would.policy);
            compare("manifest on trial that makes a difference", &policy.value, got, policy.value == got);
        }
    }
    wrong
}

/// Whether `rules`, as records name them, are `wanted`, or hold it in full or by its own name.
fn names(rules: &str, wanted: &str) -> bool {
    rules == wanted || rules.split(", ").any(|one| one == wanted || one.ends_with(&format!(" {wanted}")))
}

fn hint(answer: &Answer) -> Option<String> {
    let nearest = answer.nearest.as_ref()?;
    let rule = if nearest.rule.is_empty() { String::new() } else { format!("{}: ", nearest.rule) };
    Some(format!("{rule}{}", nearest.missing.join("; ")))
}
