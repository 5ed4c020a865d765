//! What would happen to a request, without sending one: `postern explain` and `postern test` ask here.
//!
//! The head is read, the route chosen and the chain walked by the code of the data path. What only a connection can show is
//! assumed, and said so in the answer.

mod caller;
mod made_up;
mod marks;
mod places;
mod question;
mod recorded;
mod review;
mod tell;
mod trace;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_config::written::{Opened, open};
use postern_config::{Bind, Dialect, Direction, Listener, Report, Route, Snapshot};
use postern_filters::audit::Decision;
use postern_filters::authz::Rehearsal;
use postern_filters::explain::{Assumed, Explanation, Nearest, explain, nearest};
use postern_filters::limit::LimitStore;
use postern_filters::{Chains, Context, Principal, Reason, Refusal, RequestView, Source, compile_without_keys};

use crate::guard::{Gate, message_limits};
use crate::head::{self, Head};
use crate::{build, random, record};
pub(crate) use caller::{Caller, Who};
pub(crate) use marks::{Mark, marks_of};
pub(crate) use question::Question;
pub(crate) use recorded::{Besides, find};
pub(crate) use review::{Log, Review};
pub(crate) use tell::{as_json, as_yaml};
pub(crate) use trace::Line;

/// A set that loads, compiled without keys.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) opened: Opened,
    chains: Chains,
    /// Each question comes long after the one before, so that it finds its limits unspent.
    uptime: Cell<Duration>,
}

/// A question that cannot be answered as it was asked, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misasked(pub(crate) String);

/// What would happen.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The request as it was understood.
    pub(crate) listener: String,
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) route: Option<String>,
    pub(crate) dialect: Dialect,
    pub(crate) decision: Decision,
    pub(crate) refusal: Option<Refusal>,
    /// As the record would name it.
    pub(crate) rule: Option<String>,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) guards: Vec<Arc<str>>,
    pub(crate) trace: Vec<Line>,
    pub(crate) nearest: Option<Nearest>,
    /// What had a part in it.
    pub(crate) used: BTreeSet<Mark>,
    /// What manifests on trial would have made of it, where that is something else.
    pub(crate) shadow: Option<Rehearsal>,
    /// What nobody could look at without a connection.
    pub(crate) assumed: Vec<String>,
}

impl Set {
    /// Reads and compiles the set that `config` names. `now` in Unix seconds.
    ///
    /// # Errors
    /// Every problem of the set.
    pub(crate) fn load(config: &Path, now: i64) -> Result<Self, Report> {
        let opened = open(config, now)?;
        let mut report = Report::new();
        build::check(&opened.loaded.snapshot, config, &mut report);
        if report.has_errors() {
            return Err(report);
        }
        let chains = compile_without_keys(&opened.loaded.snapshot, &LimitStore::new())?;
        Ok(Self { opened, chains, uptime: Cell::default() })
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.opened.loaded.snapshot
    }

    /// The names of the manifests that made the policy of a route, in their order.
    pub(crate) fn ids(&self, route: &Route) -> Vec<String> {
        let named = route.policy.manifests.iter().filter_map(|index| self.snapshot().manifests.get(*index));
        named.map(|one| format!("{}/{}/{}", one.kind, one.namespace, one.name)).collect()
    }

    /// Answers.
    ///
    /// # Errors
    /// [`Misasked`] for a request that could not be sent, or for a caller nobody could be.
    pub(crate) fn ask(&self, question: &Question) -> Result<Answer, Misasked> {
        let sent = question.sent(self.snapshot())?;
        let listener = self.listener(&sent.listener)?;
        let mut answer = Answer {
            listener: sent.listener.clone(),
            method: sent.method.clone(),
            host: sent.host.clone(),
            target: sent.target.clone(),
            route: None,
            dialect: Dialect::Http,
            decision: Decision::Allow,
            refusal: None,
            rule: None,
            principal: None,
            guards: Vec::new(),
            trace: Vec::new(),
            nearest: None,
            used: BTreeSet::new(),
            shadow: None,
            assumed: Vec::new(),
        };
        match self.walk(question, &sent, listener, &mut answer)? {
            Ok(()) => {}
            Err(refusal) => {
                answer.decision = record::of_reason(Some(refusal.reason));
                answer.rule = refusal.rule.clone().or(answer.rule.take());
                answer.refusal = Some(refusal);
            }
        }
        Ok(answer)
    }

