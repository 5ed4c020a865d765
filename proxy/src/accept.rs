//! Our own accept loop: a socket, a handshake with a deadline, and then Pingora's HTTP on the stream.
//!
//! It is ours so that listeners can come and go, TLS settings are a pointer swap, connections are counted, and a
//! connection that never becomes a request still leaves a record.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::l4::stream::Stream as L4Stream;
use pingora_core::protocols::tls::TlsRef;
use pingora_core::protocols::{IO, Ssl};
use postern_certs::ListenerTls;
use postern_config::{ListenerTls as Settings, TlsVersion};
use postern_filters::Peer;
use tokio::sync::watch;
use tracing::{debug, error, warn};

use crate::app::ConnectionApp;
use crate::connection::{Connection, TlsFacts, peer_facts};
use crate::guard::Admitted;
use crate::listen::Socket;
use crate::shared::Shared;
use crate::workload::Workload;
use crate::{connections, guard, proxied, record};

/// Pause after the system refused a socket, so that running out of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that the system may have accepted for us before a stop.
const BACKLOG: usize = 1024;
/// From the cut of all requests to the cut of their connections.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Whether a listener takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepting {
    Open,
    /// Those that wait, and no more: they were told that somebody is there, and nobody else will take them.
    Last,
    /// Not even those.
    Closed,
}

/// What a listener tells its connections.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// Turns true when they are to leave as soon as they can.
    pub(crate) drain: watch::Receiver<bool>,
    /// Turns true when they have to end, whatever they do.
    pub(crate) cut: watch::Receiver<bool>,
}

impl Notice {
    /// Returns once everything has to end: of this listener, or of the process.
    pub(crate) async fn cut(&self, shared: &Shared) {
        let mut own = self.cut.clone();
        // A listener that is gone without a word has nothing more to say.
        let own = async {
            if own.wait_for(|cut| *cut).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = shared.cut() => {}
            () = own => {}
        }
    }
}

/// What connections come in through.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) name: String,
    /// Without TLS.
    pub(crate) plain: bool,
    pub(crate) socket: Arc<Socket>,
    pub(crate) notice: Notice,
}

/// Accepts for as long as `accepting` says so.
pub(crate) async fn run(shared: Arc<Shared>, door: Door, mut accepting: watch::Receiver<Accepting>) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = accepting.wait_for(|accepting| *accepting != Accepting::Open) => break,
            accepted = door.socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, source)) => admit(&shared, stream, source, &door),
            Err(error) => {
                warn!("error.type" = "accept", %error, listener = door.name, "could not accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if *accepting.borrow() != Accepting::Last {
        return;
    }
    for _ in 0..BACKLOG {
        let Some(Ok((stream, source))) = door.socket.accept().now_or_never() else { return };
        admit(&shared, stream, source, &door);
    }
}

/// Serves a connection in a task of its own, which ends at the latest when everything is cut.
fn admit(shared: &Arc<Shared>, stream: L4Stream, source: Peer, door: &Door) {
    let name = &door.name;
    let Some(admitted) = guard::admit(shared, name, source) else { return };
    // Here, not in the task: once nobody accepts any more, no number is taken any more.
    let number = shared.next_connection();
    let (shared, name, plain, notice) = (shared.clone(), name.clone(), door.plain, door.notice.clone());
    tokio::spawn(async move {
        let cut = async {
            notice.cut(&shared).await;
            // Requests are cut at the same moment and leave their records; then there is nothing to wait for.
            tokio::time::sleep(LAST_WORDS).await;
        };
        let banished = async {
            admitted.banished(&shared).await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = serve(shared.clone(), number, stream, source, name, plain, notice.clone(), admitted.clone()) => {}
            () = cut => {}
            () = banished => {}
        }
    });
}

