//! `postern check-egress`: what would happen if the running policy's own client called a URL, step by step.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use postern_config::Report;
use serde_json::{Value, json};

use super::{Format, MISCONFIGURED};
use crate::clock::{Clock, SystemClock};
use crate::egress::Egress;
use crate::outbound::{Answer, Dialled, Outbound, OutboundError, Request, Roots, Url};
use crate::upstream;

/// How far a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the end of the TLS handshake; nothing is asked for.
    Handshake,
    /// To the whole answer of one GET.
    Get,
}

pub(super) fn run(url: &str, config: &Path, roots: Option<&Path>, reach: Reach, format: Format) -> ExitCode {
    if url.starts_with("unix:") {
        return socket(url, config, format);
    }
    let outbound = match client(config, roots) {
        Ok(outbound) => outbound,
        Err(Trouble::Report(report)) => {
            eprint!("{report}");
            return ExitCode::from(MISCONFIGURED);
        }
        Err(Trouble::Setup(why)) => {
            eprintln!("postern: {why}");
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let checked = super::run::block_on(check(&outbound, url, reach));
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => {
            eprintln!("postern: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match format {
        Format::Text => print_text(url, &checked),
        Format::Json => println!("{}", as_json(url, &checked)),
    }
    if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A Unix socket is called by the upstreams that name it, and by nothing else.
fn socket(url: &str, config: &Path, format: Format) -> ExitCode {
    let loaded = match postern_config::load(config, SystemClock.unix_ms() / 1000) {
        Ok(loaded) => loaded,
        Err(report) => {
            eprint!("{report}");
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let reached = match super::run::block_on(upstream::try_socket(&loaded.snapshot.upstreams, url)) {
        Ok(reached) => reached,
        Err(error) => {
            eprintln!("postern: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match (format, &reached) {
        (Format::Text, Ok((name, process))) => {
            println!("{url}: allowed\n  upstream: {name}\n  listens: user {}, group {}", process.uid, process.gid);
        }
        (Format::Text, Err(why)) => println!("{url}: no call\n  because: {why}"),
        (Format::Json, Ok((name, process))) => {
            println!(
                "{}",
                json!({"url": url, "allowed": true, "upstream": name, "process": {"uid": process.uid, "gid": process.gid}})
            );
        }
        (Format::Json, Err(why)) => println!("{}", json!({"url": url, "allowed": false, "error": why})),
    }
    if reached.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

enum Trouble {
    Report(Report),
    Setup(String),
}

/// What a call came to.
enum Came {
    Connected(Dialled),
    Answered(Box<Answer>),
}

fn client(config: &Path, roots: Option<&Path>) -> Result<Outbound, Trouble> {
    let loaded = postern_config::load(config, SystemClock.unix_ms() / 1000).map_err(Trouble::Report)?;
    // The same provider as the proxy's.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let roots = match roots {
        None => Roots::System,
        Some(path) => {
            let pem = std::fs::read(path).map_err(|e| Trouble::Setup(format!("`{}`: {e}", path.display())))?;
            Roots::Given(pem)
        }
    };
    let egress = Egress::of_own_calls(loaded.snapshot.own_egress);
    Outbound::new(Arc::new(egress), roots, None).map_err(|error| Trouble::Setup(error.to_string()))
}

async fn check(outbound: &Outbound, url: &str, reach: Reach) -> Result<Came, OutboundError> {
    let request = Request::get(Url::parse(url)?).allow_plain_loopback();
    match reach {
        Reach::Handshake => outbound.probe(&request).await.map(Came::Connected),
        Reach::Get => outbound.send(request).await.map(|answer| Came::Answered(Box::new(answer))),
    }
}

fn print_text(url: &str, checked: &Result<Came, OutboundError>) {
    let came = match checked {
        Ok(came) => came,
        Err(error) => return println!("{url}: no call\n  because: {error}"),
    };
    let over = came.over();
    println!("{url}: allowed\n  address: {}", over.address);
    match &over.security {
        Some(tls) => println!(
            "  TLS: {}, {}, {}\n  certificate: sha256 {}",
            tls.version,
            tls.suite,
            tls.group,
            hex(&tls.certificate)
        ),
        None => println!("  TLS: none, this machine"),
    }
    if let Came::Answered(answer) = came {
        let kind = answer.content_type.as_deref().unwrap_or("no content type");
        println!("  answer: {}, {kind}, {} bytes", answer.status.as_u16(), answer.body.len());
    }
}

fn as_json(url: &str, checked: &Result<Came, OutboundError>) -> Value {
    let came = match checked {
        Ok(came) => came,
        Err(error) => return json!({"url": url, "allowed": false, "error": error.to_string()}),
    };
    let over = came.over();
    let tls = over.security.as_ref().map(|tls| {
        json!({"version": tls.version, "cipher": tls.suite, "group": tls.group,
            "certificateSha256": hex(&tls.certificate)})
    });
    let answer = match came {
        Came::Connected(_) => None,
        Came::Answered(answer) => Some(json!({"status": answer.status.as_u16(), "contentType": answer.content_type,
            "bytes": answer.body.len()})),
    };
    json!({"url": url, "allowed": true, "address": over.address.to_string(), "tls": tls, "answer": answer})
}

impl Came {
    fn over(&self) -> &Dialled {
        match self {
            Self::Connected(over) => over,
            Self::Answered(answer) => &answer.over,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
