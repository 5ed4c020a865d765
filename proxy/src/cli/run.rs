//! `postern run`.

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use super::MISCONFIGURED;
use crate::server::{Server, StartError};
use crate::telemetry::{self, LogFormat};

pub(super) fn run(config: &Path, format: LogFormat) -> ExitCode {
    telemetry::init_logs(format);
    block_on(serve(config)).unwrap_or_else(|error| {
        eprintln!("postern: the runtime could not be started: {error}");
        ExitCode::FAILURE
    })
}

/// Runs a future on a runtime with one thread a core.
pub(super) fn block_on<F: Future>(future: F) -> std::io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("postern").build()?;
    Ok(runtime.block_on(future))
}

async fn serve(config: &Path) -> ExitCode {
    let running = match Server::start(config).await {
        Ok(running) => running,
        Err(StartError::Load(problems)) => {
            eprintln!("{problems}");
            return ExitCode::from(MISCONFIGURED);
        }
        Err(error) => {
            error!("error.type" = "start", %error, "not started");
            eprintln!("postern: {error}");
            return ExitCode::FAILURE;
        }
    };
    info!(vkey = running.vkey(), log = %running.audit_dir().display(), "serving");
    wait_for_stop().await;
    info!("draining");
    running.shutdown().await;
    ExitCode::SUCCESS
}

/// Returns on SIGTERM or SIGINT.
async fn wait_for_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("error.type" = "signal", "signals cannot be received; stopping");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
