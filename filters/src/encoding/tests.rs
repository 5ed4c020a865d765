use http::HeaderValue;
use proptest::prelude::*;

use super::*;

#[path = "encode.rs"]
mod encode;

use encode::{Encoder, encoded};

const LIMITS: DecodeLimits = DecodeLimits { output: 1 << 20, ratio: 100 };

fn plain(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let coding = Coding::Gzip;
    decode(coding, body, LIMITS).map(Vec::from)
}

/// What comes out of a body that comes in these pieces, and how much was decoded before it was refused.
fn in_pieces<'p>(
    coding: Coding,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    limits: DecodeLimits,
) -> (Result<Vec<u8>, DecodeError>, u64) {
    let (mut decoder, mut chunk, mut out) = (Decoder::new(coding, limits), vec![0; CHUNK], Vec::new());
    for mut piece in pieces {
        loop {
            match decoder.run(&mut piece, &mut chunk) {
                Ok(0) => break,
                Ok(given) => out.extend_from_slice(&chunk[..given]),
                Err(error) => return (Err(error), decoder.given),
            }
        }
        assert!(piece.is_empty());
    }
    (decoder.finish().map(|()| out), decoder.given)
}

/// Text as it is in messages: words, again and again.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| b"{\"role\":\"user\",\"content\":\"hello "[(at * at / 7) % 32]).collect()
}

#[test]
fn every_coding_is_undone() {
    for coding in Coding::ALL {
        for length in [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 200_000] {
            let text = text(length);
            let decoded = decode(coding, &encoded(coding, &text), DecodeLimits { ratio: 1000, ..LIMITS }).unwrap();
            assert!(decoded == text, "{coding:?} {length}");
        }
    }
}

#[test]
fn a_content_encoding_is_one_known_name_or_identity() {
    for (values, want) in [
        (&[][..], Ok(None)),
        (&["identity"], Ok(None)),
        (&["Identity", "identity"], Ok(None)),
        (&["gzip"], Ok(Some(Coding::Gzip))),
        (&["X-GZip"], Ok(Some(Coding::Gzip))),
        (&["deflate"], Ok(Some(Coding::Deflate))),
        (&["br"], Ok(Some(Coding::Brotli))),
        (&["ZSTD"], Ok(Some(Coding::Zstd))),
        (&[""], Err(UnknownCoding)),
        (&["compress"], Err(UnknownCoding)),
        (&["dcb"], Err(UnknownCoding)),
        (&["aws-chunked"], Err(UnknownCoding)),
        (&["gzip, gzip"], Err(UnknownCoding)),
        (&["gzip,"], Err(UnknownCoding)),
        (&["gzip;q=1"], Err(UnknownCoding)),
        (&["identity, gzip"], Err(UnknownCoding)),
        (&["gzip", "gzip"], Err(UnknownCoding)),
        (&["identity", "gzip"], Err(UnknownCoding)),
        (&["gzip", "identity"], Err(UnknownCoding)),
    ] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        assert_eq!(Coding::of(&headers), want, "{values:?}");
    }
}

/// In any pieces, whole and broken bodies come to the same.
#[test]
fn attack_43_what_is_not_exactly_one_body_is_refused_however_it_comes() {
    for coding in Coding::ALL {
        let name = coding.as_str();
        let text = text(3000);
        let whole = encoded(coding, &text);
        let with = |more: &[u8]| [&whole, more].concat();
        let changed = |at: usize| {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            changed
        };
        let (truncated, trailing) = (DecodeError::Truncated(name), DecodeError::Trailing(name));
        for (case, body, want) in [
            ("itself", whole.clone(), Ok(())),
            ("nothing", Vec::new(), Err(truncated)),
            ("all but a byte", whole[..whole.len() - 1].to_vec(), Err(truncated)),
            ("half", whole[..whole.len() / 2].to_vec(), Err(truncated)),
            ("a zero behind", with(&[0]), Err(trailing)),
            ("text behind", with(b"{\"a\":1}"), Err(trailing)),
            ("itself again", with(&whole), Err(trailing)),
            ("nothing again", with(&encoded(coding, b"")), Err(trailing)),
        ] {
            let want = want.map(|()| text.clone());
            assert_eq!(in_pieces(coding, [&body[..]], LIMITS).0, want, "{name}: {case}");
            assert_eq!(in_pieces(coding, body.chunks(1), LIMITS).0, want, "{name}: {case}, byte by byte");
            assert_eq!(in_pieces(coding, body.chunks(7), LIMITS).0, want, "{name}: {case}, in sevens");
        }
        assert!(decode(coding, &changed(0), LIMITS).is_err(), "{name}: its first byte");
        assert!(decode(coding, &text, LIMITS).is_err(), "{name}: not encoded at all");
        for other in Coding::ALL.into_iter().filter(|other| *other != coding) {
            assert!(decode(other, &whole, LIMITS).is_err(), "{name} as {other:?}");
        }
        if coding != Coding::Brotli && coding != Coding::Zstd {
            assert!(decode(coding, &changed(whole.len() - 1), LIMITS).is_err(), "{name}: its checksum");
        }
    }
}

