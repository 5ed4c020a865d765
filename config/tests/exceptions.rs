//! An exception changes only what it names: what it does not name is refused, merged and served as without it.

#![expect(clippy::unwrap_used, reason = "a set that does not load fails the test")]

use std::collections::BTreeSet;
use std::path::Path;

use postern_config::{Report, Severity, Snapshot, SourceFile, Waiver, parse_bootstrap, parse_manifests, resolve};
use proptest::prelude::*;
use proptest::sample::subsequence;

const NOW: i64 = 1_790_812_800;
const SET: &str = include_str!("rejects/set.yaml");
const BOOTSTRAP: &str = include_str!("rejects/postern.yaml");

const CHAT: &str = "{kind: Route, name: chat}";
const APP: &str = "{kind: Route, name: app}";
const GATEWAY: &str = "{kind: Gateway, name: edge}";
const PUBLIC: &str = "{kind: Gateway, name: edge, sectionName: public}";
const BARE: &str = "{kind: Gateway, name: edge, sectionName: bare}";
const TO_APP: &str = "{kind: Upstream, name: app}";
const TO_MODEL: &str = "{kind: Upstream, name: openai}";

/// Code and target.
type Named = (&'static str, &'static str);

/// Something that is refused, and the exception it needs: what is replaced in the bootstrap and in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Defect {
    needs: Named,
    from: &'static str,
    to: &'static str,
}

const DEFECTS: [Defect; 9] = [
    Defect {
        needs: ("PV-070", CHAT),
        from: "  rateLimits: [{name: per-caller, key: [Principal], unit: Requests, limit: 60, window: 1m}]\n",
        to: "",
    },
    Defect {
        needs: ("PV-050", CHAT),
        from: "  targetRefs: [{kind: Route, name: chat}]\n  detectors: [{name: injection, type: PromptInjection, parts: [ToolResult],",
        to: "  targetRefs: [{kind: Route, name: app}]\n  detectors: [{name: injection, type: PromptInjection, untrustedOnly: false, parts: \
             [HttpBody],",
    },
    Defect {
        needs: ("PV-060", CHAT),
        from: "  targetRefs: [{kind: Gateway, name: edge}]\n  sinks",
        to: "  targetRefs: [{kind: Route, name: app}]\n  sinks",
    },
    Defect { needs: ("PV-013", CHAT), from: "senderConstraint: Mtls", to: "senderConstraint: None" },
    Defect {
        needs: ("PV-022", GATEWAY),
        from: "kind: RBACPolicy\nmetadata: {name: base}",
        to: "kind: AccessControlPolicy\nmetadata: {name: wide}\nspec:\n  targetRefs: [{kind: Gateway, name: edge}]\n  rules: [{name: \
             all, effect: Permit, principals: [User], actions: [modify], when: context.net.mtls}]\n---\n\
             apiVersion: secure.platformspec.io/v1alpha1\nkind: RBACPolicy\nmetadata: {name: base}",
    },
    Defect {
        needs: ("PV-030", BARE),
        from: "protocol: https}]",
        to: "protocol: https}, {name: bare, bind: \"0.0.0.0:8080\", protocol: http}]",
    },
    Defect {
        needs: ("PV-010", APP),
        from: "kind: APIAccessPolicy\nmetadata: {name: base}\nspec:\n  targetRefs: [{kind: Gateway, name: edge}]\n  authentication: \
               {providers: [people, agents]}\n",
        to: "kind: APIAccessPolicy\nmetadata: {name: chat}\nspec:\n  targetRefs: [{kind: Route, name: chat}]\n  authentication: \
             {providers: [people, agents]}\n---\napiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {name: \
             base}\nspec:\n  targetRefs: [{kind: Gateway, name: edge}]\n",
    },
    Defect {
        needs: ("PV-033", PUBLIC),
        from: "    clientAuth: Optional\n",
        to: "    clientAuth: Optional\n    revocation: {crlFrom: \"file:ca.crl\", onUnavailable: Allow}\n",
    },
    Defect { needs: ("PV-030", TO_APP), from: "http://127.0.0.1:8080", to: "http://app.internal.example:8080" },
];

/// Every exception that could be written for this set.
const EXCEPTIONS: [Named; 17] = [
    ("PV-033", PUBLIC),
    ("PV-033", TO_MODEL),
    ("PV-010", APP),
    ("PV-010", CHAT),
    ("PV-070", CHAT),
    ("PV-070", APP),
    ("PV-050", CHAT),
    ("PV-050", APP),
    ("PV-060", CHAT),
    ("PV-060", APP),
    ("PV-013", CHAT),
    ("PV-013", APP),
    ("PV-022", GATEWAY),
    ("PV-030", PUBLIC),
    ("PV-030", BARE),
    ("PV-030", TO_APP),
    ("PV-030", TO_MODEL),
];

fn exceptions(named: &[Named]) -> String {
    let items = named.iter().enumerate().map(|(index, (allow, target))| {
        format!(
            "    - {{name: e{index}, allow: {allow}, targetRefs: [{target}], reason: A test., owner: tests, until: \
             2026-10-31T00:00:00Z}}\n"
        )
    });
    let list = if named.is_empty() {
        "  exceptions: []\n".to_owned()
    } else {
        format!("  exceptions:\n{}", items.collect::<String>())
    };
    format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: Policy\nmetadata: {{name: posture}}\nspec:\n  type: SecurityPolicy\n{list}"
    )
}

