//! Bodies of requests.

use std::collections::BTreeMap;

use super::keys::Spot;
use super::{PV_SHAPE, Reader, parameter::Written};
use crate::secrets::shown;
use crate::yaml::Value;
use crate::{ApiBody, ApiContent, ParameterForm, Schema, SchemaId};

const FORM: &str = "application/x-www-form-urlencoded";

impl<'d> Reader<'d, '_> {
    pub(super) fn body(&mut self, spot: Spot<'d>) -> Option<ApiBody> {
        let spot = self.follow(spot)?;
        if !self.is_object(&spot) {
            return None;
        }
        self.only(&spot, &["content", "required"], &["description"]);
        let required = match spot.key("required") {
            Some(required) => self.flag(&required)?,
            None => false,
        };
        let Some(list) = spot.key("content") else {
            self.error(&spot, PV_SHAPE, "`content` is missing", "name the media types of the body");
            return None;
        };
        if !self.is_object(&list) {
            return None;
        }
        let mut content = BTreeMap::new();
        let entries: Vec<(&str, Spot<'d>)> = list.entries().filter(|(media, _)| !media.starts_with("x-")).collect();
        for (media, spot) in entries {
            let Some(read) = self.content(media, &spot) else { continue };
            if content.insert(media.to_ascii_lowercase(), read).is_some() {
                self.error(&spot, PV_SHAPE, format!("`{}` is described twice", shown(media)), "keep one of them");
            }
        }
        Some(ApiBody { required, content })
    }

    fn content(&mut self, media: &str, spot: &Spot<'d>) -> Option<ApiContent> {
        if !self.is_object(spot) {
            return None;
        }
        let essence = media.to_ascii_lowercase();
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        if !essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype)) {
            let help = "name one media type, without parameters and without `*`";
            self.later(spot, format!("`{}` is not one media type", shown(media)), help);
            return None;
        }
        self.only(spot, &["schema", "encoding"], &["example", "examples"]);
        let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
        if let Some(encoding) = spot.key("encoding").filter(|encoding| encoding.entries().next().is_some()) {
            let help =
                "remove it: lists in a form are repeated fields, which is what OpenAPI says where nothing else does";
            self.later(&encoding, "nothing enforces `encoding`", help);
            return None;
        }
        let schema = spot.key("schema");
        if essence == FORM {
            return self.form_content(spot, schema);
        }
        if json {
            return Some(ApiContent::Json(match schema {
                Some(schema) => self.schema_now(&schema),
                None => self.anything(),
            }));
        }
        let Some(schema) = schema.filter(|schema| !says_nothing(schema)) else {
            return Some(ApiContent::Any);
        };
        if essence.starts_with("text/") {
            return Some(ApiContent::Text(self.schema_now(&schema)));
        }
        let help = "leave `schema` out where the content type is all that is demanded, or use JSON or a form; multipart is not read";
        self.later(&schema, format!("nothing can judge `{}` by a schema", shown(media)), help);
        None
    }

    fn form_content(&mut self, spot: &Spot<'d>, schema: Option<Spot<'d>>) -> Option<ApiContent> {
        let Some(schema) = schema else {
            self.error(spot, PV_SHAPE, "`schema` is missing", "say which fields the form has");
            return None;
        };
        let id = self.schema_now(&schema);
        let help = "write `type: object` with `properties` of simple types or lists of these, and `additionalProperties: false`";
        let closed = |schema: &Schema| schema.never;
        let fields = self.object_of(id, 0).and_then(|(_, rules)| {
            let additional = rules.additional.and_then(|id| self.schemas.get(id.0));
            (additional.is_some_and(closed) && rules.by_pattern.is_empty()).then(|| rules.properties.clone())
        });
        let Some(fields) = fields else {
            self.later(&schema, "a form whose fields the schema does not settle", help);
            return None;
        };
        let mut read = BTreeMap::new();
        for (name, field) in fields {
            let form = match self.written(&schema, field)? {
                Written::One(kind) => ParameterForm::One(kind),
                Written::List(kind) => ParameterForm::Repeated(kind),
                Written::Fields(_) => {
                    self.later(&schema, format!("an object in field `{}` of a form", shown(&name)), help);
                    return None;
                }
            };
            read.insert(name, form);
        }
        Some(ApiContent::Form { schema: id, fields: read })
    }

    /// A schema that takes whatever there is.
    fn anything(&mut self) -> SchemaId {
        let id = SchemaId(self.schemas.len());
        self.schemas.push(Schema::default());
        self.places.push((self.root.position.clone(), String::new()));
        id
    }
}

/// `{}`, or a file: the content type is all that is demanded.
fn says_nothing(schema: &Spot<'_>) -> bool {
    match &schema.node.value {
        Value::Mapping(entries) => {
            entries.iter().all(|entry| match entry.key.as_str() {
                "type" => entry.value.scalar() == Some("string"),
                "format" => entry.value.scalar() == Some("binary"),
                key => super::schema::is_annotation(key),
            }) && (entries.iter().any(|entry| entry.key == "format")
                || !entries.iter().any(|entry| entry.key == "type"))
        }
        _ => false,
    }
}
