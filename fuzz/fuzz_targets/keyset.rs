//! Key sets from outside, of issuers and trust domains: no input panics, and what is read has no more keys than may be.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filters::token::KeySet;

fuzz_target!(|data: &[u8]| {
    let strict = KeySet::parse(data);
    let published = KeySet::parse_published(data);
    if let Ok(keys) = &strict {
        let (same, passed_over) = published.as_ref().expect("what is read strictly is read");
        assert_eq!((keys.len(), passed_over), (same.len(), &0));
    }
    for count in [strict.ok().map(|keys| keys.len()), published.ok().map(|(keys, _)| keys.len())] {
        assert!(count.is_none_or(|count| (1..=KeySet::MAX_KEYS).contains(&count)));
    }
    assert!(
        KeySet::parse_bundle(data).is_ok_and(|keys| keys.len() <= KeySet::MAX_KEYS)
            || KeySet::parse_bundle(data).is_err()
    );
});
