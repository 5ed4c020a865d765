//! WorkloadSecurityPolicy: of what it will say about workloads, this version has what it demands of the proxy itself.

use crate::decode::{At, Fields, Setting, spec, words};
use crate::{Code, Harden};

spec! {
    /// What a workload may do at run time. In this version only `self` acts: what the proxy demands of its own process. Models,
    /// tools and agents are not limited by this kind yet, and none of its defaults about them holds; so a manifest without `self`
    /// is refused (PV-007). Without any such manifest the process is not checked.
    pub struct WorkloadSecurityPolicy {
        /// The proxy's own process, checked at start and at every reload. Of a Gateway; on a Route it is PV-025.
        [E] own as "self": Option<At<SelfSpec>>,
        /// How the workload itself is confined, as it is set elsewhere.
        [D] sandbox: Option<At<Sandbox>>,
    }
    later {
        /// How a workload proves who it is.
        [E] "identity",
        /// Which models it may use.
        [E] "models",
        /// Which tools it may call. They are not denied by default in this version.
        [E] "tools",
        /// Which parts of MCP it may use.
        [E] "mcp",
        /// Which parts of A2A it may use.
        [E] "a2a",
        /// How far its tasks may go.
        [E] "limits",
    }
    check check_acts
}

/// By contract a manifest of this kind denies tools even where it does not speak of them; this version does not, and says so.
fn check_acts(policy: &WorkloadSecurityPolicy, fields: &mut Fields<'_, '_, '_>) {
    if policy.own.is_none() {
        let position = fields.position.clone();
        let message = "a WorkloadSecurityPolicy without `self`: in this version nothing of it would act, its default for tools included";
        let help = "add `self: {harden: Require}` and attach it to the gateway, or remove the manifest";
        fields.cx.error(Code(7), &position, message, help);
    }
}

spec! {
    /// The proxy's own process: no user or group of it is root, no capability but `CAP_NET_BIND_SERVICE`, no new privileges, a
    /// seccomp filter on every thread, a root file system that is mounted read-only, no core dumps, not open to debuggers. What a
    /// process can do for itself of this it has done before: it needs to be given another user and the read-only root.
    pub struct SelfSpec {
        /// What happens where something is missing.
        [E] harden: Setting<Harden> = "Require",
    }
}

words! {
    /// What happens where the proxy's own process is not confined.
    impl Harden {
        /// It is told, and the metric `postern.process.hardened` is 0.
        (Harden::Warn) = "Warn",
        /// The proxy does not start; a reload that begins to demand it is refused.
        (Harden::Require) = "Require",
    }
}

spec! {
    /// How the workload itself is confined.
    pub struct Sandbox {
        /// It is not root.
        [D] run_as_non_root: Option<At<bool>>,
        /// It cannot write to its root file system.
        [D] read_only_root_filesystem: Option<At<bool>>,
        /// Capabilities it keeps.
        [D] capabilities: Vec<At<String>>,
        /// Name of its seccomp profile.
        [D] seccomp: Option<At<String>>,
    }
}
