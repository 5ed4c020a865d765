//! What a document may say, and what it may not.

use super::read;
use crate::{Api, Report, Segment};

/// A document of 3.1 with these lines, each below `paths: /a: post:` if it begins with a dash.
fn document(version: &str, paths: &str, schemas: &str) -> String {
    format!(
        "openapi: {version}\ninfo: {{title: t, version: '1'}}\npaths:\n{paths}\ncomponents:\n  schemas:\n{schemas}\n"
    )
}

fn told(text: &str) -> (Option<Api>, String) {
    let mut report = Report::new();
    let api = read("api.yaml", text.as_bytes(), &mut report);
    (api, report.to_string())
}

/// A POST whose body is this schema.
fn of_schema(version: &str, schema: &str) -> String {
    let paths =
        "  /a: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/S'}}}}}}";
    document(version, paths, &format!("    S: {schema}\n    Other: {{type: string}}"))
}

#[test]
fn what_requests_must_match_is_read() {
    let text = "\
openapi: 3.1.0
info: {title: Orders, version: '1', x-team: orders}
servers: [{url: 'https://{region}.example.com/v1/', variables: {region: {default: eu}}}, {url: /v1}]
tags: [{name: orders}]
paths:
  /orders/{id}:
    summary: One order
    parameters: [{name: id, in: path, required: true, schema: {type: integer, minimum: 1}}]
    get: {operationId: read, deprecated: true, responses: {'200': {description: It}}}
    patch:
      parameters: [{name: id, in: path, required: true, schema: {type: string, format: uuid}}, {$ref: '#/components/parameters/dry'}]
      requestBody: {$ref: '#/components/requestBodies/Change'}
components:
  parameters: {dry: {name: X-Dry, in: header, schema: {type: boolean}}}
  requestBodies: {Change: {required: true, content: {application/merge-patch+json: {schema: {type: object}}}}}
  securitySchemes: {unread: {type: http, scheme: bearer}}
";
    let (api, said) = told(text);
    assert_eq!(said, "");
    let operations = api.unwrap().operations;
    let shown: Vec<_> = operations
        .iter()
        .map(|o| (o.method.as_str(), o.template.as_str(), o.parameters.len(), o.body.is_some()))
        .collect();
    assert_eq!(shown, [("GET", "/v1/orders/{id}", 1, false), ("PATCH", "/v1/orders/{id}", 2, true)]);
    assert_eq!(operations[0].path[2], Segment::Parameter("id".to_owned()));
    assert_eq!(operations[1].parameters[1].name, "x-dry", "names of headers are compared in lower case");
}

#[test]
fn security_of_a_document_is_said_not_to_be_read() {
    let text = document("3.0.3", "  /a: {get: {security: [{key: []}], responses: {}}}", "    S: {}");
    let (api, said) = told(&text);
    assert!(api.is_some() && said.starts_with("warning[PV-007]: `security` is not read"), "{said}");
}

