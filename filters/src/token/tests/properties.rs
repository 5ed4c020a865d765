//! Whatever the text is: no panic, and nothing near a good token is one.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::super::{TokenSet, bearer, issuer_of};
use super::*;

fn fixture() -> &'static (JwtVerifier, String) {
    static FIXTURE: OnceLock<(JwtVerifier, String)> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let key = key();
        (verifier(&sso(), &key), key.sign(&key.header(), &claims()).unwrap())
    })
}

#[test]
fn every_change_of_one_bit_is_refused() {
    let (verifier, token) = fixture();
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verifier.verify(&changed, NOW).is_err(), "bit {bit} of character {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_change_of_one_character_is_refused(at in any::<prop::sample::Index>(), to in any::<char>()) {
        let (verifier, token) = fixture();
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != *token);
        prop_assert!(verifier.verify(&changed, NOW).is_err());
    }

    #[test]
    fn every_character_put_in_or_taken_out_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.=-]") {
        let (verifier, token) = fixture();
        let at = at.index(token.len());
        let longer = format!("{}{to}{}", &token[..at], &token[at..]);
        prop_assert!(verifier.verify(&longer, NOW).is_err());
        let shorter = format!("{}{}", &token[..at], &token[at + 1..]);
        prop_assert!(verifier.verify(&shorter, NOW).is_err());
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let (verifier, _) = fixture();
        prop_assert!(verifier.verify(&text, NOW).is_err());
        let _ = issuer_of(&text);
        let _ = bearer(&[&bytes]);
        let _ = KeySet::parse(&bytes);
    }

    #[test]
    fn no_header_or_claims_make_a_reader_panic(header in "\\PC{0,60}", claims in "\\PC{0,60}", now in any::<i64>()) {
        let key = key();
        let token = key.sign_parts(&header, &claims).unwrap();
        let set = TokenSet::new(vec![verifier(&sso(), &key)], Default::default());
        prop_assert!(set.authenticate(&token, None, now, None).is_err());
    }

    #[test]
    fn no_moment_makes_the_time_checks_panic(now in any::<i64>(), iat in any::<i64>(), exp in any::<u64>()) {
        let key = key();
        let token = key.sign(&key.header(), &with(claims(), json!({"iat": iat, "exp": exp}))).unwrap();
        let _ = verifier(&sso(), &key).verify(&token, now);
    }
}
