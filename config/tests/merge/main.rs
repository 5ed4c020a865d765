//! The laws of the merge, over generated manifests from text to snapshot.
//!
//! *Commutative and associative*: everything attached to a place is merged in the order of the manifests' names, so both
//! laws are one: whichever content comes first, in whichever file, the effect is the same. *Idempotent*: a manifest said
//! twice, or attached twice, is said once. *Monotonic*: a further manifest never lets pass what was refused.
//!
//! The last law speaks of fields that are set. A field that nobody sets has its default, and the first manifest that sets
//! it replaces the default; so the base sets them all.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a snapshot that cannot be read fails the test")]

use std::sync::LazyLock;

mod effect;
mod effective;
mod generate;
mod judge;

use effect::{Effect, effect};
use generate::{
    BASE, Content, Outcome, any_content, beside, contents, forbid, load, pair, with_base, with_first_base,
    with_last_base,
};
use judge::{Facts, facts, judge};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Problems name manifests and their items; which of two conflicting ones is named first depends on their names.
fn codes(problems: &[String]) -> Vec<&str> {
    let mut codes: Vec<&str> = problems.iter().filter_map(|problem| problem.get(..6)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn shown(loaded: &Outcome) -> Option<Effect> {
    loaded.0.as_ref().map(effect)
}

/// One text for each content, under names that put them into the given order.
fn named(contents: &[Content], order: &[usize]) -> Vec<String> {
    let place = |index: usize| order.iter().position(|at| *at == index).unwrap();
    let text =
        |(index, content): (usize, &Content)| content.text(&format!("m{}", place(index)), &format!("own{index}"));
    contents.iter().enumerate().map(text).collect()
}

/// How often a law is tried; ten times that in the long run.
fn cases(few: u32) -> ProptestConfig {
    let times = if std::env::var_os("POSTERN_TEST_FULL").is_some() { 10 } else { 1 };
    ProptestConfig { cases: few * times, ..ProptestConfig::default() }
}

/// Made once: it takes longer to make them than to judge them.
static FACTS: LazyLock<Vec<Facts>> = LazyLock::new(|| {
    let mut runner = TestRunner::deterministic();
    (0..2_000).map(|_| facts().new_tree(&mut runner).unwrap().current()).collect()
});

fn some_facts(from: &Index, many: usize) -> &'static [Facts] {
    let start = from.index(FACTS.len() - many);
    &FACTS[start..start + many]
}

#[test]
fn the_base_loads_and_lets_somebody_pass() {
    let (snapshot, problems) = load(&[BASE.to_owned()]);
    assert_eq!(problems, Vec::<String>::new());
    let snapshot = snapshot.unwrap();
    let passed = FACTS.iter().filter(|facts| judge(&snapshot, facts).is_some()).count();
    assert!(passed > FACTS.len() / 10, "only {passed} of {} facts pass, so the laws say little", FACTS.len());
}

#[test]
fn many_generated_sets_load() {
    let mut runner = TestRunner::deterministic();
    let sets = (0..60).map(|_| contents(3).new_tree(&mut runner).unwrap().current());
    let loaded = sets.filter(|contents| with_base(contents).0.is_some()).count();
    assert!(loaded > 18, "only {loaded} of 60 sets load, so the laws say little");
}

#[test]
fn what_is_told_of_the_merge_is_what_it_made() {
    let wanted = if std::env::var_os("POSTERN_TEST_FULL").is_some() { 300 } else { 8 };
    let mut runner = TestRunner::deterministic();
    let sets = (0..wanted * 8).map(|_| contents(4).new_tree(&mut runner).unwrap().current());
    let told = sets.filter_map(|contents| effective::check(&contents)).take(wanted).count();
    assert_eq!(told, wanted, "too few sets load");
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn order_of_documents_and_files_decides_nothing(
        contents in contents(4),
        order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle(),
        cuts in any::<[bool; 4]>(),
    ) {
        let mut texts = vec![BASE.to_owned()];
        texts.extend(named(&contents, &[0, 1, 2, 3]));
        let apart = load(&texts);
        let mut files: Vec<String> = Vec::new();
        for (turn, index) in order.into_iter().filter(|index| *index < texts.len()).enumerate() {
            match files.last_mut().filter(|_| turn > 0 && cuts[turn - 1]) {
                Some(last) => *last = format!("{last}---\n{}", texts[index]),
                None => files.push(texts[index].clone()),
            }
        }
        let together = load(&files);
        prop_assert_eq!(&apart.1, &together.1);
        prop_assert_eq!(shown(&apart), shown(&together));
        let digest = |loaded: &Outcome| loaded.0.as_ref().map(|s| s.digest);
        prop_assert_eq!(digest(&apart), digest(&together));
    }

    #[test]
    fn names_of_manifests_decide_nothing(contents in contents(4), order in Just(vec![0, 1, 2, 3]).prop_shuffle()) {
        let first = with_first_base(named(&contents, &[0, 1, 2, 3]));
        let second = with_last_base(named(&contents, &order));
        prop_assert_eq!(codes(&first.1), codes(&second.1), "{:?}\n{:?}", first.1, second.1);
        prop_assert_eq!(shown(&first), shown(&second));
    }

    #[test]
    fn what_is_said_twice_is_said_once(contents in contents(3), which in any::<Index>()) {
        let again = which.get(&contents).clone();
        prop_assume!(again.may_be_repeated());
        let once = with_base(&contents);
        let mut contents = contents;
        contents.push(again);
        let twice = with_base(&contents);
        prop_assert_eq!(codes(&once.1), codes(&twice.1));
        prop_assert_eq!(shown(&once), shown(&twice));
    }

    #[test]
    fn what_is_attached_twice_is_attached_once(mut contents in contents(3), which in any::<Index>()) {
        let once = with_base(&contents);
        let place = which.index(contents.len());
        let doubled = [contents[place].targets.clone(), contents[place].targets.clone()].concat();
        contents[place].targets = doubled;
        let twice = with_base(&contents);
        prop_assert_eq!(&once.1, &twice.1);
        prop_assert_eq!(shown(&once), shown(&twice));
    }

    /// A gateway holds its routes and listeners: naming one of them too adds nothing, but to a choice that the nearest makes.
    #[test]
    fn what_is_attached_to_the_gateway_is_attached_below(mut contents in contents(3), which in any::<Index>()) {
        let place = which.index(contents.len());
        prop_assume!(contents[place].targets.len() > 1 && contents[place].targets[0].contains("Gateway, name: edge}"));
        prop_assume!(!contents[place].is_exclusive());
        let both = with_base(&contents);
        contents[place].targets.truncate(1);
        let gateway = with_base(&contents);
        prop_assert_eq!(codes(&both.1), codes(&gateway.1));
        prop_assert_eq!(shown(&both), shown(&gateway));
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn what_is_on_trial_changes_no_decision(
        mut contents in contents(2),
        added in forbid(),
        from in any::<Index>(),
    ) {
        let old = with_base(&contents).0;
        contents.push(added.on_trial());
        let new = with_base(&contents).0;
        let (Some(old), Some(new)) = (old, new) else { return Ok(()) };
        for facts in some_facts(&from, 64) {
            prop_assert_eq!(judge(&old, facts), judge(&new, facts));
        }
        prop_assert!(new.routes.iter().any(|route| !route.policy.trials.is_empty()));
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn a_further_manifest_never_lets_pass_what_was_refused(
        (first, added) in pair(),
        other in any_content(),
        alone in any::<bool>(),
        from in any::<Index>(),
    ) {
        // With its own base the first can only tighten; alone, it is what the second must not loosen.
        let (kind, others) = if alone { (Some(first.kind), None) } else { (None, Some(other)) };
        // Where the first is not attached, the second is the first of its kind, and may say what it likes.
        let targets = first.targets.clone();
        let reached = |route: &str| {
            let routes = format!("Route, name: {route}}}");
            !alone || targets.iter().any(|target| target.contains("Gateway") || target.contains(&routes))
        };
        let mut contents: Vec<Content> = std::iter::once(first).chain(others).collect();
        let Some(old) = beside(kind, &contents).0 else { return Ok(()) };
        contents.push(added);
        let Some(new) = beside(kind, &contents).0 else { return Ok(()) };
        for facts in some_facts(&from, 256).iter().filter(|facts| reached(facts.route)) {
            match (judge(&old, facts), judge(&new, facts)) {
                (None, passed) => prop_assert!(passed.is_none(), "refused before, now passes: {:?}", facts),
                (Some(less), Some(more)) => prop_assert!(more >= less, "changed less than before: {:?}", facts),
                (Some(_), None) => {}
            }
        }
    }
}
