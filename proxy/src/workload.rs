//! The workload behind an outbound listener: who may connect, and who it is taken for.

use postern_config::{Bind, Outbound, Snapshot};
use postern_filters::token::PeerFacts;
use postern_filters::{Peer, Reason, Refusal, SpiffeSubject};

use crate::connection::Connection;

/// A process that was let in.
#[derive(Debug)]
pub(crate) struct Workload {
    settings: Outbound,
    /// What the listener says of whoever calls.
    facts: Option<PeerFacts>,
}

impl Workload {
    /// Lets `source` in on the named listener, or not. `None` where others call there.
    ///
    /// # Errors
    /// In words for the record.
    pub(crate) fn admit(snapshot: &Snapshot, listener: &str, source: Peer) -> Result<Option<Self>, String> {
        let Some(found) = snapshot.listeners.iter().find(|other| other.name == listener) else { return Ok(None) };
        let Some(settings) = &found.outbound else { return Ok(None) };
        // A reload may have put the name on another socket while this connection was on its way.
        if matches!(source, Peer::Unix(_)) != matches!(found.bind, Bind::Unix { .. }) {
            return Err("the listener is on another socket now".to_owned());
        }
        if let Peer::Unix(peer) = source {
            let own = rustix::process::geteuid().as_raw();
            let listed = settings.uids.as_ref().map_or(peer.uid == own, |uids| uids.contains(&peer.uid));
            if !listed {
                return Err(format!("a process of user {} may not call out here", peer.uid));
            }
        }
        let subject = |id: &String| SpiffeSubject { id: id.clone(), not_before: 0, not_after: i64::MAX };
        let facts = settings.principal.as_ref().map(|id| PeerFacts {
            spiffe: Some(subject(id)),
            named: None,
            leaf_sha256: None,
            not_after: i64::MAX,
        });
        Ok(Some(Self { settings: settings.clone(), facts }))
    }

    pub(crate) fn facts(&self) -> Option<&PeerFacts> {
        self.facts.as_ref()
    }
}

/// A workload is who the listener said it was when it was let in, or nobody; and who was let in as somebody else is no
/// workload.
///
/// # Errors
/// The set says something else of the listener than the one that let the connection in.
pub(crate) fn judge(snapshot: &Snapshot, connection: &Connection) -> Result<(), Refusal> {
    let listener = snapshot.listeners.iter().find(|other| other.name == connection.listener);
    let says = listener.and_then(|listener| listener.outbound.as_ref());
    if says == connection.workload.as_ref().map(|workload| &workload.settings) {
        return Ok(());
    }
    Err(Refusal::new(Reason::CredentialInvalid, "the listener says something else of its workload now"))
}
