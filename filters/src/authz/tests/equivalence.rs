//! Slices decide as all policies together would.

use cedar_policy::{Authorizer as Stock, Decision as CedarDecision, Entities, PolicySet, Request, Schema};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::expression::ContextParts;
use super::super::request::context;
use super::*;

const ROLES: [&str; 4] = ["r0", "r1", "r2", "r3"];
const GROUPS: [&str; 4] = ["g0", "g1", "g2", "g3"];
const PATHS: [&str; 4] = ["/", "/v1/a", "/v1/a/b", "/v2"];
const MODELS: [&str; 3] = ["gpt-5", "gpt-5-mini", "claude-haiku-4"];
/// Valid for every type. The last two fail where the risk is above 0; the two before speak of actions.
const CONDITIONS: [&str; 9] = [
    "context.risk < 50",
    "principal.groups.contains(\"g1\")",
    "principal in Postern::Role::\"r2\"",
    "context.http.path like \"/v1/*\" || context.net.tls",
    "context.authn.senderBound && context.authn.ageSeconds < 300",
    "action == Postern::Action::\"read\" || context.risk > 20",
    "action in Postern::Action::\"modify\" || context.compliance.contains(\"iso\")",
    "context.now > datetime(\"2027-01-01\") && context.risk + 9223372036854775807 > 0",
    "principal.hasTag(\"department\") && context.risk * 9223372036854775807 > 3",
];
/// A forbid must not be able to fail.
const SAFE: usize = 7;
/// An `unless` that says which action it is may except all there are, and then the rule does not load.
const PLAIN: usize = 5;

fn some<T: Clone + std::fmt::Debug + 'static>(all: &[T], least: usize) -> impl Strategy<Value = Vec<T>> + use<T> {
    subsequence(all.to_vec(), least..=all.len())
}

fn rules() -> impl Strategy<Value = Rule> {
    let parts = (
        any::<bool>(),
        some(&PrincipalType::ALL, 1),
        any::<bool>(),
        some(&ROLES, 0),
        some(&Action::ALL, 1),
        select(&CONDITIONS[..]),
        proptest::option::of(select(&CONDITIONS[..PLAIN])),
    );
    parts.prop_map(|(permits, principals, typed, roles, actions, when, unless)| {
        let made = if permits { permit("p", &actions) } else { forbid("f", &actions) };
        let when = if permits || CONDITIONS[..SAFE].contains(&when) { when } else { CONDITIONS[0] };
        let made = made.to(if typed || permits { &principals } else { &[] }).with_roles(&roles).when(when);
        // The same condition twice can never hold.
        match unless.filter(|unless| *unless != when) {
            Some(unless) => made.unless(unless),
            None => made,
        }
    })
}

fn roles() -> impl Strategy<Value = Vec<Role>> {
    let globs: [&[&str]; 5] = [&[], &["**"], &["/v1/*", "gpt-*"], &["/v1/**", "claude-*"], &["/", "gpt-5"]];
    let permission = (some(&Action::ALL, 0), select(globs.to_vec()));
    let one = (proptest::collection::vec(permission, 0..3), some(&ROLES, 0)).prop_map(|(permissions, includes)| {
        let mut made = role("", &includes, &[]);
        for (mut actions, globs) in permissions {
            // Each list of globs speaks of a path and a model, so both have to be asked for.
            actions.extend([Action::Read, Action::Chat]);
            let resources = globs.iter().map(ToString::to_string).collect();
            made.permissions.push(Permission { actions, resources, waived: None });
        }
        made
    });
    proptest::collection::vec(one, ROLES.len())
        .prop_map(|made| ROLES.iter().zip(made).map(|(name, role)| Role { name: name.to_string(), ..role }).collect())
}

fn authz() -> impl Strategy<Value = Authz> {
    (roles(), proptest::collection::vec(rules(), 0..8)).prop_map(|(roles, rules)| Authz {
        roles,
        bindings: ROLES.iter().zip(GROUPS).map(|(role, name)| group(role, name)).collect(),
        rules,
        ..Authz::default()
    })
}

fn principals() -> impl Strategy<Value = Principal> {
    let tenant = || select(&["acme", "acme", "acme", "globex"][..]);
    (select(&PrincipalType::ALL[..]), some(&GROUPS, 0), tenant(), proptest::option::of(some(&GROUPS, 0))).prop_map(
        |(kind, groups, tenant, behind)| {
            let made = Principal { tenant: tenant.into(), ..principal(kind, "x", &groups) };
            let behind = behind.filter(|_| kind == PrincipalType::Agent);
            let user = behind.map(|groups| Arc::new(Principal { tenant: tenant.into(), ..user(&groups) }));
            Principal { on_behalf_of: user, ..made }
        },
    )
}

