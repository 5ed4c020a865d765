//! A process whose identity comes from a SPIFFE agent: where it asks, and what the commands say of it.

use postern_certs::Template;
use tokio::task::block_in_place;

use crate::agent::{Agent, Says};
use crate::process::{Process, told};
use crate::site::Site;

const EDGE: &str = "spiffe://site.test/ns/edge/sa/postern";
const FILES: &str = "source: {type: Files, certFrom: \"file:tls/server.pem\", keyFrom: \"file:tls/server.key\"}";
const SPIFFE: &str = "source: {type: Spiffe}";
const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";

async fn site() -> Site {
    let site = Site::new().await;
    site.change("manifests/identity.yaml", FILES, SPIFFE);
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_says_where_the_agent_is() {
    let site = site().await;
    let agent = Agent::start();
    let template = Template { hosts: vec!["localhost".to_owned()], ..Template::svid(EDGE) };
    agent.says(&Says::svid(EDGE, &site.ca.issue(&template).unwrap(), &site.ca));
    let mut process = block_in_place(|| Process::serve(&site.config(), &[(VARIABLE, &agent.socket())]));
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut line = site.line(process.address(), &site.who.mia, false).await;
    assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
    drop(line);
    process.signal("TERM");
    assert_eq!(block_in_place(|| process.ended()).code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_told_no_agent_does_not_start() {
    let site = site().await;
    for (value, want) in [
        ("", "`SPIFFE_ENDPOINT_SOCKET` of the environment is not the socket of a Workload API: write `unix:/path`"),
        ("tcp://10.0.0.1:8000", "use a loopback address"),
    ] {
        let mut process = Process::spawn(&site.config(), &[(VARIABLE, value)]);
        assert_eq!(block_in_place(|| process.ended()).code(), Some(2));
        assert!(process.all().contains(want), "{}", process.all());
    }
    let mut command = std::process::Command::new(crate::process::BINARY);
    command.arg("run").arg("--config").arg(site.config()).env_remove(VARIABLE);
    let mut process = Process::started_by(command);
    assert_eq!(block_in_place(|| process.ended()).code(), Some(2));
    assert!(process.all().contains("nothing says where the SPIFFE Workload API is"), "{}", process.all());
}

#[tokio::test]
async fn validate_asks_no_agent_and_says_so() {
    let site = site().await;
    let (code, out, _) = told(&["validate", "--config", site.config().to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(out.contains("not asked: the SPIFFE Workload API that `SPIFFE_ENDPOINT_SOCKET` names"), "{out}");
}
