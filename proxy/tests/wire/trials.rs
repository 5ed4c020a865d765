//! `mode: Audit` across sockets: what is on trial permits and denies nothing, its differences are in the record and counted, and
//! from its moment on it acts without a reload.

use postern_config::values::Time;

use crate::house::upstream::{delta, stream_head};
use crate::house::{Ask, House};

/// Seconds from the start of a test to the end of a trial.
const LEFT: i64 = 600;

fn tried(now: i64) -> String {
    format!(
        r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {{name: tried}}
spec:
  targetRefs: [{{kind: Route, name: orders}}]
  mode: Audit
  modeUntil: "{until}"
  rules:
    - {{name: nobody-deletes, effect: Forbid, actions: [delete]}}
    - {{name: acme-reads, effect: Permit, principals: [User], actions: [read], when: 'principal.tenant == "acme"'}}
"#,
        until = Time(now + LEFT)
    )
}

#[tokio::test]
async fn a_policy_on_trial_is_told_of_and_acts_from_its_moment_on() {
    let now = i64::try_from(rustls_pki_types::UnixTime::now().as_secs()).unwrap();
    let house = House::plan().also(&tried(now)).start().await;
    let (mia, noah) = (&house.who.mia, &house.who.noah);
    let delete = || Ask::new("DELETE", "/orders/7");
    for (case, who, ask, before) in [
        ("its denial does not deny", mia, delete(), 200),
        ("its permit does not permit", noah, Ask::get("/orders"), 403),
        ("what it says nothing of", mia, Ask::get("/orders"), 200),
    ] {
        assert_eq!(house.call(who, ask.clone()).await.status, before, "{case}");
        assert_eq!(house.call(who, ask).await.status, before, "{case}, seen before");
    }
    let page = house.metrics().await;
    for decision in ["Allow", "Deny"] {
        let line = format!(
            "postern_shadow_decisions_total{{postern_policy=\"AccessControlPolicy/default/tried\",postern_decision=\"{decision}\"}} 2\n"
        );
        assert!(page.contains(&line), "{line}\n{page}");
    }
    house.clock.forward(LEFT);
    for (who, ask, after) in [(mia, delete(), 403), (noah, Ask::get("/orders"), 200), (mia, Ask::get("/orders"), 200)] {
        assert_eq!(house.call(who, ask).await.status, after);
    }
    let records = house.stop().await;
    let shadow = |index: usize| records.requests()[index].facts()["shadow"].clone();
    assert_eq!(shadow(0)["policy"], "AccessControlPolicy/default/tried");
    assert_eq!((shadow(0)["decision"].clone(), shadow(2)["decision"].clone()), ("Deny".into(), "Allow".into()));
    assert!(shadow(0)["rule"].as_str().unwrap().ends_with("rule nobody-deletes"), "{}", shadow(0));
    assert!(shadow(4).is_null() && shadow(6).is_null(), "nothing is told where nothing differs");
    assert_eq!(records.outcomes()[6..], ["deny: not_permitted", "allow", "allow"]);
}

#[tokio::test]
async fn a_stream_ends_once_the_policy_that_refuses_it_acts() {
    let now = i64::try_from(rustls_pki_types::UnixTime::now().as_secs()).unwrap();
    let manifest = tried(now).replace("name: orders}", "name: chat}").replace("actions: [delete]", "actions: [chat]");
    let manifest = manifest.replace("actions: [read]", "actions: [chat]");
    let house = House::plan().also(&manifest).start().await;
    let tell = house.model.steps();
    tell.send([stream_head(), delta("one ")].concat()).await.unwrap();
    let mut open = house.open(&house.who.mia, Ask::streamed("hi")).await;
    open.until("one").await;
    house.clock.forward(LEFT);
    assert!(open.rest().await.is_err(), "nobody takes it for the end");
    house.model.left(1).await;
    let records = house.stop().await;
    assert!(records.sole().detail().contains("policy refuses it now: not_permitted"), "{:?}", records.sole());
}
