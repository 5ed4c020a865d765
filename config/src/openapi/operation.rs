//! The document and its operations.

use super::keys::Spot;
use super::{MAX_OPERATIONS, PV_BLIND, PV_CEILING, PV_LATER, PV_SHAPE, Reader, Version};
use crate::{ApiParameter, Operation, ParameterPlace, Segment};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// What a document says beside requests. Components are read where something refers to them.
const PASSED: [&str; 6] = ["info", "components", "tags", "externalDocs", "webhooks", "jsonSchemaDialect"];
/// Base dialects of OpenAPI 3.1.
const DIALECTS: [&str; 2] =
    ["https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/base"];

impl<'d> Reader<'d, '_> {
    pub(super) fn document(&mut self, root: &Spot<'d>) -> Vec<Operation> {
        self.only(root, &["openapi", "servers", "paths", "security"], &PASSED);
        self.security(root);
        self.dialect(root.key("jsonSchemaDialect"));
        let (Some(base), Some(paths)) = (self.base(root), root.key("paths")) else {
            if root.key("paths").is_none() {
                self.error(
                    root,
                    PV_BLIND,
                    "`paths` is missing, so every request would be refused",
                    "describe the operations",
                );
            }
            return Vec::new();
        };
        if !self.is_object(&paths) {
            return Vec::new();
        }
        let (mut operations, mut templates) = (Vec::new(), Vec::new());
        let items: Vec<(&str, Spot<'d>)> = paths.entries().filter(|(path, _)| !path.starts_with("x-")).collect();
        for (path, item) in items {
            let written = format!("{base}{path}");
            let Some(segments) = self.template(&item, &written) else { continue };
            templates.push((segments.clone(), item.clone()));
            let Some(item) = self.follow(item) else { continue };
            self.path_item(&item, &written, &segments, &mut operations);
            if operations.len() > MAX_OPERATIONS {
                let message = format!("more than {MAX_OPERATIONS} operations");
                self.error(&item, PV_CEILING, message, "split the document, one for each route");
                return Vec::new();
            }
        }
        self.refuse_ambiguous(&templates);
        if operations.is_empty() && !self.report.has_errors() {
            let help = "describe the operations, or remove `schemaFrom`";
            self.error(&paths, PV_BLIND, "no operation, so every request would be refused", help);
        }
        operations
    }

    /// Who may ask is said by manifests. It is told once that nothing reads it here.
    fn security(&mut self, spot: &Spot<'d>) {
        let Some(security) = spot.key("security") else { return };
        if security.items().next().is_none() || self.warned_of_security {
            return;
        }
        self.warned_of_security = true;
        let help = "say who may ask with `authentication` of an APIAccessPolicy and with permits";
        let message = "`security` is not read: schemes and scopes of the document demand nothing";
        self.report.warning(PV_LATER, &security.node.position, security.pointer, message, help);
    }

    pub(super) fn dialect(&mut self, spot: Option<Spot<'d>>) {
        let Some(spot) = spot else { return };
        let known = self.text(&spot).is_none_or(|text| DIALECTS.contains(&text.trim_end_matches('#')));
        if !known {
            self.later(
                &spot,
                "schemas of another dialect are not read",
                "write them in JSON Schema 2020-12, the dialect of OpenAPI 3.1",
            );
        }
    }

    fn path_item(&mut self, item: &Spot<'d>, written: &str, path: &[Segment], operations: &mut Vec<Operation>) {
        if !self.is_object(item) {
            return;
        }
        let known: Vec<&str> = METHODS.into_iter().chain(["parameters"]).collect();
        self.only(item, &known, &["summary", "description"]);
        let shared = self.parameters(item.key("parameters"), path);
        for method in METHODS {
            let Some(spot) = item.key(method) else { continue };
            if !self.is_object(&spot) {
                continue;
            }
            let passed = [
                "tags",
                "summary",
                "description",
                "externalDocs",
                "operationId",
                "deprecated",
                "responses",
                "callbacks",
            ];
            self.only(&spot, &["parameters", "requestBody", "security"], &passed);
            self.security(&spot);
            let mut parameters = self.parameters(spot.key("parameters"), path);
            let own = |parameter: &ApiParameter| parameters.iter().any(|own| is_same(own, parameter));
            let inherited: Vec<ApiParameter> = shared.iter().filter(|parameter| !own(parameter)).cloned().collect();
            parameters.extend(inherited);
            self.refuse_unnamed(&spot, path, &parameters);
            let body = spot.key("requestBody").and_then(|body| {
                let bodiless =
                    matches!(method, "get" | "head" | "trace") || (self.version == Version::V30 && method == "delete");
                if bodiless {
                    self.error(
                        &body,
                        PV_SHAPE,
                        format!("a body of `{method}`, which has none by HTTP"),
                        "remove it, or use another method",
                    );
                    return None;
                }
                self.body(body)
            });
            operations.push(Operation {
                method: method.to_ascii_uppercase(),
                template: written.to_owned(),
                path: path.to_vec(),
                parameters,
                body,
            });
        }
    }

    /// Every parameter in a path is described.
    fn refuse_unnamed(&mut self, spot: &Spot<'d>, path: &[Segment], parameters: &[ApiParameter]) {
        for segment in path {
            let Segment::Parameter(name) = segment else { continue };
            let is = |parameter: &&ApiParameter| parameter.place == ParameterPlace::Path && parameter.name == *name;
            if path.iter().filter(|other| *other == segment).count() > 1 {
                self.error(spot, PV_SHAPE, format!("`{{{name}}}` stands in the path twice"), "give each its own name");
                return;
            }
            if !parameters.iter().any(|parameter| is(&parameter)) {
                let message = format!("nothing says what `{{{name}}}` of the path may be");
                let help = format!(
                    "add `{{name: {name}, in: path, required: true, schema: {{type: string}}}}` to `parameters`"
                );
                self.error(spot, PV_SHAPE, message, help);
            }
        }
    }
}

pub(super) fn is_same(one: &ApiParameter, other: &ApiParameter) -> bool {
    one.place == other.place && one.name == other.name
}
