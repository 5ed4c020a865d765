//! Secrets of a cluster, as a folder shows them: read through the kubelet's links, taken over when the kubelet swaps them, and
//! refused where others can read them.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use postern_proxy::reload::Reload;

use crate::house::{Ask, House, Plan};

const FIRST: &str = "mounted-shop-key-0001";
const SECOND: &str = "mounted-shop-key-0002";

const MANIFESTS: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials:
    - {name: shop, valueFrom: "credential:shop/apiKey", inject: {type: Header, header: X-Shop-Key, format: "{secret}"}, rotation: {overlap: 10m}}
---
apiVersion: core.platformspec.io/v1alpha1
kind: Credential
metadata: {name: shop}
spec: {schema: shop, source: kubernetes-secret, location: shop-prod, fields: {apiKey: api-key}}
"#;

fn plan() -> Plan {
    House::plan()
        .with("postern.yaml", "state: {dir: state}", "state: {dir: state}\nsecrets: {dir: mounted}")
        .file("mounted/default/shop-prod/..2026_1/api-key", FIRST)
        .file("mounted/default/shop-prod/api-key", FIRST)
        .also(MANIFESTS)
}

/// A version of the Secret, put into place as the kubelet does.
fn swap(home: &Path, version: &str, text: &str, mode: u32) {
    std::fs::create_dir_all(home.join(version)).unwrap();
    let file = home.join(version).join("api-key");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    symlink(version, home.join("..data_tmp")).unwrap();
    std::fs::rename(home.join("..data_tmp"), home.join("..data")).unwrap();
}

#[tokio::test]
async fn a_mounted_secret_is_shown_and_a_swap_of_its_links_is_a_reload() {
    let house = plan().start().await;
    let mia = &house.who.mia;
    let shown = async || {
        assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 200);
        house.plain.seen().pop().unwrap().header("x-shop-key").join(",")
    };
    assert_eq!(shown().await, FIRST);
    let home = house.path("mounted/default/shop-prod");
    swap(&home, "..2026_1", FIRST, 0o400);
    std::fs::remove_file(home.join("api-key")).unwrap();
    symlink("..data/api-key", home.join("api-key")).unwrap();
    assert_eq!(house.proxy.reload().await, Reload::Taken);
    assert_eq!(shown().await, FIRST);

    // Nobody asks for a reload: the watch sees it.
    swap(&home, "..2026_2", SECOND, 0o400);
    let until = async {
        while shown().await != SECOND {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    crate::house::within("the reload", until).await;

    // As a volume without `defaultMode` would be.
    swap(&home, "..2026_3", "mounted-shop-key-0003", 0o644);
    let Reload::Refused(why) = house.proxy.reload().await else { panic!("taken") };
    assert!(why.contains("defaultMode: 0400") && why.contains("shop-prod/api-key") && !why.contains("0003"), "{why}");
    assert_eq!(shown().await, SECOND, "the set of before serves on");

    let records = house.stop().await;
    let refused = records.of_secrets().into_iter().find(|record| record.detail().contains("refused")).unwrap();
    assert_eq!(refused.events(), ["secret.read"], "what was read for the set that was refused");
    assert!(refused.facts()["secrets"].to_string().contains("secret:shop-prod/api-key"), "{}", refused.facts());
    let read = records.of_secrets().into_iter().find(|record| record.events() == ["secret.read"]).unwrap();
    assert!(read.facts()["secrets"].to_string().contains("secret:shop-prod/api-key"), "{}", read.facts());
    assert!(records.text().contains(r#""kind":"Credential""#), "a Credential is part of the set that decided");
    for secret in [FIRST, SECOND] {
        assert!(!records.text().contains(secret));
    }
}
