use std::time::{Duration, Instant};

use postern_config::WebAttack::{CommandInjection, PathTraversal, SqlInjection, Ssrf, Xss};

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
        (Xss, "<script>alert(1)</script>", true),
        (Xss, "<img src=x onerror=alert(1)>", true),
        (Xss, "\"><svg/onload=alert(1)>", true),
        (Xss, "<a href=\"javascript:alert(1)\">x</a>", true),
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
        (CommandInjection, "salt & pepper; cats and dogs", false),
        (CommandInjection, "Explain what this line of shell does for me: `ls -la /tmp`", false),
        (PathTraversal, "../../../etc/passwd", true),
        (PathTraversal, "..%2f..%2fetc%2fpasswd", true),
        (PathTraversal, "..%c0%af..%c0%afwinnt", true),
        (PathTraversal, "....//....//etc/hosts", true),
        (PathTraversal, "/etc/passwd", true),
        (PathTraversal, "php://filter/convert.base64-encode/resource=index", true),
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
        (Ssrf, "https://example.com/a?b=c", false),
        (Ssrf, "http://8.8.8.8/", false),
        (Ssrf, "http://example.com:127/", false),
    ] {
        let scored = score(attack, text);
        assert_eq!(scored >= 80, found, "{attack:?} {text}: {scored}");
    }
}

#[test]
fn attack_45_what_is_made_to_cost_takes_no_longer_than_its_length() {
    let pieces = [
        "'",
        "/*",
        "<",
        "<a ",
        "=",
        "-",
        "(",
        "' or ",
        "\\",
        "%25",
        "%",
        "../",
        "..;",
        "//",
        "http://a@",
        "; ",
        "$(",
        "`",
        "${",
        "|cat ",
        "&#x",
        "<!--",
        "union select ",
        "@",
        "[",
        "0x",
        "1.",
        "\u{ff11}",
        "a b ",
    ];
    for attack in WebAttack::ALL {
        for piece in pieces {
            let cost = |size: usize| {
                let text = piece.repeat(size / piece.len());
                let began = Instant::now();
                score(attack, &text);
                began.elapsed()
            };
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
