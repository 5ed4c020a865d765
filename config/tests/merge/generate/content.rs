//! What is looked for and what is forbidden: DataProtectionPolicy, RuntimeSecurityPolicy, AccessControlPolicy.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{APP, CHAT, Content, GATEWAY, Written, content, list, maybe, some};

pub(super) fn data(written: Written) -> impl Strategy<Value = Content> {
    let matches = select(vec![
        "{detectors: [card]}",
        "{detectors: [mail, card]}",
        "{minClass: Confidential}",
        "{minClass: Public}",
    ]);
    let rule = (
        select(vec!["Request", "Response", "Both"]),
        some(&["User", "Assistant", "ToolResult", "HttpBody"]),
        matches,
        select(vec!["Block", "Redact", "Mask", "Annotate", "Allow"]),
    );
    let rule = rule.prop_map(|(direction, parts, matches, action)| {
        format!(
            "rules: [{{name: %, direction: {direction}, parts: {}, match: {matches}, action: {action}}}]",
            list(&parts)
        )
    });
    let streaming = (select(vec!["32Ki", "128Ki"]), select(vec!["1s", "30s"]));
    let streaming = streaming.prop_map(|(hold, stall)| format!("streaming: {{holdBack: {hold}, stall: {stall}}}"));
    let detectors = Just("detectors: [{name: card, type: Builtin, id: payment-card, class: Restricted}]".to_owned());
    let opaque = select(vec!["Deny", "Strip", "Allow"]).prop_map(|word| format!("opaque: {word}"));
    let tokens = select(vec!["1m", "2h"]).prop_map(|most| format!("retention: {{tokens: {most}}}"));
    let minimize = select(vec!["drop: [/user, /a/0]", "keep: [/a, /b]"]);
    let minimize = minimize.prop_map(|one| format!("minimize: [{{{one}}}]"));
    let rest = (maybe(written, opaque), maybe(written, tokens), maybe(written, minimize));
    let fields = (maybe(written, rule), maybe(written, streaming), maybe(written, detectors), rest)
        .prop_map(|(a, b, c, (d, e, f))| vec![a, b, c, d, e, f]);
    content("DataProtectionPolicy", &[GATEWAY, APP, CHAT], fields)
}

pub(super) fn runtime() -> impl Strategy<Value = Content> {
    let fields = (
        select(vec![
            "PromptInjection",
            "HiddenText",
            "SqlInjection",
            "EncodedPayload",
            "Jailbreak",
            "External, url: \"https://judge.example/ask\"",
        ]),
        some(&["User", "ToolResult", "HttpBody"]),
        1_u8..100,
        select(vec!["Block", "Redact", "Annotate"]),
    );
    let detectors = fields.prop_map(|(kind, parts, threshold, action)| {
        format!(
            "detectors: [{{name: %, type: {kind}, parts: {}, untrustedOnly: false, threshold: {threshold}, action: {action}}}]",
            list(&parts)
        )
    });
    let layer = select(vec!["First", "Last"]);
    let layer = layer.prop_map(|position| {
        format!(
            "promptLayers: [{{name: %, position: {position}, contentFrom: \"file:tests/rejects/documents/rules.txt\"}}]"
        )
    });
    let system = select(vec!["Deny", "Allow"]).prop_map(|word| format!("systemText: {word}"));
    let isolate = select(vec![true, false]).prop_map(|word| format!("isolate: {word}"));
    let prompts = (option::weighted(0.2, layer), option::weighted(0.2, system), option::weighted(0.2, isolate));
    let output = select(vec![
        "output: {links: {allowHosts: [a.example]}}",
        "output: {links: {allowHosts: [b.example, x.c.example]}, markup: Escape}",
        "output: {links: {allowHosts: []}, maxLength: 100}",
        "output: {markup: Allow, maxLength: 4Ki}",
        "output: {markup: Strip, toolCalls: OnlyAllowed}",
        "output: {markup: Allow, schemas: [{model: \"gpt-*\", schemaFrom: \"file:tests/rejects/documents/answer.json\"}]}",
        "output: {markup: Allow, schemas: [{tool: a, schemaFrom: \"file:tests/rejects/documents/answer.json\"}]}",
    ]);
    let output = option::weighted(0.3, output.prop_map(str::to_owned));
    let behaviour = select(vec![
        "maxToolCallsPerTask: 10",
        "maxRepeats: 3, maxToolCallsPerTask: 90",
        "maxDepth: 2",
        "maxTaskAge: 5s",
        "maxTaskAge: 20s, maxDepth: 3",
    ]);
    let behaviour = option::weighted(0.3, behaviour.prop_map(|limits| format!("behaviour: {{{limits}}}")));
    let fields = (detectors, prompts, output, behaviour)
        .prop_map(|(detectors, (a, b, c), output, behaviour)| vec![Some(detectors), a, b, c, output, behaviour]);
    content("RuntimeSecurityPolicy", &[GATEWAY, APP, CHAT], fields)
}

pub(crate) fn forbid() -> impl Strategy<Value = Content> {
    let rule = (some(&["read", "create", "chat"]), subsequence(vec!["User", "Agent"], 0..=2));
    let fields = rule.prop_map(|(actions, types)| {
        vec![Some(format!(
            "rules: [{{name: a, effect: Forbid, actions: {}, principals: {}}}]",
            list(&actions),
            list(&types)
        ))]
    });
    content("AccessControlPolicy", &[GATEWAY, APP, CHAT], fields)
}
