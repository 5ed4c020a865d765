//! Tokens: taken before a request is sent, set right afterwards.

use super::*;
use crate::limit::{Facts, Judged, Rating, Tally, Tokens, Used};

fn tokens(unit: LimitUnit, limit: u64) -> RateLimit {
    RateLimit { unit, ..super::limit("tokens", &[LimitKey::Tenant], limit, 1000, limit) }
}

/// Asks for so many tokens; the refusal tells when to come back.
fn asks(set: &LimitSet, tokens: Tokens, at: u64) -> Result<Tally, Option<u64>> {
    let mia = principal("mia", "acme");
    let facts = Facts {
        principal: Some(&mia),
        source: ip("192.0.2.1"),
        route: "r",
        model: Some("small"),
        headers: None,
        tokens,
    };
    let mut rating = Rating::default();
    match set.judge(Stage::Model, &facts, &mut rating, None, ms(at)) {
        Judged::Done(outcome) if outcome.is_refused() => Err(outcome.retry_after()),
        Judged::Done(_) => {
            let mut tally = rating.gained().2;
            tally.send();
            Ok(tally)
        }
        other => panic!("{other:?}"),
    }
}

fn of(input: u64, output: u64) -> Tokens {
    Tokens { input, output: Some(output) }
}

#[test]
fn complaint_36_of_five_long_prompts_at_once_as_many_pass_as_the_budget_has_room_for() {
    let set = LimitSet::compile(&[tokens(LimitUnit::TotalTokens, 1000)], &LimitStore::new()).unwrap();
    let under_way: Vec<_> = (0..5).map(|_| asks(&set, of(300, 100), 0)).collect();
    assert_eq!(under_way.iter().filter(|asked| asked.is_ok()).count(), 2, "800 of 1000");
    assert!(asks(&set, of(150, 50), 0).is_ok(), "a small one has room");
}

#[test]
fn what_was_taken_is_set_right_however_a_request_ends() {
    let total = || LimitSet::compile(&[tokens(LimitUnit::TotalTokens, 1000)], &LimitStore::new()).unwrap();
    type End = fn(&mut Tally);
    let cases: [(&str, End, u64); 6] = [
        ("the upstream says", |tally| tally.said(Used { input: 90, output: 10 }), 100),
        ("it says more than was taken", |tally| tally.said(Used { input: 300, output: 500 }), 800),
        ("it says nothing, and an answer came", |tally| tally.came(50), 250),
        ("nothing came", |_| {}, 200),
        (
            "its last word counts",
            |tally| {
                tally.said(Used { input: 1, output: 1 });
                tally.said(Used { input: 200, output: 200 });
            },
            400,
        ),
        ("it comes to more than all", |tally| tally.said(Used { input: 1000, output: 999 }), 1999),
    ];
    for (case, end, used) in cases {
        let set = total();
        let mut tally = asks(&set, of(200, 300), 0).unwrap();
        end(&mut tally);
        tally.end();
        drop(tally);
        let left = 1000_u64.saturating_sub(used);
        assert!(left == 0 || asks(&set, of(left, 0), 0).is_ok(), "{case}: {left} are left");
        let set = total();
        let mut tally = asks(&set, of(200, 300), 0).unwrap();
        end(&mut tally);
        tally.end();
        drop(tally);
        assert!(asks(&set, of(left + 1, 0), 0).is_err(), "{case}: no more than {left}");
    }
    // Nobody saw the end: it keeps what it took, or what it came to where that is more.
    for (said, left) in
        [(None, 500), (Some(Used { input: 200, output: 1 }), 500), (Some(Used { input: 200, output: 500 }), 300)]
    {
        let set = total();
        let mut tally = asks(&set, of(200, 300), 0).unwrap();
        if let Some(said) = said {
            tally.said(said);
        }
        drop(tally);
        assert!(asks(&set, of(left + 1, 0), 0).is_err(), "{said:?}");
        assert!(asks(&set, of(left, 0), 0).is_ok(), "{said:?}");
    }
    let set = total();
    let mut refused = asks(&set, of(200, 300), 0).unwrap();
    refused.unsend();
    drop(refused);
    assert!(asks(&set, of(1000, 0), 0).is_ok(), "no upstream took it");
    // One that was permitted by this limit, and refused by what came after, was never sent.
    let set = total();
    let never = {
        let mia = principal("mia", "acme");
        let facts = Facts {
            principal: Some(&mia),
            source: ip("192.0.2.1"),
            route: "r",
            model: None,
            headers: None,
            tokens: of(900, 0),
        };
        let mut rating = Rating::default();
        assert!(matches!(set.judge(Stage::Model, &facts, &mut rating, None, ms(0)), Judged::Done(_)));
        rating.gained().2
    };
    assert!(asks(&set, of(200, 0), 0).is_err());
    drop(never);
    assert!(asks(&set, of(1000, 0), 0).is_ok());
}

