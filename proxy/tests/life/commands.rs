//! What commands print, and their exit codes.

use serde_json::Value;

use tokio::task::block_in_place;

use crate::process::{Process, told};
use crate::site::{Policy, Site};

fn validate(site: &Site, more: &[&str]) -> (i32, String, String) {
    let config = site.config();
    told(&[&["validate", "--config", config.to_str().unwrap()], more].concat())
}

/// This binary is not built for it; one that is runs the same files.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_the_binary_cannot_keep_is_refused_by_name() {
    let site = Site::new().await;
    site.change("manifests/identity.yaml", "{minVersion: TLSv1.3}", "{minVersion: TLSv1.3, profile: Fips}");
    if postern_certs::is_fips() {
        eprintln!("skipped: this binary can keep it");
        return;
    }
    let (code, out, _) = validate(&site, &[]);
    assert_eq!(code, 2, "{out}");
    let mut process = Process::spawn(&site.config(), &[]);
    let ended = block_in_place(|| process.ended());
    assert_eq!(ended.code(), Some(2), "{}", process.all());
    for said in [out, process.all()] {
        for wanted in ["PV-007", "`profile: Fips` of listener `public`", "`--features fips`", "Go and CMake"] {
            assert!(said.contains(wanted), "no `{wanted}`: {said}");
        }
    }
    assert!(!site.path("state").exists(), "nothing was started or made");
}

#[tokio::test]
async fn validate_tells_every_problem_with_its_place_and_a_way_out() {
    let site = Site::new().await;
    let (code, out, err) = validate(&site, &[]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("everything loads"), "{out}");
    let (code, out, _) = validate(&site, &["--format", "json"]);
    assert_eq!(code, 0);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["valid"], true);

    site.change("manifests/access.yaml", "maxBodySize: 16Ki", "maxBodySize: plenty\n  nonsense: 1");
    site.change("manifests/roles.yaml", "role: reader,", "role: nobody,");
    let (code, text, _) = validate(&site, &[]);
    assert_eq!(code, 2);
    let (code, out, err) = validate(&site, &["--format", "json"]);
    assert_eq!((code, err.as_str()), (2, ""));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["valid"], false);
    let problems = report["problems"].as_array().unwrap();
    assert!(problems.len() >= 3, "{out}");
    for problem in problems {
        for field in ["file", "code", "message", "fix", "severity"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {problem}");
        }
        assert!(
            problem["pointer"].is_string()
                && problem["line"].as_u64() > Some(0)
                && problem["column"].as_u64() > Some(0)
        );
        let place = format!("{}:{}:{}", problem["file"].as_str().unwrap(), problem["line"], problem["column"]);
        assert!(text.contains(&place) && text.contains(problem["code"].as_str().unwrap()), "{place} is not in: {text}");
    }
    let body_size = problems.iter().find(|problem| problem["pointer"] == "spec.maxBodySize").unwrap();
    assert_eq!((&body_size["file"], &body_size["line"]), (&"manifests/access.yaml".into(), &10.into()));
    assert!(!site.path("state").exists(), "nothing was started or made");
}

