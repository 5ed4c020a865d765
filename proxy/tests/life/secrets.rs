//! No secret is in anything that the proxy says, whatever goes wrong.

use std::path::Path;

use postern_config::values::Time;
use rustls_pki_types::UnixTime;
use tokio::task::block_in_place;

use crate::client::Line;
use crate::process::{Process, postern};
use crate::site::{Site, UPSTREAM_KEY, health};

const ENV_KEY: &str = "life-env-key-c0ffee11";
const QUERY_KEY: &str = "life/query/key/c0ffee22";
const QUERY_ESCAPED: &str = "life%2Fquery%2Fkey%2Fc0ffee22";
const POSTURE: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: Policy
metadata: {name: posture}
spec:
  type: SecurityPolicy
  exceptions:
    - {name: query, allow: PV-093, targetRefs: [{kind: Upstream, name: app}], reason: A test., owner: tests, until: "UNTIL"}
...
"#;
const MOUNTED_KEY: &str = "life-mounted-key-c0ffee33";
const OLD_KEY: &str = "life-mounted-key-c0ffee44";
const SEED: &str = "bGlmZS1hdWRpdC1zZWVkLTMyLWJ5dGVzLWxvbmchISE=";
const INLINE: &str = "sk-proj-inline0123456789abcdefghijklmnopqrstuv";

/// Everything below a folder, as text.
fn everything(dir: &Path, into: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything(&path, into);
        } else {
            into.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_a_record_a_metric_or_an_error() {
    let site = Site::new().await;
    site.write("keys/seed", SEED);
    site.change(
        "manifests/evidence.yaml",
        "source: {type: Generate}",
        "source: {type: Material, from: \"file:keys/seed\"}",
    );
    let first = "    - {name: key, valueFrom: \"file:keys/upstream\"";
    site.change("postern.yaml", "state: {dir: state}", "state: {dir: state}\nsecrets: {dir: mounted}");
    site.write("mounted/default/app/key", OLD_KEY);
    let both = format!(
        "    - {{name: mounted, valueFrom: \"secret:app/key\", inject: {{type: Header, header: X-Mounted-Key}}, rotation: {{maxAge: 1h, graceAfter: 1h}}}}\n    \
         - {{name: env, valueFrom: \"env:LIFE_KEY\", inject: {{type: Header, header: X-Env-Key, format: \"{{secret}}\"}}}}\n    \
         - {{name: query, valueFrom: \"file:keys/query\", inject: {{type: QueryParam, name: key}}}}\n{first}"
    );
    let until = Time(i64::try_from(UnixTime::now().as_secs()).unwrap() + 600).to_string();
    site.write("keys/query", QUERY_KEY);
    site.write("manifests/posture.yaml", &POSTURE.replace("UNTIL", &until));
    site.change("manifests/evidence.yaml", first, &both);
    let env = [("LIFE_KEY", ENV_KEY), ("POSTERN_LOG", "debug")];
    let mut process = Process::serve(&site.config(), &env);
    // One that is replaced is kept for a while.
    site.write("mounted/default/app/key", MOUNTED_KEY);
    process.signal("HUP");
    block_in_place(|| process.until("policy set taken over"));
    let token = site.token(&site.who.mia, &site.who.mia);
    let stolen = site.token(&site.who.mia, &site.who.noah);
    let mut outputs = String::new();

    for h2 in [false, true] {
        let mut line = site.line(process.address(), &site.who.mia, h2).await;
        assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
        for (path, token) in [("/both/a", stolen.as_str()), ("/never", &token), ("/both/a", "not.a.token")] {
            outputs.push_str(&line.get(path, token).await.unwrap().body);
        }
    }
    assert_eq!(site.app.seen()[0].header("x-env-key"), [ENV_KEY]);
    assert!(site.app.seen()[0].request_line().contains(QUERY_ESCAPED));
    assert!(Line::open(process.address(), &site.ca.ca_pem(), &site.who.stranger.issued, true).await.is_ok());

    // Sets that fail around each secret.
    let files = ["keys/upstream", "keys/seed", "tls/server.key", "keys/jwks.json"];
    let good: Vec<String> = files.iter().map(|name| site.read(name)).collect();
    site.write("keys/upstream", &format!("{UPSTREAM_KEY}\u{1}"));
    // One of them under a second name.
    site.write("keys/query", ENV_KEY);
    site.write("tls/server.key", &good[2].replace("-----END", "----END"));
    let evidence = site.read("manifests/evidence.yaml");
    process.signal("HUP");
    block_in_place(|| process.until("the new policy set does not load"));
    for (name, text) in files.iter().zip(&good) {
        site.write(name, text);
    }
    site.write("keys/query", QUERY_KEY);
    for (from, to) in [
        ("env:LIFE_KEY", INLINE),
        ("env:LIFE_KEY", &format!("env:LIFE_KEY\n{INLINE}")),
        ("X-Env-Key", &format!("X-Env-Key: {INLINE}")),
        ("format: \"{secret}\"", &format!("format: \"{INLINE}\"")),
        ("file:keys/seed", &format!("inline:{SEED}")),
    ] {
        site.write("manifests/evidence.yaml", &evidence.replace(from, to));
        process.signal("HUP");
        block_in_place(|| process.until("the new policy set does not load"));
        for format in ["text", "json"] {
            let output = postern(&["validate", "--config", site.config().to_str().unwrap(), "--format", format]);
            outputs.push_str(&String::from_utf8_lossy(&output.stdout));
            outputs.push_str(&String::from_utf8_lossy(&output.stderr));
        }
    }
    site.write("manifests/evidence.yaml", &evidence);
    let config = site.config();
    let explained = ["explain", "effective", "--config", config.to_str().unwrap(), "--route", "app"];
    let explained = String::from_utf8_lossy(&postern(&explained).stdout).into_owned();
    assert!(explained.contains("secret:app/key"), "{explained}");
    outputs.push_str(&explained);
    outputs.push_str(&health(process.health(), "/metrics").await);
    outputs.push_str(&health(process.health(), "/readyz").await);
    process.signal("TERM");
    assert!(block_in_place(|| process.ended()).success());

    // A start that fails around them.
    site.write("keys/seed", &format!("{SEED}{SEED}"));
    let mut failed = Process::spawn(&site.config(), &env);
    assert!(!block_in_place(|| failed.ended()).success());
    outputs.push_str(&failed.all());
    outputs.push_str(&process.all());
    everything(&site.path("state"), &mut outputs);

    let key_lines: Vec<&str> = good[2].lines().filter(|line| !line.starts_with("-----")).collect();
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let signatures = [signature(&token), signature(&stolen)];
    let secrets =
        [UPSTREAM_KEY, ENV_KEY, MOUNTED_KEY, OLD_KEY, QUERY_KEY, QUERY_ESCAPED, SEED, INLINE, &token, &stolen];
    let secrets = secrets.into_iter().chain(signatures.iter().map(String::as_str)).chain(key_lines);
    for secret in secrets {
        if let Some(at) = outputs.find(secret) {
            let from = outputs.floor_char_boundary(at.saturating_sub(300));
            panic!("`{secret}` is in: …{}", &outputs[from..at + secret.len()]);
        }
    }
    assert!(outputs.contains("postern_decisions_total") && outputs.contains("class_uid") && outputs.contains("PV-091"));
}
