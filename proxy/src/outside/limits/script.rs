//! Scripts that the store runs: known to it by their digest, and told where it does not know them.

use std::sync::LazyLock;

use aws_lc_rs::digest;

use super::link::{Away, Link};
use super::resp::Reply;

pub(super) static DECIDE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("decide.lua")));
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));

pub(super) struct Script {
    text: &'static str,
    digest: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Self { text, digest: sha1.as_ref().iter().map(|byte| format!("{byte:02x}")).collect() }
    }

    /// Runs it. Its first argument is the run of the store, which is known where the command is written.
    pub(super) async fn run(&self, link: &Link, keys: Vec<String>, arguments: Vec<String>) -> Result<Reply, Away> {
        let command = |name: &str, script: &str| {
            let head = [name.to_owned(), script.to_owned(), keys.len().to_string()];
            let before = head.into_iter().chain(keys.iter().cloned());
            let whole = before.chain([String::new()]).chain(arguments.iter().cloned());
            (whole.map(String::into_bytes).collect(), 3 + keys.len())
        };
        let (parts, run_at) = command("EVALSHA", &self.digest);
        match link.call(parts, Some(run_at)).await? {
            Reply::Error(error) if error.starts_with("NOSCRIPT") => {
                // It has not run, and is known from then on.
                let (parts, run_at) = command("EVAL", self.text);
                link.call(parts, Some(run_at)).await
            }
            reply => Ok(reply),
        }
    }
}
