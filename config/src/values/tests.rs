use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::Material;
use crate::Report;
use crate::decode::MaterialRule;
use crate::decode::Scalar;

fn read<T: Scalar>(text: &str) -> Result<T, u16> {
    let mut report = Report::new();
    let material = MaterialRule::new(Path::new("/etc/postern"), true, "default");
    T::read(text, &Cx::new(&mut report, material)).map_err(|fault| fault.code.0)
}

/// Every good text is taken, every bad one refused.
fn table<T: Scalar>(good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(read::<T>(text).is_ok(), "{}: `{text}`", T::NAME);
    }
    for text in bad {
        assert!(read::<T>(text).is_err(), "{}: `{text}`", T::NAME);
    }
}

#[test]
fn scalars_take_their_form_and_nothing_else() {
    let long = "a".repeat(64);
    table::<Name>(&["a", "a-1", &long[1..]], &["", "A", "-a", "a-", "a_b", "a.b", "ä", &long]);
    table::<Host>(
        &["a.example", "localhost", "*.example.com", "127.0.0.1", "A.Example"],
        &["", "*", "*.com", "a.*.com", "http://a", "a:80", "a/b", "a..b", ".a", "a_b", "-a.b"],
    );
    table::<Pointer>(&["/a", "/a/b~1c", "/"], &["", "a", "/a~2", "/~"]);
    table::<PathPrefix>(
        &["/", "/v1", "/a/b-c_d.e"],
        &["", "v1", "/v1/", "//", "/a//b", "/a/../b", "/.", "/%41", "/a?b", "/*", "/a;b", "/ä"],
    );
    table::<PathGlob>(&["/", "/**", "/v1/*", "/a*b"], &["", "v1", "/a//b", "/a/../b", "/%2e", "/***", "/a?b", "*"]);
    table::<Method>(&["GET", "PATCH", "CONNECT"], &["get", "", "TRACE", "G-T"]);
    table::<MediaType>(
        &["application/json", "text/event-stream", "Application/JSON"],
        &["json", "*/*", "text/*", "a/b; c=d", "a/b/c", "/"],
    );
    table::<HeaderName>(&["X-Key", "authorization"], &["", "X Key", "X:", "Ä"]);
    table::<HeaderValue>(&["a", "max-age=1; x", ""], &["a\r\nb", " a", "ä"]);
    table::<Origin>(
        &["https://a.example", "http://localhost:3000"],
        &[
            "a.example",
            "https://a.example/",
            "https://a.example:443",
            "*",
            "https://*.example",
            "null",
            "https://u@a.example",
        ],
    );
    table::<Issuer>(
        &["https://a.example/x", "http://127.0.0.1:9000", "http://localhost", "http://[::1]:1"],
        &["http://a.example", "a", "ftp://a"],
    );
    table::<CallUrl>(
        &["https://a.example/keys", "https://a.example/keys?p=b2c", "http://127.0.0.1:9000/keys", "http://[::1]:1/"],
        &[
            "http://a.example/",
            "a",
            "ftp://a/",
            "https://u@a/",
            "https://a/#x",
            "https://a/?x#y",
            "https://a/?x y",
            "https://a\\b/",
        ],
    );
    table::<LogOrigin>(&["audit.example.com/edge"], &["", "a b", "a+b", "https://a", "a\nb"]);
    table::<PeerName>(
        &["spiffe://example.org/ns/**", "spiffe://example.org/a", "a.example", "*.example.com"],
        &["spiffe://*/a", "spiffe:///a", "spiffe://Example.org/a", "*", "**", ""],
    );
    table::<KeyPrefix>(
        &["acme_", "sk-", "a1_", "Live-Key_"],
        &["", "a_", "acme", "acme ", "_acme", "äme_", "eyJ_", "a.b_", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_"],
    );
    table::<SpiffeName>(
        &["spiffe://example.org/ns/pay", "spiffe://a/b"],
        &[
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://example.org/*",
            "spiffe://Example.org/a",
            "a.example",
            "",
        ],
    );
    table::<Percent>(&["0", "80", "100"], &["101", "-1", "80%", "1Ki", "8.5", ""]);
    table::<Time>(
        &["2027-01-31T00:00:00Z", "2027-01-31T00:00:00.5+02:00"],
        &["2027-01-31", "2027-01-31T00:00:00", "tomorrow", "2027-02-30T00:00:00Z"],
    );
    table::<HeaderFormat>(&["Bearer {secret}", "{secret}"], &["Bearer", "{secret}{secret}", "{secret}\r\nX: y", ""]);
    table::<BindAddress>(&["0.0.0.0:8443", "[::1]:0"], &["8443", "localhost:1", ":80", "1.2.3.4"]);
    let long = format!("unix:/{}", "a".repeat(107));
    table::<ListenAddress>(
        &["0.0.0.0:8443", "[::1]:0", "unix:/run/postern/a.sock", "unix:a.sock", "unix:../run/a.sock"],
        &["8443", "localhost:1", "unix:", "unix:/", "unix:a/", "unix://run/a", "unix:/a/..", "unix:/a\nb", &long],
    );
    table::<BuiltinDetector>(&["payment-card", "secret"], &["card", "", "Secret"]);
    table::<Cedar>(&["true"], &["", "  "]);
    table::<Glob>(&["gpt-*", "**"], &["", "***", "a\nb"]);
    table::<Claim>(&["sub", "https://example.com/groups"], &["", "a b", "ä"]);
}

#[test]
fn codes_of_their_own_are_kept() {
    assert_eq!(read::<Issuer>("http://a.example").map(|_| ()), Err(12));
    assert_eq!(read::<Origin>("https://*.a.example").map(|_| ()), Err(41));
    assert_eq!(read::<RsaBits>("1024").map(|_| ()), Err(32));
    for pattern in ["(", "(?=a)", "a*", "", "(a{999}){999}", &"a".repeat(1025)] {
        assert_eq!(read::<Pattern>(pattern).map(|_| ()), Err(53), "{pattern}");
    }
    assert!(read::<Pattern>(r"\bACME-\d{6}\b").is_ok());
}

#[test]
fn an_upstream_address_is_taken_apart() {
    for (text, https, host, port, base) in [
        ("https://api.openai.com", true, "api.openai.com", 443, ""),
        ("http://127.0.0.1:8080/", false, "127.0.0.1", 8080, ""),
        ("https://[2001:db8::1]:8443/base/v1/", true, "2001:db8::1", 8443, "/base/v1"),
    ] {
        let url = read::<UpstreamUrl>(text).unwrap();
        let place = UpstreamPlace::Tcp { host: host.to_owned(), port };
        assert_eq!((url.https, url.place, url.base_path.as_str()), (https, place, base), "{text}");
    }
    let url = read::<UpstreamUrl>("unix:/run/app.sock").unwrap();
    assert_eq!((url.https, url.place), (false, UpstreamPlace::Unix("/run/app.sock".into())));
    table::<UpstreamUrl>(
        &[],
        &[
            "",
            "api.openai.com",
            "https://",
            "https://a:0",
            "https://a:99999",
            "https://a:x",
            "https://u:p@a",
            "https://a?b",
            "https://a#b",
            "https://a/../b",
            "https://a//b",
            "https://a\\b",
            "ftp://a",
            "https://[::1",
            "https://a b",
            "HTTPS://a",
            "unix:",
            "unix:/",
            "unix:app.sock",
            "unix:@abstract",
            "unix://run/app.sock",
            "unix:/run/../app.sock",
            "unix:/run/./app.sock",
            "unix:/run//app.sock",
            "unix:/run/app.sock/",
            "unix:/run/a\u{0}b",
            &format!("unix:/{}", "a".repeat(107)),
        ],
    );
}

#[test]
fn material_is_named_never_repeated() {
    assert_eq!(read::<Material>("env:OPENAI_KEY"), Ok(Material::Env("OPENAI_KEY".into())));
    assert_eq!(read::<Material>("file:tls/./a.key"), Ok(Material::File("/etc/postern/tls/a.key".into())));
    assert_eq!(read::<Material>("file:/run/a"), Ok(Material::File("/run/a".into())));
    for (text, code) in [
        ("secret:a/b", 7),
        ("credential:a/b", 4),
        ("credential:a", 2),
        ("env:", 2),
        ("env:1A", 2),
        ("env:A-B", 2),
        ("file:", 2),
        ("file://a/b", 2),
        ("hunter2", 2),
        ("", 2),
    ] {
        assert_eq!(read::<Material>(text), Err(code), "{text}");
    }
    let mut report = Report::new();
    for local in [true, false] {
        let material = MaterialRule::new(Path::new(""), local, "default");
        for text in ["hunter2", "env:hunter2!", "hunter2:x"] {
            let fault = Material::read(text, &Cx::new(&mut report, material)).unwrap_err();
            assert!(!fault.message.contains("hunter2"), "{}", fault.message);
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_scalar_panic(text in ".{0,40}") {
        let _ = (read::<UpstreamUrl>(&text), read::<Origin>(&text), read::<Host>(&text), read::<PathPrefix>(&text), read::<PathGlob>(&text));
        let _ = (read::<Material>(&text), read::<Pointer>(&text), read::<PeerName>(&text), read::<Pattern>(&text), read::<HeaderFormat>(&text));
        let _ = read::<Time>(&text);
    }

    #[test]
    fn no_address_makes_the_parser_panic(tail in "[a-z0-9:/\\[\\]@.%ä-]{0,20}") {
        let _ = read::<UpstreamUrl>(&format!("https://{tail}"));
    }
}
