//! DDoSProtectionPolicy: how much one address, one connection or all of them may ask of the proxy.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::LabelName;
use crate::Code;
use crate::decode::{At, Fields, Setting, spec};
use crate::values::{Name, Percent, Size};

const PV_LIMIT: Code = Code(71);

spec! {
    /// How much one address, one connection or all of them may ask of the proxy. Its defaults hold without a manifest. What acts
    /// before a route is known (`connections`, `http2`, `ban`, and `tls` and `headers` of `timeouts`) cannot be set on a Route
    /// (PV-025). An address is an IPv4 address or an IPv6 /64; it is that of the other end of the socket.
    pub struct DdosProtectionPolicy {
        /// Open connections and handshakes.
        [E] connections: Setting<ConnectionLimits> = "{}",
        /// How long anything may take. They are deadlines: a byte now and then does not put them off.
        [E] timeouts: Setting<Timeouts> = "{}",
        /// How large anything may be.
        [E] sizes: Setting<Sizes> = "{}",
        /// What one HTTP/2 connection may do.
        [E] http2: Setting<Http2> = "{}",
        /// Requests, counted before credentials are looked at. All that is attached applies.
        [E] requests: Setting<RequestRates> = "{}",
        /// Addresses that are refused for a while for what they did. All that is attached applies.
        [E] ban: Vec<At<Ban>>,
        /// What is refused first when there is more to do than can be done.
        [E] shed: Option<At<Shed>>,
        /// Who filters volumetric attacks before they get here.
        [D] upstream_filter: Option<At<UpstreamFilter>>,
    }
}

spec! {
    /// Open connections and handshakes.
    pub struct ConnectionLimits {
        /// Open at once; further ones are closed unanswered. Of the Gateway: all listeners together, and each; of a listener: its own.
        [E, max "1000000"] max: Setting<NonZeroU32> = "20000",
        /// Open at once from one address, on all listeners together. Default: no limit but `max`, as many callers may stand behind one address.
        [E] max_per_ip: Option<At<NonZeroU32>>,
        /// Connections that one address may begin in a window; with TLS each is a handshake.
        [E] handshakes_per_ip: Option<At<Rate>>,
    }
}

spec! {
    /// So many in a window (GCRA).
    pub struct Rate {
        /// At least 1.
        [E] limit: At<NonZeroU32>,
        /// Not 0 (PV-071).
        [E] window: At<Duration>,
        /// Let through at once, at most ten times `limit` (PV-071). Default: `limit`.
        [E] burst: Option<At<NonZeroU32>>,
    }
    check check_rate
}

fn check_rate(rate: &Rate, fields: &mut Fields<'_, '_, '_>) {
    check_window(&rate.window, fields);
    let most = rate.limit.value.get().saturating_mul(10);
    if let Some(burst) = rate.burst.as_ref().filter(|burst| burst.value.get() > most) {
        let message = format!("`burst` is {}, more than ten times the `limit` of {}", burst.value, rate.limit.value);
        burst.error(fields.cx.report, PV_LIMIT, message, format!("use a burst of at most {most}, or raise the limit"));
    }
}

fn check_window(window: &At<Duration>, fields: &mut Fields<'_, '_, '_>) {
    if window.value.is_zero() {
        window.error(fields.cx.report, PV_LIMIT, "`window` is 0", "use a window such as `1m`");
    } else if window.value > Duration::from_secs(366 * 86_400) {
        window.error(fields.cx.report, PV_LIMIT, "`window` is longer than a year", "use a shorter window");
    }
}

spec! {
    /// How long anything may take.
    pub struct Timeouts {
        /// The TLS handshake, from the first moment of the connection.
        [E, max "60s"] tls: Setting<Duration> = "5s",
        /// The head of a request, from its first byte; on a new connection from the handshake.
        [E, max "5m"] headers: Setting<Duration> = "10s",
        /// A request's body: this long, and a second more for each KiB that came.
        [E, max "10m"] body_idle: Setting<Duration> = "30s",
        /// From the request to the head of the upstream's answer.
        [E, max "1h"] first_byte: Setting<Duration> = "60s",
        /// The longest pause of an answer on either side. A caller that reads slowly has this long, and a second more for each KiB
        /// it took.
        [E, max "1h"] stream_idle: Setting<Duration> = "5m",
        /// The whole answer; a credential that expires ends it before.
        [E, max "24h"] stream_total: Setting<Duration> = "1h",
    }
    check check_timeouts
}

fn check_timeouts(timeouts: &Timeouts, fields: &mut Fields<'_, '_, '_>) {
    let all = [
        &timeouts.tls,
        &timeouts.headers,
        &timeouts.body_idle,
        &timeouts.first_byte,
        &timeouts.stream_idle,
        &timeouts.stream_total,
    ];
    for zero in all.into_iter().filter(|timeout| timeout.is_zero()) {
        zero.at.error(fields.cx.report, PV_LIMIT, "a timeout of 0, so nothing could pass", "use one such as `5s`");
    }
}

