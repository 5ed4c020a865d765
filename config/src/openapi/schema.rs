//! Schemas: JSON Schema 2020-12 in OpenAPI 3.1, and the dialect of its own that OpenAPI 3.0 has.

mod keywords;
mod literal;

use super::keys::Spot;
use super::{MAX_SCHEMAS, PV_CEILING, PV_SHAPE, Reader, Version};
use crate::yaml::Value;
use crate::{ObjectRules, Schema, SchemaId, Types};

/// Schemas within each other while one is looked for.
const MAX_LOOKS: usize = 16;

/// Said for people and tools.
pub(super) fn is_annotation(key: &str) -> bool {
    key.starts_with("x-")
        || matches!(
            key,
            "title"
                | "description"
                | "default"
                | "example"
                | "examples"
                | "deprecated"
                | "externalDocs"
                | "xml"
                | "$comment"
                | "writeOnly"
        )
}

impl<'d> Reader<'d, '_> {
    /// The schema at `spot`, read now or later, once.
    pub(super) fn schema(&mut self, spot: &Spot<'d>) -> SchemaId {
        if let Some(id) = self.known.get(&spot.pointer) {
            return *id;
        }
        let id = SchemaId(self.schemas.len());
        self.schemas.push(Schema::default());
        self.places.push((spot.node.position.clone(), spot.pointer.clone()));
        self.known.insert(spot.pointer.clone(), id);
        self.waiting.push_back((id, spot.clone()));
        id
    }

    /// The schema at `spot`, with all that it refers to.
    pub(super) fn schema_now(&mut self, spot: &Spot<'d>) -> SchemaId {
        let id = self.schema(spot);
        while let Some((id, spot)) = self.waiting.pop_front() {
            if self.schemas.len() > MAX_SCHEMAS {
                let message = format!("more than {MAX_SCHEMAS} schemas");
                self.error(&spot, PV_CEILING, message, "split the document, one for each route");
                self.waiting.clear();
                break;
            }
            let read = self.compile(&spot);
            if let Some(slot) = self.schemas.get_mut(id.0) {
                *slot = read;
            }
        }
        id
    }

    fn compile(&mut self, spot: &Spot<'d>) -> Schema {
        match &spot.node.value {
            Value::Plain(text) if text == "true" && self.takes_flags(spot) => return Schema::default(),
            Value::Plain(text) if text == "false" && self.takes_flags(spot) => {
                return Schema { never: true, ..Schema::default() };
            }
            Value::Mapping(_) => {}
            _ => {
                self.unexpected(spot, "a schema");
                return Schema::default();
            }
        }
        let mut schema = Schema::default();
        if let Some(reference) = spot.key("$ref") {
            if self.version == Version::V30 {
                let beside: Vec<Spot<'d>> = spot
                    .entries()
                    .filter(|(key, _)| *key != "$ref" && !is_annotation(key))
                    .map(|(_, spot)| spot)
                    .collect();
                for beside in beside {
                    let message = format!("OpenAPI 3.0 ignores `{}` beside `$ref`", beside.name());
                    self.error(&beside, PV_SHAPE, message, "write `allOf: [{$ref: …}]` beside it");
                }
            }
            if let Some(target) = self.target(&reference) {
                schema.all.push(self.schema(&target));
            }
        }
        // Only answers have it, so a request that has it asks to change what is not its to change.
        schema.never = spot.key("readOnly").is_some_and(|flag| self.flag(&flag) == Some(true));
        self.keywords(spot, &mut schema);
        schema
    }

    /// In OpenAPI 3.0 `true` and `false` stand for a schema in `additionalProperties` alone.
    fn takes_flags(&self, spot: &Spot<'d>) -> bool {
        self.version == Version::V31 || spot.pointer.ends_with("/additionalProperties")
    }

    /// Whether only answers have what the schema at `spot` describes.
    fn is_of_answers(&mut self, spot: &Spot<'d>) -> bool {
        let mut at = spot.clone();
        for _ in 0..MAX_LOOKS {
            if at.key("readOnly").is_some_and(|flag| flag.is_true()) {
                return true;
            }
            let Some(target) = at.key("$ref").and_then(|reference| self.target(&reference)) else { return false };
            at = target;
        }
        false
    }

    /// The types that a schema and those it includes leave.
    pub(super) fn types(&self, id: SchemaId, looks: usize) -> Option<Types> {
        let schema = self.schemas.get(id.0).filter(|_| looks < MAX_LOOKS)?;
        schema.types.or_else(|| schema.all.iter().find_map(|id| self.types(*id, looks + 1)))
    }

    /// The schema of the items of a list.
    pub(super) fn items(&self, id: SchemaId, looks: usize) -> Option<SchemaId> {
        let schema = self.schemas.get(id.0).filter(|_| looks < MAX_LOOKS)?;
        let own = schema.list.as_ref().filter(|rules| rules.first.is_empty()).and_then(|rules| rules.items);
        own.or_else(|| schema.all.iter().find_map(|id| self.items(*id, looks + 1)))
    }

    /// The rules that name the members of an object, and the schema they stand in.
    pub(super) fn object_of(&self, id: SchemaId, looks: usize) -> Option<(SchemaId, &ObjectRules)> {
        let schema = self.schemas.get(id.0).filter(|_| looks < MAX_LOOKS)?;
        let own = schema.object.as_deref().filter(|rules| rules.additional.is_some()).map(|rules| (id, rules));
        own.or_else(|| schema.all.iter().find_map(|id| self.object_of(*id, looks + 1)))
    }
}
