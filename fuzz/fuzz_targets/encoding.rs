//! Any bytes as a body in any coding, cut anywhere: no panic, no more than the limits allow, and the same as in one piece.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filters::encoding::{CHUNK, Coding, DecodeError, DecodeLimits, Decoder, decode};

const LIMITS: DecodeLimits = DecodeLimits { output: 1 << 20, ratio: 50 };

fn in_pieces(coding: Coding, body: &[u8], size: usize) -> Result<Vec<u8>, DecodeError> {
    let (mut decoder, mut chunk, mut out) = (Decoder::new(coding, LIMITS), vec![0; 1 + size * 37], Vec::new());
    for mut piece in body.chunks(size) {
        loop {
            let given = decoder.run(&mut piece, &mut chunk)?;
            out.extend_from_slice(&chunk[..given]);
            assert!(out.len() <= (1 << 20) + CHUNK && decoder.memory() <= Decoder::MOST_MEMORY);
            if given == 0 {
                break;
            }
        }
        assert!(piece.is_empty());
    }
    decoder.finish().map(|()| out)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (coding, size, body) = input;
    let coding = Coding::ALL[usize::from(coding) % Coding::ALL.len()];
    let whole = decode(coding, body, LIMITS);
    let pieces = in_pieces(coding, body, usize::from(size).max(1));
    // Behind a broken byte nobody knows how much there would have been, so that the reasons may differ.
    assert_eq!(whole.ok().map(Vec::from), pieces.ok());
});
