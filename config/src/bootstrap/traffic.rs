//! Listeners, upstreams and routes as they are written.

use std::collections::BTreeMap;

use super::upstream::*;
use super::{ListenerDirection, LoopbackWord, PeersSpec};
use crate::Dialect;
use crate::decode::{At, Fields, Setting, spec, words};
use crate::manifest::LabelName;
use crate::values::{HeaderName, HeaderValue, Host, ListenAddress, Method, Name, PathPrefix, SpiffeName, UpstreamUrl};

spec! {
    /// One socket the proxy accepts on.
    pub struct ListenerSpec {
        /// Named by `sectionName` of a target.
        [E] name: At<Name>,
        /// Address and port, or a Unix socket. The folder of a socket is ours, or root's, and nobody else may write to it.
        [E] bind: At<ListenAddress>,
        /// Who may connect to a Unix socket; only with one. Default: `0600`.
        [E] mode: Option<At<SocketMode>>,
        /// With TLS or without; without only on loopback addresses and Unix sockets (PV-030).
        [E] protocol: At<ListenerProtocol>,
        /// Whether each connection begins with a PROXY protocol header, version 2. Connections from elsewhere than the ranges of
        /// `gateway.trustedProxies` without a principal are refused then, and so are those without a header.
        [E] proxy_protocol: Setting<ProxyProtocol> = r#""Off""#,
        /// For workloads only: client certificates are required unless a CertificatePolicy says otherwise.
        [E] internal: Setting<bool> = "false",
        /// Who calls: others, or the workload beside the proxy.
        [E] direction: Setting<ListenerDirection> = "Inbound",
        /// Of an outbound Unix socket: which processes may connect. Default: those of our own user.
        [E] peers: Option<At<PeersSpec>>,
        /// Of an outbound listener: the workload that calls, for the provider of type `Spiffe` that recognises it. Without it a request
        /// has to bring a token.
        [E] principal: Option<At<SpiffeName>>,
        /// Of an outbound listener on a loopback address: that this is wanted.
        [E] loopback: Option<At<LoopbackWord>>,
    }
    check super::outbound::check_listener
}

words! {
    /// Whether a connection begins with a PROXY protocol header.
    pub enum ProxyProtocol {
        /// It does not.
        Off = "Off",
        /// It does, or is refused.
        Required = "Required",
    }
}

words! {
    /// Who may connect to a Unix socket.
    pub enum SocketMode {
        /// Processes of our own user.
        Owner = "0600",
        /// Those of our group too.
        Group = "0660",
    }
}

words! {
    /// With TLS or without.
    pub enum ListenerProtocol {
        /// HTTP/1.1 and HTTP/2 over TLS.
        Https = "https",
        /// HTTP/1.1 and HTTP/2 without TLS.
        Http = "http",
    }
}

spec! {
    /// One service the proxy calls.
    pub struct UpstreamSpec {
        /// Named by routes and targets.
        [E] name: At<Name>,
        /// Its address. Either this or `endpoints`.
        [E] url: Option<At<UpstreamUrl>>,
        /// Its addresses, where it has several: at most 64, all with the same scheme and base path. Each is asked for with its own
        /// `Host`, or with `tls.serverName` where it is an IP address.
        [E] endpoints: Option<At<Vec<At<UpstreamUrl>>>>,
        /// How an endpoint is chosen among those that are in order.
        [E] balance: Setting<BalanceSpec> = "RoundRobin",
        /// What is spoken with it. Over TLS it must agree to exactly this by ALPN; without TLS it is taken for granted.
        [E] protocol: Setting<UpstreamProtocol> = "Http1",
        /// Of Unix sockets: which processes may answer, by who listened. Default: those of our own user and of root.
        [E] peers: Option<At<PeersSpec>>,
        /// How its certificate is checked.
        [E] tls: Setting<UpstreamTls> = "{}",
        /// How long it may take.
        [E] timeouts: Setting<UpstreamTimeouts> = "{}",
        /// Which requests are sent a second time.
        [E] retries: Setting<RetriesSpec> = "{}",
        /// Which of its endpoints are in order.
        [E] health: Setting<HealthSpec> = "{}",
        /// How much of it may be used at once.
        [E] circuit_breaker: Setting<CircuitBreakerSpec> = "{}",
        /// For `targetSelector`.
        [E] labels: Option<At<BTreeMap<LabelName, At<String>>>>,
    }
    check check_endpoints
}

