//! What is put into prompts, of several manifests: who stands outermost, and who may speak besides.

#![expect(clippy::unwrap_used, reason = "a set that does not load fails the test")]

use std::path::Path;

use postern_config::{Direction, LayerPosition, Report, Route, SourceFile, parse_bootstrap, parse_manifests, resolve};

const NOW: i64 = 1_790_812_800;
const SET: &str = include_str!("rejects/set.yaml");
const BOOTSTRAP: &str = include_str!("rejects/postern.yaml");

/// The route to the model, with these RuntimeSecurityPolicies: name, target and fields.
fn chat(policies: &[(&str, &str, &str)]) -> Route {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects");
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", BOOTSTRAP.as_bytes(), &base, &mut report).unwrap();
    let head = "apiVersion: secure.platformspec.io/v1alpha1\nkind: RuntimeSecurityPolicy";
    let texts = policies.iter().map(|(name, target, fields)| {
        let fields: String = fields.lines().map(|line| format!("  {line}\n")).collect();
        format!("---\n{head}\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: [{{{target}}}]\n{fields}")
    });
    let file = SourceFile { name: "set.yaml".to_owned(), bytes: (SET.to_owned() + &texts.collect::<String>()).into() };
    let parsed = parse_manifests(&[file], &bootstrap.manifest_rules(), &mut report);
    let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report).unwrap();
    assert!(!report.has_errors(), "{report}");
    snapshot.routes.into_iter().find(|route| route.name == "chat").unwrap()
}

const GATEWAY: &str = "kind: Gateway, name: edge";
const ROUTE: &str = "kind: Route, name: chat";

fn layers(names: &[(&str, &str)]) -> String {
    let items = names.iter().map(|(name, position)| {
        format!("  - {{name: {name}, position: {position}, contentFrom: \"file:documents/rules.txt\"}}\n")
    });
    format!("promptLayers:\n{}", items.collect::<String>())
}

#[test]
fn layers_of_the_gateway_stand_outermost_whatever_manifests_are_called() {
    let own = layers(&[("a", "First"), ("b", "Last"), ("c", "First"), ("both", "Last")]);
    let all = layers(&[("x", "Last"), ("y", "First"), ("both", "Last")]);
    for (route, gateway) in [("m1", "m2"), ("m2", "m1")] {
        let chat = chat(&[(route, ROUTE, &own), (gateway, GATEWAY, &all)]);
        let told = &chat.policy.runtime.prompts.layers;
        let names: Vec<(&str, bool)> =
            told.iter().map(|layer| (layer.name.as_str(), layer.position == LayerPosition::First)).collect();
        let first = |name| (name, true);
        let last = |name| (name, false);
        // What both say alike is said once, where it stands further out.
        assert_eq!(names, [first("y"), first("a"), first("c"), last("b"), last("x"), last("both")]);
        assert!(told.iter().all(|layer| layer.text.expose() == "Be kind." && layer.file.ends_with("rules.txt")));
        let mut guards = chat.policy.coverage.expected(Direction::Request, false);
        guards.retain(|name| name.starts_with("layer/") || *name == "systemText");
        assert_eq!(guards, ["systemText", "layer/a", "layer/b", "layer/both", "layer/c", "layer/x", "layer/y"]);
        assert!(!format!("{told:?}").contains("kind."), "what models are told is not shown");
    }
}

#[test]
fn system_text_is_denied_where_layers_are_unless_whoever_has_them_says_otherwise() {
    let layers = layers(&[("a", "First")]);
    let (open, shut) = (format!("{layers}systemText: Allow"), format!("{layers}systemText: Deny"));
    for (case, own, other, denied) in [
        ("nobody says anything", "isolate: true", "isolate: false", false),
        ("layers", layers.as_str(), "isolate: true", true),
        ("layers that let in others", open.as_str(), "isolate: true", false),
        ("layers that do not", shut.as_str(), "isolate: true", true),
        ("another lets in", layers.as_str(), "systemText: Allow", true),
        ("another does not", open.as_str(), "systemText: Deny", true),
        ("both let in", open.as_str(), "systemText: Allow", false),
        ("no layers", "systemText: Deny", "isolate: true", true),
    ] {
        for (route, gateway) in [(own, other), (other, own)] {
            let prompts = chat(&[("m1", ROUTE, route), ("m2", GATEWAY, gateway)]).policy.runtime.prompts;
            assert_eq!(prompts.system_denied_by.is_some(), denied, "{case}");
        }
    }
}
