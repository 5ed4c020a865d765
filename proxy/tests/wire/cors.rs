//! CORS: preflights that the proxy answers, and answers that other sites' scripts may read.

use postern_proxy::reload::Reload;
use serde_json::json;

use crate::house::upstream::answer;
use crate::house::{Ask, House};

const APP: &str = "https://app.house.test";
const CORS: &str = "
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: browsers}
spec:
  targetRefs: [{kind: Route, name: orders}]
  cors: {origins: [\"https://app.house.test\", \"https://docs.house.test\"], methods: [GET, POST], headers: [Authorization], credentials: true, maxAge: 1h}
  crossSite: {type: AllowOrigins, origins: [\"https://app.house.test\"]}
";

fn preflight(origin: &str, method: &str) -> Ask {
    Ask::new("OPTIONS", "/orders").header("origin", origin).header("access-control-request-method", method)
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_proxy_and_recorded() {
    let house = House::plan().also(CORS).start().await;
    for h2 in [false, true] {
        let asked = preflight(APP, "POST").header("access-control-request-headers", "authorization,content-type");
        let told = house.send(None, asked.over(h2).open()).await;
        assert_eq!((told.status, told.body.as_str()), (204, ""));
        assert_eq!(told.header("access-control-allow-origin"), APP);
        assert_eq!(told.header("access-control-allow-methods"), "GET, POST");
        assert_eq!(told.header("access-control-allow-headers"), "authorization");
        assert_eq!(told.header("access-control-allow-credentials"), "true");
        assert_eq!(told.header("access-control-max-age"), "3600");
        assert_eq!(told.header("vary"), "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
        assert!(!told.header("postern-decision").is_empty());
    }
    for (case, ask, want) in [
        ("another origin", preflight("https://evil.test", "GET"), 403),
        ("another method", preflight(APP, "DELETE"), 403),
        ("to change something, where crossSite refuses", preflight("https://docs.house.test", "POST"), 403),
        ("to read", preflight("https://docs.house.test", "GET"), 204),
        ("another header", preflight(APP, "GET").header("access-control-request-headers", "x-secret"), 403),
        (
            "a route without",
            Ask::new("OPTIONS", "/forms").header("origin", APP).header("access-control-request-method", "GET"),
            403,
        ),
        ("no preflight", Ask::new("OPTIONS", "/orders").header("origin", APP), 403),
    ] {
        let told = house.send(None, ask.open()).await;
        assert_eq!(told.status, want, "{case}: {}", told.body);
        assert_eq!(told.header("access-control-allow-methods").is_empty(), want != 204, "{case}");
    }
    assert_eq!(house.plain.count(), 0, "no preflight reaches an upstream");
    let records = house.stop().await;
    let outcomes = records.outcomes();
    assert_eq!(outcomes.len(), 9, "one record each");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "allow").count(), 3, "{outcomes:?}");
    assert_eq!(records.requests()[0].rule(), "cors");
    assert_eq!(records.requests()[0].request_guards(), ["cors"]);
}

#[tokio::test]
async fn answers_say_who_may_read_them_and_the_upstream_does_not() {
    let house = House::plan().also(CORS).start().await;
    let loose =
        [("access-control-allow-origin", "*"), ("access-control-allow-credentials", "true"), ("vary", "Accept")];
    house.plain.says(answer(200, &loose, b"{}"));
    let order = json!({"item": 1});
    for (case, ask, want, origin) in [
        ("allowed", Ask::get("/orders").header("origin", APP), 200, APP),
        ("to change", Ask::json("/orders", &order).header("origin", APP), 200, APP),
        (
            "to change, of one that may read",
            Ask::json("/orders", &order).header("origin", "https://docs.house.test"),
            403,
            "https://docs.house.test",
        ),
        ("to read", Ask::get("/orders").header("origin", "https://docs.house.test"), 200, "https://docs.house.test"),
        ("a method that is not for other sites", Ask::new("DELETE", "/orders/1").header("origin", APP), 200, ""),
        ("another", Ask::get("/orders").header("origin", "https://evil.test"), 200, ""),
        ("none", Ask::get("/orders"), 200, ""),
        ("two", Ask::get("/orders").header("origin", APP).header("origin", "https://evil.test"), 400, ""),
    ] {
        for h2 in [false, true] {
            let told = house.call(&house.who.mia, ask.clone().over(h2)).await;
            assert_eq!(told.status, want, "{case}: {}", told.body);
            assert_eq!(told.header("access-control-allow-origin"), origin, "{case}");
            let credentials = if origin.is_empty() { "" } else { "true" };
            assert_eq!(told.header("access-control-allow-credentials"), credentials, "{case}");
            if want == 200 {
                let vary: Vec<_> = told.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
                assert_eq!(vary, ["Accept", "Origin"], "{case}");
            }
        }
    }
    // A refusal may be read too, as a script has to know that it is to log in.
    let told = house.send(None, Ask::get("/orders").header("origin", APP).open()).await;
    assert_eq!((told.status, told.header("access-control-allow-origin")), (401, APP));
    let reloaded = house.change("manifests/also-6.yaml", "methods: [GET, POST]", "methods: [HEAD]").await;
    assert_eq!(reloaded, Reload::Taken);
    let told = house.call(&house.who.mia, Ask::get("/orders").header("origin", APP)).await;
    assert_eq!(told.header("access-control-allow-origin"), "");
    house.stop().await;
}
