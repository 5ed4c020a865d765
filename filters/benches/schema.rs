//! What an OpenAPI document costs a request: its head, and bodies of up to 4 KiB.
//!
//! `cargo bench -p postern-filters --bench schema`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench prints, and may stop")]
#![allow(missing_debug_implementations, unreachable_pub, reason = "a bench")]

#[path = "../src/testing.rs"]
mod testing;

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use postern_config::{Report, openapi};
use postern_filters::contract::Contract;
use postern_filters::json::{Document, Limits};
use testing::{Asked, asked};

const BATCHES: usize = 21;
const ROUNDS: u32 = 500;
const DOCUMENT: &[u8] = include_bytes!("../../config/examples/openapi/openapi.yaml");

fn main() {
    let api = openapi::read("openapi.yaml", DOCUMENT, &mut Report::new()).unwrap();
    let contract = Contract::new(&Arc::new(api)).unwrap();
    let page = asked("GET", "/v1/orders?page=7&state=open&state=sent");
    let one = asked("GET", "/v1/orders/0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11");
    let (small, large) = (order(2, 0), order(50, 1700));
    println!("{:<44} {:>10}", "", "median µs");
    let row = |name: &str, micros: f64| println!("{name:<44} {micros:>10.2}");
    row("head: a query of three values", median(|| contract.check_head(black_box(&page.view())).unwrap()));
    row("head: a UUID in the path", median(|| contract.check_head(black_box(&one.view())).unwrap()));
    for (name, asked) in [("body", &small), ("body", &large)] {
        let read = median(|| drop(Document::parse(black_box(asked.body.clone()), Limits::default()).unwrap()));
        let all = median(|| contract.check_body(black_box(&asked.view()), &asked.body, Limits::default()).unwrap());
        let bytes = asked.body.len();
        row(&format!("{name} of {bytes} bytes, read and judged"), all);
        row(&format!("{name} of {bytes} bytes, the strict reader alone"), read);
    }
}

/// An order of so many lines, padded with spaces as some serialisers do.
fn order(lines: usize, padding: usize) -> Asked {
    let mut body = String::from("{\"note\": \"by the side door\", \"lines\": [");
    for line in 0..lines {
        let comma = if line == 0 { "" } else { ", " };
        write!(body, "{comma}{{\"article\": \"AB-{line:04}\", \"quantity\": {}}}", line % 99 + 1).unwrap();
    }
    body.push_str(&" ".repeat(padding));
    asked("POST", "/v1/orders").json(body + "]}")
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let began = Instant::now();
            (0..ROUNDS).for_each(|_| run());
            began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches.get(BATCHES / 2).copied().unwrap_or_default()
}
