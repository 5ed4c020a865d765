//! TLS hellos: whatever comes is judged, a refusal or a name stands whatever follows, and a name is one that a host can have.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filters::hello::{Hello, MAX_HELLO, read};

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    if bytes.len() >= MAX_HELLO {
        assert_ne!(whole, Ok(Hello::Partial));
    }
    if let Ok(Hello::Names(name)) = &whole {
        assert!(name.len() <= 253 && !name.contains(|c: char| c.is_ascii_uppercase() || c.is_control()));
    }
    if let Some((_, before)) = bytes.split_last() {
        match read(before) {
            Ok(Hello::Partial) => {}
            decided => assert_eq!(decided, whole),
        }
    }
});
