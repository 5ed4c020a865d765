//! Policy: the envelope of any other kind, and the one place for exceptions.

use super::{RouteSelector, TargetRef};
use crate::decode::{At, Cx, Decode, Fields, Shape, spec, words};
use crate::values::{Name, Time};
use crate::yaml::Node;
use crate::{Code, PrincipalType, Waiver};

const PV_EXCEPTION: Code = Code(6);

spec! {
    /// With `type: SecurityPolicy` the posture of the process, and the only place that loosens anything: its exceptions. With the name of
    /// another kind as `type`, an envelope: `config` is that kind's whole spec, `targetRefs` included, and the manifest counts as one of
    /// that kind under its own name.
    pub struct Policy {
        /// `SecurityPolicy`, or the name of a kind of this page.
        [E] kind as "type": At<PolicyType>,
        /// The spec of the kind that `type` names; not with `SecurityPolicy`.
        [E] config: Option<At<Carried>>,
        /// What is allowed against the rules, for a time.
        [E] exceptions: Vec<At<ExceptionSpec>>,
        /// The types of principal that exist in this process; absent: all. A provider, binding or rule for another type does not load
        /// (PV-025), and a credential that makes one, as a token that names an actor makes an Agent, is refused. What several manifests
        /// list must be in all of them. Says nothing of `Anonymous`, which only an exception for PV-010 lets in.
        [E] identity_types: Option<At<Vec<At<PrincipalType>>>>,
        /// Modes that rules may ask for: `context.compliance.contains("hipaa")`.
        [E] compliance_modes: Vec<At<ComplianceMode>>,
    }
    check check_types
}

fn check_types(policy: &Policy, fields: &mut Fields<'_, '_, '_>) {
    if let Some(types) = policy.identity_types.as_ref().filter(|types| types.is_empty()) {
        let help = "name the types that exist, or remove the field";
        types.error(fields.cx.report, Code(2), "`identityTypes` is empty, so nobody would exist", help);
    }
}

spec! {
    /// One mode of compliance: on the routes it selects its name is in `context.compliance`. It says that a standard holds there, for
    /// rules to be stricter (or for a permit to be about those routes only); it checks nothing by itself.
    pub struct ComplianceMode {
        /// What rules ask for. Modes of one name in several manifests select routes together.
        [E] name: At<Name>,
        /// The standard that is meant.
        [D] standard_ref: At<StandardRef>,
        /// The routes that are in it.
        [E] routes: At<RouteSelector>,
    }
}

spec! {
    /// Names a standard. This version has no kind for standards, so that nothing looks whether it is there.
    pub struct StandardRef {
        /// `ComplianceStandard`.
        [D] kind: At<StandardKind>,
        /// Its name.
        [D] name: At<Name>,
    }
}

words! {
    /// The kind of a standard.
    pub enum StandardKind {
        /// A set of checks.
        ComplianceStandard = "ComplianceStandard",
    }
}

words! {
    /// What a Policy is.
    pub enum PolicyType {
        /// The posture of the process.
        Security = "SecurityPolicy",
    }
}

/// The spec of another kind. It is read as that kind's before a Policy is, so whoever comes here has none.
#[derive(Debug, Clone, Copy)]
pub struct Carried;

impl Decode for Carried {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let help = "remove `config`, or write the kind it is the spec of as `type`";
        cx.shape(&node.position, "`config` is the spec of another kind, and `SecurityPolicy` is none", help);
        None
    }

    fn shape() -> Shape {
        Shape::Scalar { name: "Spec", doc: "The spec of the kind that `type` names, as that kind would write it." }
    }
}

spec! {
    /// One thing that is allowed against the rules. It loosens nothing but what it names, at the places it names. After `until` the set
    /// still loads, but what the exception allowed is refused at run time.
    pub struct ExceptionSpec {
        /// Unique within the manifest; records and metrics name it.
        [E] name: At<Name>,
        /// The refusal that is waived. Any that is not listed cannot be waived (PV-006).
        [E] allow: At<Waiver>,
        /// Where. A Route for PV-010, PV-013, PV-050, PV-060 and PV-070; the Gateway for PV-022; a listener (the Gateway with `sectionName`) or an
        /// Upstream for PV-030 and PV-033; an Upstream for PV-093. A route or listener that comes later is not covered by what was excepted before.
        [E, missing 4] target_refs: At<Vec<At<TargetRef>>>,
        /// Why, for whoever reads it at night.
        [D, missing 6] reason: At<String>,
        /// The team or mailbox that answers for it.
        [D, missing 6] owner: At<String>,
        /// Who agreed.
        [D] approved_by: Option<At<String>>,
        /// The moment at which it ends, at most 90 days after a load. No reload is needed for it to end, and one that has ended never
        /// stops a start.
        [E, missing 6] until: At<Time>,
    }
    check check_said
}

