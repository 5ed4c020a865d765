//! The names of Cedar's types and actions, made once, and the schema they belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema, SchemaFragment, pst};
use postern_config::{Action, Authz, PrincipalType};

use super::{RouteFacts, Tenancy};

/// The part of the schema that is the same on every route.
const COMMON: &str = include_str!("postern.cedarschema");
/// Stands in the enumeration of roles where none is declared: an enumeration is never empty, and no role has a space.
const NO_ROLE: &str = "no role is declared";

/// Something of ours did not build: never the fault of a manifest.
#[derive(Debug, thiserror::Error)]
#[error("the built-in {part} does not build")]
pub(super) struct Broken {
    part: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl Broken {
    pub(super) fn new(part: &'static str, source: impl Error + Send + Sync + 'static) -> Self {
        Self { part, source: Box::new(source) }
    }

    /// The message with its causes, for a log line.
    pub(super) fn chain(&self) -> String {
        format!("{self}: {}", self.source)
    }
}

/// The two types of resource that the actions of this version have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ResourceKind {
    Route,
    Model,
}

impl ResourceKind {
    pub(super) const ALL: [Self; 2] = [Self::Route, Self::Model];

    pub(super) fn of(action: Action) -> Self {
        match action {
            Action::Read | Action::Create | Action::Update | Action::Delete => Self::Route,
            Action::Chat | Action::Embed => Self::Model,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Route => "Route",
            Self::Model => "Model",
        }
    }
}

/// Parsed names, so that nothing is parsed when a request is decided.
#[derive(Debug)]
pub(super) struct Vocabulary {
    principals: BTreeMap<PrincipalType, EntityTypeName>,
    actions: BTreeMap<Action, EntityUid>,
    role: EntityTypeName,
    tenant: EntityTypeName,
    gateway: EntityTypeName,
    route: EntityTypeName,
    model: EntityTypeName,
}

impl Vocabulary {
    pub(super) fn new() -> Result<Self, Broken> {
        let action = type_name("Action")?;
        let mut principals = BTreeMap::new();
        for kind in PrincipalType::ALL {
            principals.insert(kind, type_name(kind.as_str())?);
        }
        let actions = Action::ALL.into_iter().map(|a| (a, uid(&action, a.as_str()))).collect();
        Ok(Self {
            principals,
            actions,
            role: type_name("Role")?,
            tenant: type_name("Tenant")?,
            gateway: type_name("Gateway")?,
            route: type_name("Route")?,
            model: type_name("Model")?,
        })
    }

    pub(super) fn principal_type(&self, kind: PrincipalType) -> Result<&EntityTypeName, Broken> {
        self.principals.get(&kind).ok_or_else(|| Broken::new("principal type", Missing))
    }

    pub(super) fn action(&self, action: Action) -> Result<&EntityUid, Broken> {
        self.actions.get(&action).ok_or_else(|| Broken::new("action", Missing))
    }

    /// Which principal type a Cedar type is, `None` for any other.
    pub(super) fn principal_kind(&self, name: &EntityTypeName) -> Option<PrincipalType> {
        self.principals.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// Which of our actions a Cedar action is, `None` for a group.
    pub(super) fn action_kind(&self, name: &EntityUid) -> Option<Action> {
        self.actions.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    pub(super) fn role(&self, name: &str) -> EntityUid {
        uid(&self.role, name)
    }

    /// The name of the role, `None` where `uid` is of another type.
    pub(super) fn role_name<'u>(&self, uid: &'u EntityUid) -> Option<&'u str> {
        (*uid.type_name() == self.role).then(|| uid.id().unescaped())
    }

    pub(super) fn tenant(&self, name: &str) -> EntityUid {
        uid(&self.tenant, name)
    }

    pub(super) fn gateway(&self, name: &str) -> EntityUid {
        uid(&self.gateway, name)
    }

    pub(super) fn route(&self, name: &str) -> EntityUid {
        uid(&self.route, name)
    }

    pub(super) fn model(&self, name: &str) -> EntityUid {
        uid(&self.model, name)
    }

    pub(super) fn resource_type(&self, kind: ResourceKind) -> pst::EntityType {
        match kind {
            ResourceKind::Route => pst_type(&self.route),
            ResourceKind::Model => pst_type(&self.model),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it is not in the table")]
struct Missing;

fn type_name(name: &str) -> Result<EntityTypeName, Broken> {
    EntityTypeName::from_str(&format!("Postern::{name}")).map_err(|e| Broken::new("type name", e))
}

pub(super) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

pub(super) fn pst_type(kind: &EntityTypeName) -> pst::EntityType {
    pst::EntityUID::from(uid(kind, "")).ty
}

/// The schema of one route: roles and tenants are enumerations, so that a misspelt one does not validate.
pub(super) fn schema(authz: &Authz, facts: &RouteFacts) -> Result<Schema, Broken> {
    let mut roles: BTreeSet<&str> = authz.roles.iter().map(|role| role.name.as_str()).collect();
    if roles.is_empty() {
        roles.insert(NO_ROLE);
    }
    let mut tenants: BTreeSet<&str> = facts.tenants.iter().map(String::as_str).collect();
    if let Tenancy::Of(tenant) = &facts.tenant {
        tenants.insert(tenant);
    }
    let tenant = if tenants.is_empty() { serde_json::json!({}) } else { serde_json::json!({ "enum": tenants }) };
    let generated = serde_json::json!({
        "Postern": { "entityTypes": { "Role": { "enum": roles }, "Tenant": tenant }, "actions": {} }
    });
    let (common, _) = SchemaFragment::from_cedarschema_str(COMMON).map_err(|e| Broken::new("schema", e))?;
    let generated = SchemaFragment::from_json_value(generated).map_err(|e| Broken::new("schema of roles", e))?;
    Schema::from_schema_fragments([common, generated]).map_err(|e| Broken::new("schema", e))
}
