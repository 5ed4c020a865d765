//! Protected resource metadata (RFC 9728): documents, made at load, and where each is.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use postern_config::{ProtectedResource, Route, WELL_KNOWN};
use serde_json::json;

/// The documents of a set, by host and path.
#[derive(Debug, Default)]
pub struct Metadata {
    by_host: HashMap<String, HashMap<String, MetadataDocument>>,
}

/// One document.
#[derive(Debug)]
pub struct MetadataDocument {
    /// The route whose limits hold for it: the first by name of those that are for the resource.
    pub route: String,
    pub body: Bytes,
    /// Listeners of the routes.
    listeners: BTreeSet<String>,
}

impl Metadata {
    pub(crate) fn new(routes: &[Route]) -> Self {
        let mut by_host: HashMap<String, HashMap<String, MetadataDocument>> = HashMap::new();
        let mut routes: Vec<&Route> = routes.iter().collect();
        routes.sort_by(|a, b| a.name.cmp(&b.name));
        for route in routes {
            let Some(resource) = &route.policy.challenges.resource else { continue };
            let there = by_host.entry(resource.host.clone()).or_default();
            let document = there.entry(resource.metadata_path()).or_insert_with(|| MetadataDocument {
                route: route.name.clone(),
                body: Bytes::from(body(resource)),
                listeners: BTreeSet::new(),
            });
            document.listeners.extend(route.matches.listeners.iter().cloned());
        }
        Self { by_host }
    }

    /// The document that a request is for. `host` is lower case and without port, `path` is canonical.
    #[must_use]
    pub fn find(&self, listener: &str, method: &str, host: &str, path: &str) -> Option<&MetadataDocument> {
        if !path.starts_with(WELL_KNOWN) || !matches!(method, "GET" | "HEAD") {
            return None;
        }
        self.by_host.get(host)?.get(path).filter(|document| document.listeners.contains(listener))
    }
}

fn body(resource: &ProtectedResource) -> String {
    let mut document = json!({
        "resource": resource.resource,
        "authorization_servers": resource.authorization_servers,
        "bearer_methods_supported": ["header"],
    });
    if let (false, Some(members)) = (resource.scopes.is_empty(), document.as_object_mut()) {
        members.insert("scopes_supported".to_owned(), json!(resource.scopes));
    }
    document.to_string()
}
