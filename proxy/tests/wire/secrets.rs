//! What the proxy shows an upstream instead of the caller's credentials: where it goes, what it replaces, and that its
//! value is nowhere else.

use postern_config::values::Time;
use postern_proxy::reload::Reload;
use rustls_pki_types::UnixTime;

use crate::house::{Ask, House, Plan};

const HEADER: &str = "house-shop-key-0001";
const QUERY: &str = "house map/key&0001";
const ESCAPED: &str = "house%20map%2Fkey%260001";

fn soon() -> String {
    Time(i64::try_from(UnixTime::now().as_secs()).unwrap() + 600).to_string()
}

/// `plain` is shown a header and a query parameter.
fn plan() -> Plan {
    let secrets = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials:
    - {name: shop, valueFrom: "file:keys/shop", inject: {type: Header, header: X-Shop-Key, format: "{secret}"}}
    - {name: map, valueFrom: "file:keys/map", inject: {type: QueryParam, name: key}}
  strip: [X-Legacy, "query:session"]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: Policy
metadata: {name: posture}
spec:
  type: SecurityPolicy
  exceptions:
    - {name: map, allow: PV-093, targetRefs: [{kind: Upstream, name: plain}], reason: A test., owner: tests, until: "UNTIL"}
"#;
    House::plan().file("keys/shop", HEADER).file("keys/map", QUERY).also(&secrets.replace("UNTIL", &soon()))
}

#[tokio::test]
async fn a_credential_takes_the_place_of_the_callers_and_is_in_no_record() {
    let house = plan().start().await;
    let asked = [
        ("/orders", "/orders?key=SECRET"),
        ("/orders?a=b", "/orders?a=b&key=SECRET"),
        ("/orders?a=b&KEY=mine&%6bey=mine&key[]=mine", "/orders?a=b&key=SECRET"),
        ("/orders?Session=mine;x=1&y", "/orders?x=1&y&key=SECRET"),
    ];
    for h2 in [false, true] {
        for (target, want) in asked {
            let ask = Ask::get(target).over(h2).header("x-shop-key", "mine").header("x-legacy", "mine");
            assert_eq!(house.call(&house.who.mia, ask).await.status, 200, "{target}");
            let seen = house.plain.seen().pop().unwrap();
            assert_eq!(seen.request_line(), format!("GET {} HTTP/1.1", want.replace("SECRET", ESCAPED)), "{target}");
            assert_eq!(seen.header("x-shop-key"), [HEADER]);
            assert!(!seen.head.contains("mine"), "{}", seen.head);
        }
    }
    house.clock.forward(601);
    let count = house.plain.count();
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 403, "the exception has ended");
    assert_eq!(house.plain.count(), count);
    let records = house.stop().await;
    for record in &records.requests()[..8] {
        assert_eq!(record.credentials(), ["map", "shop"], "each access is recorded, by name");
        assert_eq!(record.exceptions(), ["Policy/default/posture#map"]);
    }
    assert_eq!(records.requests()[8].outcome(), "deny: exception_ended");
    assert!(records.requests()[8].credentials().is_empty());
    for secret in [HEADER, QUERY, ESCAPED, "mine"] {
        assert!(!records.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn one_secret_under_two_names_does_not_load_and_is_not_repeated() {
    let why = plan().file("keys/map", HEADER).try_start().await.err().unwrap();
    for said in ["PV-091", "keys/shop", "keys/map", "credential `shop`", "credential `map`"] {
        assert!(why.contains(said), "{said}: {why}");
    }
    assert!(!why.contains(HEADER), "{why}");

    let house = plan().start().await;
    for (file, text) in [("keys/map", HEADER), ("keys/map", crate::house::set::UPSTREAM_KEY)] {
        house.write(file, &format!("{text}\n"));
        let Reload::Refused(why) = house.proxy.reload().await else { panic!("{file}") };
        assert!(why.contains("PV-091") && !why.contains(text), "{why}");
    }
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200, "the set of before serves on");
    assert!(house.plain.sole().request_line().contains(ESCAPED));
    house.stop().await;
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_refused_at_a_reload_and_the_old_one_serves_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = plan().start().await;
    let key = house.path("keys/shop");
    let change = |text: &str, mode: u32| {
        house.write("keys/shop", text);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (text, mode, shown) in [
        ("house-shop-key-0002", 0o640, HEADER),
        ("house-shop-key-0002", 0o604, HEADER),
        ("", 0o600, HEADER),
        ("house-shop-key-0002", 0o600, "house-shop-key-0002"),
    ] {
        change(text, mode);
        assert_eq!(house.proxy.reload().await == Reload::Taken, shown != HEADER, "{mode:o}");
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
        assert_eq!(house.plain.seen().pop().unwrap().header("x-shop-key"), [shown]);
    }
    house.stop().await;
}
