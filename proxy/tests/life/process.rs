//! The real binary, its log lines and its end.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use serde_json::Value;

use crate::PATIENCE;

pub const BINARY: &str = env!("CARGO_BIN_EXE_postern");

/// `postern run`, killed when it is dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    /// Everything it said so far, line by line.
    pub said: Vec<String>,
    pub address: Option<SocketAddr>,
    pub health: Option<SocketAddr>,
    pub vkey: String,
}

impl Process {
    /// Starts it and waits until it serves.
    pub fn serve(config: &Path, env: &[(&str, &str)]) -> Self {
        let mut process = Self::spawn(config, env);
        let serving = process.until("serving");
        process.vkey = serving["vkey"].as_str().unwrap().to_owned();
        process
    }

    /// Starts one that takes over from the process that runs, and waits until it serves.
    pub fn follow(config: &Path) -> Self {
        let mut process = Self::spawn_with(config, &["--upgrade"], &[]);
        process.until("serving");
        process
    }

    pub fn spawn(config: &Path, env: &[(&str, &str)]) -> Self {
        Self::spawn_with(config, &[], env)
    }

    pub fn spawn_with(config: &Path, more: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("run").arg("--config").arg(config).args(more).envs(env.iter().copied());
        Self::started_by(command)
    }

    /// As [`Process::spawn`], by a command that becomes it.
    pub fn started_by(mut command: Command) -> Self {
        if !command.get_envs().any(|(name, _)| name == "POSTERN_LOG") {
            command.env_remove("POSTERN_LOG");
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                if line.map_or(true, |line| tell.send(line).is_err()) {
                    return;
                }
            }
        });
        Self { child, lines, said: Vec::new(), address: None, health: None, vkey: String::new() }
    }

    /// Waits for a log line with this message.
    pub fn until(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(error) => panic!("no `{message}` ({error}):\n{}", self.said.join("\n")),
            };
            let value = self.note(line).unwrap_or_default();
            if value["message"].as_str().is_some_and(|text| text.starts_with(message)) {
                return value;
            }
        }
    }

    fn note(&mut self, line: String) -> Option<Value> {
        let value = serde_json::from_str::<Value>(&line).ok();
        self.said.push(line);
        let value = value?;
        let address = || value["address"].as_str().unwrap().parse().ok();
        match value["message"].as_str() {
            // Not a Unix socket.
            Some("listening") => self.address = address().or(self.address),
            Some("health and metrics") => self.health = address(),
            _ => {}
        }
        Some(value)
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status().unwrap();
        assert!(kill.success());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.note(line);
                }
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.said.join("\n")),
            }
        }
    }

    /// Everything it said.
    pub fn all(&self) -> String {
        self.said.join("\n")
    }

    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub fn health(&self) -> SocketAddr {
        self.health.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub fn postern(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).env_remove("POSTERN_LOG").output().unwrap()
}

/// Exit code, standard output, standard error.
pub fn told(args: &[&str]) -> (i32, String, String) {
    let output = postern(args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
