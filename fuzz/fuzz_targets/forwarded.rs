//! Any text as `X-Forwarded-For` and `Forwarded` of a trusted proxy: an address, nobody, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_config::{ForwardedBy, TrustedProxy};
use postern_filters::{Source, forwarded};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = http::HeaderValue::from_bytes(bytes) else { return };
    let ip = std::net::IpAddr::from([10, 0, 0, 1]);
    for (name, headers) in [("x-forwarded-for", ForwardedBy::XForwarded), ("forwarded", ForwardedBy::Forwarded)] {
        let trusted = [TrustedProxy { cidr: "10.0.0.0/24".parse().expect("a range"), principal: None, headers }];
        let mut lines = http::HeaderMap::new();
        lines.append(name, value.clone());
        let _ = forwarded::client(&trusted, Source::Ip(ip), None, &lines);
    }
});
