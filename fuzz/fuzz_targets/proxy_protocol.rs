//! Any bytes as a PROXY protocol header: one whole header, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filters::proxy_protocol::{HEAD, MAX, length, read};

fuzz_target!(|bytes: &[u8]| {
    if read(bytes).is_ok() {
        let head = bytes.first_chunk::<HEAD>().expect("a header has its head");
        assert_eq!(length(head), Ok(bytes.len()));
        assert!(bytes.len() <= MAX);
    }
});
