//! What `postern explain` reads out of the audit log: a decision that was made, and the permits that nobody used.

use serde_json::Value;

use crate::process::told;
use crate::site::{Site, records};

/// The site after four requests: mia is permitted one, and refused what nothing permits; noah is in no group; a form.
async fn used() -> (Site, Vec<String>) {
    let site = Site::new().await;
    let proxy = site.start().await;
    for (who, path, status) in
        [(&site.who.mia, "/both", 200), (&site.who.mia, "/mixed", 403), (&site.who.noah, "/both", 403)]
    {
        let mut line = site.line(proxy.address("public").unwrap(), who, false).await;
        assert_eq!(line.get(path, &site.token(who, who)).await.unwrap().status, status, "{path}");
    }
    proxy.shutdown().await;
    let requests = records(&site.path("state/audit"));
    let of_requests = requests.iter().filter(|line| line["record"]["class_uid"] == 6003);
    let ids = of_requests.map(|line| line["record"]["metadata"]["uid"].as_str().unwrap().to_owned()).collect();
    (site, ids)
}

fn explained(site: &Site, more: &[&str]) -> (i32, Value) {
    let config = site.config();
    let head = ["explain", "decision", "--config", config.to_str().unwrap(), "--output", "json"];
    let (code, out, err) = told(&[&head, more].concat());
    (code, serde_json::from_str(&out).unwrap_or(Value::String(err)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_decision_is_found_proved_explained_and_asked_again() {
    let (site, ids) = used().await;
    let (permitted, refused, outsider) = (&ids[0], &ids[1], &ids[2]);

    let (code, told_of) = explained(&site, &["--id", refused]);
    assert_eq!(code, 0, "{told_of:#}");
    assert_eq!((&told_of["decision"], &told_of["reason"]), (&"Deny".into(), &"not_permitted".into()));
    assert_eq!(told_of["evidence"]["standing"], "Signed", "{told_of:#}");
    assert_eq!(told_of["configuration"]["changed"], false);
    assert_eq!(told_of["request"]["principal"], "https://login.house.test|mia");
    assert_eq!(told_of["ran"]["request"][0], "frame", "{told_of:#}");
    assert_eq!(told_of["now"]["differs"], Value::Array(Vec::new()), "{told_of:#}");

    // The record says by which entry, role and binding it passed, and where these stand.
    let (_, told_of) = explained(&site, &["--id", permitted, "--group", "staff"]);
    assert_eq!(told_of["decidedBy"][0]["rule"], "RBACPolicy/default/app role reader");
    assert!(told_of["decidedBy"][0]["at"].as_str().unwrap().starts_with("manifests/roles.yaml:"), "{told_of:#}");
    let part = told_of["tookPart"].as_array().unwrap();
    assert_eq!(
        (&part[0]["entry"], &part[0]["field"]),
        (&"APIAccessPolicy/default/app allow[0]".into(), &"/spec/allow/0".into())
    );
    assert_eq!(
        (&part[1]["binding"], &part[1]["field"]),
        (&"RBACPolicy/default/app#staff".into(), &"/spec/bindings/0".into())
    );
    assert_eq!(told_of["now"]["differs"], Value::Array(Vec::new()), "{told_of:#}");

    // Without the groups, which no record holds, it is not the same question, and the answer says so.
    let (_, told_of) = explained(&site, &["--id", permitted]);
    assert_eq!(told_of["now"]["differs"][0], "decision is Deny, was Allow", "{told_of:#}");
    assert!(told_of["now"]["because"].as_str().unwrap().contains("the record does not hold"), "{told_of:#}");
    assert!(
        told_of["now"]["assumed"].as_array().unwrap().iter().any(|what| what.as_str().unwrap().contains("--group"))
    );
    let (_, told_of) = explained(&site, &["--id", outsider]);
    assert_eq!(told_of["now"]["nearest"]["rule"], "RBACPolicy/default/app role reader");

    // The policy of today is another one.
    site.change("manifests/roles.yaml", "/only-a", "/mixed");
    let (_, told_of) = explained(&site, &["--id", refused, "--group", "staff"]);
    assert_eq!(told_of["configuration"]["changed"], true);
    assert_eq!(told_of["configuration"]["since"][0], "RBACPolicy/default/app is another: manifests/roles.yaml");
    assert!(told_of["decidedBy"][0]["at"].is_null(), "a place of today says nothing of a rule of then");
    assert_eq!(told_of["now"]["differs"][0], "decision is Allow, was Deny", "{told_of:#}");
    // One that does not load leaves what was recorded readable.
    site.change("manifests/roles.yaml", "kind: RBACPolicy", "kind: RBACPolice");
    let log = site.path("state/audit");
    let (code, told_of) = explained(&site, &["--id", refused, "--log", log.to_str().unwrap()]);
    assert_eq!((code, &told_of["evidence"]["standing"]), (0, &"Unchecked".into()), "{told_of:#}");
    assert!(told_of["now"]["unknown"].as_str().unwrap().contains("RBACPolice"), "{told_of:#}");

    let vkey = log.join("log.vkey");
    let with_key = ["--log", log.to_str().unwrap(), "--key", vkey.to_str().unwrap()];
    for (case, id, code, words) in [
        ("no such decision", "0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11", 2, "no record of"),
        ("no id", "seven", 2, "is no decision id"),
    ] {
        let (got, told_of) = explained(&site, &[&["--id", id][..], &with_key].concat());
        assert!(got == code && told_of.as_str().unwrap().contains(words), "{case}: {got} {told_of}");
    }
    let segment = log.join("records/000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace("\"/mixed\"", "\"/mixes\"")).unwrap();
    let (code, told_of) = explained(&site, &[&["--id", refused][..], &with_key].concat());
    assert_eq!((code, &told_of["evidence"]["standing"]), (1, &"Bad".into()), "{told_of:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_of_access_tells_what_nobody_used_and_what_it_cannot_tell() {
    let (site, ids) = used().await;
    let config = site.config();
    let review = |more: &[&str]| {
        told(&[&["explain", "unused", "--config", config.to_str().unwrap(), "--output", "json"], more].concat())
    };
    let read = |(code, out, err): (i32, String, String)| {
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let told_of = read(review(&[]));
    let permit = |told_of: &Value, name: &str| {
        let found = told_of["permits"].as_array().unwrap().iter().find(|permit| permit["name"] == name);
        found.unwrap_or_else(|| panic!("no `{name}` in {told_of:#}")).clone()
    };
    for (name, uses) in [
        ("APIAccessPolicy/default/app allow[0]", 1),
        ("APIAccessPolicy/default/app allow[1]", 0),
        ("RBACPolicy/default/app role reader", 1),
        ("RBACPolicy/default/app#staff", 1),
    ] {
        let one = permit(&told_of, name);
        assert_eq!(one["uses"], uses, "{name}: {one}");
        assert!(one["at"].as_str().unwrap().starts_with("manifests/"), "{one}");
        assert!(one["asItIsSince"].is_string(), "the log tells since when: {one}");
        if uses > 0 {
            assert_eq!(
                (&one["last"]["decisionId"], &one["by"][0]["principal"]),
                (&ids[0].clone().into(), &"https://login.house.test|mia".into())
            );
        }
    }
    assert_eq!(
        (&told_of["unused"], &told_of["permittedRequests"], &told_of["logs"][0]["standing"]),
        (&1.into(), &1.into(), &"Signed".into())
    );
    let doubts = |told_of: &Value| told_of["cannotTell"].to_string();
    assert!(doubts(&told_of).contains("later than the window"), "{told_of:#}");

    // Another set: names of the log that it does not know are told, and so is that sets differ.
    site.change("manifests/roles.yaml", "reader", "lector");
    let told_of = read(review(&["--since", "12h"]));
    assert_eq!(
        (&told_of["gone"][0]["name"], &permit(&told_of, "RBACPolicy/default/app role lector")["uses"]),
        (&"RBACPolicy/default/app role reader".into(), &0.into())
    );
    assert!(doubts(&told_of).contains("1 of 1 of the requests were permitted by other sets"), "{told_of:#}");
    let (code, out, _) = told(&["explain", "unused", "--config", config.to_str().unwrap(), "--since", "1ms"]);
    assert!(code == 0 && out.contains("never used (4):") && out.contains("never loaded as it is"), "{out}");
    assert_eq!(review(&["--since", "soon"]).0, 2);
    assert_eq!(review(&["--log", "/nowhere"]).0, 2);
    let segment = site.path("state/audit/records/000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace("\"/mixed\"", "\"/mixes\"")).unwrap();
    assert_eq!(review(&[]).0, 1, "what was changed is evidence of nothing");
}
