//! RSA public keys that are not worth verifying with.

/// Small primes that ROCA moduli (CVE-2017-15361) give away: such a modulus is a power of 65537 modulo each of them.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Bits of a big-endian number without leading zeros.
pub(super) fn bits(number: &[u8]) -> usize {
    let leading = number.first().map_or(0, |b| b.leading_zeros());
    (number.len() * 8).saturating_sub(usize::try_from(leading).unwrap_or_default())
}

/// Whether an exponent is odd, at least 3 and at most 33 bits, the range aws-lc-rs verifies with.
pub(super) fn is_sound_exponent(exponent: &[u8]) -> bool {
    let odd = exponent.last().is_some_and(|b| b & 1 == 1);
    odd && exponent != [1] && (2..=33).contains(&bits(exponent))
}

/// Whether a modulus has the fingerprint of keys whose primes a broken generator made, so that they can be factored.
pub(super) fn is_roca(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&p| {
        let residue = modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % p);
        is_power_of_65537(residue, p)
    })
}

fn is_power_of_65537(residue: u32, p: u32) -> bool {
    let mut power = 1;
    for _ in 0..p {
        if power == residue {
            return true;
        }
        power = power * (65537 % p) % p;
    }
    false
}
