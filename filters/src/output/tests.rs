//! Tables of what leaves of answers, and that it does not depend on how a stream is cut.

use postern_config::{Direction, Owned, RuntimeSecurity};

use super::*;
use crate::TextGuards as _;
use crate::scan::{ContentGuards, defaults};

fn owned<T>(value: T) -> Owned<T> {
    Owned { value, owner: "RuntimeSecurityPolicy/default/r".to_owned() }
}

/// Guards of answers with links to `good.example` and below `docs.example`.
fn guards(markup: Option<Markup>) -> ContentGuards {
    let (data, _) = defaults();
    let data = postern_config::DataProtection { rules: Vec::new(), ..data };
    let hosts = ["good.example", "*.docs.example"].map(str::to_owned).to_vec();
    let output = Demands { links: vec![owned(hosts)], markup: markup.map(owned), ..Demands::default() };
    let runtime = RuntimeSecurity { output, ..RuntimeSecurity::default() };
    ContentGuards::compile(&data, &runtime, Direction::Response).unwrap()
}

fn whole(guards: &ContentGuards, text: &str) -> (String, usize) {
    let judgement = guards.judge(Part::Assistant, text);
    assert!(!judgement.blocked);
    (apply(text, &judgement.edits).unwrap(), judgement.findings.len())
}

fn streamed(guards: &ContentGuards, text: &str, cuts: &[usize]) -> (String, usize) {
    let (mut guard, mut at) = (guards.open(Part::Assistant), 0);
    let (mut out, mut found) = (String::new(), 0);
    for &cut in cuts.iter().chain([&text.len()]) {
        let step = guard.push(&text[at..cut]);
        out.push_str(&step.release);
        found += step.findings.len();
        at = cut;
    }
    let step = guard.finish();
    assert!(!guard.is_holding());
    (out + &step.release, found + step.findings.len())
}

fn check(guards: &ContentGuards, text: &str, want: &str) {
    let got = whole(guards, text);
    assert_eq!(got.0, want, "{text:?}");
    assert_eq!(got.1 > 0, got.0 != text, "{text:?}: what is changed is told of");
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
    assert_eq!(streamed(guards, text, &places), got, "{text:?}, every character by itself");
    for at in &places {
        assert_eq!(streamed(guards, text, &[*at]), got, "{text:?} cut at {at}");
    }
}

const L: &str = links::LABEL;

#[test]
fn links_that_lead_elsewhere_are_taken_out_wherever_they_stand() {
    let guards = guards(None);
    for (text, want) in [
        // Bare, and with everything that stands around them.
        ("see https://evil.com/?q=secret.", "see L"),
        ("(see https://evil.com/a)", "(see L)"),
        ("HTTPS://EVIL.COM", "L"),
        ("http://evil.com:8080/x and more", "L and more"),
        ("\"https://evil.com/a\",\"b\"", "\"L\",\"b\""),
        ("https:/evil.com", "L"),
        ("https:\\\\evil.com", "L"),
        ("https:\\/\\/evil.com\\/a", "L"),
        ("https:///evil.com", "L"),
        ("ftp://good.example/a", "L"),
        ("file:/etc/passwd", "L"),
        ("slack://open?x=y", "L"),
        ("javascript:alert(1)", "L)"),
        ("mailto:x@evil.com?body=secret", "L"),
        ("data:text/html;base64,AAAA", "L"),
        ("http://[::1]/", "L]/"),
        ("http://2130706433/", "L"),
        ("https://", "L"),
        // Hosts that only look like one that is allowed.
        ("https://good.example@evil.com/", "L"),
        ("https://good.example:x@evil.com/", "L"),
        ("https://good.example\\@evil.com/", "L"),
        ("https://good.example.evil.com/", "L"),
        ("https://good.example%2eevil.com/", "L"),
        ("https://good.example&#46;evil.com/", "L"),
        ("https://good.example\u{3002}evil.com/", "L"),
        ("https://good.example\u{200b}.evil.com/", "L"),
        ("https://good.example).x.evil.com/", "L).L"),
        ("https://good.example*.x.evil.com/", "L"),
        ("https://good.example:80.evil.com/", "L"),
        ("https://good.example:123456/", "L"),
        ("https://g\u{43e}od.example/", "L"),
        ("https://\u{ff47}ood.example/", "L"),
        ("https://xn--god-hqa.example/", "L"),
        ("htt\u{200b}ps://evil.com/", "htt\u{200b}L"),
        ("&#104;ttps://evil.com/", "&#104;L"),
        ("https&colon;//evil.com/", "L"),
        ("https&#58;&sol;&sol;evil.com/", "L"),
        ("https\\://evil.com/", "L"),
        // Without a scheme.
        ("www.evil.com", "L"),
        ("at www.evil/x?y", "at L"),
        ("c2VjcmV0.evil.com", "L"),
        ("evil.com/?q=secret", "L"),
        ("evil.com?q=secret", "L"),
        ("evil.com:8080/secret", "L"),
        ("//evil.com/secret", "L"),
        ("\\\\evil.com\\share", "L"),
        ("url(//evil/x)", "url(L)"),
        ("src=\"//evil/x\"", "src=\"L\""),
        ("10.0.0.1/x", "L"),
        // Markdown.
        ("[x](https://evil.com/a)", "[x](L)"),
        ("![x](https://evil.com/a \"title\")", "![x](L \"title\")"),
        ("[![x](https://evil.com/a)](https://good.example/)", "[![x](L)](https://good.example/)"),
        ("![x](//evil.com/a)", "![x](L)"),
        ("![x](\\/\\/evil.com)", "![x](L)"),
        ("![x](\\\\\\\\evil.com)", "![x](L)"),
        ("![x](/\\evil.com)", "![x](L)"),
        ("![x](&#47;&#x2f;evil.com)", "![x](L)"),
        ("![x](&#104;ttps&colon;//evil.com)", "![x](L)"),
        ("![x](/&Tab;/evil.com)", "![x](L)"),
        ("![x](<https://evil.com/a b>)", "![x](<L>)"),
        ("![x]( \n https://evil.com/a)", "![x]( \n L)"),
        ("![x](https:evil.com)", "![x](L)"),
        ("[x](java&#115;cript:alert(1))", "[x](L)"),
        ("[x](data:,x)", "[x](L)"),
        ("[x](https://good.example(a).evil.com)", "[x](L)"),
        ("[x](https://good.example&#64;evil.com)", "[x](L)"),
        ("[x](evil.com/?q=1)", "[x](L)"),
        ("[x](a,https://evil.com/)", "[x](a,L)"),
        ("[x]: https://evil.com/a\n![y][x]", "[x]: L\n![y][x]"),
        ("[x]:\n  //evil.com/a", "[x]:\n  L"),
        ("[x]: <https://evil.com/a>", "[x]: <L>"),
        ("<https://evil.com/a>", "<L>"),
        // Several, and in each other.
        ("https://good.example/?u=https://evil.com/x", "https://good.example/?u=L"),
        ("https://evil.com/ https://good.example/ https://evil.com/", "L https://good.example/ L"),
    ] {
        check(&guards, text, &want.replace('L', L));
    }
}

