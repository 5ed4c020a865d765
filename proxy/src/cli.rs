//! The command line: what a person types, and the exit code they get.
//!
//! 0 is success, 1 a failure while running or a tampered log, 2 a configuration that does not load or a wrong call, 3 a request
//! that would be refused.

mod api_key;
mod audit;
mod check_egress;
mod explain;
mod hash_values;
mod init;
mod run;
mod scan;
mod test;
mod validate;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::telemetry::LogFormat;

/// A proxy that enforces zero-trust policy in the data path.
#[derive(Debug, Parser)]
#[command(name = "postern", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT. Changed manifests are picked up; SIGHUP asks for it.
    Run {
        /// The bootstrap file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// How log lines are written to standard error.
        #[arg(long, value_enum, default_value = "json")]
        log_format: LogFormat,
        /// Take over from the process that runs with the same `state.dir`, if one does: its sockets, with all who wait
        /// there, and its audit log. That one drains and ends.
        #[arg(long)]
        upgrade: bool,
    },
    /// Check a bootstrap file and its manifests, offline. Exit code 2 if anything is wrong.
    Validate {
        /// The bootstrap file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Write a small commented set of files to start from.
    Init {
        /// A folder that does not exist yet, or is empty.
        dir: PathBuf,
    },
    /// Show what would happen if the proxy called a URL: which address policy allows, and whether its TLS holds. Exit code 1 if
    /// it would not.
    CheckEgress {
        /// `https://…`, or `http://…` on this machine.
        url: String,
        /// The bootstrap file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Certificate authorities to believe instead of the machine's, PEM.
        #[arg(long, value_name = "FILE")]
        roots: Option<PathBuf>,
        /// Ask for the URL too, once, and tell of the answer.
        #[arg(long)]
        get: bool,
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Why a request would pass or fail, without sending one.
    #[command(subcommand)]
    Explain(explain::Explain),
    /// Run the cases that stand beside the manifests: files of a folder whose names end with `.test.yaml`. Exit code 1 if one
    /// fails, 2 if one cannot be read or the set does not load.
    Test {
        /// The folder of the set; its bootstrap file is `postern.yaml`.
        dir: PathBuf,
        /// Another bootstrap file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[arg(long, value_enum, default_value = "text")]
        output: test::Output,
    },
    Scan(scan::Scan),
    /// Make the list for a detector of type ExactMatch from values on standard input, one a line: hashes under a fresh salt, from
    /// which nobody reads the values. Keep it where only the proxy's user can read it. Nothing is written if a line cannot be found
    /// in texts.
    HashValues,
    /// Keys of callers.
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// The audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Start a throw-away proxy with everything around it, and show what it stops.
    Demo(crate::demo::Options),
}

#[derive(Debug, Subcommand)]
enum ApiKeyCommand {
    /// Make a key: print it, once, and the line for the file of an ApiKey provider, which holds no key. Nothing is written.
    New(api_key::NewKey),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check a log's every entry against its signed checkpoint. Exit code 1 names the first bad entry.
    Verify {
        /// The log's folder.
        dir: PathBuf,
        /// The log's verifier key, or a file that holds it.
        #[arg(long, value_name = "VKEY")]
        key: String,
        /// A checkpoint kept elsewhere: proves that the log still extends it.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// A configuration that does not load, or a call that cannot be carried out.
const MISCONFIGURED: u8 = 2;

/// What led to `error`, outermost first, for people. A cause that the line before tells already is left out.
fn print_causes(error: &dyn Error) {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.ends_with(&text) {
            eprintln!("  because: {text}");
        }
        told = text;
        source = cause.source();
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Run { config, log_format, upgrade } => run::run(&config, log_format, upgrade),
        Command::Validate { config, format } => validate::run(&config, format),
        Command::Init { dir } => init::run(&dir),
        Command::CheckEgress { url, config, roots, get, format } => {
            let reach = if get { check_egress::Reach::Get } else { check_egress::Reach::Handshake };
            check_egress::run(&url, &config, roots.as_deref(), reach, format)
        }
        Command::Explain(asked) => explain::run(&asked),
        Command::Test { dir, config, output } => test::run(&dir, config.as_ref(), output),
        Command::Scan(asked) => scan::run(&asked),
        Command::HashValues => hash_values::run(),
        Command::ApiKey(ApiKeyCommand::New(asked)) => api_key::new(&asked),
        Command::Audit(AuditCommand::Verify { dir, key, checkpoint, format }) => {
            audit::verify(&dir, &key, checkpoint.as_deref(), format)
        }
        Command::Demo(options) => run::block_on(crate::demo::run(options)).unwrap_or_else(|error| {
            eprintln!("postern: the runtime could not be started: {error}");
            ExitCode::FAILURE
        }),
    }
}
