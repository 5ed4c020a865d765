//! The workload's side of a sidecar, as it is written: listeners that a workload calls out through, and tunnels.

use super::{ListenerProtocol, ListenerSpec, RouteSpec};
use crate::decode::{At, Fields, spec, words};
use crate::values::ListenAddress;
use crate::{Code, Dialect};

const PV_SHAPE: Code = Code(2);
const PV_BLIND: Code = Code(25);
const PV_PLAIN: Code = Code(30);

words! {
    /// Who calls on a listener.
    pub enum ListenerDirection {
        /// Others call what is behind the proxy.
        Inbound = "Inbound",
        /// The workload beside the proxy calls out, by route, with absolute-form targets, or through `CONNECT` tunnels. Serves only
        /// routes that name the listener.
        Outbound = "Outbound",
    }
}

words! {
    /// What a loopback port for a workload takes.
    pub enum LoopbackWord {
        /// The port is wanted, although every process of this machine may use it with the workload's identity.
        Allow = "Allow",
    }
}

spec! {
    /// Which processes may be at the other end of a Unix socket, by what the kernel says of them.
    pub struct PeersSpec {
        /// User ids.
        [E] uids: At<Vec<At<u32>>>,
    }
}

pub(super) fn check_listener(listener: &ListenerSpec, fields: &mut Fields<'_, '_, '_>) {
    if *listener.direction == ListenerDirection::Inbound {
        for name in ["peers", "principal", "loopback"] {
            let message = format!("nothing acts on `{name}` of a listener that others call");
            fields.refuse(name, PV_BLIND, message, "remove it, or write `direction: Outbound`");
        }
        return;
    }
    let report = &mut *fields.cx.report;
    if listener.protocol.value == ListenerProtocol::Https {
        let message = "a workload's side with TLS, which no workload could be told by";
        listener.protocol.error(report, PV_SHAPE, message, "write `protocol: http`, and bind to a Unix socket");
    }
    if *listener.internal {
        listener.internal.at.error(report, PV_BLIND, "nothing acts on `internal` here", "remove it");
    }
    match (&listener.bind.value, &listener.loopback) {
        (ListenAddress::Unix(_), Some(loopback)) => {
            loopback.error(report, PV_BLIND, "nothing acts on `loopback`: this is a Unix socket", "remove it");
        }
        (ListenAddress::Unix(_), None) => {}
        (ListenAddress::Tcp(address), _) if !address.ip().is_loopback() => {
            let message = "a workload's side that other machines could call";
            listener.bind.error(report, PV_PLAIN, message, "bind to a Unix socket: `unix:/run/postern/out.sock`");
        }
        (ListenAddress::Tcp(_), None) => {
            let message = "a port lends the workload's identity to every process of this machine";
            let help = "bind to a Unix socket, or write `loopback: Allow` where all of them are trusted";
            listener.bind.error(report, PV_PLAIN, message, help);
        }
        (ListenAddress::Tcp(_), Some(_)) => {
            if let Some(peers) = &listener.peers {
                let message = "nothing acts on `peers`: a port does not know who connects";
                peers.error(report, PV_BLIND, message, "remove it, or bind to a Unix socket");
            }
        }
    }
}

/// A tunnel is a way of its own: what it leads through is not a request.
pub(super) fn check_tunnel(route: &RouteSpec, fields: &mut Fields<'_, '_, '_>) {
    if !*route.tunnel {
        if route.upstream.is_none() {
            let message = format!("route `{}` leads nowhere", route.name.as_str());
            let help = "add `upstream`, or `tunnel: true` for tunnels to hosts that NetworkPolicy names";
            route.name.error(fields.cx.report, PV_SHAPE, message, help);
        }
        return;
    }
    for name in ["upstream", "rewrite", "upgrades", "bodies"] {
        let message = format!("`{name}` has no place on a route for tunnels: what they lead through is not read");
        fields.refuse(name, PV_SHAPE, message, "remove it, or use a route of its own");
    }
    let report = &mut *fields.cx.report;
    let shape = |at: &At<()>, message: &str, help: &str, report: &mut crate::Report| {
        at.error(report, PV_SHAPE, message, help);
    };
    if route.dialect.value != Dialect::Http {
        let at = route.dialect.clone().map(drop);
        shape(&at, "a tunnel cannot keep the promise of a dialect", "use `dialect: http`", report);
    }
    if route.matches.path_prefix.as_str() != "/" {
        let at = route.matches.path_prefix.clone().map(drop);
        shape(&at, "a tunnel has no path", "write `pathPrefix: /`", report);
    }
    if let Some(method) = &route.matches.method {
        shape(
            &method.clone().map(drop),
            "a tunnel is asked for with `CONNECT` and nothing else",
            "remove `method`",
            report,
        );
    }
}