#[test]
fn what_readers_of_gzip_and_deflate_disagree_about_is_refused() {
    let body = encoded(Coding::Gzip, b"hello");
    let (head, rest) = body.split_at(10);
    let with = |flags: u8, fields: &[u8]| {
        let mut head = head.to_vec();
        head[3] = flags;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&head);
        sum.update(fields);
        let sum = sum.finalize().to_le_bytes();
        let sum: &[u8] = if flags & 2 != 0 { &sum[..2] } else { &[] };
        [&head, fields, sum, rest].concat()
    };
    let long = [&[b'a'; 2000][..], &[0]].concat();
    for (case, body, passes) in [
        ("a name", with(8, b"a.json\0"), true),
        ("a comment", with(16, b"made up\0"), true),
        ("an extra field", with(4, b"\x03\0abc"), true),
        ("a checksum of the head", with(2, b""), true),
        ("all of them", with(31, b"\x01\0xname\0comment\0"), true),
        ("a long name", with(8, &long), false),
        ("a reserved flag", with(32, b""), false),
        (
            "another method",
            {
                let mut body = body.clone();
                body[2] = 7;
                body
            },
            false,
        ),
        (
            "a wrong checksum of the head",
            {
                let mut body = with(2, b"");
                body[10] ^= 1;
                body
            },
            false,
        ),
        (
            "a wrong length",
            {
                let mut body = body.clone();
                let last = body.len() - 4;
                body[last] ^= 1;
                body
            },
            false,
        ),
        (
            "a wrong checksum",
            {
                let mut body = body.clone();
                let last = body.len() - 8;
                body[last] ^= 1;
                body
            },
            false,
        ),
    ] {
        assert_eq!(plain(&body).is_ok(), passes, "{case}");
        assert_eq!(in_pieces(Coding::Gzip, body.chunks(1), LIMITS).0.is_ok(), passes, "{case}, byte by byte");
    }
    let raw = &rest[..rest.len() - 8];
    assert!(decode(Coding::Deflate, raw, LIMITS).is_err(), "without the wrapper of zlib");
    // FDICT: its text depends on a dictionary that nobody here has.
    let dictionary = [&[0x78, 0xbb, 0, 0, 0, 1][..], raw].concat();
    assert!(decode(Coding::Deflate, &dictionary, LIMITS).is_err(), "a preset dictionary");
}

#[test]
fn frames_of_zstd_that_are_skipped_or_need_a_dictionary_are_refused() {
    let frame = encoded(Coding::Zstd, b"hello");
    let skipped = b"\x50\x2a\x4d\x18\x04\0\0\0skip";
    let malformed = Err(DecodeError::Malformed("zstd"));
    assert_eq!(decode(Coding::Zstd, skipped, LIMITS), malformed);
    assert_eq!(decode(Coding::Zstd, &[&skipped[..], &frame].concat(), LIMITS), malformed);
    // With a content checksum of its own kind of wrongness, and a frame of the time before the RFC.
    assert_eq!(decode(Coding::Zstd, b"\x27\xb5\x2f\xfd\x00", LIMITS), malformed);
    // Dictionary 7: `Dictionary_ID_flag` 1.
    assert_eq!(decode(Coding::Zstd, b"\x28\xb5\x2f\xfd\x01\x00\x07\x01\x00\x00", LIMITS), malformed);
}