#[expect(clippy::too_many_arguments, reason = "one call site; a struct for it would only rename the arguments")]
async fn serve(
    shared: Arc<Shared>,
    number: u64,
    mut stream: L4Stream,
    source: Peer,
    name: String,
    plain: bool,
    notice: Notice,
    admitted: Arc<Admitted>,
) {
    let excepted =
        shared.runtime.load().plaintext(&name).filter(|waived| waived.has_ended(shared.clock.unix_ms())).cloned();
    if let Some(over) = excepted {
        let connection = Connection::new(number, name, source, None);
        return guard::tell(&shared, &connection, "exception", &over.ended());
    }
    let workload = match Workload::admit(&shared.runtime.load().snapshot, &name, source) {
        Ok(workload) => workload,
        Err(detail) => {
            let connection = Connection::new(number, name, source, None);
            return guard::tell(&shared, &connection, "workload", &detail);
        }
    };
    let (source, through) = match whose(&shared, &name, &mut stream, source).await {
        Ok(client) if client == source => (source, None),
        Ok(client) => (client, Some(source)),
        Err(detail) => {
            let connection = Connection::new(number, name, source, None);
            return guard::tell(&shared, &connection, "proxy_protocol", &detail);
        }
    };
    if through.is_some()
        && let Err((cause, detail)) = guard::judge_announced(&shared, &name, source)
    {
        let connection = Connection::new(number, name, source, None).through(through);
        return guard::tell(&shared, &connection, cause, &detail);
    }
    let (stream, facts) = match secure(&shared, &name, plain, stream, admitted.guard.settings.tls).await {
        Ok(secured) => secured,
        Err(detail) => {
            debug!(%source, listener = name, detail, "handshake failed");
            shared.metrics.handshake_failed(&name);
            let connection = Connection::new(number, name, source, None).through(through);
            shared.record_connection(&connection, true, &detail);
            guard::find(&shared, &connection.listener, source);
            return;
        }
    };
    let connection =
        Connection::new(number, name, source, facts).through(through).placed(admitted).of_workload(workload);
    let connection = Arc::new(connection);
    if let Err(shut) = guard::judge_peer(&shared, &connection) {
        return guard::tell(&shared, &connection, "ingress", &shut.detail);
    }
    let _entry = shared.registry.enter(connection.clone());
    // A set that was swapped in during the handshake judged the connections of that moment, and not this one.
    connections::judge_one(&shared, &shared.runtime.load(), &connection);
    let app = Arc::new(ConnectionApp::new(shared.clone(), connection.clone(), notice.clone()));
    let cut = async {
        connection.was_cut().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let served = tokio::select! {
        served = AssertUnwindSafe(app.serve_connection(stream, notice.drain)).catch_unwind() => served,
        () = cut => Ok(()),
    };
    if let Some(cut) = connection.told() {
        shared.record_cut(&connection, &cut);
    }
    if served.is_err() {
        error!("error.type" = "panic", source = %connection.source, "a connection panicked outside of its requests");
        shared.metrics.panicked();
        shared.record_connection(&connection, false, "the connection panicked outside of its requests");
    } else if connection.requests() == 0 {
        shared.record_connection(&connection, false, "the connection ended without a request");
    }
}

/// Who a connection is from: the other end, or who that one announces where the listener demands it.
async fn whose(shared: &Shared, name: &str, stream: &mut L4Stream, peer: Peer) -> Result<Peer, String> {
    let runtime = shared.runtime.load_full();
    let listener = runtime.snapshot.listeners.iter().find(|listener| listener.name == name);
    match listener {
        Some(listener) if listener.proxy_protocol => {
            proxied::announced(stream, peer, &runtime.snapshot.trusted_proxies).await
        }
        _ => Ok(peer),
    }
}

/// The handshake, where the listener has one, by the set of this moment; a connection keeps no set.
async fn secure(
    shared: &Shared,
    name: &str,
    plain: bool,
    stream: L4Stream,
    within: Duration,
) -> Result<(Box<dyn IO>, Option<TlsFacts>), String> {
    let runtime = shared.runtime.load_full();
    let listener = runtime.snapshot.listeners.iter().find(|listener| listener.name == name);
    match listener.map(|_| runtime.tls_of(name)) {
        Some(None) if plain => Ok((Box::new(stream), None)),
        Some(Some((tls, settings))) if !plain => {
            let (stream, facts) = handshake(tls.clone(), settings, stream, within).await?;
            Ok((stream, Some(facts)))
        }
        // Nothing is guessed: what came for TLS is never served without it.
        _ => Err("the listener went while the connection came".to_owned()),
    }
}

async fn handshake(
    tls: Arc<ListenerTls>,
    settings: &Settings,
    stream: L4Stream,
    within: Duration,
) -> Result<(Box<dyn IO>, TlsFacts), String> {
    let acceptor = Acceptor::from_server_config(tls.server_config());
    let accepted = tokio::time::timeout(within, acceptor.tls_handshake(stream)).await;
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(why(&error)),
        Err(_) => return Err(format!("no handshake within {} ms", within.as_millis())),
    };
    let Some(facts) = stream.get_ssl().map(|tls_ref| facts(tls, settings, tls_ref)) else {
        return Err("the handshake left no TLS facts".to_owned());
    };
    let facts = facts?;
    Ok((Box::new(stream), facts))
}

/// What went wrong in a handshake: Pingora keeps it only as text, behind contexts of its own; rustls keeps the cause of a
/// refused certificate only in its debug form.
fn why(error: &pingora_core::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit("connect error: ").next().unwrap_or(&text).trim();
    let refused =
        text.strip_prefix("invalid peer certificate: Other(OtherError(").and_then(|rest| rest.strip_suffix("))"));
    match refused {
        Some(refusal) => format!("the client certificate was refused: {refusal}"),
        None => text.to_owned(),
    }
}

fn facts(listener: Arc<ListenerTls>, settings: &Settings, tls: &TlsRef) -> Result<TlsFacts, String> {
    let peer = match tls.peer_cert_chain_der() {
        // The handshake verified it a moment ago; a proof of it is made by verifying it again.
        Some(chain) => Some(listener.peer(chain).map_err(|error| error.to_string())?),
        None => None,
    };
    let server_name = tls.server_name().map(str::to_ascii_lowercase);
    let (version, cipher) = (tls.version().unwrap_or_default(), tls.current_cipher_name().unwrap_or_default());
    let chain = tls.peer_cert_chain_der().map(|chain| chain.iter().map(|der| der.clone().into_owned()).collect());
    let recorded = record::tls_facts(version, cipher, server_name.as_deref(), peer.as_ref());
    let hsts = settings.hsts;
    // Pingora spells it as rustls does. Whatever is not known to be 1.3 counts as the older one.
    let version =
        if version.ends_with("1.3") || version.ends_with("1_3") { TlsVersion::V1_3 } else { TlsVersion::V1_2 };
    Ok(TlsFacts {
        server_name,
        facts: peer.as_ref().map(peer_facts),
        peer,
        chain: chain.unwrap_or_default(),
        recorded,
        version,
        hsts,
        trusted: Mutex::new(Arc::downgrade(&listener)),
        listener,
    })
}
