//! `postern run`.

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::MISCONFIGURED;
use crate::private;
use crate::server::{Server, StartError};
use crate::telemetry::{self, LogFormat};

pub(super) fn run(config: &Path, format: LogFormat, upgrade: bool) -> ExitCode {
    telemetry::init_logs(format);
    // While this is the only thread: what others start would not be bound by it.
    private::keep_to_ourselves();
    block_on(serve(config, upgrade)).unwrap_or_else(|error| {
        eprintln!("postern: the runtime could not be started: {error}");
        ExitCode::FAILURE
    })
}

/// Runs a future on a runtime with one thread a core.
pub(super) fn block_on<F: Future>(future: F) -> std::io::Result<F::Output> {
    // Policy is compiled on these threads too, and an expression at its limits is deep.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("postern")
        .thread_stack_size(8 << 20)
        .build()?;
    Ok(runtime.block_on(future))
}

async fn serve(config: &Path, upgrade: bool) -> ExitCode {
    // Before the start: a stop that is asked for while it lasts is a stop, not a kill.
    let mut stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("postern: signals cannot be received: {error}");
            return ExitCode::FAILURE;
        }
    };
    let started = if upgrade { Server::upgrade(config).await } else { Server::start(config).await };
    let running = match started {
        Ok(running) => running,
        Err(StartError::Load(problems)) => {
            eprintln!("{problems}");
            return ExitCode::from(MISCONFIGURED);
        }
        Err(error) => {
            eprintln!("postern: {error}");
            super::print_causes(&error);
            return ExitCode::FAILURE;
        }
    };
    info!(vkey = running.vkey(), log = %running.audit_dir().display(), "serving");
    tokio::select! {
        () = stop.asked() => {}
        () = running.given() => {}
    }
    info!("draining");
    if running.shutdown().await.recorded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
