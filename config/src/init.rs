//! The commented set of files that `postern init` writes.

/// Path below the folder and content of every file, ready to be written. The set loads as it stands once the certificates
/// and the key set it names exist.
#[must_use]
pub fn init_files() -> &'static [(&'static str, &'static str)] {
    &[
        ("postern.yaml", include_str!("../examples/init/postern.yaml")),
        ("app.test.yaml", include_str!("../examples/init/app.test.yaml")),
        ("manifests/access.yaml", include_str!("../examples/init/manifests/access.yaml")),
        ("manifests/audit.yaml", include_str!("../examples/init/manifests/audit.yaml")),
        ("manifests/content.yaml", include_str!("../examples/init/manifests/content.yaml")),
        ("manifests/edge.yaml", include_str!("../examples/init/manifests/edge.yaml")),
        ("manifests/identity.yaml", include_str!("../examples/init/manifests/identity.yaml")),
        ("manifests/tls.yaml", include_str!("../examples/init/manifests/tls.yaml")),
    ]
}