#[tokio::test]
async fn validate_of_what_is_not_there_or_was_cut_is_a_problem_too() {
    let site = Site::new().await;
    let missing = site.path("none.yaml");
    let (code, out, _) = told(&["validate", "--config", missing.to_str().unwrap(), "--format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["valid"]), (2, &false.into()));
    let roles = Policy::A.roles();
    for cut in [0, roles.len() / 2, roles.len() - 4] {
        site.write("manifests/roles.yaml", &roles[..cut]);
        let (code, out, _) = validate(&site, &[]);
        assert_eq!(code, 2, "cut after {cut} bytes: {out}");
    }
    std::fs::remove_dir_all(site.path("manifests")).unwrap();
    assert_eq!(validate(&site, &[]).0, 2);
}

#[test]
fn init_writes_a_set_that_validates_and_never_writes_over_anything() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("new/postern");
    let (code, out, err) = told(&["init", target.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    let config = target.join("postern.yaml");
    assert!(out.contains(config.to_str().unwrap()), "{out}");
    let (code, out, err) = told(&["validate", "--config", config.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");

    let before = std::fs::read(&config).unwrap();
    let (code, _, err) = told(&["init", target.to_str().unwrap()]);
    assert!(code == 2 && err.contains("not empty"), "{code}: {err}");
    assert_eq!(std::fs::read(&config).unwrap(), before);
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    assert_eq!(told(&["init", file.to_str().unwrap()]).0, 2);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_verify_tells_a_sound_log_a_tampered_one_and_a_wrong_call_apart() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut line = site.line(proxy.address("public").unwrap(), &site.who.mia, false).await;
    for _ in 0..3 {
        assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
    }
    drop(line);
    let vkey = proxy.vkey();
    proxy.shutdown().await;
    let log = site.path("state/audit");
    let verify = |more: &[&str]| told(&[&["audit", "verify", log.to_str().unwrap()], more].concat());

    let (code, out, _) = verify(&["--key", &vkey]);
    assert!(code == 0 && out.contains("verified") && out.contains("freshness unproven"), "{code}: {out}");
    let key_file = site.path("log.vkey");
    std::fs::write(&key_file, format!("{vkey}\n")).unwrap();
    let kept = site.path("kept-checkpoint");
    std::fs::copy(log.join("checkpoint"), &kept).unwrap();
    let (code, out, _) =
        verify(&["--key", key_file.to_str().unwrap(), "--checkpoint", kept.to_str().unwrap(), "--format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["verified"], &report["freshness"]), (0, &true.into(), &"proven".into()), "{out}");

    let file = log.join("records/000000.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replacen("/both/a", "/both/b", 1)).unwrap();
    let (code, out, _) = verify(&["--key", &vkey]);
    assert!(code == 1 && out.contains("TAMPERED"), "{code}: {out}");
    let (code, out, _) = verify(&["--key", &vkey, "--format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 1 && report["verified"] == false && report["firstBad"]["index"].is_u64(), "{out}");
    std::fs::write(&file, &good).unwrap();

    for (what, args) in [
        ("a key that is none", vec!["--key", "nonsense"]),
        ("a checkpoint that is not there", vec!["--key", &vkey, "--checkpoint", "none/there"]),
        ("no key", vec![]),
    ] {
        let (code, _, err) = verify(&args);
        assert!(code == 2 && !err.is_empty(), "{what}: {code}: {err}");
    }
    let (code, _, err) = told(&["audit", "verify", site.path("none").to_str().unwrap(), "--key", &vkey]);
    assert!(code == 2 && err.contains("none"), "{code}: {err}");
}

#[test]
fn help_names_every_command_and_a_wrong_call_exits_with_2() {
    let (code, out, _) = told(&["--help"]);
    assert_eq!(code, 0);
    for command in ["run", "validate", "init", "audit", "demo"] {
        assert!(out.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {out}");
    }
    let (code, out, _) = told(&["audit", "--help"]);
    assert!(code == 0 && out.contains("verify"), "{out}");
    for args in [&[][..], &["serve"], &["run"], &["validate", "--format", "xml", "--config", "x"]] {
        let (code, _, err) = told(args);
        assert!(code == 2 && !err.is_empty(), "{args:?}: {code}: {err}");
    }
    let (code, out, _) = told(&["--version"]);
    assert!(code == 0 && out.starts_with("postern "), "{out}");
}

#[tokio::test]
async fn validate_tells_the_exceptions_in_force_and_those_that_have_ended() {
    let site = Site::new().await;
    let now = i64::try_from(rustls_pki_types::UnixTime::now().as_secs()).unwrap();
    let until = |seconds: i64| postern_config::values::Time(now + seconds).to_string();
    site.change(
        "postern.yaml",
        "protocol: https}",
        "protocol: https}\n  - {name: bare, bind: \"0.0.0.0:0\", protocol: http}",
    );
    let posture = |until: &str| {
        format!(
            "apiVersion: secure.platformspec.io/v1alpha1\nkind: Policy\nmetadata: {{name: posture}}\nspec:\n  type: SecurityPolicy\n  \
             exceptions:\n    - {{name: bare, allow: PV-030, targetRefs: [{{kind: Gateway, name: site, sectionName: bare}}], reason: The \
             migration., owner: sre@example.com, until: \"{until}\"}}\n...\n"
        )
    };
    for (seconds, title, ended) in [(3600, "exceptions in force:", false), (-60, "exceptions that have ended:", true)] {
        let until = until(seconds);
        site.write("manifests/posture.yaml", &posture(&until));
        let (code, out, err) = validate(&site, &[]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let line =
            format!("Policy/default/posture#bare allows PV-030 for listener bare until {until}; owner sre@example.com");
        assert!(out.contains(title) && out.contains(&line) && out.contains("The migration."), "{out}");
        assert_eq!(out.contains("warning[PV-006]"), ended, "{out}");
        let (_, out, _) = validate(&site, &["--format", "json"]);
        let report: Value = serde_json::from_str(&out).unwrap();
        let told = &report["exceptions"][0];
        assert_eq!((&told["allow"], &told["until"], &told["ended"]), (&"PV-030".into(), &until.into(), &ended.into()));
    }
}

#[test]
fn a_new_key_is_shown_once_beside_the_line_that_knows_it() {
    let until = ["--until", "2999-01-31T00:00:00Z"];
    let asked =
        [&["api-key", "new", "--prefix", "acme_", "--id", "ci-bot", "--tenant", "acme", "--group", "ci"], &until[..]];
    let (code, out, err) = told(&[&asked.concat()[..], &["--format", "json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let made: Value = serde_json::from_str(&out).unwrap();
    let (key, line) = (made["key"].as_str().unwrap(), &made["line"]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(key.len(), "acme_".len() + 43, "256 bits");
    assert_eq!(line["sha256"], digest.as_str());
    assert_eq!((&line["id"], &line["groups"][0]), (&"ci-bot".into(), &"ci".into()));

    let (code, text, _) = told(&asked.concat());
    assert_eq!(code, 0);
    assert!(text.contains("acme_") && text.contains("\"notAfter\":\"2999-01-31T00:00:00Z\""), "{text}");

    for (case, change, want) in [
        ("in the past", ["--until", "2001-01-31T00:00:00Z"], "not a moment to come"),
        ("no moment", ["--until", "tomorrow"], "not a moment to come"),
        ("a prefix like a token", ["--prefix", "eyJ_"], "cannot be a prefix"),
        ("the id of a workload", ["--id", "spiffe://x/y"], "`id`"),
    ] {
        let mut args = asked.concat();
        let at = args.iter().position(|arg| *arg == change[0]).unwrap();
        args[at + 1] = change[1];
        let (code, out, err) = told(&args);
        assert_eq!((code, out.as_str()), (2, ""), "{case}");
        assert!(err.contains(want), "{case}: {err}");
    }
}
