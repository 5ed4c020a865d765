//! `postern demo`: the whole product on one machine, in one command.
//!
//! A throw-away CA, an issuer of tokens, two upstreams, the shipped manifests, the real proxy between them, and a tour of
//! requests that shows what the manifests promise: over real sockets, with real tokens and certificates.

mod caller;
mod client;
mod evidence;
mod model;
mod row;
mod serve;
mod shop;
mod site;
mod stay;
mod table;
mod tour;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use tempfile::TempDir;

use crate::server::{Running, Server, StartError};
use client::Client;
use model::Model;
use row::Row;
use shop::Shop;
use site::Site;
use tour::Tour;

/// What was asked for on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Build everything in this folder, which must be empty or absent, and leave it there. Default: a temporary one.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Keep serving after the tour, until interrupted, and write `demo.json` for scripts.
    #[arg(long)]
    pub stay: bool,
    /// Print one JSON array of rows instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// Why there was no demo. That a row differs is no error.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("folder `{}` is not empty; the demo builds a fresh one", .0.display())]
    NotEmpty(PathBuf),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("certificate authority: {0}")]
    Authority(#[from] postern_certs::AuthorityError),
    #[error("issuer: {0}")]
    Issuer(#[from] postern_filters::token::mint::MintError),
    #[error("no random bytes could be had")]
    Random,
    #[error("the proxy did not start:\n{0}")]
    Start(#[from] StartError),
    #[error("the proxy has no listener `{0}`")]
    NoListener(&'static str),
    #[error("rows could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl DemoError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

/// The listener of the shipped manifests.
const LISTENER: &str = "public";

/// Builds the site, takes the tour and prints it. Success where every row is as the manifests promise.
pub async fn run(options: Options) -> ExitCode {
    match demonstrate(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("postern: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demonstrate(options: &Options) -> Result<bool, DemoError> {
    let (dir, _cleanup) = directory(options)?;
    let key = site::api_key()?;
    let model = Model::start(key.clone()).await.map_err(DemoError::io("the model upstream could not listen"))?;
    let shop = Shop::start().await.map_err(DemoError::io("the shop upstream could not listen"))?;
    let site = Site::build(dir, &key, model.address(), shop.address())?;

    let rows = tour(&site, &model, &shop).await?;
    print(&rows, options.json)?;
    if options.stay {
        stay::serve(&site, options.json).await?;
    }
    Ok(rows.iter().all(Row::is_as_expected))
}

async fn tour(site: &Site, model: &Model, shop: &Shop) -> Result<Vec<Row>, DemoError> {
    let running = start(site).await?;
    let client = Client::new(address(&running)?, site.ca_pem());
    let mut rows = Tour { site, client: &client, model, shop }.rows().await?;
    let (vkey, log) = (running.vkey(), running.audit_dir());
    // The log is verified as an auditor would: from its files, once the proxy has let go of them.
    running.shutdown().await;
    let unreadable = || DemoError::io(format!("audit log `{}`", log.display()));
    evidence::explain(&mut rows, &log).map_err(unreadable())?;
    rows.extend(evidence::rows(&log, &vkey).map_err(unreadable())?);
    Ok(rows)
}

async fn start(site: &Site) -> Result<Running, DemoError> {
    Ok(Server::start(&site.config()).await?)
}

fn address(running: &Running) -> Result<std::net::SocketAddr, DemoError> {
    running.address(LISTENER).ok_or(DemoError::NoListener(LISTENER))
}

/// The folder of the site; a temporary one is removed with the guard.
fn directory(options: &Options) -> Result<(PathBuf, Option<TempDir>), DemoError> {
    let Some(dir) = &options.dir else {
        let temp =
            tempfile::Builder::new().prefix("postern-demo-").tempdir().map_err(DemoError::io("no temporary folder"))?;
        return Ok((temp.path().to_owned(), Some(temp)));
    };
    let unusable = || DemoError::io(format!("folder `{}`", dir.display()));
    std::fs::create_dir_all(dir).map_err(unusable())?;
    if std::fs::read_dir(dir).map_err(unusable())?.next().is_some() {
        return Err(DemoError::NotEmpty(dir.clone()));
    }
    Ok((dir.canonicalize().map_err(unusable())?, None))
}

fn print(rows: &[Row], json: bool) -> Result<(), DemoError> {
    let mut out = std::io::stdout().lock();
    let text = if json { format!("{}\n", serde_json::to_string_pretty(rows)?) } else { table::table(rows) };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(DemoError::io("standard output"))
}
