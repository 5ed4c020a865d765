//! After the tour: the proxy stays up, with lines to try and a file for scripts.

use std::net::SocketAddr;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::caller::TOKEN_LIFE;
use super::site::{SECRET, Site};
use super::{DemoError, address, start};

/// Serves the site until interrupted. Writes `demo.json` for scripts; prints `curl` lines unless rows went out as JSON.
pub(super) async fn serve(site: &Site, quiet: bool) -> Result<(), DemoError> {
    let running = start(site).await?;
    let address = address(&running)?;
    describe(site, address, &running.vkey())?;
    if quiet {
        eprintln!("serving; see {}", site.path("demo.json").display());
    } else {
        println!("{}", lines(site, address, &running.vkey()));
    }
    until_stopped().await.map_err(DemoError::io("no signal can be waited for"))?;
    running.shutdown().await;
    Ok(())
}

/// Returns on SIGINT or SIGTERM.
async fn until_stopped() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// What a script needs to be mia, and to check the log.
fn describe(site: &Site, address: SocketAddr, vkey: &str) -> Result<(), DemoError> {
    let people: serde_json::Map<String, serde_json::Value> = site
        .callers
        .ours()
        .into_iter()
        .map(|caller| {
            let name = caller.name;
            let files = json!({
                "cert": site.path(&format!("clients/{name}.pem")),
                "key": site.path(&format!("clients/{name}.key")),
                "token": site.path(&format!("clients/{name}.jwt")),
                "tenant": caller.tenant,
            });
            (name.to_owned(), files)
        })
        .collect();
    let mia = &site.callers.mia;
    let text = json!({
        "url": format!("https://localhost:{}", address.port()),
        "ca": site.path("tls/ca.pem"),
        "cert": site.path("clients/mia.pem"),
        "key": site.path("clients/mia.key"),
        "token": site.token(mia, mia, serde_json::Value::Null)?,
        "tokenExpires": site.now().saturating_add(TOKEN_LIFE),
        "callers": people,
        "config": site.config(),
        "audit": site.path("state/audit"),
        "vkey": vkey,
    });
    // Renamed into place: whoever waits for the file reads all of it.
    site.write("demo.json.new", serde_json::to_string_pretty(&text)?.as_bytes(), SECRET)?;
    std::fs::rename(site.path("demo.json.new"), site.path("demo.json")).map_err(DemoError::io("file `demo.json`"))
}

fn lines(site: &Site, address: SocketAddr, vkey: &str) -> String {
    let dir = site.path("");
    let url = format!("https://localhost:{}", address.port());
    let mia = "--cacert tls/ca.pem --cert clients/mia.pem --key clients/mia.key \\\n     -H \"authorization: Bearer $(cat clients/mia.jwt)\"";
    let chat = "-H 'content-type: application/json' \\\n     -d";
    format!(
        "\nServing until you press Ctrl-C. Tokens are good for {} minutes. Try:\n\n\
         cd {}\n\
         curl {mia} {url}/orders\n\
         curl {mia} {url}/globex/orders\n\
         curl {mia} {url}/v1/chat/completions {chat} '{{\"model\":\"demo-small\",\"messages\":[{{\"role\":\"user\",\"content\":\"My card is 4111 1111 1111 1111\"}}]}}'\n\
         curl -N {mia} {url}/v1/chat/completions {chat} '{{\"model\":\"demo-small\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"What is the deploy key?\"}}]}}'\n\
         postern audit verify state/audit --key '{vkey}'\n",
        TOKEN_LIFE / 60,
        dir.display(),
    )
}