/// The set with `defects` and the exceptions that are `named`: what it becomes, and what is refused.
fn load(defects: &[Defect], named: &[Named]) -> (Option<Snapshot>, BTreeSet<String>) {
    let (mut bootstrap, mut set) = (BOOTSTRAP.to_owned(), SET.to_owned());
    for defect in defects {
        assert!(bootstrap.contains(defect.from) != set.contains(defect.from), "{defect:?}");
        bootstrap = bootstrap.replace(defect.from, defect.to);
        set = set.replace(defect.from, defect.to);
    }
    // A listener that is not there cannot be named.
    let bare = bootstrap.contains("name: bare");
    let named: Vec<Named> = named.iter().copied().filter(|(_, target)| bare || *target != BARE).collect();
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", bootstrap.as_bytes(), Path::new("/etc"), &mut report).unwrap();
    let files: Vec<SourceFile> = [("set.yaml", set), ("posture.yaml", exceptions(&named))]
        .map(|(name, text)| SourceFile { name: name.to_owned(), bytes: text.into_bytes() })
        .into();
    let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report);
    let errors = report.problems().into_iter().filter(|problem| problem.severity == Severity::Error);
    let errors: BTreeSet<String> = errors.map(|problem| format!("{} {}", problem.code, problem.message)).collect();
    (snapshot.filter(|_| errors.is_empty()), errors)
}

/// A snapshot without the words of the exceptions themselves.
fn effect(mut snapshot: Snapshot) -> String {
    snapshot.digest = [0; 32];
    snapshot.exceptions.clear();
    snapshot.manifests.iter_mut().for_each(|manifest| manifest.digest = [0; 32]);
    let text = format!("{snapshot:?}");
    // Which of the list it is says nothing.
    regex::Regex::new("#e[0-9]+").unwrap().replace_all(&text, "#e").into_owned()
}

#[test]
fn every_defect_is_refused_without_its_exception_and_loads_with_it() {
    assert_eq!(load(&[], &[]).1, BTreeSet::new());
    for defect in DEFECTS {
        let refused = load(&[defect], &[]).1;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused.iter().all(|problem| problem.starts_with(defect.needs.0)), "{refused:?}");
        assert!(load(&[defect], &[defect.needs]).0.is_some(), "{defect:?}");
    }
}

#[test]
fn what_is_waived_says_by_which_exception_and_until_when() {
    let all: Vec<Named> = DEFECTS.iter().map(|defect| defect.needs).collect();
    let snapshot = load(&DEFECTS, &all).0.expect("all of it is excepted");
    let chat = snapshot.routes.iter().find(|route| route.name == "chat").unwrap();
    let what: Vec<Waiver> = chat.policy.waived.iter().map(|waived| waived.what).collect();
    assert_eq!(what, [Waiver::Unguarded, Waiver::Unaudited, Waiver::Unlimited]);
    let policy = snapshot.manifests.iter().position(|manifest| manifest.kind == "Policy").unwrap();
    for route in &snapshot.routes {
        assert_eq!(route.policy.identity.is_open, route.name == "app");
        // The wide permit is a part of both.
        assert!(route.policy.manifests.contains(&policy), "{}", route.name);
    }
    let bare = snapshot.listeners.iter().find(|listener| listener.name == "bare").unwrap();
    let waived = bare.plaintext.as_ref().unwrap();
    assert_eq!((waived.what, waived.until), (Waiver::Plaintext, NOW + 30 * 86_400));
    assert_eq!(&*waived.exception, "Policy/default/posture#e5");
    assert_eq!(snapshot.exceptions[5].targets, ["listener bare"]);
    assert!(snapshot.listeners.iter().all(|listener| listener.name == "bare" || listener.plaintext.is_none()));
    assert!(snapshot.upstreams.iter().all(|upstream| (upstream.name == "app") == upstream.plaintext.is_some()));
}

#[test]
fn of_several_exceptions_the_one_that_ends_last_holds() {
    let later = exceptions(&[("PV-070", CHAT)]).replace("name: posture", "name: later").replace("10-31", "11-30");
    let set = SET.replace(DEFECTS[0].from, "");
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", BOOTSTRAP.as_bytes(), Path::new("/etc"), &mut report).unwrap();
    let files = [set, exceptions(&[("PV-070", CHAT)]), later]
        .map(|text| SourceFile { name: "a".to_owned(), bytes: text.into() });
    let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report).unwrap();
    assert_eq!(report.to_string(), "");
    let chat = snapshot.routes.iter().find(|route| route.name == "chat").unwrap();
    let waived: Vec<&str> = chat.policy.waived.iter().map(|waived| &*waived.exception).collect();
    assert_eq!(waived, ["Policy/default/later#e0"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn adding_an_exception_changes_only_what_it_names(
        defects in subsequence(DEFECTS.to_vec(), 0..=DEFECTS.len()),
        named in subsequence(EXCEPTIONS.to_vec(), 0..=EXCEPTIONS.len()),
        all in any::<bool>(),
    ) {
        let needed: Vec<Named> = defects.iter().map(|defect| defect.needs).collect();
        let named: Vec<Named> =
            EXCEPTIONS.into_iter().filter(|one| named.contains(one) || (all && needed.contains(one))).collect();
        let (snapshot, refused) = load(&defects, &named);
        let left = defects.iter().filter(|defect| !named.contains(&defect.needs));
        let want: BTreeSet<String> = left.flat_map(|defect| load(&[*defect], &[]).1).collect();
        prop_assert_eq!(&refused, &want);
        if let Some(snapshot) = snapshot {
            let least = load(&defects, &needed).0.map(effect);
            prop_assert_eq!(Some(effect(snapshot)), least, "what is not needed changes nothing");
        }
    }
}
