//! What processes held in the store that replicas share, that were killed or stood still.

use std::time::{Duration, Instant};

use crate::process::Process;
use crate::redis::Redis;
use crate::site::Site;
use crate::upstream::Act;
use crate::within;

/// A site with one place, which everybody asks the store for.
async fn one_place(redis: &Redis, lease: &str) -> Site {
    redis.open("site").await;
    let site = Site::new().await;
    let admin = "admin: {health: \"127.0.0.1:0\"}";
    let shared = format!("{admin}\nshared: {{lease: {lease}, redis: \"unix:{}\"}}", redis.socket().display());
    site.change("postern.yaml", admin, &shared);
    let limit = "maxBodySize: 16Ki\n  rateLimits:\n    \
                 - {name: open, key: [Principal], unit: ConcurrentRequests, limit: 1, store: Shared}";
    site.change("manifests/access.yaml", "maxBodySize: 16Ki", limit);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_a_killed_process_are_free_once_its_lease_is_over() {
    let Some(redis) = Redis::start().await else { return };
    let site = one_place(&redis, "2s").await;
    let token = site.token(&site.who.mia, &site.who.mia);
    let process = Process::serve(&site.config(), &[]);
    site.app.does(|_| Act::Hang);
    let mut line = site.line(process.address(), &site.who.mia, false).await;
    let held = tokio::spawn({
        let token = token.clone();
        async move { line.get("/both/held", &token).await.map(|reply| reply.status) }
    });
    site.app.arrived(1).await;
    process.signal("KILL");
    let killed = Instant::now();
    assert!(within("the end of a request", held).await.unwrap().is_err());
    site.app.says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let next = Process::serve(&site.config(), &[]);
    let mut line = site.line(next.address(), &site.who.mia, false).await;
    within("the place", async {
        loop {
            match line.get("/both/next", &token).await.unwrap().status {
                200 => return,
                429 => tokio::time::sleep(Duration::from_millis(20)).await,
                status => panic!("{status}"),
            }
        }
    })
    .await;
    // Asked for again a third of a lease before the kill, at the earliest.
    let free = killed.elapsed();
    assert!((Duration::from_millis(1200)..Duration::from_secs(10)).contains(&free), "{free:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_ends_requests_whose_places_others_have() {
    let Some(redis) = Redis::start().await else { return };
    let site = one_place(&redis, "1s").await;
    let token = site.token(&site.who.mia, &site.who.mia);
    site.write("other.yaml", &site.read("postern.yaml").replace("{dir: state}", "{dir: other}"));
    let (stands, goes) = (Process::serve(&site.config(), &[]), Process::serve(&site.path("other.yaml"), &[]));
    site.app.does(|_| Act::Hang);
    let mut line = site.line(stands.address(), &site.who.mia, false).await;
    let held = tokio::spawn({
        let token = token.clone();
        async move { line.get("/both/held", &token).await.map(|reply| reply.status) }
    });
    site.app.arrived(1).await;
    stands.signal("STOP");
    let mut line = site.line(goes.address(), &site.who.mia, false).await;
    let next = tokio::spawn(async move {
        loop {
            match line.get("/both/next", &token).await.map(|reply| reply.status) {
                Ok(429) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => return other,
            }
        }
    });
    site.app.arrived(2).await;
    assert!(!held.is_finished(), "it stands still");
    stands.signal("CONT");
    assert!(within("the end of a request", held).await.unwrap().is_err());
    assert!(!next.is_finished(), "whoever has the place now keeps it");
    next.abort();
}
