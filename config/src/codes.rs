//! The refusals by number: stable over versions, each with a golden manifest in `tests/rejects`.

/// One refusal.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    pub code: u16,
    /// What is refused.
    pub meaning: &'static str,
    /// Why this version has no way to reach it, if so.
    pub later: Option<&'static str>,
}

const fn now(code: u16, meaning: &'static str) -> Refusal {
    Refusal { code, meaning, later: None }
}

const fn later(code: u16, meaning: &'static str, why: &'static str) -> Refusal {
    Refusal { code, meaning, later: Some(why) }
}

/// All refusals of the contract, by number.
pub const REFUSALS: &[Refusal] = &[
    now(1, "secret material written in a manifest; text that only looks random is a warning"),
    now(
        2,
        "text that is not what its place wants: unknown field, kind or apiVersion, missing field, wrong type, duplicate key, anchor, \
         alias, tag, merge key, not UTF-8, not YAML, a file that may have been cut, two manifests of one name",
    ),
    now(3, "`mode: Audit` without `modeUntil`, or further than 30 days ahead; a trial that has ended is a warning"),
    now(
        4,
        "target missing, in another namespace, or of a kind the manifest may not attach to; none or two ways of attaching",
    ),
    now(
        5,
        "two exclusive choices at one level; one name with two contents; routes or providers that cannot be told apart",
    ),
    now(
        6,
        "an exception without `reason`, `owner` or `until`, of more than 90 days, of a refusal that cannot be waived, or for something \
         that has nothing to do with it; one that has ended is a warning",
    ),
    now(7, "a kind, field or word that this version does not enforce"),
    now(8, "a process-wide kind, or `env:` and `file:` material, outside the system namespace"),
    now(9, "a value above its ceiling; a file or set of files that is too large"),
    now(10, "a route for which no attached APIAccessPolicy names a provider"),
    now(
        11,
        "a JWT provider without `issuer`, `audiences` or `algorithms`; `none` and symmetric algorithms; keys of a provider that cannot be used",
    ),
    now(12, "an issuer, or a URL where one is called, that is not https (loopback excepted)"),
    now(13, "a bearer provider with `senderConstraint: None` on a route with `execute` actions"),
    now(14, "forwarding of the caller's token to an upstream"),
    later(15, "an API key as the only factor on a route of dialect `mcp` or `a2a`", "both dialects are PV-007"),
    now(20, "a permit with neither `roles` nor `when`, or with neither `roles` nor `principals`"),
    now(21, "a rule that does not validate against the schema; a binding whose subject several issuers can assert"),
    now(22, "a permit for `execute` or `modify` over a whole gateway"),
    now(23, "a role cycle; one subject in two roles that exclude each other"),
    now(24, "a rule that reads an attribute which nothing sets on its routes"),
    now(25, "policy that can match nothing where it is attached; a route on which nobody or nothing could pass"),
    now(30, "a listener without TLS, or an `http:` upstream, that is not on this machine; TLS below 1.2"),
    now(31, "no trust anchors where certificates must be checked"),
    now(32, "RSA below 2048 bits"),
    now(33, "certificates that pass although no current list tells whether they are revoked (`onUnavailable: Allow`)"),
    now(40, "an egress rule for everything together with private ranges"),
    now(41, "an origin that is a pattern; CORS for every origin together with credentials"),
    now(50, "an AI route without a DataProtectionPolicy, or without a RuntimeSecurityPolicy"),
    now(51, "`opaque: Allow` towards an upstream that may not see the highest class of the route's detectors"),
    later(52, "tools that are allowed by default", "`tools` of the WorkloadSecurityPolicy is PV-007"),
    now(
        53,
        "a regular expression that does not compile, is too large, matches the empty text, or can outgrow `holdBack` on a stream",
    ),
    now(60, "a route without an AuditPolicy, or one that does not say how tampering would show"),
    later(61, "an audit buffer that may drop records", "`buffer` is PV-007, and the buffer never drops"),
    later(62, "logging of credentials or unredacted content", "no content is recorded"),
    now(
        70,
        "a route of a dialect other than `http` without a rate limit, those by header aside: a caller has as many values as it likes",
    ),
    now(
        71,
        "a limit without a key, without a window or with one of 0, with a burst above ten times the limit; a window or burst for \
         `ConcurrentRequests`; a queue for `Bytes`, or one in which nothing may wait",
    ),
    later(80, "an incident action without end or approval", "the kind `IncidentResponsePlan` is PV-007"),
    later(81, "an incident plan that triggers itself or names no rule", "the kind `IncidentResponsePlan` is PV-007"),
    later(90, "an unsigned or older bundle", "`trust` is PV-007"),
    now(91, "one key or piece of material for two purposes or hosts; one secret under two names"),
    later(92, "a data key destroyed too early", "`destroy` is PV-007"),
    now(93, "a credential in the query of a URL (`inject: {type: QueryParam}`)"),
    later(100, "a standard or threat that names an unknown check", "`ComplianceStandard` and `ThreatModel` are PV-007"),
];
