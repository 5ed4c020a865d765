//! The entities a decision looks at. All of them are made here: one that were missing would make Cedar skip a forbid.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression, Schema};

use super::request::{string, strings};
use super::vocabulary::{Broken, Vocabulary, uid};
use super::{RouteFacts, roles};
use crate::Principal;

/// What is there on every request: the route, and the actions where an expression looks at them.
pub(super) fn base(
    names: &Vocabulary,
    facts: &RouteFacts,
    tenant: &str,
    schema: &Schema,
    with_actions: bool,
) -> Result<Entities, Broken> {
    let route = Entity::new_with_tags(
        names.route(&facts.route),
        [("tenant".to_owned(), string(tenant))],
        [names.gateway(&facts.gateway)],
        facts.labels.iter().map(|(name, value)| (name.clone(), string(value))),
    )
    .map_err(|e| Broken::new("route entity", e))?;
    let actions = if with_actions {
        schema.action_entities().map_err(|e| Broken::new("action entities", e))?
    } else {
        Entities::empty()
    };
    add(actions, [route])
}

pub(super) fn model(
    names: &Vocabulary,
    facts: &RouteFacts,
    tenant: &str,
    name: &str,
    vendor: &str,
) -> Result<Entity, Broken> {
    let attributes = [("tenant", string(tenant)), ("name", string(name)), ("vendor", string(vendor))];
    Entity::new_with_tags(
        names.model(name),
        attributes.map(|(name, value)| (name.to_owned(), value)),
        [names.route(&facts.route)],
        [],
    )
    .map_err(|e| Broken::new("model entity", e))
}

/// `user` is the entity of the User this principal acts for.
pub(super) fn principal(
    names: &Vocabulary,
    principal: &Principal,
    roles: &BTreeSet<Arc<str>>,
    user: Option<&EntityUid>,
) -> Result<Entity, Broken> {
    let mut attributes: Vec<(String, RestrictedExpression)> = [
        ("id", string(&qualified(principal))),
        ("issuer", string(&principal.issuer)),
        ("tenant", string(&principal.tenant)),
        ("groups", strings(&principal.groups)),
        ("scopes", strings(&principal.scopes)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(user) = user {
        attributes.push(("onBehalfOf".to_owned(), RestrictedExpression::new_entity_uid(user.clone())));
    }
    // A tag named twice has the values of both.
    let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, values) in &principal.tags {
        tags.entry(name).or_default().extend(values.iter().map(String::as_str));
    }
    let tags = tags
        .into_iter()
        .map(|(name, values)| (name.to_owned(), RestrictedExpression::new_set(values.into_iter().map(string))));
    let parents = roles.iter().map(|role| names.role(role)).chain([names.tenant(&principal.tenant)]);
    Entity::new_with_tags(principal_uid(names, principal)?, attributes, parents, tags)
        .map_err(|e| Broken::new("principal entity", e))
}

pub(super) fn principal_uid(names: &Vocabulary, principal: &Principal) -> Result<EntityUid, Broken> {
    Ok(uid(names.principal_type(principal.kind)?, &qualified(principal)))
}

/// `issuer|subject`, or the SPIFFE ID where an SVID proved it: a token whose `sub` reads like one is not that workload.
fn qualified(principal: &Principal) -> String {
    if roles::claims_foreign_spiffe_id(principal) {
        format!("{}|{}", principal.issuer, principal.subject)
    } else {
        principal.id()
    }
}

pub(super) fn add(entities: Entities, more: impl IntoIterator<Item = Entity>) -> Result<Entities, Broken> {
    entities.add_entities(more, None).map_err(|e| Broken::new("entity store", e))
}
