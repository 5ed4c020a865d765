//! Load on a running Postern, over the wire: as many connections as asked for, each with one request at a time.
//!
//! A closed loop shows capacity and the cost of a request; it says little about latency under a given rate, because it
//! waits whenever the proxy does. CPU time of the process under test (`--pid`) is the figure to compare on a shared machine.

mod connection;
mod cpu;
mod load;
mod report;
mod site;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

use load::Plan;
use site::Site;

/// Sends requests to a running Postern and reports what came back, how fast, and at what cost.
#[derive(Debug, Parser)]
struct Options {
    /// Where to go and as whom: the `demo.json` that `postern demo --stay --dir DIR` writes.
    #[arg(long)]
    site: PathBuf,
    /// The path that is asked for with GET.
    #[arg(long, default_value = "/orders")]
    path: String,
    /// Connections, each kept open and used by one thread.
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Requests on each connection.
    #[arg(long, default_value_t = 1000)]
    requests: u32,
    /// The process under test, for its CPU time (Linux).
    #[arg(long)]
    pid: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let site = Site::read(&options.site).with_context(|| format!("`{}` cannot be used", options.site.display()))?;
    let plan = Plan { connections: options.connections, requests: options.requests, path: options.path };
    let before = options.pid.map(cpu::spent).transpose()?;
    let measured = load::run(&site, &plan)?;
    let spent = match (options.pid, before) {
        (Some(pid), Some(before)) => Some(cpu::spent(pid)?.saturating_sub(before)),
        _ => None,
    };
    print!("{}", report::text(measured, spent));
    Ok(())
}