#[test]
fn what_leads_nowhere_or_to_an_allowed_host_stays() {
    let guards = guards(None);
    for text in [
        "",
        "Plain text, with 1.5 points; e.g. this: a/b and c//d, x: y, 12:30, 3.14.",
        "https://good.example",
        "See https://good.example. Then (https://good.example), or https://good.example!",
        "https://GOOD.example:8443/a/b?c=d&e=f#g and on",
        "[x](https://good.example/a_(b)) ![y](https://a.docs.example/i.png \"t\")",
        "[x](https://good.example)text",
        "**https://good.example/** `https://good.example` \"https://good.example\",",
        "//good.example/x and www.docs.example and a.docs.example/x",
        "[x](//good.example/x) [x](/a//b) [x](#top) [x](a/b.md#c) [x](readme.md) [x]()",
        "[note]: see below\n[1]: https://good.example/x",
        "// a comment\n//note: x\nlet y = a[0]; // done",
        "readme.md, main.rs:12:5, src/lib.rs, ASP.NET, node.js, self.config.value, v1.2.3.4",
        "C:\\\\Users\\x, \\frac{a}{b} \\\\ \\\\alpha, d:/x",
        "mia@mail.example.com said hello; AT&T &amp; &lt;b&gt; &unknown; &",
        "data: x, file:line, note:thing, http: the protocol, key:value::pair",
        "你好。这是一个例子。https://good.example/路径 好的",
        "{\"url\":\"https://good.example\",\"n\":1}",
        "https://good.example/a//b.evil.com/c",
        "trailing https://good.example/",
    ] {
        check(&guards, text, text);
    }
}

#[test]
fn links_are_looked_for_in_what_is_left_of_markup() {
    let guards = guards(Some(Markup::Strip));
    for (text, want) in [
        ("<img src=\"https://evil.com/?q=1\">", ""),
        ("<a href=//evil.com>x</a>", "x"),
        ("https://good.example<b>.evil.com/</b>", "L"),
        ("ht<b></b>tps://evil.com/x", "L"),
        ("https:/<i>/evil.com/x", "L"),
        ("![x](<b>https://evil.com</b>)", "![x](L)"),
        ("<https://evil.com/x>", "L"),
        ("<https://good.example/x>", "https://good.example/x"),
        ("<img src=https://evil.com/x", "&lt;img src=L"),
        ("<svg><image href=\"https://evil.com/\"/></svg>ok", "ok"),
        ("<style>p{background:url(https://evil.com/)}</style>ok", "ok"),
        ("[x](https://good.example/<b>a</b>)", "[x](https://good.example/a)"),
    ] {
        let got = whole(&guards, text);
        assert_eq!(got.0, want.replace('L', L), "{text}");
        for (at, _) in text.char_indices().skip(1) {
            assert_eq!(streamed(&guards, text, &[at]), got, "{text} cut at {at}");
        }
    }
}

