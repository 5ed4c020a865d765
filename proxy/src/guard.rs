//! What stands before everything else: who may connect, and how much one address or all of them may ask of us.
//!
//! Nothing here reads a byte of HTTP, waits for anything, or keeps more than a bounded memory of an address.

mod ingress;
mod redirect;
mod telling;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use postern_filters::{Peer, Reason, Refusal, Source, SpiffeSubject};

pub(crate) use ingress::{Gate, Shut};
pub(crate) use redirect::refuse_redirect;
pub(crate) use telling::Telling;

use crate::connection::Connection;
use crate::shared::Shared;

/// The address that ranges and limits go by: the other end of the socket. A process on a Unix socket is on this machine,
/// and counts as `127.0.0.1`.
pub(crate) fn client_address(peer: Peer) -> IpAddr {
    match peer.source() {
        Source::Ip(address) => address.to_canonical(),
        Source::User(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

/// Whether the gateway is for this address at all. Asked before a byte is read; who might still pass by name is let on
/// to the handshake.
pub(crate) fn judge_address(shared: &Shared, peer: Peer) -> Result<(), Shut> {
    shared.runtime.load().gate.admits_address(client_address(peer))
}

/// Whether the gateway is for this peer. Asked before a byte of HTTP is read.
pub(crate) fn judge_peer(shared: &Shared, connection: &Connection) -> Result<(), Shut> {
    shared.runtime.load().gate.admits(client_address(connection.source), peer_id(connection))
}

/// Whether the route is for this peer.
///
/// # Errors
/// 403, with the rule for our records.
pub(crate) fn judge_route(gate: &Gate, connection: &Connection) -> Result<(), Refusal> {
    let admitted = gate.admits(client_address(connection.source), peer_id(connection));
    admitted.map_err(|shut| Refusal::new(Reason::NotPermitted, shut.detail).by(shut.rule))
}

fn peer_id(connection: &Connection) -> Option<&str> {
    connection.peer_facts().and_then(|facts| facts.spiffe.as_ref()).map(|SpiffeSubject { id, .. }| id.as_str())
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