#[test]
fn a_keyword_that_nothing_enforces_does_not_load() {
    for (version, schema, wanted) in [
        ("3.1.0", "{type: object, unevaluatedProperties: false}", "nothing enforces `unevaluatedProperties`"),
        ("3.1.0", "{type: string, contentEncoding: base64}", "nothing enforces `contentEncoding`"),
        ("3.1.0", "{$id: 'https://example.com/s'}", "nothing enforces `$id`"),
        ("3.1.0", "{$dynamicRef: '#x'}", "nothing enforces `$dynamicRef`"),
        ("3.1.0", "{tpye: string}", "nothing enforces `tpye`"),
        ("3.1.0", "{type: string, nullable: true}", "nothing enforces `nullable`"),
        ("3.0.3", "{const: 1}", "nothing enforces `const`"),
        ("3.0.3", "{type: object, patternProperties: {a: {}}}", "nothing enforces `patternProperties`"),
        ("3.0.3", "{type: object, discriminator: {propertyName: kind}}", "`discriminator` without the list"),
        ("3.1.0", "{type: string, format: iban}", "nothing enforces format `iban`"),
        ("3.1.0", "{$ref: 'other.yaml#/S'}", "leads out of the document"),
        ("3.1.0", "{$ref: 'https://example.com/s.json'}", "leads out of the document"),
        ("3.1.0", "{$ref: '../../etc/passwd'}", "leads out of the document"),
        ("3.1.0", "{$ref: '#anchor'}", "is no pointer"),
        ("3.1.0", "{$ref: '#/components/schemas/Gone'}", "leads nowhere"),
        (
            "3.0.3",
            "{$ref: '#/components/schemas/Other', maxLength: 3}",
            "OpenAPI 3.0 ignores `maxLength` beside `$ref`",
        ),
        ("3.0.3", "{nullable: true}", "`nullable` without `type`"),
        ("3.0.3", "{type: [string, integer]}", "must be text, not a list"),
        ("3.0.3", "{type: 'null'}", "`null` is no type"),
        ("3.0.3", "true", "must be a schema"),
        ("3.1.0", "{type: text}", "`text` is no type"),
        ("3.1.0", "{then: {type: string}}", "`then` without `if`"),
        ("3.1.0", "{minContains: 2}", "`minContains` without `contains`"),
        ("3.0.3", "{exclusiveMinimum: true}", "`exclusiveMinimum` without `minimum`"),
        ("3.1.0", "{minimum: 0x10}", "is no number of JSON"),
        ("3.1.0", "{multipleOf: 0}", "`multipleOf` must be positive"),
        ("3.1.0", "{minLength: -1}", "must be a whole number"),
        ("3.1.0", "{enum: [yes]}", "a truth value to some readers"),
        ("3.1.0", "{pattern: '(?=a)'}", "error[PV-053]: a pattern that does not compile: look-around"),
        ("3.1.0", "{anyOf: []}", "`anyOf` is empty"),
        ("3.1.0", "{$ref: '#/components/schemas/S'}", "holds for a value if it holds for that value"),
        ("3.1.0", "{anyOf: [{not: {$ref: '#/components/schemas/S'}}]}", "holds for a value if it holds for that value"),
    ] {
        let (api, said) = told(&of_schema(version, schema));
        assert!(api.is_none() && said.contains(wanted), "{schema} of {version}: no `{wanted}` in\n{said}");
        assert!(
            said.contains("--> api.yaml:7:") && said.contains("  /components/schemas/S"),
            "it has a place:\n{said}"
        );
        assert!(said.contains("help: "), "and a way out:\n{said}");
    }
}

#[test]
fn annotations_and_extensions_pass() {
    for (version, schema) in [
        (
            "3.0.3",
            "{type: string, title: t, description: d, default: 1, example: [1], deprecated: true, x-a: {b: c}, xml: {}, externalDocs: {url: u}, writeOnly: true, nullable: true}",
        ),
        (
            "3.1.0",
            "{type: [string, 'null'], examples: [a], $comment: c, $schema: 'https://json-schema.org/draft/2020-12/schema'}",
        ),
        ("3.1.0", "{oneOf: [{$ref: '#/components/schemas/Other'}], discriminator: {propertyName: kind}}"),
        (
            "3.1.0",
            "{type: object, properties: {self: {$ref: '#/components/schemas/S'}, list: {type: array, items: {$ref: '#/components/schemas/S'}}}}",
        ),
        ("3.1.0", "{$ref: '#/components/schemas/Other', description: beside, maxLength: 3}"),
        ("3.1.0", "{$defs: {a: {type: string}}, properties: {b: {$ref: '#/components/schemas/S/$defs/a'}}}"),
    ] {
        let (api, said) = told(&of_schema(version, schema));
        assert!(api.is_some() && said.is_empty(), "{schema}:\n{said}");
    }
}

