//! Any text as a request target: canonical and stable, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filters::path::canonical;

fuzz_target!(|raw: &str| {
    if let Ok(target) = canonical(raw) {
        let again = canonical(&target.path).expect("a canonical path is canonical");
        assert_eq!(again.path, target.path);
    }
});
