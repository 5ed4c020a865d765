//! What the chain costs on the request's thread, over the demo's manifests: heads and bodies, without sockets.
//!
//! `cargo bench -p postern-filters --bench chain`. Budgets are those of the design, per request on one core.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench prints, and may stop")]
#![allow(missing_debug_implementations, unreachable_pub, reason = "a bench")]

#[path = "../src/testing.rs"]
mod testing;

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postern_config::{ProviderKind, Snapshot};
use postern_filters::token::{JwtVerifier, KeySet, Recognised, TokenSet};
use postern_filters::{Chains, Context};
use serde_json::{Value, json};
use testing::{Asked, House, NOW, asked, compiled, svid};

const BATCHES: usize = 21;
const ROUNDS: u32 = 500;
const ASSISTANT: &str = "spiffe://demo.example/ns/acme/sa/assistant";

fn main() {
    let house = House::new();
    let chains = demo(&house);
    let token = house.token(json!({"iss": "https://login.demo.example", "aud": "https://ai.demo.example"}));
    let order = asked("GET", "/orders/7").bearer(&token);
    let short = chat("How are the orders?").bearer(&token);
    let long = chat(&"How are the orders of the week? ".repeat(128)).bearer(&token);
    let agent = chat("How are the orders?").svid(ASSISTANT);
    println!("{:<44} {:>10}  budget of the design", "", "median µs");
    let row = |name: &str, micros: f64, budget: &str| println!("{name:<44} {micros:>10.2}  {budget}");
    row("token seen before, alone", recognised(&house, &order), "1");
    row("plain http, token seen before: head", heads(&chains, "orders", || order.clone()), "0.7 token + 0.7 limits");
    row("plain http, token seen before: all", whole(&chains, "orders", &order), "5, with ≤ 20 for Cedar at first");
    row("chat of 80 bytes, all", whole(&chains, "chat", &short), "5 + content");
    row("chat of 4 KiB, all of the demo's guards", whole(&chains, "chat", &long), "40 for the content");
    row("workload seen before: head", heads(&chains, "chat", || agent.clone()), "1.4");
    let mut number = 0_u32;
    let strangers = heads(&chains, "chat", || {
        number += 1;
        let mut asked = agent.clone();
        let mut peer = svid(ASSISTANT, 0);
        peer.leaf_sha256.iter_mut().flatten().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        asked.peer = Some(peer);
        asked
    });
    row("workload with a new certificate: head", strangers, "once per certificate");
}

fn chat(text: &str) -> Asked {
    let body: Value = json!({"model": "demo-small", "messages": [{"role": "user", "content": text}]});
    asked("POST", "/v1/chat/completions").json(body.to_string())
}

/// What a token costs that was verified before: its digest, its time, audience and sender.
fn recognised(house: &House, asked: &Asked) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let snapshot = loaded(dir.path(), house);
    let providers = snapshot.routes.iter().flat_map(|route| &route.policy.identity.providers);
    let jwt = providers.into_iter().find(|provider| matches!(provider.kind, ProviderKind::Jwt(_))).unwrap();
    let verifier = JwtVerifier::new(jwt, KeySet::parse(house.jwks().as_bytes()).unwrap()).unwrap();
    let set = Recognised::new(TokenSet::new(vec![verifier], Default::default()), Vec::new());
    median(|| {
        let started = Instant::now();
        let token = black_box(set.authenticate(black_box(&asked.view()), NOW, false, None));
        let elapsed = started.elapsed();
        assert!(token.unwrap().is_some());
        elapsed
    })
}

/// The shipped manifests, with keys of ours.
fn demo(house: &House) -> Chains {
    let dir = tempfile::tempdir().unwrap();
    compiled(&loaded(dir.path(), house))
}

fn loaded(dir: &Path, house: &House) -> Snapshot {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/demo");
    for folder in ["manifests", "keys"] {
        std::fs::create_dir(dir.join(folder)).unwrap();
    }
    std::fs::copy(shipped.join("postern.yaml"), dir.join("postern.yaml")).unwrap();
    for file in std::fs::read_dir(shipped.join("manifests")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), dir.join("manifests").join(file.file_name())).unwrap();
    }
    std::fs::write(dir.join("keys/jwks.json"), house.jwks()).unwrap();
    let loaded = postern_config::load(&dir.join("postern.yaml"), NOW);
    loaded.unwrap_or_else(|report| panic!("{report}")).snapshot
}

/// A request every two seconds, in all rows together, so that no limit is in the way.
fn context() -> Context {
    static SECONDS: AtomicU64 = AtomicU64::new(0);
    Context::new(NOW * 1000, Duration::from_secs(SECONDS.fetch_add(2, Ordering::Relaxed)))
}

fn heads(chains: &Chains, route: &str, mut asked: impl FnMut() -> Asked) -> f64 {
    let chain = chains.of(route).unwrap();
    median(|| {
        let (asked, mut cx) = (asked(), context());
        let started = Instant::now();
        let _ = black_box(chain.check_head(black_box(&asked.view()), &mut cx).unwrap());
        started.elapsed()
    })
}

fn whole(chains: &Chains, route: &str, asked: &Asked) -> f64 {
    let chain = chains.of(route).unwrap();
    median(|| {
        let mut cx = context();
        let started = Instant::now();
        let allowed = black_box(testing::run(chain, black_box(asked), &mut cx));
        let elapsed = started.elapsed();
        assert!(allowed.is_ok());
        elapsed
    })
}

/// Median microseconds of one call, over batches. What `call` prepares is not counted; reading the clock is, with some
/// 40 ns.
fn median(mut call: impl FnMut() -> Duration) -> f64 {
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| (0..ROUNDS).map(|_| call()).sum::<Duration>().as_secs_f64() * 1e6 / f64::from(ROUNDS))
        .collect();
    batches.sort_by(f64::total_cmp);
    batches.get(BATCHES / 2).copied().unwrap_or_default()
}