#[test]
fn paths_parameters_and_bodies_that_cannot_be_judged_do_not_load() {
    let get = |parameters: &str| {
        format!(
            "  /a/{{id}}: {{get: {{parameters: [{{name: id, in: path, required: true, schema: {{type: string}}}}, {parameters}]}}}}"
        )
    };
    let post = |content: &str| format!("  /a: {{post: {{requestBody: {{content: {{{content}}}}}}}}}");
    for (paths, wanted) in [
        ("  a: {get: {}}".to_owned(), "does not begin with `/`"),
        ("  /a/{id}.json: {get: {}}".to_owned(), "is a parameter with something beside it"),
        ("  /a//b: {get: {}}".to_owned(), "is not a canonical piece"),
        ("  /a/../b: {get: {}}".to_owned(), "is not a canonical piece"),
        ("  /a%2fb: {get: {}}".to_owned(), "is not a canonical piece"),
        ("  /a;x: {get: {}}".to_owned(), "is not a canonical piece"),
        ("  /a/{id}: {get: {}}".to_owned(), "nothing says what `{id}` of the path may be"),
        ("  /{a}/{a}: {parameters: [{name: a, in: path, required: true, schema: {type: string}}], get: {}}".to_owned(), "stands in the path twice"),
        ("  /{a}/b: {parameters: [{name: a, in: path, required: true, schema: {type: string}}], get: {}}\n  /a/{b}: {parameters: [{name: b, in: path, required: true, schema: {type: string}}], get: {}}".to_owned(), "error[PV-005]"),
        ("  /{a}: {parameters: [{name: a, in: path, required: true, schema: {type: string}}], get: {}}\n  /{b}: {parameters: [{name: b, in: path, required: true, schema: {type: string}}], get: {}}".to_owned(), "error[PV-005]"),
        ("  /a: {servers: [{url: /b}], get: {}}".to_owned(), "nothing enforces `servers`"),
        ("  /a: {query: {}}".to_owned(), "nothing enforces `query`"),
        ("  /a: {}".to_owned(), "error[PV-025]"),
        ("  /a: {get: {requestBody: {content: {}}}}".to_owned(), "a body of `get`"),
        ("  /a: {$ref: 'paths/a.yaml'}".to_owned(), "leads out of the document"),
        (get("{name: other, in: path, required: true, schema: {type: string}}"), "does not stand in the path"),
        (get("{name: q, in: body, schema: {}}"), "is no place of a parameter"),
        (get("{name: Authorization, in: header, schema: {type: string}}"), "is not a parameter to OpenAPI"),
        (get("{name: 'a b', in: header, schema: {type: string}}"), "is no name of a header"),
        (get("{name: q, in: query}"), "needs `schema` or `content`"),
        (get("{name: q, in: query, schema: {}}"), "a text whose type its schema does not settle"),
        (get("{name: q, in: query, schema: {type: array}}"), "a text whose type its schema does not settle"),
        (get("{name: q, in: query, style: pipeDelimited, schema: {type: array, items: {type: string}}}"), "is not read"),
        (get("{name: q, in: query, style: deepObject, schema: {type: object, properties: {a: {type: string}}}}"), "does not settle"),
        (get("{name: q, in: query, schema: {type: object, properties: {a: {type: string}}, additionalProperties: false}}"), "an object in query as `form` is not read"),
        (get("{name: q, in: cookie, schema: {type: array, items: {type: string}}}"), "a list in cookie"),
        (get("{name: q, in: query, allowReserved: true, schema: {type: string}}"), "nothing enforces `allowReserved`"),
        (get("{name: q, in: query, allowEmptyValue: true, schema: {type: string}}"), "nothing enforces `allowEmptyValue`"),
        (get("{name: q, in: query, content: {application/xml: {}}}"), "is not read"),
        (get("{name: q, in: query, schema: {type: string}}, {name: q, in: query, schema: {type: string}}"), "is described twice"),
        (post("multipart/form-data: {schema: {type: object}}"), "nothing can judge `multipart/form-data`"),
        (post("application/xml: {schema: {type: object}}"), "nothing can judge `application/xml`"),
        (post("'application/*': {}"), "is not one media type"),
        (post("'application/json; charset=utf-8': {}"), "is not one media type"),
        (post("application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: string}}}}"), "a form whose fields"),
        (post("application/x-www-form-urlencoded: {encoding: {a: {style: form}}, schema: {type: object}}"), "nothing enforces `encoding`"),
        (post("application/json: {schema: {}, itemSchema: {}}"), "nothing enforces `itemSchema`"),
    ] {
        let (api, said) = told(&document("3.1.0", &paths, "    S: {}"));
        assert!(api.is_none() && said.contains(wanted), "{paths}: no `{wanted}` in\n{said}");
        assert!(said.contains("--> api.yaml:") && said.contains("  /paths"), "it has a place:\n{said}");
    }
}

