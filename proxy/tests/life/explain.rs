//! `postern explain` and `postern test`, as a person calls them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::told;
use crate::site::Site;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples")
}

/// Every shipped set has cases, and they hold.
#[test]
fn shipped_examples_are_what_their_cases_say() {
    let mut sets = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.join("postern.yaml").is_file() {
            continue;
        }
        let (code, out, err) = told(&["test", dir.to_str().unwrap()]);
        assert_eq!(code, 0, "{}: {out}{err}", dir.display());
        assert!(out.contains(" 0 failed") && out.contains("rules: "), "{out}");
        sets += 1;
    }
    assert!(sets >= 6, "{sets} sets");
}

#[test]
fn a_case_that_fails_says_why_and_one_that_cannot_be_read_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let config = examples().join("demo/postern.yaml");
    let (folder, config) = (dir.path().to_str().unwrap(), config.to_str().unwrap());
    let case = |expect: &str| {
        let text = format!(
            "cases:\n  - name: guests <ask>\n    request: {{route: chat, model: demo-small}}\n    as: user/gus\n    identity: {{groups: [guests]}}\n    expect: {expect}\n"
        );
        std::fs::write(dir.path().join("a.test.yaml"), text).unwrap();
    };
    case("{decision: Allow}");
    let (code, out, _) = told(&["test", folder, "--config", config]);
    assert_eq!(code, 1, "{out}");
    for wanted in
        ["FAIL guests <ask>", "a.test.yaml:2:5", "decision is Deny, expected Allow", "does not hold role `asker`"]
    {
        assert!(out.contains(wanted), "no `{wanted}` in\n{out}");
    }
    let (code, out, _) = told(&["test", folder, "--config", config, "--output", "junit"]);
    assert!(code == 1 && out.contains("<testcase classname=\"a.test.yaml\" name=\"guests &lt;ask&gt;\""), "{out}");
    let (code, out, _) = told(&["test", folder, "--config", config, "--output", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["failed"], &report["cases"][0]["line"]), (1, &1.into(), &2.into()));
    case("{decision: Deny, reason: not_allowed}");
    let (code, _, err) = told(&["test", folder, "--config", config]);
    assert!(code == 2 && err.contains("a.test.yaml:6:38  cases[0].expect.reason"), "{code} {err}");
    std::fs::remove_file(dir.path().join("a.test.yaml")).unwrap();
    assert_eq!(told(&["test", folder, "--config", config]).0, 2, "no case at all is no success");
}

#[tokio::test]
async fn a_decision_is_explained_without_being_made() {
    let site = Site::new().await;
    let config = site.config();
    let ask = |more: &[&str]| {
        let head =
            ["explain", "decision", "--config", config.to_str().unwrap(), "--output", "json", "--as", "user/mia"];
        let (code, out, err) = told(&[&head, more].concat());
        let document = serde_json::from_str::<Value>(&out).unwrap_or_else(|_| Value::String(err));
        (code, document)
    };
    let mine = ["--route", "app", "--path", "/both", "--tenant", "acme"];
    let (code, permitted) = ask(&[&mine[..], &["--group", "staff"]].concat());
    assert_eq!((code, permitted["decision"].as_str()), (0, Some("Allow")), "{permitted:#}");
    assert_eq!(permitted["rule"], "RBACPolicy/default/app role reader");
    let (code, refused) = ask(&mine);
    assert_eq!((code, refused["clientSees"]["status"].as_u64()), (3, Some(403)), "{refused:#}");
    assert_eq!(refused["nearest"]["rule"], "RBACPolicy/default/app role reader");
    let said = refused["nearest"]["missing"][0].as_str().unwrap();
    assert!(said.contains("the caller does not hold role `reader`, which group `staff` holds"), "{said}");
    let trace = refused["trace"].as_array().unwrap();
    let by = |field: &str| trace.iter().any(|line| line["field"] == field && line["at"].as_str().is_some());
    assert!(by("/spec/allow/0") && by("/spec/providers/0") && by("/spec/roles/0"), "{refused:#}");
    for (case, more, code) in [
        ("another tenant", vec!["--route", "app", "--path", "/both", "--tenant", "globex", "--group", "staff"], 3),
        ("an issuer nobody knows", vec!["--path", "/both", "--issuer", "https://evil.example", "--tenant", "acme"], 3),
        ("no such route", vec!["--route", "nowhere"], 2),
        ("no tenant", vec!["--listener", "nowhere", "--path", "/both"], 2),
    ] {
        assert_eq!(ask(&more).0, code, "{case}");
    }
    assert!(!site.path("state").exists(), "nothing was started or made");
    let (code, out, _) =
        told(&["explain", "effective", "--config", config.to_str().unwrap(), "--route", "app", "--output", "json"]);
    let effective: Value = serde_json::from_str(&out).unwrap();
    let size = effective["fields"].as_array().unwrap().iter().find(|field| field["field"] == "maxBodySize").unwrap();
    assert_eq!((code, &size["value"]), (0, &Value::from("16Ki")), "{size}");
    assert!(size["from"][0].as_str().unwrap().starts_with("APIAccessPolicy/default/app/spec/maxBodySize (manifests/"));
}
