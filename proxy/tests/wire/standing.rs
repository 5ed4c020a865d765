//! Streams that are open while policy changes: one that the new set permits goes on, one that it refuses ends before the
//! reload is over (a stream must not outlive the permission that it began with).

use postern_proxy::reload::Reload;

use crate::house::upstream::{Act, delta, done, stream_head};
use crate::house::{Ask, House};
use crate::relay::{SWITCHED, handshake};

/// What is recorded of a stream that policy ended.
const OVER: &str = "policy refuses it now: not_permitted";

async fn changed(house: &House, file: &str, from: &str, to: &str) {
    assert_eq!(house.change(file, from, to).await, Reload::Taken, "{from} -> {to}");
}

#[tokio::test]
async fn a_streamed_answer_ends_with_the_grant_of_its_model() {
    for h2 in [false, true] {
        let house = House::start().await;
        let tell = house.model.steps();
        tell.send([stream_head(), delta("one ")].concat()).await.unwrap();
        let mut open = house.open(&house.who.mia, Ask::streamed("hi").over(h2)).await;
        open.until("one").await;
        changed(&house, "manifests/chat.yaml", "maxBodySize: 64Ki", "maxBodySize: 63Ki").await;
        // A limit that is used up is one of new requests: the stream was counted when it began.
        changed(
            &house,
            "manifests/chat.yaml",
            "limit: 6000, window: 1m, burst: 1000",
            "limit: 1, window: 1h, burst: 1",
        )
        .await;
        tell.send(delta("two ")).await.unwrap();
        open.until("two").await;
        changed(&house, "manifests/chat.yaml", "[\"small\", \"large\"]", "[\"large\"]").await;
        assert!(open.rest().await.is_err(), "h2 {h2}: nobody takes it for the end");
        house.model.left(1).await;
        let records = house.stop().await;
        assert!(records.sole().detail().contains(OVER), "h2 {h2}: {:?}", records.sole());
    }
}

#[tokio::test]
async fn a_streamed_answer_that_stays_permitted_ends_by_itself() {
    let house = House::start().await;
    let tell = house.model.steps();
    tell.send([stream_head(), delta("one ")].concat()).await.unwrap();
    let mut open = house.open(&house.who.mia, Ask::streamed("hi")).await;
    open.until("one").await;
    changed(&house, "manifests/chat.yaml", "[\"small\", \"large\"]", "[\"small\"]").await;
    tell.send([delta("two"), done()].concat()).await.unwrap();
    drop(tell);
    assert!(open.rest().await.unwrap().contains("two"));
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow"]);
}

#[tokio::test]
async fn a_long_answer_of_an_api_ends_with_the_role_of_its_caller() {
    let house = House::start().await;
    let tell = house.plain.steps();
    tell.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n".to_vec()).await.unwrap();
    let mut open = house.open(&house.who.mia, Ask::get("/orders/feed")).await;
    open.until("one").await;
    changed(&house, "manifests/plain.yaml", "actions: [read, create, delete]", "actions: [create]").await;
    assert!(open.rest().await.is_err());
    let records = house.stop().await;
    assert!(records.sole().detail().contains(OVER), "{:?}", records.sole());
}

#[tokio::test]
async fn attack_39_a_relayed_upgrade_ends_with_its_permission() {
    let house = House::start().await;
    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mut wires = Vec::new();
    for _ in 0..2 {
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(handshake(&house, "/socket")).await;
        assert_eq!(wire.answer().await.status, 101);
        wires.push(wire);
    }
    changed(&house, "manifests/chat.yaml", "maxBodySize: 64Ki", "maxBodySize: 63Ki").await;
    for wire in &mut wires {
        wire.send(b"ping").await;
        assert_eq!(wire.bytes(4).await, b"ping");
    }
    changed(
        &house,
        "manifests/plain.yaml",
        "principals: [User], actions: [read], when",
        "principals: [Agent], actions: [read], when",
    )
    .await;
    for wire in &mut wires {
        assert!(wire.is_closed().await);
    }
    house.plain.left(2).await;
    let records = house.stop().await;
    assert!(records.requests().iter().all(|record| record.detail().contains(OVER)), "{records:?}");
    assert_eq!(records.requests().len(), 2);
}

#[tokio::test]
async fn a_stream_ends_where_policy_no_longer_lets_it_reach_its_upstream() {
    let house = House::plan()
        .also(
            "apiVersion: secure.platformspec.io/v1alpha1\nkind: NetworkPolicy\nmetadata: {name: out}\nspec:\n  \
             targetRefs: [{kind: Route, name: socket}]\n  \
             egress: {allow: [{name: here, hosts: [\"127.0.0.1\"], cidrs: [\"127.0.0.0/8\"], ports: [PLAIN_PORT]}], privateRanges: AllowListed}\n",
        )
        .start()
        .await;
    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(handshake(&house, "/socket")).await;
    assert_eq!(wire.answer().await.status, 101);
    let port = house.plain.address().port();
    changed(&house, "manifests/also-6.yaml", &format!("ports: [{port}]"), "ports: [1]").await;
    assert!(wire.is_closed().await);
    let records = house.stop().await;
    assert!(records.sole().detail().contains(OVER), "{:?}", records.sole());
}