#[test]
fn attack_43_a_window_above_the_bound_is_refused_before_it_is_made() {
    // `Window_Descriptor` with an exponent of 13, 14 and 21: 8 MiB, 16 MiB, 2 GiB.
    for (exponent, want) in [(13_u8, Ok(())), (14, Err(())), (21, Err(()))] {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1, 0, 0];
        let mut decoder = Decoder::new(Coding::Zstd, LIMITS);
        let got = decoder.run(&mut &frame[..], &mut [0; 64]).map(drop);
        assert_eq!(got, want.map_err(|()| DecodeError::Window("zstd")), "{exponent}");
        assert!(decoder.memory() <= (9 << 20), "{exponent}: {}", decoder.memory());
    }
    // 23 and 24 bits.
    for (first, want) in [(0x0d_u8, Ok(())), (0x0f, Err(DecodeError::Window("br")))] {
        let mut decoder = Decoder::new(Coding::Brotli, LIMITS);
        assert_eq!(decoder.run(&mut &[first][..], &mut [0; 64]).map(drop), want, "{first}");
        assert!(decoder.memory() <= (9 << 20), "{first}: {}", decoder.memory());
    }
    // The large windows of brotli, which the RFC does not have.
    assert!(decode(Coding::Brotli, &[0x11, 0x1e, 0, 0], LIMITS).is_err());
    for (first, bits) in [(0x00, 16), (0x01, 17), (0x21, 10), (0x71, 15), (0x03, 18), (0x0b, 22), (0x0f, 24)] {
        assert_eq!(brotli::window_bits(first), bits, "{first:#x}");
    }
}

/// By bytes and by ratio, a bomb is cut while it is decoded.
#[test]
fn attack_43_a_bomb_is_never_decoded_beyond_its_limit_and_one_chunk() {
    for coding in Coding::ALL {
        let name = coding.as_str();
        let bomb = encoded(coding, &vec![b'0'; 3 << 20]);
        let length = u64::try_from(bomb.len()).unwrap();
        for (limits, most) in [
            (DecodeLimits { output: 1000, ratio: 1000 }, 1000),
            (DecodeLimits { output: 1 << 20, ratio: 1_000_000 }, 1 << 20),
            (DecodeLimits { output: 10 << 20, ratio: 10 }, (length + 1024) * 10),
            (DecodeLimits { output: 10 << 20, ratio: 1 }, DecodeLimits::FREE),
        ] {
            for size in [bomb.len(), 1000, 1] {
                let (got, given) = in_pieces(coding, bomb.chunks(size), limits);
                let error = got.unwrap_err();
                assert_eq!(error.reason(), Reason::TooLarge, "{name}: {error}");
                let most = most.max(DecodeLimits::FREE.min(limits.output)) + u64::try_from(CHUNK).unwrap();
                assert!(given <= most, "{name} in pieces of {size}: {given} bytes, and {most} are allowed");
            }
        }
        let nested = encoded(coding, &bomb);
        assert!(decode(coding, &nested, LIMITS).unwrap() == bomb, "{name}: one layer comes off, and no more");
    }
}

#[test]
fn a_small_body_may_be_compressed_as_well_as_it_can() {
    for coding in Coding::ALL {
        let text = vec![b' '; usize::try_from(DecodeLimits::FREE).unwrap()];
        let body = encoded(coding, &text);
        assert!(body.len() < 200, "{coding:?}");
        let limits = DecodeLimits { ratio: 1, ..LIMITS };
        assert!(decode(coding, &body, limits).unwrap() == text, "{coding:?}");
    }
    assert_eq!(LIMITS.most(10), 102_400);
    assert_eq!(DecodeLimits { ratio: 2, ..LIMITS }.most(10), DecodeLimits::FREE);
    assert_eq!(LIMITS.most(1 << 30), 1 << 20);
}