    fn listener(&self, name: &str) -> Result<&Listener, Misasked> {
        let listeners = &self.snapshot().listeners;
        listeners.iter().find(|listener| listener.name == name).ok_or_else(|| {
            let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
            Misasked(format!("there is no listener `{name}`; the listeners are {}", names.join(", ")))
        })
    }

    /// The way of a request through `exchange`, as far as it goes without a connection.
    fn walk(
        &self,
        question: &Question,
        sent: &question::Sent,
        listener: &Listener,
        answer: &mut Answer,
    ) -> Result<Result<(), Refusal>, Misasked> {
        let snapshot = self.snapshot();
        let head = match sent.head(listener) {
            Ok(head) => head,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let headers = &sent.request.headers;
        let sole = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let first = values.next()?.to_str().ok()?;
            values.next().is_none().then_some(first)
        };
        let found = snapshot.route(&listener.name, &head.host, &head.method, &head.path, sole);
        if let (Some(wanted), Some(found)) = (&question.route, found)
            && *wanted != found.name
        {
            let told = format!("{} https://{}{} on listener `{}`", head.method, head.host, head.path, listener.name);
            return Err(Misasked(format!("{told} goes to route `{}`, not to `{wanted}`", found.name)));
        }
        let Some(found) = found else {
            return Ok(Err(Refusal::new(Reason::NotPermitted, "no route matches")));
        };
        let now = question.at_ms.div_euclid(1000);
        let route = found.at(now);
        (answer.route, answer.dialect) = (Some(route.name.clone()), route.dialect);
        let credentials = caller::credentials(&question.caller, route, listener, question.at_ms)?;
        let source = question.source.map_or(default_source(listener), Source::Ip);
        answer.assumed.extend(credentials.assumed.iter().cloned());
        if sent.made_up {
            answer.assumed.push("the body is made up; `--model`, or a body, says what is asked for".to_owned());
        }
        if question.source.is_none() {
            answer
                .assumed
                .push("the request comes from 127.0.0.1, or the proxy's own user over a Unix socket".to_owned());
        }
        answer
            .assumed
            .push("no limit is spent, nobody is banned, no load is shed, our certificate covers the host".to_owned());
        let view = RequestView {
            method: &head.method,
            host: &head.host,
            port: head.port,
            path: &head.path,
            query: head.query.as_deref(),
            headers,
            source,
            tls: listener.tls.is_some(),
            peer: credentials.peer.as_ref(),
            listener: &listener.name,
        };
        if let Err(refusal) = self.before(route, listener, &view, question.at_ms, answer)? {
            return Ok(Err(refusal));
        }
        let Some(chain) = self.chains.at(found, now) else {
            return Err(Misasked(format!("route `{}` has no chain: please report it", route.name)));
        };
        let mut cx = Context::new(question.at_ms, self.next_moment(found)).with_random(random::fill);
        if let Some(answered) = chain.preflight(&view, &mut cx) {
            let outcome = if answered.is_ok() { "Pass" } else { "Deny" };
            answer.trace.push(Line::built_in(4, "cors", outcome));
            return Ok(answered);
        }
        let guard = self.guard(route, listener);
        let mut max_body = chain.max_body();
        if let Some(guard) = guard {
            max_body = max_body.min(guard.max_body);
            cx.set_message_limits(message_limits(guard, max_body));
        }
        let relayed = head.upgrade.is_some() || head.connect.is_some() || route.streams_bodies;
        let body = if relayed { Bytes::new() } else { sent.body.clone() };
        let assumed = Assumed { token: credentials.token, max_body };
        let mut explanation = explain(chain, route, &view, body, assumed, &mut cx);
        if explanation.refusal.is_none() {
            explanation.refusal = refuse_unread(route, &head, sent, &cx);
        }
        self.conclude(route, &view, explanation, &cx, answer)
    }

