//! Any bytes as a bootstrap and as a manifest: problems or a set, never a panic.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use postern_config::{Report, SourceFile, parse_bootstrap, parse_manifests, resolve};

const BOOTSTRAP: &[u8] = include_bytes!("../../config/examples/init/postern.yaml");

fuzz_target!(|bytes: &[u8]| {
    let mut report = Report::new();
    let _ = parse_bootstrap("postern.yaml", bytes, Path::new("."), &mut report);
    let Some(good) = parse_bootstrap("postern.yaml", BOOTSTRAP, Path::new("."), &mut Report::new()) else { return };
    let file = SourceFile { name: "a.yaml".to_owned(), bytes: bytes.to_vec() };
    let parsed = parse_manifests(&[file], &good.manifest_rules(), &mut report);
    let _ = resolve(&good, &parsed, 1_800_000_000, &mut report);
    let _ = report.to_string();
});
