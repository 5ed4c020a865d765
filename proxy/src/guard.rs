//! What stands before everything else: who may connect, and how much one address or all of them may ask of us.
//!
//! Nothing here reads a byte of HTTP, waits for anything, or keeps more than a bounded memory of an address.

mod addresses;
mod admission;
mod bans;
mod frames;
mod ingress;
mod limits;
mod load;
mod pace;
mod redirect;
mod telling;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use postern_config::ShedAt;
use postern_filters::limit::{LimitSet, Outcome};
use postern_filters::{Peer, Reason, Refusal, Source, SpiffeSubject};

pub(crate) use addresses::Addresses;
pub(crate) use admission::{Admitted, Seats, admit};
pub(crate) use bans::Bans;
pub(crate) use frames::Counted;
pub(crate) use ingress::{Gate, Shut};
pub(crate) use limits::{Guards, ListenerGuard, Patience, RouteGuard, message_limits};
pub(crate) use load::{Load, measure};
pub(crate) use pace::Pace;
pub(crate) use redirect::refuse_redirect;
pub(crate) use telling::Telling;
use tracing::warn;

use crate::connection::Connection;
use crate::shared::Shared;

/// Seconds after which a request that was shed may come again.
const RETRY_AFTER: &str = "5";

/// The address that ranges and limits go by: the other end of the socket. A process on a Unix socket is on this machine,
/// and counts as `127.0.0.1`.
pub(crate) fn client_address(peer: Peer) -> IpAddr {
    match peer.source() {
        Source::Ip(address) => address.to_canonical(),
        Source::User(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

/// Whether the gateway is for this peer. Asked before a byte of HTTP is read.
pub(crate) fn judge_peer(shared: &Shared, connection: &Connection) -> Result<(), Shut> {
    shared.runtime.load().gate.admits(client_address(connection.source), peer_id(connection))
}

/// Whether the route is for this peer, or for the client that it is a trusted proxy of.
///
/// # Errors
/// 403, with the rule for our records.
pub(crate) fn judge_route(gate: &Gate, connection: &Connection, client: Option<IpAddr>) -> Result<(), Refusal> {
    let address = client.unwrap_or_else(|| client_address(connection.source));
    let admitted = gate.admits(address, peer_id(connection));
    admitted.map_err(|shut| Refusal::new(Reason::NotPermitted, shut.detail).by(shut.rule))
}

pub(crate) fn peer_id(connection: &Connection) -> Option<&str> {
    connection.peer_facts().and_then(|facts| facts.spiffe.as_ref()).map(|SpiffeSubject { id, .. }| id.as_str())
}

/// Whether a client that a trusted proxy announced may stay: the place that was taken is the proxy's.
///
/// # Errors
/// The word for metrics, and why.
pub(crate) fn judge_announced(shared: &Shared, listener: &str, client: Peer) -> Result<(), (&'static str, String)> {
    let (runtime, address) = (shared.runtime.load(), client_address(client));
    let guard = runtime.listener_guard(listener);
    if let Some((rule, _)) = shared.bans.is_banned(&guard.settings.bans, address, shared.uptime()) {
        return Err(("banned", format!("{} bans {address}", rule.name)));
    }
    runtime.gate.admits_address(address).map_err(|shut| ("ingress", shut.detail))
}

/// Whether a client that a trusted proxy names is not banned.
///
/// # Errors
/// 403.
pub(crate) fn judge_client(shared: &Shared, connection: &Connection, client: IpAddr) -> Result<(), Refusal> {
    let runtime = shared.runtime.load();
    let guard = runtime.listener_guard(&connection.listener);
    match shared.bans.is_banned(&guard.settings.bans, client, shared.uptime()) {
        Some((rule, _)) => {
            Err(Refusal::new(Reason::NotPermitted, format!("{} bans {client}", rule.name)).by(&*rule.name))
        }
        None => Ok(()),
    }
}

/// Whether the address, or all of them together, may ask once more. Counted before anything of the request is looked at.
///
/// # Errors
/// 429 with `Retry-After`.
pub(crate) fn judge_rate(
    shared: &Shared,
    connection: &Connection,
    client: Option<IpAddr>,
    limits: &LimitSet,
) -> Result<(), Refusal> {
    if limits.is_empty() {
        return Ok(());
    }
    let source = Source::Ip(client.unwrap_or_else(|| client_address(connection.source)));
    match limits.check_address(source, "", shared.uptime()) {
        Outcome::Unlimited | Outcome::Allowed(_) => Ok(()),
        Outcome::Refused { standing, retry_after } => {
            let name = limits.name_of(&standing);
            let mut refusal = Refusal::new(Reason::OverLimit, format!("over {name}")).by(name);
            refusal.headers.push(("retry-after", retry_after.to_string()));
            Err(refusal)
        }
    }
}

/// Whether there is room for a request of the route under the present load.
///
/// # Errors
/// 503 with `Retry-After`.
pub(crate) fn judge_load(shared: &Shared, connection: &Connection, shed: Option<ShedAt>) -> Result<(), Refusal> {
    let Some(shed) = shed else { return Ok(()) };
    let load = shared.load.percent(shared);
    let greedy = || connection.admitted.as_ref().is_some_and(|admitted| admitted.is_greedy());
    let refused = if shed.all.is_some_and(|all| load >= all) {
        "the route is shed"
    } else if load >= shed.greedy && greedy() {
        "its address has more than its share of the requests"
    } else {
        return Ok(());
    };
    shared.metrics.shed();
    let mut refusal = Refusal::new(Reason::Overloaded, format!("the load is {load} %, and {refused}")).by("shed");
    refusal.headers.push(("retry-after", RETRY_AFTER.to_owned()));
    Err(refusal)
}

/// Whether a request that was refused for this is a finding against its address.
pub(crate) fn is_finding(reason: Reason) -> bool {
    match reason {
        Reason::CredentialMissing
        | Reason::CredentialInvalid
        | Reason::NotPermitted
        | Reason::NoSuchOperation
        | Reason::MethodNotAllowed
        | Reason::OtherTenant
        | Reason::CrossSite
        | Reason::OverLimit
        | Reason::Malformed
        | Reason::SchemaMismatch
        | Reason::HeadersTooLarge
        | Reason::SlowRequest => true,
        // Told what is missing, a client comes again.
        Reason::SessionEnded
        | Reason::LoginNeeded
        | Reason::StepUp
        | Reason::InsufficientScope
        | Reason::ContentRefused
        // An agent that runs away is not an attacker.
        | Reason::TaskLimit
        | Reason::ExceptionEnded
        | Reason::AnswerRefused
        | Reason::LengthRequired
        | Reason::TooLarge
        | Reason::UnsupportedContent
        | Reason::Misdirected
        | Reason::Overloaded
        | Reason::Undecided
        | Reason::UpstreamFailed
        | Reason::UpstreamUnavailable
        | Reason::SecretExpired
        | Reason::Internal => false,
    }
}

/// Notes a finding against the address of `peer`. With the one that bans it, its open connections end.
pub(crate) fn find(shared: &Shared, listener: &str, peer: Peer) {
    let runtime = shared.runtime.load();
    let guard = runtime.listener_guard(listener);
    if guard.settings.bans.is_empty() {
        return;
    }
    let address = client_address(peer);
    if let Some((rule, time)) = shared.bans.find(&guard.settings.bans, address, shared.uptime()) {
        warn!("error.type" = "ban", %address, rule = rule.name, seconds = time.as_secs(), "an address is banned");
        shared.metrics.banned();
        shared.addresses.wake(address);
    }
}

/// Records that a connection was not let in.
fn refuse_connection(shared: &Arc<Shared>, listener: &str, peer: Peer, cause: &'static str, detail: &str) {
    let connection = Connection::new(shared.next_connection(), listener.to_owned(), peer, None);
    tell(shared, &connection, cause, detail);
}

/// Records that a connection was refused before it carried a request, and counts it.
pub(crate) fn tell(shared: &Arc<Shared>, connection: &Connection, cause: &'static str, detail: &str) {
    shared.metrics.connection_refused(&connection.listener, cause);
    if let Some(silent) = shared.telling.speak(shared.uptime()) {
        let more =
            if silent > 0 { format!(" ({silent} more were refused since the last record)") } else { String::new() };
        shared.record_refused(connection, &format!("{detail}{more}"));
    }
}