#[test]
fn what_a_server_flushed_comes_out_at_once() {
    for coding in Coding::ALL {
        let (mut encoder, mut decoder) = (Encoder::new(coding), Decoder::new(coding, LIMITS));
        for number in 0..40 {
            let event = format!("data: {{\"delta\":\"word {number}\"}}\n\n");
            let body = encoder.flush(event.as_bytes());
            let (mut rest, mut out, mut chunk) = (&body[..], Vec::new(), [0; 64]);
            loop {
                let given = decoder.run(&mut rest, &mut chunk).unwrap();
                out.extend_from_slice(&chunk[..given]);
                if given == 0 {
                    break;
                }
            }
            assert_eq!(String::from_utf8(out).unwrap(), event, "{coding:?}");
        }
        assert!(decoder.finish().is_err());
        let end = encoder.finish();
        assert_eq!(decoder.run(&mut &end[..], &mut [0; 64]), Ok(0), "{coding:?}");
        assert_eq!(decoder.finish(), Ok(()), "{coding:?}");
        assert!(decoder.memory() > 1000 && decoder.memory() < 9 << 20, "{coding:?}: {}", decoder.memory());
    }
}

#[test]
fn a_panic_of_a_decoder_is_a_refusal() {
    let mut decoder = Decoder::new(Coding::Gzip, LIMITS);
    decoder.body = Body::Panics;
    for _ in 0..2 {
        assert_eq!(decoder.run(&mut &b"x"[..], &mut [0; 8]), Err(DecodeError::Failed("gzip")));
    }
    assert_eq!(decoder.finish(), Err(DecodeError::Failed("gzip")));
    assert_eq!(DecodeError::Failed("gzip").reason(), Reason::Undecided);
}

fn coding() -> impl Strategy<Value = Coding> {
    prop::sample::select(Coding::ALL.to_vec())
}

/// Runs of bytes: some compress well, some not at all.
fn runs() -> impl Strategy<Value = Vec<u8>> {
    let run = (any::<bool>(), any::<u8>(), 0_usize..6000).prop_map(|(random, seed, length)| {
        let mut state = u64::from(seed) + 1;
        let next = move |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if random { state.to_le_bytes()[7] } else { seed }
        };
        (0..length).map(next).collect::<Vec<u8>>()
    });
    prop::collection::vec(run, 0..6).prop_map(|runs| runs.concat())
}

/// `body` cut where `cuts` say.
fn pieces<'b>(body: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    at.sort_unstable();
    let ends = at.iter().copied().chain([body.len()]);
    let starts = std::iter::once(0).chain(at.iter().copied());
    starts.zip(ends).map(|(start, end)| &body[start..end]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(2000) / 4, ..ProptestConfig::default() })]

    #[test]
    fn any_pieces_of_a_body_give_its_text(coding in coding(), text in runs(), cuts: Vec<prop::sample::Index>) {
        let body = encoded(coding, &text);
        let (got, _) = in_pieces(coding, pieces(&body, &cuts), LIMITS);
        prop_assert!(got == Ok(text));
    }

    /// Limits and broken bodies: what is refused in one piece is refused in any, for the same reason.
    #[test]
    fn any_pieces_of_a_body_come_to_the_same(
        coding in coding(),
        text in runs(),
        cuts: Vec<prop::sample::Index>,
        flip: Option<(prop::sample::Index, u8)>,
        output in 0_u64..40_000,
        ratio in 1_u32..40,
        more: u8,
    ) {
        let mut body = encoded(coding, &[text, vec![b'x'; usize::from(more) * 600]].concat());
        if let Some((at, bits)) = flip {
            let at = at.index(body.len());
            body[at] ^= bits;
        }
        let limits = DecodeLimits { output, ratio };
        let (whole, _) = in_pieces(coding, [&body[..]], limits);
        let (got, given) = in_pieces(coding, pieces(&body, &cuts), limits);
        match (&whole, &got) {
            (Ok(whole), Ok(got)) => prop_assert!(whole == got),
            // Behind a broken byte nobody knows how much there would have been.
            (Err(whole), Err(got)) => prop_assert!(whole == got || flip.is_some(), "{} in one piece, {}", whole, got),
            _ => prop_assert!(false, "{:?} in one piece, {:?} in {}", whole.err(), got.err(), cuts.len() + 1),
        }
        prop_assert!(given <= output + u64::try_from(CHUNK).unwrap());
        // And in one go.
        prop_assert!(decode(coding, &body, limits).map(Vec::from) == whole);
    }

    #[test]
    fn no_bytes_do_harm(coding in coding(), body: Vec<u8>, cuts: Vec<prop::sample::Index>) {
        let _ = in_pieces(coding, pieces(&body, &cuts), LIMITS);
    }
}