#[test]
fn attack_49_tags_hide_nothing_from_detectors() {
    let (data, _) = defaults();
    let hidden = postern_config::RuntimeDetector {
        name: "hidden".to_owned(),
        owner: "RuntimeSecurityPolicy/default/r".to_owned(),
        kind: postern_config::RuntimeDetectorKind::HiddenText,
        parts: vec![Part::Assistant],
        threshold: 80,
        action: postern_config::RuntimeAction::Redact,
    };
    for mode in [Markup::Strip, Markup::Escape] {
        let output = Demands { markup: Some(owned(mode)), ..Demands::default() };
        let runtime = RuntimeSecurity { output, detectors: vec![hidden.clone()], ..RuntimeSecurity::default() };
        let guards = ContentGuards::compile(&data, &runtime, Direction::Response).unwrap();
        for text in [
            "key AKIA<b></b>IOSFODNN7EXAMPLQ.",
            "key AKIA<!-- a -->IOSFODNN7<i>EXAMPLQ</i>.",
            "key AKIA<style>x</style>IOSFODNN7EXAMPLQ.",
            // What hides the tag is taken out by a detector.
            "key AKIA<\u{200b}\u{200c}\u{200b}\u{200c}b>IOSFODNN7EXAMPLQ.",
            "card 4111 <b>1111</b> 1111 1111",
        ] {
            let (got, found) = whole(&guards, text);
            assert!(!got.contains("AKIAIOSF") && !got.contains("4111 1111"), "{mode:?} {text:?}: {got}");
            assert!(found > 0, "{text:?}");
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
            assert_eq!(streamed(&guards, text, &places).0, got, "{mode:?} {text:?}");
            for at in places {
                assert_eq!(streamed(&guards, text, &[at]).0, got, "{mode:?} {text:?} cut at {at}");
            }
        }
    }
}

#[test]
fn a_link_that_is_longer_than_what_is_held_is_taken_out_from_its_start() {
    let guards = guards(None);
    let (long, path) = ("a".repeat(5000), "/b".repeat(2500));
    for (text, want) in [
        (format!("x https://evil.com/{long} y"), format!("x {L} y")),
        (format!("x https://{long}.com/ y"), format!("x {L} y")),
        (format!("x ![i]({long}.png) y"), format!("x ![i]({L}) y")),
        (format!("x https://good.example{path} y"), format!("x https://good.example{path} y")),
        (format!("{long} {long}"), format!("{long} {long}")),
    ] {
        assert_eq!(whole(&guards, &text).0, want);
        let mut guard = guards.open(Part::Assistant);
        let (mut taken, mut released) = (0, String::new());
        for piece in text.as_bytes().chunks(7) {
            taken += piece.len();
            let step = guard.push(std::str::from_utf8(piece).unwrap());
            released.push_str(&step.release);
            let dropped = want.len() < text.len() && released.contains(L);
            assert!(dropped || taken - released.len() <= 520, "{} are held", taken - released.len());
        }
        released.push_str(&guard.finish().release);
        assert_eq!(released, want);
    }
}

#[test]
fn a_stalled_link_counts_as_one_that_leads_elsewhere() {
    let guards = guards(None);
    for (text, rest, want) in [
        ("see https://good.exa", "mple/x now", format!("see {L} now")),
        ("see https:/", "/evil.com/x now", format!("see {L} now")),
        ("see htt", "ps://evil.com/x now", format!("see htt{L} now")),
        ("a wor", "d and more", "a word and more".to_owned()),
        ("![x](rel", "ative.png) x", format!("![x]({L}) x")),
    ] {
        let mut guard = guards.open(Part::Assistant);
        let mut out = guard.push(text).release;
        assert!(guard.is_holding(), "{text}");
        out.push_str(&guard.stall().release);
        assert!(!guard.is_holding(), "{text}");
        out.push_str(&guard.push(rest).release);
        out.push_str(&guard.finish().release);
        assert_eq!(out, want, "{text} {rest}");
    }
}

#[test]
fn every_cut_of_every_mix_leaves_the_same() {
    let pieces = [
        "https",
        ":",
        "//",
        "/",
        "\\",
        "good.example",
        "evil.com",
        ".",
        "[x](",
        ")",
        "]:",
        " ",
        "<",
        ">",
        "&",
        "&#47;",
        "&colon;",
        "@",
        "www.",
        "a",
        "\n",
        "?q=",
        "(",
        "\"",
        "data:",
        "image/png",
        "é",
        "\u{200b}",
        ":80",
        "<b>",
    ];
    let mut seed = 11_u64;
    let mut next = |most: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % most
    };
    let both = [guards(None), guards(Some(Markup::Strip)), guards(Some(Markup::Escape))];
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1500);
    for _ in 0..cases {
        let text: String = (0..9).map(|_| pieces[next(pieces.len())]).collect();
        let guards = &both[next(3)];
        let got = whole(guards, &text);
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
        assert_eq!(streamed(guards, &text, &places), got, "{text:?}");
        let pair = [places[next(places.len())], places[next(places.len())]];
        assert_eq!(streamed(guards, &text, &[pair[0].min(pair[1]), pair[0].max(pair[1])]), got, "{text:?} {pair:?}");
        assert!(!got.0.contains("s://evil"), "{text:?} leaves {:?}", got.0);
    }
}
