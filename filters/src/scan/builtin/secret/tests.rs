//! One made-up credential of every format is found, one that is a character short is not, and the documented table is
//! that of the code.

use std::fmt::Write as _;

use postern_config::{ContentAction, Part, RuntimeSecurity};
use proptest::prelude::*;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::vendors::VENDORS;
use super::{Format, GROUPS};
use crate::scan::ContentGuards;
use crate::scan::tests::{builtin, data, guards};
use crate::text::TextGuards as _;

fn secrets() -> ContentGuards {
    guards(&data(vec![("it", builtin("secret"), ContentAction::Redact)]), &RuntimeSecurity::default())
}

fn found<'t>(guards: &ContentGuards, text: &'t str) -> Vec<&'t str> {
    guards.judge(Part::User, text).findings.iter().map(|f| &text[f.range.clone()]).collect()
}

/// Numbers that look drawn, the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// A text that `hir` matches, with repetitions at their least or a little above.
fn sample(hir: &Hir, draw: &mut Draw, out: &mut String) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).unwrap()),
        HirKind::Class(Class::Bytes(class)) => {
            let members: Vec<u8> =
                class.iter().flat_map(|r| r.start()..=r.end()).filter(|b| (0x21..0x7f).contains(b)).collect();
            out.push(if members.is_empty() { ' ' } else { char::from(members[draw.below(members.len())]) });
        }
        HirKind::Class(Class::Unicode(_)) => panic!("patterns are of bytes"),
        HirKind::Repetition(r) => {
            // Optional parts stay out; what is open gets a little more than it needs.
            let count = if r.max.is_none() { r.min + 2 } else { r.min };
            (0..count).for_each(|_| sample(&r.sub, draw, out));
        }
        HirKind::Capture(c) => sample(&c.sub, draw, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| sample(part, draw, out)),
        HirKind::Alternation(parts) => sample(&parts[draw.below(parts.len())], draw, out),
    }
}

fn example(format: &Format, draw: &mut Draw) -> String {
    match format.issuer {
        "JWT" => "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtaWEifQ.q8Xw2ZrT5vBnM1kLp0sD7fGhJ4yUe6Ra".to_owned(),
        "PEM" => "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----".to_owned(),
        "HTTP" if format.form.contains("Basic") => "Basic bWlhOnMzY3IzdC1wdw==".to_owned(),
        "databases, brokers and others" => "postgres://app:jx3gvxAJ004U0g@db.internal/prod".to_owned(),
        _ => {
            let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(format.shape.pattern).unwrap();
            // What stands before a client secret of Entra is not part of the pattern.
            let mut out = String::from(if format.issuer == "Microsoft Entra" { "b8T" } else { "" });
            sample(&hir, draw, &mut out);
            out
        }
    }
}

fn formats() -> impl Iterator<Item = &'static Format> {
    GROUPS.iter().copied().flatten()
}

#[test]
fn one_of_every_format_is_found_and_what_is_cut_or_made_up_is_not() {
    let guards = secrets();
    let mut draw = Draw(7);
    for format in formats() {
        let token = example(format, &mut draw);
        let at = if format.issuer == "Microsoft Entra" { 3 } else { super::value(token.as_bytes()) };
        for text in [format!("it is {token} now"), token.clone(), format!("<{token}>"), format!("x ({token})\n")] {
            let hits = found(&guards, &text);
            let wanted = &token[at..];
            assert!(
                hits.iter().any(|hit| hit.contains(wanted.trim_end_matches('='))),
                "{} {}: {text} {hits:?}",
                format.issuer,
                format.form
            );
        }
        if matches!(format.issuer, "PEM" | "HTTP" | "JWT" | "databases, brokers and others") {
            continue;
        }
        // Everything random in it is one character.
        let kept = format.prefixes.iter().find(|p| token.starts_with(**p)).map_or(4, |p| p.len());
        let made_up: String =
            token.char_indices().map(|(i, c)| if i >= kept && c.is_ascii_alphanumeric() { 'x' } else { c }).collect();
        assert!(found(&guards, &format!("it is {made_up} now")).is_empty(), "{}: {made_up}", format.issuer);
        // A name that says what its value is needs no form.
        if format.prefixes.iter().any(|prefix| prefix.ends_with('=')) {
            continue;
        }
        let short = &token[..kept.max(token.len() / 3)];
        assert!(found(&guards, &format!("it is {short} now")).is_empty(), "{}: {short}", format.issuer);
    }
}

