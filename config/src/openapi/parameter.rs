//! Parameters, and how each is written as text.

use std::collections::BTreeMap;

use super::keys::Spot;
use super::operation::is_same;
use super::{PV_SHAPE, Reader};
use crate::secrets::shown;
use crate::{ApiParameter, Literal, ParameterForm, ParameterPlace, SchemaId, Segment, TextKind, Types};

const KNOWN: [&str; 9] =
    ["name", "in", "required", "schema", "content", "style", "explode", "allowReserved", "allowEmptyValue"];
const PASSED: [&str; 4] = ["description", "deprecated", "example", "examples"];
/// Header parameters that OpenAPI tells readers to pass by.
const NOT_PARAMETERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// What a schema says a text is.
#[derive(Debug, Clone)]
pub(super) enum Written {
    One(TextKind),
    List(TextKind),
    Fields(BTreeMap<String, TextKind>),
}

impl<'d> Reader<'d, '_> {
    pub(super) fn parameters(&mut self, list: Option<Spot<'d>>, path: &[Segment]) -> Vec<ApiParameter> {
        let Some(list) = list else { return Vec::new() };
        if !self.is_list(&list) {
            return Vec::new();
        }
        let mut parameters: Vec<ApiParameter> = Vec::new();
        let items: Vec<Spot<'d>> = list.items().collect();
        for item in items {
            let Some(spot) = self.follow(item) else { continue };
            let Some(parameter) = self.parameter(&spot, path) else { continue };
            if parameters.iter().any(|other| is_same(other, &parameter)) {
                let message = format!("`{}` is described twice", shown(&parameter.name));
                self.error(&spot, PV_SHAPE, message, "keep one of them");
            }
            parameters.push(parameter);
        }
        parameters
    }

    fn parameter(&mut self, spot: &Spot<'d>, path: &[Segment]) -> Option<ApiParameter> {
        if !self.is_object(spot) {
            return None;
        }
        self.only(spot, &KNOWN, &PASSED);
        let (Some(name), Some(place)) = (spot.key("name"), spot.key("in")) else {
            self.error(spot, PV_SHAPE, "a parameter without `name` or `in`", "write both");
            return None;
        };
        let name = self.text(&name)?.to_owned();
        let place = match self.text(&place)? {
            "path" => ParameterPlace::Path,
            "query" => ParameterPlace::Query,
            "header" => ParameterPlace::Header,
            "cookie" => ParameterPlace::Cookie,
            other => {
                let message = format!("`{}` is no place of a parameter", shown(other));
                self.error(&place, PV_SHAPE, message, "write `path`, `query`, `header` or `cookie`");
                return None;
            }
        };
        let required = match spot.key("required") {
            Some(required) => self.flag(&required)?,
            None => false,
        };
        self.refuse_misplaced(spot, &name, place, required, path)?;
        for flag in ["allowReserved", "allowEmptyValue"] {
            if let Some(flag) = spot.key(flag).filter(Spot::is_true) {
                let help = "remove it; escape what is reserved, and let the schema take an empty text";
                self.later(&flag, format!("nothing enforces `{}`", flag.name()), help);
                return None;
            }
        }
        let (schema, form) = match (spot.key("schema"), spot.key("content")) {
            (Some(schema), None) => {
                let id = self.schema_now(&schema);
                let written = self.written(&schema, id)?;
                (id, self.form(spot, place, written)?)
            }
            (None, Some(content)) => (self.json_content(&content)?, ParameterForm::Json),
            _ => {
                self.error(spot, PV_SHAPE, "a parameter needs `schema` or `content`, and not both", "write `schema`");
                return None;
            }
        };
        let name = if place == ParameterPlace::Header { name.to_ascii_lowercase() } else { name };
        Some(ApiParameter { name, place, required, form, schema })
    }

    fn refuse_misplaced(
        &mut self,
        spot: &Spot<'d>,
        name: &str,
        place: ParameterPlace,
        required: bool,
        path: &[Segment],
    ) -> Option<()> {
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        let (message, help) = match place {
            ParameterPlace::Path if !path.contains(&Segment::Parameter(name.to_owned())) => (
                format!("`{{{}}}` does not stand in the path", shown(name)),
                "correct the name, or remove the parameter",
            ),
            ParameterPlace::Path if !required => {
                (format!("path parameter `{}` is always there", shown(name)), "write `required: true`")
            }
            ParameterPlace::Header if NOT_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) => (
                format!("`{}` is not a parameter to OpenAPI, whose readers pass it by", shown(name)),
                "remove it: content types stand in `requestBody`, and credentials are a matter of manifests",
            ),
            ParameterPlace::Header | ParameterPlace::Cookie if !token(name) => {
                (format!("`{}` is no name of a {}", shown(name), place.as_str()), "correct the name")
            }
            _ => return Some(()),
        };
        self.error(spot, PV_SHAPE, message, help);
        None
    }

    /// The schema of the one media type of `content`, which is JSON.
    fn json_content(&mut self, content: &Spot<'d>) -> Option<SchemaId> {
        let entries: Vec<(&str, Spot<'d>)> = content.entries().collect();
        let [(media, spot)] = entries.as_slice() else {
            self.unexpected(content, "an object with one media type");
            return None;
        };
        if *media != "application/json" {
            let message = format!("a parameter as `{}` is not read", shown(media));
            self.later(spot, message, "use `application/json`, or a `schema` without `content`");
            return None;
        }
        self.only(spot, &["schema"], &["example", "examples"]);
        let Some(schema) = spot.key("schema") else {
            self.error(spot, PV_SHAPE, "`schema` is missing", "say what the JSON is");
            return None;
        };
        Some(self.schema_now(&schema))
    }

    /// How a value is written, by `style` and `explode` (OpenAPI 3.1 §4.8.12.3).
    fn form(&mut self, spot: &Spot<'d>, place: ParameterPlace, written: Written) -> Option<ParameterForm> {
        let usual = match place {
            ParameterPlace::Path | ParameterPlace::Header => "simple",
            ParameterPlace::Query | ParameterPlace::Cookie => "form",
        };
        let style = match spot.key("style") {
            Some(style) => self.text(&style)?,
            None => usual,
        };
        let explode = match spot.key("explode") {
            Some(explode) => self.flag(&explode)?,
            None => style == "form",
        };
        Some(match (place, style, explode, written) {
            (ParameterPlace::Query, "deepObject", _, Written::Fields(fields)) => ParameterForm::Fields(fields),
            (_, style, _, Written::One(kind)) if style == usual => ParameterForm::One(kind),
            (ParameterPlace::Query, "form", true, Written::List(kind)) => ParameterForm::Repeated(kind),
            (ParameterPlace::Path | ParameterPlace::Header, "simple", _, Written::List(kind))
            | (ParameterPlace::Query, "form", false, Written::List(kind)) => ParameterForm::Commas(kind),
            (_, _, _, written) => {
                let what = match written {
                    Written::One(_) => "a value",
                    Written::List(_) => "a list",
                    Written::Fields(_) => "an object",
                };
                let message = format!("{what} in {} as `{}` is not read", place.as_str(), shown(style));
                let help = "use `simple` in paths and headers, `form` in queries and cookies, `deepObject` for objects in queries; lists stand in no cookie, and objects in queries alone";
                self.later(spot, message, help);
                return None;
            }
        })
    }

    /// What a text stands for, by its schema.
    pub(super) fn written(&mut self, spot: &Spot<'d>, id: SchemaId) -> Option<Written> {
        let types = self.types(id, 0).map(|types| types.without(Types::NULL));
        let written = match types {
            Some(Types::ARRAY) => {
                let items = self.items(id, 0).and_then(|items| self.kind(items));
                items.map(Written::List)
            }
            Some(Types::OBJECT) => self.fields(id).map(Written::Fields),
            _ => self.kind(id).map(Written::One),
        };
        if written.is_none() {
            let help = "write `type: string`, `integer`, `number` or `boolean`, a list of one of these, or an object of these with `additionalProperties: false`";
            self.later(spot, "a text whose type its schema does not settle", help);
        }
        written
    }

    /// The one simple type a schema takes.
    pub(super) fn kind(&self, id: SchemaId) -> Option<TextKind> {
        match self.types(id, 0).map(|types| types.without(Types::NULL)) {
            Some(Types::STRING) => Some(TextKind::Text),
            Some(Types::INTEGER) => Some(TextKind::Integer),
            Some(Types::NUMBER) => Some(TextKind::Number),
            Some(Types::BOOLEAN) => Some(TextKind::Boolean),
            Some(_) => None,
            None => {
                let schema = self.schemas.get(id.0)?;
                let texts = |values: &Vec<Literal>| values.iter().all(|value| matches!(value, Literal::Text(_)));
                (!schema.one_of_values.is_empty() && schema.one_of_values.iter().all(texts)).then_some(TextKind::Text)
            }
        }
    }

    /// Fields of an object that has no others.
    fn fields(&self, id: SchemaId) -> Option<BTreeMap<String, TextKind>> {
        let (id, rules) = self.object_of(id, 0)?;
        let closed = rules.additional.and_then(|id| self.schemas.get(id.0)).is_some_and(|schema| schema.never);
        let _ = id;
        if !closed || !rules.by_pattern.is_empty() {
            return None;
        }
        rules.properties.iter().map(|(name, id)| Some((name.clone(), self.kind(*id)?))).collect()
    }
}
