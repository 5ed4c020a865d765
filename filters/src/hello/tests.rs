use proptest::prelude::*;

use super::*;

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(content)].concat()
}

fn entry(kind: u8, host: &[u8]) -> Vec<u8> {
    [&[kind][..], &long(host)].concat()
}

fn sni(host: &[u8]) -> Vec<u8> {
    extension(SERVER_NAME, &long(&entry(0, host)))
}

/// The body of a hello with these extensions.
fn body(extensions: &[u8]) -> Vec<u8> {
    [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0], &long(extensions)].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[CLIENT_HELLO, length[1], length[2], length[3]], body].concat()
}

fn record_of(payload: &[u8]) -> Vec<u8> {
    [&[HANDSHAKE, 3, 1][..], &long(payload)].concat()
}

/// A whole hello that asks for `host`.
fn asking(host: &str) -> Vec<u8> {
    record_of(&message(&body(&[extension(43, &[2, 3, 4]), sni(host.as_bytes())].concat())))
}

fn with(extensions: &[Vec<u8>]) -> Vec<u8> {
    record_of(&message(&body(&extensions.concat())))
}

#[test]
fn a_hello_names_its_server_wherever_it_is_cut() {
    let whole = asking("API.Example.com");
    for cut in 0..whole.len() {
        assert_eq!(read(&whole[..cut]), Ok(Hello::Partial), "{cut}");
    }
    let want = Ok(Hello::Names("api.example.com".to_owned()));
    assert_eq!(read(&whole), want);
    assert_eq!(read(&[whole, vec![0; 100]].concat()), want, "what follows is not looked at");
}

#[test]
fn a_hello_may_come_in_any_number_of_records() {
    let whole = message(&body(&sni(b"api.example.com")));
    for size in 1..whole.len() {
        let records: Vec<u8> = whole.chunks(size).flat_map(record_of).collect();
        assert_eq!(read(&records), Ok(Hello::Names("api.example.com".to_owned())), "{size}");
    }
}

#[test]
fn attack_29_what_does_not_name_one_server_is_refused() {
    use HelloError::{Hidden, Malformed, NoName, NotAName, NotTls, Repeated, TooLong};
    let good = || sni(b"a.example.com");
    let two_entries = extension(SERVER_NAME, &long(&[entry(0, b"a.example.com"), entry(0, b"b.example.com")].concat()));
    let behind = record_of(&[message(&body(&good())), vec![1]].concat());
    let mut old = message(&body(&good()));
    old[4..6].copy_from_slice(&[2, 0]);
    let no_extensions = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 0x01], &[1, 0]].concat();
    let trailing = [body(&good()), vec![0]].concat();
    let long_session = [&[3, 3][..], &[7; 32], &[33], &[0; 33], &[0, 2, 0x13, 1], &[1, 0], &long(&good())].concat();
    let odd_suites = [&[3, 3][..], &[7; 32], &[0], &[0, 3, 0x13, 1, 2], &[1, 0], &long(&good())].concat();
    let compressed = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[2, 1, 0], &long(&good())].concat();
    for (case, bytes, want) in [
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), NotTls),
        ("SSH", b"SSH-2.0-x\r\n".to_vec(), NotTls),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2], NotTls),
        ("an alert", vec![21, 3, 1, 0, 2, 1, 0], NotTls),
        ("TLS from elsewhere", vec![22, 4], NotTls),
        ("another message", record_of(&[2, 0, 0, 0]), NotTls),
        ("an empty record", vec![22, 3, 1, 0, 0], Malformed),
        ("a record that is too long", vec![22, 3, 1, 0x40, 1], Malformed),
        ("a hello that is too long", record_of(&[1, 0, 0x40, 1]), TooLong),
        ("another message behind", behind, Malformed),
        ("SSL 3", record_of(&old), Malformed),
        ("a long session", record_of(&message(&long_session)), Malformed),
        ("half a suite", record_of(&message(&odd_suites)), Malformed),
        ("compression", record_of(&message(&compressed)), Malformed),
        ("bytes behind the extensions", record_of(&message(&trailing)), Malformed),
        ("no extensions", record_of(&message(&no_extensions)), NoName),
        ("no name", with(&[extension(43, &[2, 3, 4])]), NoName),
        ("two names", with(&[two_entries]), Repeated),
        ("two lists", with(&[good(), good()]), Repeated),
        ("another extension twice", with(&[good(), extension(43, &[]), extension(43, &[])]), Repeated),
        ("a hidden name beside", with(&[good(), extension(0xfe0d, &[0; 8])]), Hidden),
        ("an older hidden name", with(&[extension(0xffce, &[0; 8]), good()]), Hidden),
        ("another type of name", with(&[extension(0, &long(&entry(1, b"a.example.com")))]), NotAName),
        ("no host in it", with(&[sni(b"")]), NotAName),
        ("an address", with(&[sni(b"10.0.0.1")]), NotAName),
        ("a NUL", with(&[sni(b"a.example.com\0.evil.net")]), NotAName),
        ("a final dot", with(&[sni(b"a.example.com.")]), NotAName),
        ("not UTF-8", with(&[sni(b"\xff.example.com")]), NotAName),
        ("a list that ends early", with(&[extension(0, &[0, 9, 0])]), Malformed),
        ("bytes behind the list", with(&[extension(0, &[long(&entry(0, b"a")), vec![0]].concat())]), Malformed),
    ] {
        assert_eq!(read(&bytes), Err(want), "{case}");
    }
}

#[test]
fn a_hello_that_does_not_end_is_not_waited_for() {
    let drip: Vec<u8> = std::iter::repeat_n(record_of(&[1, 0, 0x3f, 0xff]), 1).flatten().collect();
    let mut bytes = drip;
    while bytes.len() < MAX_HELLO {
        assert_eq!(read(&bytes), Ok(Hello::Partial), "{}", bytes.len());
        bytes.extend(record_of(&[0]));
    }
    assert_eq!(read(&bytes), Err(HelloError::TooLong));
}

proptest! {
    #[test]
    fn attack_28_any_bytes_are_judged_and_more_bytes_never_undo_a_refusal(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            (prop::collection::vec(any::<u8>(), 0..80), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(tail, at, byte)| {
                let mut hello = asking("a.example.com");
                let at = at.index(hello.len());
                hello[at] = byte;
                hello.extend(tail);
                hello
            }),
        ],
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = read(&bytes);
        let part = read(&bytes[..cut.index(bytes.len() + 1)]);
        match part {
            Ok(Hello::Partial) => {}
            decided => prop_assert_eq!(decided, whole),
        }
    }

    #[test]
    fn the_name_is_read_back(host in "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z]{1,10}){0,3}", extra in prop::collection::vec((1_u16..60, prop::collection::vec(any::<u8>(), 0..20)), 0..6)) {
        prop_assume!(host.rsplit('.').next().unwrap().bytes().any(|b| b.is_ascii_alphabetic()));
        let mut kinds: Vec<u16> = extra.iter().map(|(kind, _)| *kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        prop_assume!(kinds.len() == extra.len());
        let mut extensions: Vec<Vec<u8>> = extra.iter().map(|(kind, content)| extension(*kind, content)).collect();
        extensions.insert(extensions.len() / 2, sni(host.as_bytes()));
        prop_assert_eq!(read(&with(&extensions)), Ok(Hello::Names(host)));
    }
}