#[test]
fn names_give_values_away() {
    let guards = secrets();
    for (text, value) in [
        ("DB_PASSWORD=tpGiYgbzq4KjG0eN30t9y", "tpGiYgbzq4KjG0eN30t9y"),
        ("\"clientSecret\": \"uArC7Zp%VWG#I13Dj6\",", "uArC7Zp%VWG#I13Dj6"),
        (r#"{\"api_key\": \"VE4%nN1Wyyf-4h2Q0QwgeZ9\"}"#, "VE4%nN1Wyyf-4h2Q0QwgeZ9"),
        ("- name: TOKEN\n    value: tdkD@l#uvZ@Gx_ct", "tdkD@l#uvZ@Gx_ct"),
        ("<password>Zo2xgMVujQUi8jBN</password>", "Zo2xgMVujQUi8jBN"),
        ("os.environ[\"APP_TOKEN\"] = 'l01bm9EVf-v0gPui7Qx'", "l01bm9EVf-v0gPui7Qx"),
        ("token := \"bcvD4tYKq9!SQrSAPppfYMUw\"", "bcvD4tYKq9!SQrSAPppfYMUw"),
        ("Server=db;User Id=app;Password=hunter22;", "hunter22"),
        ("x-api-key: 2aPWV9frtZB3tTAp1P5i6", "2aPWV9frtZB3tTAp1P5i6"),
        ("login --password Qe7!rT2#yU", "Qe7!rT2#yU"),
        ("my password is Qe7!rT2#yU.", "Qe7!rT2#yU."),
        ("curl -u admin:Qe7!rT2#yU http://x", "Qe7!rT2#yU"),
        ("machine h login bob password Qe7!rT2#yU", "Qe7!rT2#yU"),
        ("DD_API_KEY=6fe4476ee5a1832882e326b506d14126", "6fe4476ee5a1832882e326b506d14126"),
        ("HEROKU_API_KEY=261327ca-b53e-4b8e-93df-465407f349e8", "261327ca-b53e-4b8e-93df-465407f349e8"),
    ] {
        assert_eq!(found(&guards, text), [value], "{text}");
    }
}

#[test]
fn what_only_looks_like_a_credential_passes() {
    let guards = secrets();
    for text in [
        "API_KEY=261327ca-b53e-4b8e-93df-465407f349e8",
        "API_KEY=84753d3202d94725ad8d9347",
        "token: sha256:44c5c03fd7a81e5d6a674971246468a50688ff974e3e34e38b30d949b79cc0c7",
        "password = ${DB_PASSWORD_2026_Prod}",
        "password: {{ .Values.token9X }}",
        "password = os.environ['DB_PASSWORD']",
        "secret = getUserAuthenticationTokenProvider2FactoryBean",
        "API_KEY=prod_EdKB7kujilHEri",
        "publicToken = \"9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit\"",
        "csrf-token=Mj2qykJO5rELyHgezQ69nzUX0i3OH67V7+V4eUrLfpuyOuxm",
        "Authorization: Bearer <your token here>",
        "a basic understanding, and the bearer of this letter",
        "curl -u username:password http://x",
        "the password is required for this",
        "token: https://example.com/assets/app.86c2526c9a847acd7ec4.js",
        "\"key_name\": \"prod5zyxlmy-cmk9Xw2Zr\"",
    ] {
        assert_eq!(found(&guards, text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn the_documented_table_is_that_of_the_code() {
    let mut table = String::from("| Issuer | Form |\n| --- | --- |\n");
    for format in formats() {
        writeln!(table, "| {} | {} |", format.issuer, format.form).unwrap();
    }
    for vendor in VENDORS {
        writeln!(table, "| {} | {}, where the name has {} |", vendor.issuer, vendor.form, named(vendor.words)).unwrap();
    }
    assert!(formats().count() >= 100 && VENDORS.len() >= 20);
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/detectors-data.md"));
    assert!(page.contains(&table), "docs/detectors-data.md should have:\n{table}");
}

fn named(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}

proptest! {
    #[test]
    fn any_value_of_a_secret_name_ends_where_it_should(value in "[A-Za-z0-9]{6}[0-9][A-Z][a-z][0-9][A-Za-z0-9!#%^*_-]{10,20}") {
        thread_local! { static GUARDS: ContentGuards = secrets(); }
        let text = format!("export DB_SECRET=\"{value}\" # note");
        let hits = GUARDS.with(|guards| found(guards, &text).join("|"));
        // Words, or few different characters, are left alone.
        prop_assert!(hits.is_empty() || hits == value);
    }

    #[test]
    fn long_candidates_are_judged_in_linear_time(c in "[A-Za-z0-9]", prefix in proptest::sample::select(vec!["aws_secret_access_key=", "password=", "AIza", "eyJhbGciOiJIUzI1NiJ9.eyJ1.", "hvs.", "Bearer "])) {
        thread_local! { static GUARDS: ContentGuards = secrets(); }
        let text = format!("{prefix}{}", c.repeat(20_000));
        GUARDS.with(|guards| guards.judge(Part::User, &text));
    }
}
