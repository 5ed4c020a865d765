//! Streams that outlive a load of policy: what was permitted by the set of before is judged again by the one that runs,
//! and ends where that one would refuse it (tunnels, upgrades, bodies and answers that come as they come).
//!
//! Nothing is counted against a limit again, and nothing that has passed is read again.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use pingora_core::protocols::http::ServerSession;
use postern_filters::{Context, Need, Peer, Progress, Refusal, Seen};
use tokio::sync::Notify;
use tracing::info;

use crate::connection::Connection;
use crate::exchange::{Exchange, Matched, matched, view};
use crate::head::Head;
use crate::outside::Outside;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::story::Story;
use crate::{guard, workload};

/// One exchange, from the moment it turns out to last.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    asked: OnceLock<Asked>,
    over: OnceLock<String>,
    bell: Notify,
}

/// What it was permitted for.
#[derive(Debug)]
struct Asked {
    head: Head,
    headers: HeaderMap,
    seen: Seen,
    route: String,
    /// Where it leads, where that is a matter of policy.
    to: Option<(String, SocketAddr)>,
}

impl Standing {
    /// Returns once a set refuses the exchange, with the reason.
    pub(crate) async fn over(&self) -> String {
        loop {
            // Before the look: whoever rings afterwards is heard.
            let rung = self.bell.notified();
            if let Some(why) = self.over.get() {
                return why.clone();
            }
            rung.await;
        }
    }

    /// Judges it by `runtime`, and ends it where that refuses. What the chain has to ask for is asked for beside, and the
    /// stream goes on meanwhile: for a moment that is bounded.
    pub(crate) fn judge(self: &Arc<Self>, shared: &Arc<Shared>, runtime: &Arc<Runtime>, connection: &Arc<Connection>) {
        let Some(asked) = self.asked.get() else { return };
        let mut context = Context::new(shared.clock.unix_ms(), shared.uptime());
        match asked.judge(runtime, connection, &mut context) {
            Ok(Progress::Passed) => {}
            Ok(Progress::Waits(need)) => {
                let (this, shared) = (self.clone(), shared.clone());
                let (runtime, connection) = (runtime.clone(), connection.clone());
                tokio::spawn(async move {
                    if let Err(refusal) = this.find_out(need, &shared, &runtime, &connection, context).await {
                        this.end(&shared, &connection, &refusal);
                    }
                });
            }
            Err(refusal) => self.end(shared, connection, &refusal),
        }
    }

    async fn find_out(
        &self,
        mut need: Need,
        shared: &Shared,
        runtime: &Runtime,
        connection: &Connection,
        mut context: Context,
    ) -> Result<(), Refusal> {
        let until = Outside::deadline();
        let Some(asked) = self.asked.get() else { return Ok(()) };
        loop {
            context.supply(shared.outside.answer(need, until).await?);
            need = match asked.judge(runtime, connection, &mut context)? {
                Progress::Passed => return Ok(()),
                Progress::Waits(need) => need,
            };
        }
    }

    /// Ends it, whatever policy says. False where that was said before.
    pub(crate) fn lose(&self, why: &str) -> bool {
        let first = self.over.set(why.to_owned()).is_ok();
        self.bell.notify_waiters();
        first
    }

    fn end(&self, shared: &Shared, connection: &Connection, refusal: &Refusal) {
        let Some(asked) = self.asked.get() else { return };
        let reason = refusal.reason.as_str();
        info!(connection = connection.number, route = asked.route, reason, detail = refusal.detail, "stream cut");
        if self.over.set(format!("policy refuses it now: {reason}: {}", refusal.detail)).is_ok() {
            shared.metrics.cut("policy");
        }
        self.bell.notify_waiters();
    }
}

impl Asked {
    fn judge(&self, runtime: &Runtime, connection: &Connection, context: &mut Context) -> Result<Progress, Refusal> {
        workload::judge(&runtime.snapshot, connection)?;
        let matched = matched(runtime, connection, &self.head, &self.headers, context.now())?;
        if matched.route.name != self.route {
            let detail = format!("route `{}` stands before its own now", matched.route.name);
            return Err(Refusal::new(postern_filters::Reason::NotPermitted, detail));
        }
        guard::judge_route(&matched.network.gate, connection, self.head.client)?;
        if let Some((host, address)) = &self.to {
            matched.network.egress.permits(host, *address)?;
        }
        context.set_message_limits(matched.message_limits());
        matched.chain.reconsider(&view(connection, &self.head, &self.headers), &self.seen, context)
    }
}

impl Exchange<'_> {
    /// Says that the exchange lasts: from here on every new set judges it again. `host` is where it leads.
    pub(crate) fn stand(self, by: Matched<'_>, head: &Head, session: &ServerSession, story: &Story, host: &str) {
        let to = match story.told.address {
            Some(Peer::Tcp(address)) => Some((host.to_owned(), address)),
            _ => None,
        };
        let asked = Asked {
            head: head.clone(),
            headers: session.req_header().headers.clone(),
            seen: story.context.seen(),
            route: by.route.name.clone(),
            to,
        };
        if self.standing.asked.set(asked).is_err() {
            return;
        }
        self.connection.stands(self.standing);
        // A set that came while this one was on its way judged the streams of that moment, and not this one.
        let current = self.shared.runtime.load_full();
        if !std::ptr::eq(Arc::as_ptr(&current), by.runtime) {
            self.standing.judge(self.shared, &current, self.connection);
        }
    }
}
