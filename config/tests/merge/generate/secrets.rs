//! What an upstream is shown: SecretManagement, with the one credential of the base, so that what differs is how it is kept.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Content, Written, content, list, maybe, some, word};

const OPENAI: &str = "{kind: Upstream, name: openai}";

pub(super) fn secrets(written: Written) -> impl Strategy<Value = Content> {
    let ages: &[&str] = match written {
        Written::All => &["maxAge: 30d, graceAfter: 7d", "maxAge: 1d, graceAfter: 30d"],
        Written::Some => &["maxAge: 1d", "maxAge: 90d, graceAfter: 0s", "maxAge: 30d, graceAfter: 90d"],
    };
    let rotation = (
        maybe(written, word(ages)),
        maybe(written, select(vec!["0s", "10m", "24h"]).prop_map(|o| format!("overlap: {o}"))),
    );
    let credential = rotation.prop_map(|(age, overlap)| {
        let rotation: Vec<String> = age.into_iter().chain(overlap).collect();
        format!(
            "credentials: [{{name: key, valueFrom: \"file:openai.key\", inject: {{type: Header, header: Authorization}}, rotation: {{{}}}}}]",
            rotation.join(", ")
        )
    });
    let leaks = (some(&["User", "Assistant", "ToolResult", "HttpBody"]), select(vec!["Block", "Redact"]));
    let leaks =
        leaks.prop_map(|(parts, action)| format!("leakDetection: {{parts: {}, action: {action}}}", list(&parts)));
    let strip =
        some(&["X-Legacy", "x-other", "\"query:session\""]).prop_map(|names| format!("strip: {}", list(&names)));
    let fields = (maybe(written, credential), maybe(written, leaks), option::of(strip));
    content("SecretManagement", &[OPENAI], fields.prop_map(|(a, b, c)| vec![a, b, c]))
}
