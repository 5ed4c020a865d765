//! What three limits of one request cost in process: by caller, by tenant and route, by tenant and address.

#![allow(clippy::panic, reason = "a bench prints, and may stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use postern_config::{CountedIn, LimitKey, LimitUnit, PrincipalType, RateLimit};
use postern_filters::limit::{LimitSet, LimitStore};
use postern_filters::{Assurance, Principal, Source};

const BATCHES: usize = 21;
const ROUNDS: u32 = 20_000;

fn main() {
    println!("{:>8}  {:>12}", "callers", "request µs");
    for callers in [1, 1_000, 100_000] {
        let store = LimitStore::new();
        let set = LimitSet::compile(&limits(), &store).unwrap_or_else(|error| panic!("{error}"));
        let principals: Vec<Principal> = (0..callers).map(principal).collect();
        let mut at = Duration::ZERO;
        let mut next = principals.iter().cycle();
        let mut batches: Vec<f64> = (0..BATCHES)
            .map(|_| {
                let started = Instant::now();
                for _ in 0..ROUNDS {
                    at += Duration::from_micros(1);
                    let Some(principal) = next.next() else { continue };
                    let outcome = set.check_principal(principal, Source::Ip([192, 0, 2, 1].into()), "chat", at);
                    assert!(!black_box(outcome).is_refused());
                }
                started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
            })
            .collect();
        batches.sort_by(f64::total_cmp);
        println!("{callers:>8}  {:>12.3}", batches.get(BATCHES / 2).copied().unwrap_or_default());
    }
}

fn limits() -> Vec<RateLimit> {
    let limit = |name: &str, key: &[LimitKey]| RateLimit {
        name: name.to_owned(),
        owner: "default/edge".to_owned(),
        key: key.to_vec(),
        unit: LimitUnit::Requests,
        limit: 10_000_000,
        window: Duration::from_secs(1),
        burst: 10_000_000,
        max_wait: Duration::ZERO,
        store: CountedIn::Process,
    };
    vec![
        limit("per-user", &[LimitKey::Principal]),
        limit("per-tenant", &[LimitKey::Tenant, LimitKey::Route]),
        limit("per-address", &[LimitKey::SourceIp, LimitKey::Tenant]),
    ]
}

fn principal(number: u32) -> Principal {
    Principal {
        kind: PrincipalType::User,
        issuer: "https://login.example.com".to_owned(),
        subject: format!("user-{number}"),
        tenant: "acme".to_owned(),
        groups: Vec::new(),
        scopes: Vec::new(),
        tags: Vec::new(),
        authn: Assurance::default(),
        on_behalf_of: None,
    }
}