#[test]
fn what_is_no_document_that_is_read_does_not_load() {
    for (text, wanted) in [
        ("swagger: '2.0'\n", "`openapi` is missing"),
        ("openapi: 3.2.0\npaths: {}\n", "version `3.2.0` of OpenAPI is not read"),
        ("openapi: 3.1.0\npaths: {}\n", "no operation, so every request would be refused"),
        ("openapi: 3.1.0\n", "`paths` is missing"),
        (
            "openapi: 3.1.0\njsonSchemaDialect: 'https://example.com/d'\npaths: {/a: {get: {}}}\n",
            "schemas of another dialect",
        ),
        ("openapi: 3.1.0\nservers: [{url: '/{v}'}]\npaths: {/a: {get: {}}}\n", "with a variable"),
        ("openapi: 3.1.0\nservers: [{url: /a}, {url: /b}]\npaths: {/a: {get: {}}}\n", "servers whose paths differ"),
        ("openapi: 3.1.0\npaths: {/a: {get: {responses: {200: {}}}}}\n", "a key that is not text"),
        ("openapi: 3.1.0\npaths: &a {/a: {get: {}}}\n", "an anchor"),
        ("openapi: 3.1.0\npaths: {/a: {get: {}}}\n---\nopenapi: 3.1.0\n", "a second document"),
        ("openapi: 3.1.0\nopenapi: 3.0.0\npaths: {/a: {get: {}}}\n", "is written twice"),
        ("openapi: 3.1.0\npaths: {/a: {get: {}}}", "may have been cut"),
        ("{\"openapi\": \"3.1.0\", \"paths\": {\"/a\": {\"get\": {}}", "did not find expected"),
        ("", "no document"),
    ] {
        let (api, said) = told(text);
        assert!(api.is_none(), "{text}");
        // How the parser of YAML puts it is not ours to fix.
        assert!(
            said.contains(wanted) || wanted == "did not find expected" && !said.is_empty(),
            "{text}: no `{wanted}` in\n{said}"
        );
    }
    assert!(told(&format!("openapi: 3.1.0\npaths: {{}}\n#{}\n", "x".repeat(super::MAX_DOCUMENT))).1.contains("PV-009"));
}

#[test]
fn attack_44_a_document_that_goes_in_circles_or_deep_ends() {
    let chain: String = (0..5000)
        .map(|n| format!("    C{n}: {{properties: {{next: {{$ref: '#/components/schemas/C{}'}}}}}}\n", n + 1))
        .collect();
    let text = document(
        "3.1.0",
        "  /a: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/C0'}}}}}}",
        &(chain + "    C5000: {}"),
    );
    assert!(told(&text).0.is_some());
    let text = document(
        "3.1.0",
        "  /a: {post: {requestBody: {$ref: '#/components/requestBodies/B'}}}",
        "    S: {}\n  requestBodies: {B: {$ref: '#/components/requestBodies/B'}}",
    );
    assert!(told(&text).1.contains("references lead in a circle"));
}