/// All policies in one set, whole context, everything checked against the schema, the stock authorizer.
fn oracle(authorizer: &Authorizer, authz: &Authz, schema: &Schema, question: &AuthzRequest<'_>) -> Option<Denial> {
    let (all, ..) = policies(&authorizer.names, authz, &authorizer.facts, &mut Report::new()).unwrap();
    let on_path = |paths: &[crate::path::PathGlob]| paths.iter().any(|glob| glob.matches(question.http.path));
    let all = all.into_iter().filter(|p| p.paths.as_ref().is_none_or(|paths| on_path(paths))).map(|p| p.policy);
    let set = PolicySet::from_policies(all).unwrap();
    let prepared = question.principal;
    let mut store: Vec<_> = prepared.entities.iter().cloned().collect();
    let resource = match question.resource {
        ResourceRef::Route => authorizer.names.route(&authorizer.facts.route),
        ResourceRef::Model { name, vendor } => {
            store.push(
                entities::model(&authorizer.names, &authorizer.facts, authorizer.facts.tenant.as_str(), name, vendor)
                    .unwrap(),
            );
            authorizer.names.model(name)
        }
    };
    let store = Entities::from_entities(store, Some(schema)).unwrap();
    for party in &prepared.parties {
        let action = authorizer.names.action(question.action).unwrap().clone();
        let context = context(question, &party.authn, ContextParts::ALL).unwrap();
        let asked = Request::new(party.uid.clone(), action, resource.clone(), context, Some(schema)).unwrap();
        let response = Stock::new().is_authorized(&asked, &set, &store);
        if question.principal.principal().tenant != "acme" {
            return Some(Denial::OtherTenant);
        }
        if response.diagnostics().errors().next().is_some() {
            return Some(Denial::PolicyError);
        }
        if response.decision() == CedarDecision::Deny {
            let forbidden = response.diagnostics().reason().next().is_some();
            return Some(if forbidden { Denial::Forbidden } else { Denial::DefaultDeny });
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_slice_decides_as_the_whole_set(
        authz in authz(),
        who in proptest::collection::vec(principals(), 4),
        path in select(&PATHS[..]), model in select(&MODELS[..]), risk in 0_u8..=100,
    ) {
        let facts = facts(Dialect::OpenAi);
        let mut report = Report::new();
        let made = Authorizer::compile(&authz, &facts, &mut report);
        // Two conditions that exclude each other can never hold, which does not load; all else does.
        prop_assert!(made.is_some() || report.to_string().contains("can never hold"), "{report}");
        let Some(authorizer) = made else { return Ok(()) };
        let schema = vocabulary::schema(&authz, &facts).unwrap();
        for who in who {
            let prepared = authorizer.prepare(&Arc::new(who), NOW);
            for action in Action::ALL {
                let mut question = AuthzRequest { risk, ..ask(&prepared, action) };
                question.http.path = path;
                if let ResourceRef::Model { name, .. } = &mut question.resource {
                    *name = model;
                }
                let want = oracle(&authorizer, &authz, &schema, &question);
                let got = authorizer.decide(&question);
                prop_assert_eq!(got.denial, want, "{:?} {:?}", action, got);
                // What is told of the rules one by one comes to the same; telling parses, so not every time.
                if action != Action::ALL[usize::from(risk) % Action::ALL.len()] {
                    continue;
                }
                let weighing = authorizer.one_by_one(&authz, &question);
                let of = |effect, of_user| {
                    weighing.considered.iter().any(|c| c.effect == effect && c.of_user == of_user && c.matches())
                };
                let user = prepared.principal().on_behalf_of.is_some();
                let permitted = of(Effect::Permit, false) && (!user || of(Effect::Permit, true));
                let forbidden = of(Effect::Forbid, false) || of(Effect::Forbid, true);
                match got.denial {
                    None => prop_assert!(permitted && !forbidden, "{weighing:?}"),
                    Some(Denial::PolicyError) => {}
                    Some(Denial::OtherTenant | Denial::ExclusiveRoles) => prop_assert!(weighing.before.is_some()),
                    // Of an Agent the first denial counts, and its User may be denied for another reason.
                    Some(_) => prop_assert!(!permitted || forbidden, "{weighing:?}"),
                }
                // Where nothing permits anything, no rule is near.
                let permits = weighing.considered.iter().any(|one| one.effect == Effect::Permit);
                prop_assert!(got.is_allowed() || weighing.before.is_some() || weighing.nearest().is_some()
                    || !permits || got.denial == Some(Denial::PolicyError));
            }
        }
    }
}