spec! {
    /// How large anything may be.
    pub struct Sizes {
        /// Header lines of a request.
        [E, max "256"] max_headers: Setting<NonZeroU32> = "128",
        /// Bytes of all header lines of a request together.
        [E, max "128Ki"] max_header_size: Setting<Size> = "32Ki",
        /// Longest request body, on top of `maxBodySize` of the APIAccessPolicies, which has a default.
        [E, max "100Mi"] max_body: Option<At<Size>>,
        /// Arrays and objects of JSON inside each other, in requests, answers and events that are read.
        [E, max "128"] max_json_depth: Setting<NonZeroU32> = "64",
        /// Bytes of one event of a stream that is judged on its way.
        [E, max "8Mi"] max_sse_event: Setting<Size> = "1Mi",
        /// Bytes that may come out of each byte of a compressed body, in requests and answers that are read. The first 64 KiB that
        /// come out are free, and the size of the body is counted in KiB. What comes out counts as the body for all other limits.
        [E, max "1000"] max_decompression_ratio: Setting<NonZeroU32> = "100",
    }
}

spec! {
    /// What one HTTP/2 connection may do. PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty DATA frames have bounds of their own.
    pub struct Http2 {
        /// Streams open at once.
        [E, max "1000"] max_concurrent_streams: Setting<NonZeroU32> = "100",
        /// Streams that the client resets, or makes us reset, in a minute; with the next one the connection ends.
        [E, max "10000"] max_resets_per_minute: Setting<NonZeroU32> = "200",
        /// CONTINUATION frames of one head; with the next one the connection ends.
        [E, max "64"] max_continuation: Setting<NonZeroU32> = "8",
    }
}

spec! {
    /// Requests, counted before credentials are looked at.
    pub struct RequestRates {
        /// Of one address.
        [E] per_ip: Option<At<Rate>>,
        /// Of all addresses together.
        [E] global: Option<At<Rate>>,
    }
}

spec! {
    /// An address that did too much is refused for a while, and its open connections end. Findings are: a handshake that fails,
    /// a request that is malformed or too slow, one that is over a limit, a missing or bad credential, and one that is not
    /// permitted. With each further ban the time doubles, up to `maxFor`. Bans outlive reloads, not restarts.
    pub struct Ban {
        /// Named by records.
        [E] name: At<Name>,
        /// How many findings, in which time.
        [E] after: At<Findings>,
        /// How long the first ban is.
        [E, max "7d"] time as "for": At<Duration>,
        /// How long the longest is. Default: as long as the first.
        [E, max "30d"] max_for: Option<At<Duration>>,
    }
    check check_ban
}

fn check_ban(ban: &Ban, fields: &mut Fields<'_, '_, '_>) {
    if ban.time.is_zero() {
        ban.time.error(fields.cx.report, PV_LIMIT, "a ban of 0 bans nobody", "use a time such as `15m`");
    }
    if let Some(most) = ban.max_for.as_ref().filter(|most| most.value < ban.time.value) {
        most.error(fields.cx.report, PV_LIMIT, "`maxFor` is shorter than `for`", "make it longer, or leave it out");
    }
}

spec! {
    /// How many findings, in which time.
    pub struct Findings {
        /// At least 1; the one that makes this number bans.
        [E, max "10000"] findings: At<NonZeroU32>,
        /// Not 0 (PV-071).
        [E, max "1d"] window: At<Duration>,
    }
    check check_findings
}

fn check_findings(after: &Findings, fields: &mut Fields<'_, '_, '_>) {
    check_window(&after.window, fields);
}

spec! {
    /// What is refused first when there is more to do than can be done: 503 with `Retry-After`. The load is the largest of: the share
    /// of time the workers were busy in the last second, the share of body memory that is taken, the share of connections that
    /// are open. At `atLoad` the first of `order` is refused, the next ones at equal steps up to 100; what is in no selector is not
    /// refused by label. At each step, addresses with more than their share of open requests are refused one selector early.
    pub struct Shed {
        /// Where it begins.
        [E] at_load: Setting<Percent> = "85",
        /// Routes by their labels, those that are refused first at the front.
        [E] order: Vec<At<RouteSelector>>,
    }
    check check_shed
}

fn check_shed(shed: &Shed, fields: &mut Fields<'_, '_, '_>) {
    if shed.at_load.0 == 0 {
        shed.at_load.at.error(
            fields.cx.report,
            PV_LIMIT,
            "`atLoad` is 0, so requests would be refused always",
            "use one such as 85",
        );
    }
}

spec! {
    /// Routes by their labels.
    pub struct RouteSelector {
        /// All of them must be there.
        [E] match_labels: At<BTreeMap<LabelName, At<String>>>,
    }
}

spec! {
    /// Who filters volumetric attacks before they get here.
    pub struct UpstreamFilter {
        /// Who.
        [D] provider: Option<At<String>>,
        /// Whom to ask.
        [D] contact: Option<At<String>>,
    }
}