fn check_said(exception: &ExceptionSpec, fields: &mut Fields<'_, '_, '_>) {
    for (name, text, help) in [
        ("reason", &exception.reason, "say why the rule cannot be kept here"),
        ("owner", &exception.owner, "name the team or mailbox that answers for it"),
    ] {
        if text.trim().is_empty() {
            text.error(fields.cx.report, PV_EXCEPTION, format!("`{name}` says nothing"), help);
        }
    }
}

words! {
    /// A refusal that can be waived.
    impl Waiver {
        /// A route for which no APIAccessPolicy names a provider: who brings no credential asks as `Anonymous`, and needs a permit that says
        /// so. Afterwards its requests are refused.
        (Waiver::Anonymous) = "PV-010",
        /// A JWT provider without sender constraint on a route that executes. Afterwards its tokens have to be bound.
        (Waiver::UnboundTokens) = "PV-013",
        /// A permit for `execute` or `modify` over the whole gateway. Afterwards the permit does not count.
        (Waiver::WideGrant) = "PV-022",
        /// A listener without TLS, or an `http:` upstream, that is not on this machine. Afterwards connections are closed, and the upstream is not called.
        (Waiver::Plaintext) = "PV-030",
        /// Certificates whose revocation no current list tells (`onUnavailable: Allow`). Afterwards they are refused.
        (Waiver::UnknownRevocation) = "PV-033",
        /// A route to a model without content guards. Afterwards its requests are refused.
        (Waiver::Unguarded) = "PV-050",
        /// Content that nobody reads (`opaque: Allow`), to an upstream that may not see the route's highest class. Afterwards the
        /// route's requests are refused.
        (Waiver::Unseen) = "PV-051",
        /// A route without an AuditPolicy. Afterwards its requests are refused; before, too, each leaves its record in the log of the process.
        (Waiver::Unaudited) = "PV-060",
        /// A route without a rate limit. Afterwards its requests are refused.
        (Waiver::Unlimited) = "PV-070",
        /// A credential in the query of a URL, where an upstream takes none in a header. Afterwards the upstream's requests are refused.
        (Waiver::CredentialInUrl) = "PV-093",
    }
    later {
        "PV-015", "PV-051", "PV-061",
        "authn.required", "authn.mfa", "authn.senderConstrained", "authn.tokenAudienceBound", "authn.noTokenPassthrough",
        "authn.revocationWithin", "authz.defaultDeny", "authz.tenantIsolation", "authz.leastPrivilege", "authz.denialsLogged",
        "tls.minVersion", "tls.approvedCrypto", "mtls.internal", "cert.notExpiring", "egress.allowList", "egress.privateBlocked",
        "dlp.request", "dlp.response", "dlp.vendorEligibility", "data.opaqueBlocked", "data.residency", "data.atRestEncrypted",
        "ai.modelsAllowListed", "ai.injectionDetection", "ai.outputValidated", "ai.tokenBudget", "tools.defaultDeny", "tools.pinned",
        "tools.callsLogged", "a2a.cardsVerified", "rate.limited", "ddos.limits", "incident.planPresent", "incident.planExercisedWithin",
        "incident.killSwitchReady", "audit.enabled", "audit.tamperEvident", "audit.noGaps", "audit.retention", "audit.timeSynced",
        "monitoring.active", "config.bundleSigned", "config.noDrift", "secrets.byReference", "secrets.rotatedWithin",
        "keys.rotatedWithin", "exceptions.noneExpired", "process.hardened"
    }
    never {
        "PV-001", "PV-002", "PV-003", "PV-004", "PV-005", "PV-006", "PV-007", "PV-008", "PV-009", "PV-011", "PV-012", "PV-014",
        "PV-020", "PV-021", "PV-023", "PV-024", "PV-025", "PV-031", "PV-032", "PV-040", "PV-041", "PV-052", "PV-053", "PV-062",
        "PV-071", "PV-080", "PV-081", "PV-090", "PV-091", "PV-092", "PV-100"
    } with 6, "`{}` cannot be waived", "correct what it refuses; those that can be waived are `PV-010`, `PV-013`, `PV-022`, `PV-030`, `PV-033`, `PV-050`, `PV-060`, `PV-070` and `PV-093`"
}