#[test]
fn each_unit_counts_its_own_and_what_can_never_pass_is_told_so() {
    for (unit, tokens_asked, want) in [
        (LimitUnit::InputTokens, of(1000, 5000), Ok(())),
        (LimitUnit::InputTokens, of(1001, 0), Err(None)),
        (LimitUnit::OutputTokens, of(5000, 1000), Ok(())),
        (LimitUnit::OutputTokens, of(0, 1001), Err(None)),
        (LimitUnit::OutputTokens, Tokens { input: 0, output: None }, Err(None)),
        (LimitUnit::TotalTokens, of(500, 500), Ok(())),
        (LimitUnit::TotalTokens, of(500, 501), Err(None)),
    ] {
        let set = LimitSet::compile(&[tokens(unit, 1000)], &LimitStore::new()).unwrap();
        assert_eq!(asks(&set, tokens_asked, 0).map(drop), want, "{unit:?} {tokens_asked:?}");
    }
    let set = LimitSet::compile(&[tokens(LimitUnit::OutputTokens, 5000)], &LimitStore::new()).unwrap();
    let unsaid = asks(&set, Tokens { input: 0, output: None }, 0).unwrap();
    assert_eq!(asks(&set, of(0, 905), 0).map(drop), Err(Some(1)), "4096 are taken for one that does not say");
    drop(unsaid);
    assert_eq!(set.guard_names(Stage::Model), ["limit/tokens"]);
    assert!(set.guard_names(Stage::Principal).is_empty(), "what a request takes is known once it is read");
}

#[test]
fn a_stream_takes_more_as_it_flows_and_ends_where_there_is_none() {
    let set = LimitSet::compile(&[tokens(LimitUnit::OutputTokens, 1000)], &LimitStore::new()).unwrap();
    let mut one = asks(&set, of(10, 400), 0).unwrap();
    assert!(one.flows(400, ms(0)).is_ok());
    assert!(one.flows(401, ms(0)).is_ok(), "256 more");
    assert!(asks(&set, of(10, 345), 0).is_err());
    let other = asks(&set, of(10, 344), 0).unwrap();
    assert!(one.flows(656, ms(0)).is_ok());
    let cut = one.flows(657, ms(0)).unwrap_err();
    assert_eq!((cut.reason, cut.rule.as_deref()), (crate::Reason::OverLimit, Some("limit/tokens")));
    let mut other = other;
    other.end();
    drop(other);
    assert!(one.flows(657, ms(0)).is_ok(), "the other gave back what it did not use");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is asked for and comes of it: what is under way at once never comes to more than the budget.
    #[test]
    fn what_is_under_way_is_within_the_budget(asked in prop::collection::vec((0_u64..400, 0_u64..400, any::<bool>(), 0_u64..400), 1..40)) {
        let set = LimitSet::compile(&[tokens(LimitUnit::TotalTokens, 1000)], &LimitStore::new()).unwrap();
        let (mut under_way, mut used) = (Vec::new(), 0);
        for (input, output, ends, came) in asked {
            let Ok(mut tally) = asks(&set, of(input, output), 0) else {
                let open: u64 = under_way.iter().map(|(taken, _)| taken).sum();
                prop_assert!(used + open + (input + output).max(1) > 1000, "refused with room");
                continue;
            };
            if ends {
                let said = Used { input, output: came.min(output) };
                tally.said(said);
                tally.end();
                used += said.input + said.output;
            } else {
                under_way.push(((input + output).max(1), tally));
            }
            let open: u64 = under_way.iter().map(|(taken, _)| taken).sum();
            prop_assert!(used + open <= 1000);
        }
    }
}
