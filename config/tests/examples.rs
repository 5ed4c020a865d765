//! The examples load as a whole: those of the contract, reduced to the fields of this version, and the shipped folders.

#![expect(clippy::unwrap_used, reason = "an example that cannot be read fails the test")]

use std::path::{Path, PathBuf};

use postern_config::{Dialect, IdentitySource, Snapshot, load};

const NOW: i64 = 1_790_812_800;

fn examples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn loaded(folder: &str) -> Snapshot {
    let loaded = load(&examples(folder).join("postern.yaml"), NOW);
    let said = loaded.as_ref().map_or_else(ToString::to_string, |loaded| loaded.warnings.to_string());
    assert_eq!(said, "", "{folder}");
    loaded.unwrap().snapshot
}

#[test]
fn the_examples_of_the_contract_load_together() {
    let snapshot = loaded("tests/examples");
    let names: Vec<&str> = snapshot.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["chat", "status"]);
    let chat = &snapshot.routes[0];
    assert_eq!(chat.dialect, Dialect::OpenAi);
    let kinds: Vec<&str> = chat.policy.manifests.iter().map(|index| snapshot.manifests[*index].kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "APIAccessPolicy",
            "AccessControlPolicy",
            "AuditPolicy",
            "DDoSProtectionPolicy",
            "DataProtectionPolicy",
            "IAMPolicy",
            "NetworkPolicy",
            "RBACPolicy",
            "RuntimeSecurityPolicy"
        ]
    );
    assert_eq!(snapshot.upstreams[0].credentials.len(), 1);
}

#[test]
fn the_demo_loads() {
    assert_eq!(loaded("examples/demo").routes.len(), 3);
}

#[test]
fn the_first_set_loads() {
    assert_eq!(loaded("examples/init").routes.len(), 1);
}

#[test]
fn the_sidecars_load() {
    assert_eq!(loaded("examples/sidecar-inbound").routes.len(), 1);
    let out = loaded("examples/sidecar-outbound");
    let tunnels: Vec<_> = out.routes.iter().map(|route| (route.name.as_str(), route.is_tunnel())).collect();
    assert_eq!(tunnels, [("payments", false), ("orders", false), ("tunnels", true)]);
}

#[test]
fn the_exceptions_load_and_are_told() {
    let snapshot = loaded("examples/exceptions");
    let told: Vec<String> = snapshot.exceptions.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "Policy/default/posture#public-status-page allows PV-010 for Route status until 2026-12-15T00:00:00Z; owner sre@example.com",
            "Policy/default/posture#invoices-without-tls allows PV-030 for Upstream invoices until 2026-12-15T00:00:00Z; owner \
             billing@example.com",
        ]
    );
}

#[test]
fn the_gateway_of_a_spiffe_agent_loads() {
    let snapshot = loaded("examples/spiffe");
    let tls = snapshot.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.trust.anchors.len(), 2);
    assert!(matches!(tls.identities[0].source, IdentitySource::Spiffe { socket: None, id: None }));
}

#[test]
fn the_tenants_by_host_load_with_a_rule_on_trial() {
    let snapshot = loaded("examples/tenants");
    let route = &snapshot.routes[0];
    assert!(route.tenant.is_none() && route.tenant_from.is_some());
    let trial = &route.policy.trials[0];
    assert_eq!(trial.manifests, ["AccessControlPolicy/default/health-data"]);
    assert_eq!((route.policy.authz.rules.len(), trial.authz.rules.len()), (3, 4));
}

#[test]
fn the_api_with_a_document_loads() {
    let snapshot = loaded("examples/openapi");
    let contract = &snapshot.routes[0].policy.access.contracts[0];
    assert_eq!((contract.name.as_str(), contract.api.operations.len()), ("orders", 3));
    assert!(snapshot.routes[0].policy.coverage.guards.iter().any(|guard| guard.name == "schema/orders"));
}

#[test]
fn the_assistant_with_house_rules_loads() {
    let snapshot = loaded("examples/assistant");
    let prompts = &snapshot.routes[0].policy.runtime.prompts;
    let layers: Vec<&str> = prompts.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(layers, ["house-rules", "closing"]);
    assert!(prompts.system_denied_by.is_some() && prompts.isolated_by.is_some());
    let runtime = &snapshot.routes[0].policy.runtime;
    assert_eq!(runtime.behaviour.max_tool_calls.as_ref().map(|most| most.value), Some(40));
    assert!(runtime.output.argument_schemas().is_some() && runtime.output.answer_schemas().is_none());
}

#[test]
fn a_schema_of_answers_is_watched_and_belongs_to_the_set() {
    let folder = tempfile::tempdir().unwrap();
    let example = examples("examples/assistant");
    for part in ["manifests", "prompts", "schemas"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
        for entry in std::fs::read_dir(example.join(part)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(part).join(entry.file_name())).unwrap();
        }
    }
    std::fs::copy(example.join("postern.yaml"), folder.path().join("postern.yaml")).unwrap();
    let schema = folder.path().join("schemas/mail.json");
    let again = || load(&folder.path().join("postern.yaml"), NOW).map(|loaded| (loaded.snapshot.digest, loaded.files));
    let (before, files) = again().unwrap();
    assert!(files.contains(&schema), "{files:?}");
    let text = std::fs::read_to_string(&schema).unwrap();
    std::fs::write(&schema, text.replace("200", "20")).unwrap();
    assert_ne!(again().unwrap().0, before, "what it says decides as much as a manifest");
    std::fs::write(&schema, text.replace("maxLength", "maxlength")).unwrap();
    let report = again().unwrap_err().to_string();
    assert!(report.contains("nothing enforces `maxlength`") && report.contains("schemas/mail.json:5:"), "{report}");
}

/// Whole file names only: a shipped file that was cut must not load, whoever copies it.
#[test]
fn shipped_sets_ask_for_an_end() {
    for folder in [
        "examples/assistant",
        "examples/exceptions",
        "examples/demo",
        "examples/init",
        "examples/openapi",
        "examples/sidecar-inbound",
        "examples/sidecar-outbound",
        "examples/spiffe",
        "examples/tenants",
    ] {
        let text = std::fs::read_to_string(examples(folder).join("postern.yaml")).unwrap();
        assert!(text.contains("requireEnd: true"), "{folder}");
    }
}
