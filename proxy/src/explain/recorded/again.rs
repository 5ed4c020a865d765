//! The question that a record answers, asked of the present set. What the record does not hold is assumed, and said so.

use bytes::Bytes;
use postern_config::{PrincipalType, Route};
use postern_filters::audit::Decision;
use postern_filters::dialect;
use serde_json::Value;

use super::{Besides, COVERED, Recorded, moment, route_of};
use crate::explain::{Answer, Caller, Question, Set, Who};

/// What came of it.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) answer: Answer,
    /// What the record does not hold, and was assumed or said.
    pub(super) assumed: Vec<String>,
}

/// Asks.
///
/// # Errors
/// In words, where it cannot be asked.
pub(super) fn ask(recorded: &Recorded, set: &Set, besides: &Besides) -> Result<Again, String> {
    if recorded.text("/http_request/http_method").is_none_or(str::is_empty) {
        return Err("the record is of no request that was read to the end of its head".to_owned());
    }
    let mut assumed = Vec::new();
    let question = question(recorded, route_of(set, recorded), besides, &mut assumed)?;
    let answer = set.ask(&question).map_err(|error| error.to_string())?;
    Ok(Again { answer, assumed })
}

/// How what came of it now differs from what came of it then.
pub(super) fn differences(recorded: &Recorded, answer: &Answer) -> Vec<String> {
    let mut differs = Vec::new();
    let mut compare = |what: &str, then: &str, now: &str| {
        if then != now {
            let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
            differs.push(format!("{what} is {}, was {}", or_none(now), or_none(then)));
        }
    };
    compare("route", recorded.route().unwrap_or_default(), answer.route.as_deref().unwrap_or_default());
    compare("decision", recorded.decision(), answer.decision.as_str());
    let reason = answer.refusal.as_ref().map_or("", |refusal| refusal.reason.as_str());
    compare("reason", recorded.our_text("reason").unwrap_or_default(), reason);
    compare("rule", recorded.rule().unwrap_or_default(), answer.rule.as_deref().unwrap_or_default());
    if let Some(refusal) = answer.refusal.as_ref().filter(|_| answer.decision != Decision::Allow) {
        let then = recorded.record.pointer("/http_response/code").map(ToString::to_string).unwrap_or_default();
        compare("status", &then, &dialect::refusal(answer.dialect, refusal.reason, "").0.to_string());
    }
    differs
}

fn question(
    recorded: &Recorded,
    route: Option<&Route>,
    besides: &Besides,
    assumed: &mut Vec<String>,
) -> Result<Question, String> {
    let given = &besides.question;
    let held = |given: &Option<String>, pointer: &str, flag: &str| match (given, recorded.text(pointer)) {
        (Some(given), _) => Ok(Some(given.clone())),
        (None, Some(COVERED)) => Err(format!("`{pointer}` is covered in the record: say it with `{flag}`")),
        (None, found) => Ok(found.map(str::to_owned)),
    };
    let method = held(&given.method, "/http_request/http_method", "--method")?;
    if method.as_deref() == Some("CONNECT") && given.host.is_none() {
        return Err("the record does not hold the port that a CONNECT asked for: say it with `--host`".to_owned());
    }
    let is_ai = route.is_some_and(|route| postern_config::capability::names_model(route.dialect));
    let model = if is_ai && given.body.is_none() {
        held(&given.model, "/unmapped/postern/model", "--model")?
    } else {
        given.model.clone()
    };
    let streamed = recorded.ours("streamed").and_then(Value::as_bool) == Some(true);
    let mut question = Question {
        route: given.route.clone().or_else(|| route.map(|route| route.name.clone())),
        listener: given.listener.clone().or_else(|| recorded.our_text("listener").map(str::to_owned)),
        method,
        host: held(&given.host, "/http_request/url/hostname", "--host")?,
        target: held(&given.target, "/http_request/url/path", "--path")?,
        headers: given.headers.clone(),
        source: given.source.or_else(|| recorded.text("/src_endpoint/ip")?.parse().ok()),
        stream: given.stream || model.is_some() && streamed,
        model,
        body: given.body.clone(),
        at_ms: if besides.names_moment { given.at_ms } else { recorded.time_ms() },
        caller: caller(recorded, besides, assumed)?,
    };
    if !besides.names_moment {
        assumed.push(format!("it is asked as of the recorded moment, {}", moment(question.at_ms)));
    }
    assumed.push("query, headers and body are not in the record".to_owned());
    let had_body = recorded.ours("bytes_in").and_then(Value::as_u64).unwrap_or(0) > 0;
    if had_body && question.body.is_none() && question.model.is_none() && !is_ai {
        some_body(&mut question, route, assumed);
    }
    assumed.extend(hangs_on(recorded.our_text("reason").unwrap_or_default()).map(str::to_owned));
    Ok(question)
}

