//! Houses whose limits are counted in a store.

use std::path::Path;
use std::time::Duration;

use crate::house::{House, Plan, within};
pub use crate::redis::Redis;

impl Redis {
    /// A house whose `orders` have this limit in the store.
    pub fn plan(&self, limit: &str) -> Plan {
        self.plan_over(&self.socket(), limit)
    }

    /// Likewise, of a store that is reached over another socket.
    pub fn plan_over(&self, socket: &Path, limit: &str) -> Plan {
        let shared =
            format!("admin: {{health: \"127.0.0.1:0\"}}\nshared: {{lease: 1s, redis: \"unix:{}\"}}", socket.display());
        House::plan().with("postern.yaml", "admin: {health: \"127.0.0.1:0\"}", &shared).also(&format!(
            "apiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {{name: all-replicas}}\n\
             spec:\n  targetRefs: [{{kind: Route, name: orders}}]\n  rateLimits:\n    - {{{limit}}}\n"
        ))
    }
}

/// Waits until a house is connected to its store, or not.
pub async fn until_connected(house: &House, up: bool) {
    let line = format!("postern_limits_store_connected {}\n", i64::from(up));
    within("the store of a house", async {
        while !house.metrics().await.contains(&line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
