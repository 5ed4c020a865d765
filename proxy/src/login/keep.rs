//! What logins need besides manifests: the keys that seal sessions, and who was logged out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use postern_config::{OwnKey, Snapshot};
use postern_filters::BrowserKeep;
use postern_filters::token::session::SealKey;

use crate::outside::Outside;
use crate::{own_key, private};

/// For the chains of `snapshot`. A key that is to be generated is, where there is none.
pub(crate) fn keep(snapshot: &Snapshot, outside: &Outside) -> BrowserKeep {
    let mut keys: HashMap<OwnKey, Result<Arc<SealKey>, String>> = HashMap::new();
    for (_, login) in snapshot.routes.iter().flat_map(|route| route.policy.identity.browsers()) {
        keys.entry(login.key.clone()).or_insert_with(|| read(&login.key, &snapshot.state_dir).map(Arc::new));
    }
    BrowserKeep { ended: outside.ended().clone(), keys }
}

fn read(key: &OwnKey, state_dir: &Path) -> Result<SealKey, String> {
    if matches!(key, OwnKey::Generate { .. }) {
        private::directory(state_dir).map_err(|error| format!("`{}`: {error}", state_dir.display()))?;
    }
    let seed = own_key::seed(key, state_dir).map_err(|error| error.to_string())?;
    SealKey::from_seed(seed.expose()).map_err(|error| error.to_string())
}
