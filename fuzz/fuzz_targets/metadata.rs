//! Metadata of issuers: no input panics, and keys are only ever looked for where nobody else listens.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filters::token::{jwks_uri, metadata_urls};

const ISSUER: &str = "https://a.example";

fuzz_target!(|data: &[u8]| {
    if let Ok(uri) = jwks_uri(data, ISSUER) {
        assert!(uri.starts_with("https://") || uri.starts_with("http://"), "{uri}");
        assert!(!uri.contains(['\r', '\n']), "{uri}");
    }
    if let Ok(issuer) = std::str::from_utf8(data) {
        let _ = metadata_urls(issuer);
    }
});