/// A body of a type that the allow list takes there.
fn some_body(question: &mut Question, route: Option<&Route>, assumed: &mut Vec<String>) {
    let entries = route.into_iter().flat_map(|route| &route.policy.access.allow).flat_map(|list| &list.rules);
    let here = entries.filter(|entry| question.method.as_ref().is_some_and(|method| entry.methods.contains(method)));
    let media = here.filter_map(|entry| entry.content_types.as_ref()?.first()).next();
    let media = media.cloned().unwrap_or_else(|| "application/json".to_owned());
    if !question.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        assumed.push(format!("it had a body; it is taken for `{media}`"));
        question.headers.push(("content-type".to_owned(), media));
    }
    question.body = Some(Bytes::from_static(b"{}"));
}

/// What a refusal hung on that no record holds.
fn hangs_on(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "over_limit" => "it was over a limit then; here every limit is unspent",
        "content_refused" => "it was refused for what its body held, which is not kept; give a body with `--body`",
        "answer_refused" => "its answer was refused; no answer is judged here",
        "credential_invalid" => "its credential did not verify; here one that verifies is assumed",
        "upstream_failed" | "upstream_unavailable" => "the upstream failed; here none is asked",
        "undecided" | "internal" => "something could not be decided then; `detail` says what",
        "overloaded" | "slow_request" => "it was refused for how the process or the connection stood then",
        _ => return None,
    })
}

fn caller(recorded: &Recorded, besides: &Besides, assumed: &mut Vec<String>) -> Result<Caller, String> {
    let given = &besides.question.caller;
    if besides.names_caller {
        return Ok(given.clone());
    }
    let Some(uid) = recorded.text("/actor/user/uid") else {
        if recorded.our_text("authn").is_none() {
            assumed.push("it was refused before anybody was recognised: it is asked as of nobody".to_owned());
        }
        return Ok(Caller { who: Who::Anonymous, ..given.clone() });
    };
    let covered = |who: &str| format!("{who} is covered in the record: say it with `--as`");
    if uid == COVERED {
        return Err(covered("who asked"));
    }
    let kind = match recorded.text("/actor/user/type") {
        Some("User") => PrincipalType::User,
        Some("ServiceAccount") => PrincipalType::ServiceAccount,
        Some("Agent") => PrincipalType::Agent,
        Some("Component") => PrincipalType::Component,
        other => return Err(format!("`{}` is no type of caller", other.unwrap_or_default())),
    };
    let is_workload = matches!(recorded.our_text("authn"), Some("spiffe" | "socket"));
    let (issuer, subject) = if is_workload { (None, uid) } else { qualified(uid) };
    let user = match recorded.text("/unmapped/postern/on_behalf_of/uid") {
        Some(COVERED) => return Err(covered("the User it was asked for")),
        user => user.map(qualified),
    };
    let says_more = !(given.groups.is_empty() && given.scopes.is_empty() && given.tags.is_empty());
    if !says_more && (!is_workload || user.is_some()) {
        let held = "groups, scopes, tags, acr and amr of the credential are not in the record";
        assumed.push(format!("{held}: say them with `--group`, `--scope`, `--tag`, `--acr` and `--amr`"));
    }
    let tenant = recorded.text("/actor/user/org/uid").filter(|tenant| !tenant.is_empty() && *tenant != COVERED);
    let provider = recorded.our_text("provider").filter(|name| !name.is_empty() && user.is_none());
    Ok(Caller {
        who: Who::Named(kind, subject.to_owned()),
        provider: given.provider.clone().or_else(|| provider.map(str::to_owned)),
        issuer: given.issuer.clone().or_else(|| user.map_or(issuer, |(issuer, _)| issuer).map(str::to_owned)),
        tenant: given.tenant.clone().or_else(|| tenant.map(str::to_owned)),
        on_behalf_of: user.map(|(_, subject)| subject.to_owned()),
        ..given.clone()
    })
}

/// `issuer|subject`.
fn qualified(uid: &str) -> (Option<&str>, &str) {
    match uid.split_once('|') {
        Some((issuer, subject)) => (Some(issuer), subject),
        None => (None, uid),
    }
}
