//! Keywords of schemas. One that is not here does not load.

use super::super::keys::Spot;
use super::super::{PV_PATTERN, PV_SHAPE, Reader, Version, pattern};
use super::is_annotation;
use crate::secrets::shown;
use crate::values::Decimal;
use crate::yaml::Value;
use crate::{Format, Literal, NumberRule, Schema, SchemaId, Types};

impl<'d> Reader<'d, '_> {
    pub(super) fn keywords(&mut self, spot: &Spot<'d>, schema: &mut Schema) {
        let entries: Vec<(&'d str, Spot<'d>)> = spot.entries().collect();
        for (key, below) in &entries {
            let known = self.of_any(key, below, spot, schema)
                || self.of_numbers(key, below, spot, schema)
                || self.of_text(key, below, schema)
                || self.of_lists(key, below, spot, schema)
                || self.of_objects(key, below, spot, schema)
                || self.of_schemas(key, below, spot, schema)
                || is_annotation(key);
            if !known {
                self.refuse(key, below);
            }
        }
    }

    fn refuse(&mut self, key: &str, spot: &Spot<'d>) {
        let help = match key {
            "unevaluatedProperties" => "write `additionalProperties: false` where the properties are named",
            "unevaluatedItems" => "write `items: false` beside `prefixItems`",
            "contentEncoding" | "contentMediaType" | "contentSchema" => "demand a `pattern`, or remove it",
            "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" | "$recursiveAnchor" | "id" => {
                "refer to schemas by their place: `#/components/schemas/…`"
            }
            "definitions" => "put them below `components/schemas`, or `$defs` in OpenAPI 3.1",
            "dependencies" => "write `dependentRequired` or `dependentSchemas`",
            _ if self.version == Version::V30 => {
                "remove it, or write the document as OpenAPI 3.1 if the keyword is of JSON Schema; names of extensions begin with `x-`"
            }
            _ => "remove it, or correct its name; names of extensions begin with `x-`",
        };
        self.later(spot, format!("nothing enforces `{}`", shown(key)), help);
    }

    /// A keyword that OpenAPI 3.0 does not have is unknown there.
    fn has_31(&self) -> bool {
        self.version == Version::V31
    }

    fn of_any(&mut self, key: &str, spot: &Spot<'d>, parent: &Spot<'d>, schema: &mut Schema) -> bool {
        match key {
            // Read before the others.
            "$ref" | "readOnly" => {}
            "type" => schema.types = self.type_of(spot, schema.types),
            "nullable" if self.version == Version::V30 => {
                if parent.key("type").is_none() {
                    self.error(spot, PV_SHAPE, "`nullable` without `type` says nothing", "write `type` beside it");
                } else if self.flag(spot) == Some(true) {
                    schema.types = Some(schema.types.unwrap_or_default().with(Types::NULL));
                }
            }
            "enum" => {
                if self.is_list(spot) {
                    let items: Vec<Spot<'d>> = spot.items().collect();
                    let values: Vec<Literal> = items.iter().filter_map(|item| self.literal(item)).collect();
                    schema.one_of_values.push(values);
                }
            }
            "const" if self.has_31() => schema.one_of_values.extend(self.literal(spot).map(|value| vec![value])),
            "format" => self.format(spot, schema),
            "$defs" if self.has_31() => {}
            "$schema" if self.has_31() => self.dialect(Some(spot.clone())),
            _ => return false,
        }
        true
    }

    fn type_of(&mut self, spot: &Spot<'d>, before: Option<Types>) -> Option<Types> {
        let one = |reader: &mut Self, spot: &Spot<'d>| {
            // `null` without quotes is the word as well.
            let text = match &spot.node.value {
                Value::Plain(text) if text == "null" => "null",
                _ => reader.text(spot)?,
            };
            let named = Types::named(text).filter(|_| reader.has_31() || text != "null");
            if named.is_none() {
                let help = "write `string`, `number`, `integer`, `boolean`, `array` or `object`; in OpenAPI 3.0 `nullable: true` stands for `null`";
                reader.error(spot, PV_SHAPE, format!("`{}` is no type", shown(text)), help);
            }
            named
        };
        let types = match &spot.node.value {
            Value::Sequence(_) if self.has_31() => {
                let items: Vec<Spot<'d>> = spot.items().collect();
                let named: Vec<Types> = items.iter().filter_map(|item| one(self, item)).collect();
                named.into_iter().fold(Types::default(), Types::with)
            }
            _ => one(self, spot)?,
        };
        Some(before.unwrap_or_default().with(types))
    }

    fn format(&mut self, spot: &Spot<'d>, schema: &mut Schema) {
        let Some(text) = self.text(spot) else { return };
        schema.format = Format::named(text);
        if schema.format.is_none() {
            let known: Vec<&str> = Format::ALL.iter().map(|(name, _)| *name).collect();
            let help =
                format!("use a `pattern`, or one of {}; `x-format` may keep the word for people", known.join(", "));
            self.later(spot, format!("nothing enforces format `{}`", shown(text)), help);
        }
    }

    fn of_numbers(&mut self, key: &str, spot: &Spot<'d>, parent: &Spot<'d>, schema: &mut Schema) -> bool {
        let old = self.version == Version::V30;
        let rule: fn(Decimal) -> NumberRule = match key {
            "minimum" if old && parent.key("exclusiveMinimum").is_some_and(|flag| flag.is_true()) => NumberRule::Above,
            "maximum" if old && parent.key("exclusiveMaximum").is_some_and(|flag| flag.is_true()) => NumberRule::Below,
            "minimum" => NumberRule::AtLeast,
            "maximum" => NumberRule::AtMost,
            "exclusiveMinimum" | "exclusiveMaximum" if old => {
                let bound = if key == "exclusiveMinimum" { "minimum" } else { "maximum" };
                if self.flag(spot) == Some(true) && parent.key(bound).is_none() {
                    self.error(spot, PV_SHAPE, format!("`{key}` without `{bound}`"), format!("add `{bound}`"));
                }
                return true;
            }
            "exclusiveMinimum" => NumberRule::Above,
            "exclusiveMaximum" => NumberRule::Below,
            "multipleOf" => NumberRule::MultipleOf,
            _ => return false,
        };
        let Some(number) = self.number(spot) else { return true };
        if key == "multipleOf" && (!number.is_positive() || number.precision() > Decimal::DIVISOR_DIGITS) {
            let message = format!("`multipleOf` must be positive, with at most {} digits", Decimal::DIVISOR_DIGITS);
            self.error(spot, PV_SHAPE, message, "write such a number");
            return true;
        }
        schema.numbers.push(rule(number));
        true
    }

    fn of_text(&mut self, key: &str, spot: &Spot<'d>, schema: &mut Schema) -> bool {
        match key {
            "minLength" => schema.text.get_or_insert_default().min = self.count(spot).unwrap_or_default(),
            "maxLength" => schema.text.get_or_insert_default().max = self.count(spot),
            "pattern" => {
                schema.text.get_or_insert_default().pattern = self.text(spot).and_then(|text| self.pattern(spot, text))
            }
            _ => return false,
        }
        true
    }

    /// The number of a pattern. Each is compiled once.
    fn pattern(&mut self, spot: &Spot<'d>, text: &str) -> Option<usize> {
        let translated = match pattern::translate(text) {
            Ok(translated) => translated,
            Err(why) => {
                let help = "use a shorter pattern of ECMA-262 without look-around and back references";
                self.error(spot, PV_PATTERN, format!("a pattern that does not compile: {why}"), help);
                return None;
            }
        };
        let known = self.patterns.iter().position(|known| *known == translated);
        Some(known.unwrap_or_else(|| {
            self.patterns.push(translated);
            self.patterns.len() - 1
        }))
    }

    fn of_lists(&mut self, key: &str, spot: &Spot<'d>, parent: &Spot<'d>, schema: &mut Schema) -> bool {
        match key {
            "minItems" => schema.list.get_or_insert_default().min = self.count(spot).unwrap_or_default(),
            "maxItems" => schema.list.get_or_insert_default().max = self.count(spot),
            "uniqueItems" => schema.list.get_or_insert_default().unique = self.flag(spot) == Some(true),
            "items" => schema.list.get_or_insert_default().items = Some(self.schema(spot)),
            "prefixItems" if self.has_31() => schema.list.get_or_insert_default().first = self.several(spot),
            "contains" if self.has_31() => {
                let least = parent.key("minContains").map_or(Some(1), |spot| self.count(&spot));
                let most = parent.key("maxContains").and_then(|spot| self.count(&spot));
                let id = self.schema(spot);
                schema.list.get_or_insert_default().contains = Some((id, least.unwrap_or(1), most));
            }
            "minContains" | "maxContains" if self.has_31() => {
                if parent.key("contains").is_none() {
                    self.error(
                        spot,
                        PV_SHAPE,
                        format!("`{key}` without `contains` holds for nothing"),
                        "add `contains`, or remove it",
                    );
                }
            }
            _ => return false,
        }
        true
    }

    fn of_objects(&mut self, key: &str, spot: &Spot<'d>, parent: &Spot<'d>, schema: &mut Schema) -> bool {
        match key {
            "minProperties" => schema.object.get_or_insert_default().min = self.count(spot).unwrap_or_default(),
            "maxProperties" => schema.object.get_or_insert_default().max = self.count(spot),
            "properties" => {
                let properties = self.by_name(spot);
                schema.object.get_or_insert_default().properties = properties.into_iter().collect();
            }
            "additionalProperties" => schema.object.get_or_insert_default().additional = Some(self.schema(spot)),
            "required" => {
                let properties = parent.key("properties");
                let names = self.names(spot);
                let asked = names.into_iter().filter(|name| {
                    let property = properties.as_ref().and_then(|properties| properties.key(name));
                    !property.is_some_and(|property| self.is_of_answers(&property))
                });
                schema.object.get_or_insert_default().required = asked.collect();
            }
            "patternProperties" if self.has_31() => {
                let entries: Vec<(&'d str, Spot<'d>)> = spot.entries().collect();
                for (text, below) in &entries {
                    let pattern = self.pattern(below, text);
                    let id = self.schema(below);
                    schema.object.get_or_insert_default().by_pattern.extend(pattern.map(|pattern| (pattern, id)));
                }
            }
            "propertyNames" if self.has_31() => schema.object.get_or_insert_default().names = Some(self.schema(spot)),
            "dependentRequired" if self.has_31() => {
                let entries: Vec<(&'d str, Spot<'d>)> = spot.entries().collect();
                for (name, below) in &entries {
                    let names = self.names(below);
                    schema.object.get_or_insert_default().dependent_required.push(((*name).to_owned(), names));
                }
            }
            "dependentSchemas" if self.has_31() => {
                let schemas = self.by_name(spot);
                schema.object.get_or_insert_default().dependent_schemas = schemas;
            }
            _ => return false,
        }
        true
    }

    fn of_schemas(&mut self, key: &str, spot: &Spot<'d>, parent: &Spot<'d>, schema: &mut Schema) -> bool {
        match key {
            "allOf" => {
                let all = self.several(spot);
                schema.all.extend(all);
            }
            "anyOf" => schema.any = Some(self.several(spot)),
            "oneOf" => schema.one = Some(self.several(spot)),
            "not" => schema.not = Some(self.schema(spot)),
            "if" if self.has_31() => {
                let condition = self.schema(spot);
                let yes = parent.key("then").map(|spot| self.schema(&spot));
                let no = parent.key("else").map(|spot| self.schema(&spot));
                schema.branch = Some((condition, yes, no));
            }
            "then" | "else" if self.has_31() => {
                if parent.key("if").is_none() {
                    self.error(
                        spot,
                        PV_SHAPE,
                        format!("`{key}` without `if` holds for nothing"),
                        "add `if`, or remove it",
                    );
                }
            }
            // It only says faster which one of the list it will be; the list itself is judged.
            "discriminator" => {
                if parent.key("oneOf").is_none() && parent.key("anyOf").is_none() {
                    let help = "name the schemas in a `oneOf` beside it";
                    self.later(spot, "`discriminator` without the list that it chooses from", help);
                }
            }
            _ => return false,
        }
        true
    }

    /// A list of schemas, at least one.
    fn several(&mut self, spot: &Spot<'d>) -> Vec<SchemaId> {
        if !self.is_list(spot) {
            return Vec::new();
        }
        let items: Vec<Spot<'d>> = spot.items().collect();
        if items.is_empty() {
            self.error(spot, PV_SHAPE, format!("`{}` is empty", spot.name()), "name at least one schema");
        }
        items.iter().map(|item| self.schema(item)).collect()
    }

    fn by_name(&mut self, spot: &Spot<'d>) -> Vec<(String, SchemaId)> {
        if !self.is_object(spot) {
            return Vec::new();
        }
        let entries: Vec<(&'d str, Spot<'d>)> = spot.entries().collect();
        entries.iter().map(|(name, below)| ((*name).to_owned(), self.schema(below))).collect()
    }
}
