//! What `explain effective` tells is what the merge made.

use std::path::Path;

use postern_config::values::{Size, show_duration};
use postern_config::written::{Opened, Written};
use postern_config::{Loaded, Report, Snapshot, SourceFile, effective, parse_bootstrap, parse_manifests, resolve};

use crate::generate::{BASE, BOOTSTRAP, Content, NOW};

/// The set of the base and these manifests, with all it was made from; nothing where it does not load.
fn opened(contents: &[Content]) -> Option<Opened> {
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", BOOTSTRAP.as_bytes(), Path::new(""), &mut report)?;
    let texts =
        contents.iter().enumerate().map(|(index, content)| content.text(&format!("m{index}"), &format!("own{index}")));
    let files: Vec<SourceFile> = std::iter::once(BASE.to_owned())
        .chain(texts)
        .enumerate()
        .map(|(index, text)| SourceFile { name: format!("{index}.yaml"), bytes: text.into_bytes() })
        .collect();
    let rules = bootstrap.manifest_rules();
    let parsed = parse_manifests(&files, &rules, &mut report);
    let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report)?;
    let loaded = Loaded { snapshot, warnings: Report::new(), files: Vec::new() };
    let written = Written::of(&files, &rules);
    (!report.has_errors()).then_some(Opened { loaded, bootstrap, parsed, written })
}

/// Some values, read from the snapshot by hand.
fn by_hand(snapshot: &Snapshot, route: &str) -> Vec<(&'static str, String)> {
    let policy = &snapshot.routes.iter().find(|made| made.name == route).unwrap().policy;
    let size = |bytes: usize| Size(u64::try_from(bytes).unwrap()).to_string();
    vec![
        ("maxBodySize", Size(policy.access.max_body).to_string()),
        ("streaming.holdBack", size(policy.data.hold_back)),
        ("streaming.stall", show_duration(policy.data.stall)),
        ("timeouts.bodyIdle", show_duration(policy.guards[0].body_idle)),
        ("sizes.maxHeaderSize", size(policy.guards[0].max_header_size)),
        ("sizes.maxSseEvent", size(policy.guards[0].max_sse_event)),
        ("sizes.maxDecompressionRatio", policy.guards[0].max_decompression_ratio.to_string()),
    ]
}

/// Values are those of the snapshot; where somebody wrote the field somebody is named; and without a manifest whose value was
/// beaten, the value is the same.
pub(crate) fn check(contents: &[Content]) -> Option<()> {
    let opened = opened(contents)?;
    for route in ["app", "chat"] {
        let fields = effective(&opened, route, NOW).unwrap();
        for (name, want) in by_hand(&opened.loaded.snapshot, route) {
            let field = fields.iter().find(|field| field.field == name).unwrap();
            assert_eq!(field.values.len(), 1, "{field:?}");
            let value = &field.values[0];
            assert_eq!(value.value, format!("\"{want}\""), "{route} {name}");
            assert!(!value.from.is_empty() || value.beaten.is_empty(), "{route} {name}: {value:?}");
            for (place, beaten) in &value.beaten {
                assert_ne!(*beaten, value.value, "{route} {name}: {place:?}");
            }
        }
    }
    Some(())
}
