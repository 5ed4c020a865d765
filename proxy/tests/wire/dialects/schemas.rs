//! Schemas that answers of a model and arguments of a tool have to fit, in every vendor's words.

use super::shapes::{Call, Says, Shape};
use crate::house::upstream::Act;
use crate::house::{House, Plan};

const ANSWER: &str = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
  "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}}, "required": ["city"]}"#;
const NOTE: &str = "type: object\nproperties: {to: {enum: [mia, ned]}}\nrequired: [to]\n";

fn plan(shape: Shape) -> Plan {
    let schemas = "  output:\n    markup: Allow\n    schemas:\n      - {model: \"lar*\", schemaFrom: \"file:schemas/answer.json\"}\n      \
                   - {tool: \"note*\", schemaFrom: \"file:schemas/note.yaml\"}\n";
    shape.plan(schemas).file("schemas/answer.json", ANSWER).file("schemas/note.yaml", NOTE)
}

async fn says(house: &House, shape: Shape, asked: &str, says: Says<'_>, streamed: bool) -> (u16, String) {
    if streamed {
        let bytes = shape.stream(says);
        house.model.does(move |_| Act::Close(bytes.clone()));
    } else {
        house.model.says(shape.whole(says));
    }
    let reply = house.call(&house.who.mia, shape.ask(asked, &[], streamed)).await;
    (reply.status, reply.body.replace('\\', ""))
}

const FITS: &str = r#"{"city": "Oslo", "days": 3}"#;

/// Which model is asked, which answers, what it says, what it calls, and whether that passes.
const ANSWERS: [(&str, &str, &str, &[Call<'static>], bool); 16] = [
    ("large", "large", FITS, &[], true),
    ("large", "large", r#"{"days": 3}"#, &[], false),
    ("large", "large", r#"{"city": "Oslo", "days": 8}"#, &[], false),
    ("large", "large", r#"{"city": "Oslo", "also": 1}"#, &[], false),
    ("large", "large", "Sure: {\"city\": \"Oslo\"}", &[], false),
    ("large", "large", "```json\n{\"city\": \"Oslo\"}\n```", &[], false),
    ("large", "large", r#"{"city": "Oslo", "city": "Bergen"}"#, &[], false),
    ("large", "large-2026-01-15", "Oslo", &[], false),
    ("large", "small", "Oslo", &[], false),
    ("small", "large", "Oslo", &[], false),
    ("small", "large-2026-01-15", FITS, &[], true),
    ("small", "small", "Oslo", &[], true),
    // Whoever calls tools need not say anything.
    ("large", "large", "", &[("look", "{}")], true),
    ("large", "large", "I look.", &[("look", "{}")], false),
    ("large", "large", "", &[], false),
    ("small", "small", "", &[("look", "{}")], true),
];

#[tokio::test]
async fn answers_of_a_model_fit_its_schema_or_do_not_leave() {
    for shape in Shape::ALL {
        let house = plan(shape).start().await;
        for (asked, model, text, calls, passes) in ANSWERS {
            let case = format!("{shape:?}: {model} for {asked} says {text} and calls {calls:?}");
            let (status, body) = says(&house, shape, asked, Says { model, text, calls }, false).await;
            assert_eq!(status, if passes { 200 } else { 403 }, "{case}: {body}");
            assert!(passes || text.is_empty() || !body.contains(text), "{case}: {body}");
        }
        // What comes in pieces could only be judged when it has left: nobody asks for it, and where another answers nothing leaves.
        let count = house.model.count();
        let (status, _) = says(&house, shape, "large", Says { model: "large", text: FITS, calls: &[] }, true).await;
        assert_eq!((status, house.model.count()), (403, count), "{shape:?}");
        let (_, body) = says(&house, shape, "small", Says { model: "large", text: FITS, calls: &[] }, true).await;
        assert!(!body.contains("Oslo") && body.contains("decision"), "{shape:?}: {body}");
        let (status, body) =
            says(&house, shape, "small", Says { model: "small", text: "Oslo", calls: &[] }, true).await;
        assert!(status == 200 && body.contains("Oslo") && !body.contains("decision"), "{shape:?}: {body}");
        let records = house.stop().await;
        let refused: Vec<_> = records.requests().into_iter().filter(|record| record.decision() == "Deny").collect();
        assert_eq!(refused.len(), 2 + ANSWERS.iter().filter(|case| !case.4).count(), "{shape:?}");
        assert!(refused.iter().all(|record| record.rule() == "output/schemas"), "{refused:?}");
        for record in records.requests() {
            assert!(record.request_guards().iter().any(|guard| guard == "output/schemas"), "{record:?}");
        }
    }
}

#[tokio::test]
async fn arguments_of_a_tool_fit_its_schema_or_do_not_leave() {
    for shape in Shape::ALL {
        let house = plan(shape).start().await;
        for streamed in [false, true] {
            for (name, input, passes) in [
                ("note", r#"{"to":"mia"}"#, true),
                ("note_all", r#"{"to":"ned","more":1}"#, true),
                ("note", r#"{"to":"eve"}"#, false),
                ("note_all", r#"{"more":2}"#, false),
                ("other", r#"{"to":"eve"}"#, true),
            ] {
                let case = format!("{shape:?} {streamed} {name} {input}");
                let calls = [(name, input)];
                let (status, body) =
                    says(&house, shape, "small", Says { model: "small", text: "", calls: &calls }, streamed).await;
                assert_eq!(status, if passes || streamed { 200 } else { 403 }, "{case}: {body}");
                let words = input.trim_matches(['{', '}']).replace('"', "");
                assert_eq!(body.replace([' ', '"'], "").contains(&words), passes, "{case}: {body}");
                assert_eq!(body.contains("decision"), !passes, "{case}: {body}");
            }
        }
        let records = house.stop().await;
        let refused = records.requests().into_iter().filter(|record| record.decision() == "Deny");
        assert!(refused.into_iter().all(|record| record.rule() == "output/schemas" && record.findings() == 1));
    }
}
