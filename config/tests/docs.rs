//! The committed reference is the one that the code describes.

use std::path::Path;

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manifests.md");
    let written = postern_config::docs::manifest_reference();
    if std::env::var_os("POSTERN_WRITE_DOCS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == written,
        "docs/manifests.md is out of date; run POSTERN_WRITE_DOCS=1 cargo test -p postern-config --test docs"
    );
}