spec! {
    /// How an upstream's certificate is checked.
    pub struct UpstreamTls {
        /// The name its certificate must cover. Default: the host of `url`.
        [E] server_name: Option<At<Host>>,
        /// The SPIFFE ID its certificate must have, instead of a name. Its authorities are those of a CertificatePolicy on the upstream.
        [E] spiffe_id: Option<At<SpiffeName>>,
    }
}

spec! {
    /// Which requests go to which upstream. Exact hosts come before wildcards, then the longest path prefix, then methods and
    /// headers; a tie is refused.
    pub struct RouteSpec {
        /// Named by targets, limits and records.
        [E] name: At<Name>,
        /// Which requests.
        [E] matches as "match": At<MatchSpec>,
        /// What is changed in the path.
        [E] rewrite: Option<At<RewriteSpec>>,
        /// Name of the upstream. Not with `tunnel`.
        [E] upstream: Option<At<Name>>,
        /// Takes `CONNECT` requests of an outbound listener, for hosts and ports that `egress` of a NetworkPolicy allows. What goes
        /// through a tunnel is TLS with the host it was asked for, and nothing reads it: no policy of content may be attached.
        [E] tunnel: Setting<bool> = "false",
        /// The protocol the route promises: a body that is not of it is refused. A route of dialect `http` has no content and tool
        /// protection by parts.
        [E] dialect: At<Dialect>,
        /// Protocols a client may upgrade to; dialect `http` only. An upgraded connection is relayed, and nothing reads its content.
        [E] upgrades: Vec<At<UpgradeProtocol>>,
        /// Whether bodies are read whole before they are decided on and forwarded; dialect `http` only.
        [E] bodies: Setting<Bodies> = "Whole",
        /// For `targetSelector`, and for the tenant of what is behind the route.
        [E] labels: Option<At<BTreeMap<LabelName, At<String>>>>,
    }
    check check_relayed
}

fn check_relayed(route: &RouteSpec, fields: &mut Fields<'_, '_, '_>) {
    super::outbound::check_tunnel(route, fields);
    if route.dialect.value == Dialect::Http {
        return;
    }
    if *route.bodies == Bodies::Streamed {
        let help = "remove `bodies`, or use dialect `http` on a route of its own";
        let message = "bodies that are forwarded unread cannot keep the promise of the dialect";
        route.bodies.at.error(fields.cx.report, crate::Code(2), message, help);
    }
    for upgrade in &route.upgrades {
        let help = "remove `upgrades`, or use dialect `http` on a route of its own";
        upgrade.error(
            fields.cx.report,
            crate::Code(2),
            "an upgraded connection cannot keep the promise of the dialect",
            help,
        );
    }
}

spec! {
    /// Which requests a route takes; all that is written must match.
    pub struct MatchSpec {
        /// Name of the listener that the request came on. Default: any inbound one; an outbound listener has to be named.
        [E] listener: Option<At<Name>>,
        /// Host of the request. Default: any.
        [E] host: Option<At<Host>>,
        /// Beginning of the canonical path, on whole segments.
        [E] path_prefix: At<PathPrefix>,
        /// The method.
        [E] method: Option<At<Method>>,
        /// Headers with their exact values.
        [E] header: Option<At<BTreeMap<HeaderName, At<HeaderValue>>>>,
    }
}

spec! {
    /// What is changed in the path before the request is sent.
    pub struct RewriteSpec {
        /// Replaces the matched prefix.
        [E] path_prefix: At<PathPrefix>,
    }
}

words! {
    /// The protocol of a route.
    impl Dialect {
        /// Plain HTTP.
        (Dialect::Http) = "http",
        /// The OpenAI API: chat completions, responses, completions, embeddings, moderations and the list of models.
        (Dialect::OpenAi) = "openai",
        /// The Anthropic API: messages, and the count of their tokens.
        (Dialect::Anthropic) = "anthropic",
        /// The Gemini API: content generated, embeddings, and the count of tokens.
        (Dialect::Gemini) = "gemini",
    }
    later { "mcp", "a2a" }
}

words! {
    /// How bodies are forwarded.
    pub enum Bodies {
        /// Read whole, within the limits, before anything is sent.
        Whole = "Whole",
        /// Forwarded as they come, both ways at once, with the trailers of answers between HTTP/2 sides, as gRPC needs it. Nothing
        /// reads them: no policy of content may be attached. A body that grows past `maxBodySize` ends the request unfinished.
        Streamed = "Streamed",
    }
}

words! {
    /// A protocol a client may upgrade to.
    pub enum UpgradeProtocol {
        /// RFC 6455.
        WebSocket = "websocket",
    }
}
