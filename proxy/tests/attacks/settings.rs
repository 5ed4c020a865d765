//! What is written in manifests is data, and what we stand on is of the age it must be (attacks 10 and 53).

use postern_proxy::reload::Reload;

use crate::house::{Ask, House};
use crate::one::honest;

/// Text that would be code where somebody pastes it: into Cedar, a template, a shell, a header, a pattern.
const CODE: [&str; 9] = [
    r#"staff") || true || principal.groups.contains("staff"#,
    r#"x") }; permit(principal, action, resource); //"#,
    r#"\") || true //"#,
    "${env:HOME}",
    "{{ .Values.staff }}",
    "$(touch /tmp/forged)",
    "%{staff}",
    "*",
    "staff|.*",
];

#[tokio::test]
async fn attack_53_no_text_of_a_manifest_becomes_code() {
    let house = House::start().await;
    let mut group = "{kind: Group, name: staff, issuer: \"https://login.house.test\"}".to_owned();
    for code in CODE {
        let other = format!("{{kind: Group, name: '{code}', issuer: \"https://login.house.test\"}}");
        let reload = house.change("manifests/chat.yaml", &group, &other).await;
        let status = house.call(&house.who.mia, Ask::chat("hi")).await.status;
        match reload {
            // A name like any other, and not hers.
            Reload::Taken => assert_eq!(status, 403, "{code}"),
            Reload::Refused(why) => {
                println!("{code}: {}", why.lines().next().unwrap_or_default());
                assert!(status == 200 || status == 403, "the set before stays");
            }
        }
        assert_eq!(house.call(&house.who.noah, Ask::chat("hi")).await.status, 403, "{code}");
        group = other;
    }
    house.stop().await;
}

/// Where code is what a field holds, it is one expression and nothing behind it.
#[tokio::test]
async fn attack_53_an_expression_does_not_end_its_rule() {
    let house = House::start().await;
    let when = "when: 'principal.groups.contains(\"staff\") || principal has onBehalfOf'";
    let mut last = when.to_owned();
    for code in [
        "true }; permit(principal, action, resource)",
        "true }; permit(principal, action, resource) when { true",
        "true) // ",
        "true } unless { false",
        "true; true",
        "",
        "/* */",
        "resource == ?principal",
    ] {
        let other = format!("when: '{code}'");
        let reload = house.change("manifests/plain.yaml", &last, &other).await;
        assert!(matches!(reload, Reload::Refused(_)), "{code}: {reload:?}");
        assert_eq!(house.call(&house.who.noah, Ask::get("/orders")).await.status, 403);
        last = other;
    }
    honest(&house).await;
    house.stop().await;
}

/// Pingora before 0.9.1 panicked on every connection with tokio from 1.54 on; what is locked is newer, and none does.
#[tokio::test]
async fn attack_10_connections_are_served_on_what_is_locked() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    let version = |name: &str| -> Vec<u32> {
        let at = lock.find(&format!("name = \"{name}\"\nversion = \"")).unwrap_or_else(|| panic!("no {name}"));
        let version = lock[at..].split('"').nth(3).unwrap();
        version.split('.').map(|part| part.parse().unwrap()).collect()
    };
    assert!(version("pingora-core") >= vec![0, 9, 1]);
    assert!(version("tokio") >= vec![1, 54]);
    assert!(version("h2") >= vec![0, 4, 16], "attack 8");
    assert!(version("rustls-webpki") >= vec![0, 103, 10], "attack 9");
    let house = House::start().await;
    for _ in 0..10 {
        honest(&house).await;
    }
    let records = house.stop().await;
    assert_eq!(records.outcomes(), vec!["allow"; 20]);
}
