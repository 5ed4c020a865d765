//! What `postern check-egress` tells, by the policy of a set.

use serde_json::Value;

use crate::process::told;
use crate::site::Site;

fn check(site: &Site, url: &str) -> (i32, Value) {
    let config = site.config();
    let (code, out, err) = told(&["check-egress", url, "--config", config.to_str().unwrap(), "--format", "json"]);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

#[tokio::test]
async fn attack_34_check_egress_names_the_address_that_no_policy_allows() {
    let site = Site::new().await;
    for (url, why) in [
        ("https://127.0.0.1:1/", "a loopback address"),
        ("http://localhost:1/", "a loopback address"),
        ("https://169.254.169.254/latest/meta-data/", "a metadata service address"),
        ("https://[::ffff:10.0.0.1]/", "a private address"),
        ("https://0x7f000001/", "not a name or an address"),
        ("http://192.0.2.1/", "a documentation address"),
        ("https://user@a/", "a user or password"),
        ("ftp://a/", "a URL is"),
    ] {
        let (code, told) = check(&site, url);
        assert_eq!((code, &told["allowed"]), (1, &Value::Bool(false)), "{url}: {told}");
        assert!(told["error"].as_str().unwrap().contains(why), "{url}: {told}");
    }
    assert!(!site.path("state").exists(), "nothing was started or made");
}

#[tokio::test]
async fn attack_34_check_egress_goes_by_the_policy_of_the_gateway() {
    let site = Site::new().await;
    let policy = "apiVersion: secure.platformspec.io/v1alpha1\nkind: NetworkPolicy\nmetadata: {name: out}\nspec:\n  targetRefs: [{kind: Gateway, name: site}]\n  egress:\n    allow: [{name: own, hosts: [\"127.0.0.1\"], cidrs: [\"127.0.0.1/32\"], ports: [PORTS]}]\n    privateRanges: AllowListed\n...\n";
    let bootstrap = site.read("postern.yaml");
    let port = bootstrap.split("http://127.0.0.1:").nth(1).unwrap().split('"').next().unwrap();
    site.write("manifests/network.yaml", &policy.replace("PORTS", port));
    // Refused without a question to a name server: no rule knows the name.
    let (code, told) = check(&site, "https://example.com/");
    assert_eq!(code, 1);
    assert_eq!(told["error"], "no rule of NetworkPolicy/default/out allows example.com port 443", "{told}");
}

#[tokio::test]
async fn check_egress_tells_which_upstream_calls_a_unix_socket_and_who_listens_there() {
    let site = Site::new().await;
    let path = site.path("app.sock");
    let url = format!("unix:{}", path.display());
    let bootstrap = site.read("postern.yaml");
    let address = bootstrap.split("url: \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (code, told) = check(&site, &url);
    assert_eq!(code, 1);
    assert!(told["error"].as_str().unwrap().contains("no upstream has this socket"), "{told}");
    site.change("postern.yaml", &address, &url);
    let (code, told) = check(&site, &url);
    assert_eq!(code, 1);
    assert!(told["error"].as_str().unwrap().contains("No such file"), "{told}");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let (code, told) = check(&site, &url);
    assert_eq!((code, &told["upstream"]), (0, &Value::from("app")), "{told}");
    assert_eq!(told["process"]["uid"], rustix::process::geteuid().as_raw());
}

#[tokio::test]
async fn check_egress_of_a_set_that_does_not_load_is_a_wrong_call() {
    let site = Site::new().await;
    site.change("manifests/access.yaml", "maxBodySize: 16Ki", "maxBodySize: plenty");
    let config = site.config();
    let (code, out, err) = told(&["check-egress", "https://example.com/", "--config", config.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("maxBodySize"), "{err}");
}
