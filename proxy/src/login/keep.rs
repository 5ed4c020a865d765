//! What chains need besides manifests: the keys that seal sessions and make tokens, and who was logged out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use postern_config::{OwnKey, Redacted, Snapshot};
use postern_filters::Kept;
use postern_filters::scan::TokenKey;
use postern_filters::token::session::SealKey;

use crate::outside::Outside;
use crate::{own_key, private};

/// For the chains of `snapshot`. A key that is to be generated is, where there is none.
pub(crate) fn keep(snapshot: &Snapshot, outside: &Outside) -> Kept {
    let mut keys: HashMap<OwnKey, Result<Arc<SealKey>, String>> = HashMap::new();
    for (_, login) in snapshot.routes.iter().flat_map(|route| route.policy.identity.browsers()) {
        keys.entry(login.key.clone()).or_insert_with(|| read(&login.key, &snapshot.state_dir).map(Arc::new));
    }
    let seed = |key: &OwnKey| seed(key, &snapshot.state_dir).map(|seed| TokenKey::from_seed(seed.expose()));
    let tokens = snapshot.token_key.as_ref().map(seed);
    Kept { ended: outside.ended().clone(), keys, tokens }
}

fn read(key: &OwnKey, state_dir: &Path) -> Result<SealKey, String> {
    SealKey::from_seed(seed(key, state_dir)?.expose()).map_err(|error| error.to_string())
}

fn seed(key: &OwnKey, state_dir: &Path) -> Result<Redacted<Vec<u8>>, String> {
    if matches!(key, OwnKey::Generate { .. }) {
        private::directory(state_dir).map_err(|error| format!("`{}`: {error}", state_dir.display()))?;
    }
    own_key::seed(key, state_dir).map_err(|error| error.to_string())
}
