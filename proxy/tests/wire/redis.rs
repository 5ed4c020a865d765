//! A store that replicas can share: a real `redis-server`.
//!
//! Where there is none installed, tests say so and pass, unless `POSTERN_REQUIRE_REDIS` is set.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::within;

/// A server of a test's own, on a Unix socket.
pub struct Redis {
    dir: TempDir,
    server: Option<Child>,
}

impl Redis {
    /// Nothing where none is installed.
    pub async fn start() -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("postern-redis-").tempdir().unwrap();
        let mut redis = Self { dir, server: None };
        if redis.run().await {
            return Some(redis);
        }
        assert!(std::env::var_os("POSTERN_REQUIRE_REDIS").is_none(), "`redis-server` is not installed");
        eprintln!("skipped: `redis-server` is not installed");
        None
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Starts it, with nothing of before. False where it is not installed.
    pub async fn run(&mut self) -> bool {
        let started = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocketperm", "700", "--unixsocket"])
            .arg(self.socket())
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(server) = started else { return false };
        self.server = Some(server);
        within("the store", async {
            while UnixStream::connect(self.socket()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        true
    }

    /// As a crash does it.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    pub async fn ask(&self, parts: &[&str]) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        let mut out = format!("*{}\r\n", parts.len());
        for part in parts {
            out.push_str(&format!("${}\r\n{part}\r\n", part.len()));
        }
        stream.write_all(out.as_bytes()).await.unwrap();
        let mut reply = vec![0; 65536];
        let read = within("a reply of the store", stream.read(&mut reply)).await.unwrap();
        String::from_utf8_lossy(&reply[..read]).into_owned()
    }

    /// Takes the store for one that has counted for ever: keys begin with whole budgets.
    pub async fn open(&self, gateway: &str) {
        let info = self.ask(&["INFO", "server"]).await;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap().trim().to_owned();
        self.ask(&["SET", &format!("postern:{{{gateway}}}:limits:epoch"), &format!("{run} 0")]).await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