    fn conclude(
        &self,
        route: &Route,
        view: &RequestView<'_>,
        explanation: Explanation,
        cx: &Context,
        answer: &mut Answer,
    ) -> Result<Result<(), Refusal>, Misasked> {
        let ids = self.ids(route);
        let scribe = trace::Scribe { set: self, route, ids: &ids, view };
        answer.trace.extend(scribe.lines(&explanation));
        let access = &route.policy.access;
        answer.nearest = nearest(&explanation, access, view);
        answer.used.extend(trace::Scribe::used(cx));
        answer.rule = cx.rule().map(str::to_owned);
        let refused = explanation.refusal.as_ref().map(|refusal| refusal.reason);
        answer.shadow = cx.rehearsal(record::of_reason(refused) == Decision::Deny).cloned();
        answer.principal = cx.known_principal().cloned();
        answer.guards = cx.ran(Direction::Request);
        Ok(explanation.refusal.map_or(Ok(()), Err))
    }

    /// What is judged before the chain: where the request comes from, and what the listener hangs on.
    fn before(
        &self,
        route: &Route,
        listener: &Listener,
        view: &RequestView<'_>,
        now_ms: i64,
        answer: &mut Answer,
    ) -> Result<Result<(), Refusal>, Misasked> {
        if let Some(over) = listener.plaintext.as_ref().filter(|waived| waived.has_ended(now_ms)) {
            return Ok(Err(Refusal::new(Reason::ExceptionEnded, over.ended()).by(&*over.exception)));
        }
        let id = view.peer.and_then(|peer| peer.spiffe.as_ref()).map(|svid| svid.id.as_str());
        let address = view.source.ip().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        for ingress in [&self.snapshot().ingress, &route.policy.network.ingress] {
            if ingress.allow.is_empty() && ingress.deny.is_empty() {
                continue;
            }
            let gate = Gate::compile(ingress).map_err(Misasked)?;
            let admitted = gate.admits(address, id);
            answer.trace.extend(trace::of_ingress(ingress, admitted.as_ref().err()));
            if let Err(shut) = admitted {
                return Ok(Err(Refusal::new(Reason::NotPermitted, shut.detail).by(shut.rule)));
            }
        }
        let Some(guard) = self.guard(route, listener) else { return Ok(Ok(())) };
        Ok(head::check_sizes(view.headers, guard.max_headers, guard.max_header_size))
    }

    fn guard<'r>(&self, route: &'r Route, listener: &Listener) -> Option<&'r postern_config::RequestGuard> {
        let number = self.snapshot().listeners.iter().position(|other| other.name == listener.name)?;
        route.policy.guards.get(number)
    }

    /// A moment at which whatever was spent before has come back.
    fn next_moment(&self, route: &Route) -> Duration {
        let refill = |limit: &postern_config::RateLimit| {
            let bursts = limit.burst.checked_div(limit.limit).unwrap_or(0).saturating_add(2);
            limit.window.saturating_mul(u32::try_from(bursts).unwrap_or(u32::MAX))
        };
        let versions = std::iter::once(route).chain(route.later.iter().map(|later| &later.route));
        let limits = versions.flat_map(|route| &route.policy.access.rate_limits);
        let longest = limits.map(refill).max().unwrap_or_default();
        let moment = self.uptime.get().saturating_add(longest).saturating_add(Duration::from_secs(1));
        self.uptime.set(moment);
        moment
    }
}

/// What is refused of bodies and upgrades that nothing reads, as `relay` and `exchange::stream` refuse it.
fn refuse_unread(route: &Route, head: &Head, sent: &question::Sent, cx: &Context) -> Option<Refusal> {
    if let Some(protocol) = &head.upgrade
        && !route.upgrades.contains(protocol)
    {
        return Some(Refusal::new(Reason::NotPermitted, "the route does not allow this upgrade"));
    }
    if head.upgrade.is_some() && !sent.body.is_empty() {
        return Some(Refusal::new(Reason::Malformed, "an upgrade request with a body"));
    }
    let unread = route.streams_bodies && !sent.body.is_empty() && cx.is_bodiless();
    let detail = "a body where the allow list names no content type";
    unread.then(|| Refusal::new(Reason::UnsupportedContent, detail))
}

fn default_source(listener: &Listener) -> Source {
    match listener.bind {
        Bind::Tcp(_) => Source::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Bind::Unix { .. } => Source::User(rustix::process::geteuid().as_raw()),
    }
}
