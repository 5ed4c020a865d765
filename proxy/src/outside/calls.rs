//! Our own calls to issuers: by the one outbound client, to addresses that the running set allows, with the authorities that
//! it names.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use postern_config::{
    ExternalSource, IntrospectionSource, JwtKeys, KeySource, KeysAt, Material, ProviderKind, Redacted, Snapshot,
};
use postern_filters::token::{basic_auth, metadata_urls};
use rustls::ClientConfig;
use tokio::sync::Semaphore;

use super::external;
use crate::egress::Egress;
use crate::outbound::{self, Addresses, Answer, Limits, Outbound, OutboundError, Request, Roots, Url};

/// What a set needs for its own calls, read and made at its load.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    /// By the authorities that are believed.
    tls: HashMap<Option<Material>, Arc<ClientConfig>>,
    pub(super) keys: Vec<KeySource>,
    /// Where tokens are asked about, with the header that says who we are.
    clients: HashMap<IntrospectionSource, Arc<Redacted<Vec<u8>>>>,
    /// Services that are asked about texts.
    services: HashMap<ExternalSource, Arc<Service>>,
}

/// A service that is asked about texts.
#[derive(Debug)]
pub(super) struct Service {
    /// The header that says who we are.
    pub(super) auth: Option<Redacted<Vec<u8>>>,
    /// Its own, so that one that is slow holds up nobody else.
    pub(super) room: Arc<Semaphore>,
}

impl Setup {
    /// What `snapshot` needs; what cannot be had is told in `problems`.
    pub(crate) fn load(snapshot: &Snapshot, problems: &mut Vec<String>) -> Self {
        let mut setup = Self::default();
        for provider in snapshot.routes.iter().flat_map(|route| &route.policy.identity.providers) {
            let told = match &provider.kind {
                ProviderKind::Jwt(jwt) => match &jwt.keys {
                    JwtKeys::Fetched { source, .. } => setup.add_keys(source),
                    JwtKeys::Material(_) => Ok(()),
                },
                ProviderKind::Introspection(asked) => setup.add_client(&asked.at),
                ProviderKind::Spiffe(_)
                | ProviderKind::ApiKey(_)
                | ProviderKind::Mtls(_)
                | ProviderKind::HttpSignature(_) => Ok(()),
            };
            if let Err(why) = told {
                let problem = format!("error: provider `{}`: {why}", provider.name);
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        for (detector, source) in snapshot.routes.iter().flat_map(|route| route.policy.runtime.external()) {
            if let Err(why) = setup.add_service(source) {
                let problem = format!("error: detector `{}`: {why}", detector.name);
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        setup
    }

    fn add_service(&mut self, source: &ExternalSource) -> Result<(), String> {
        if self.services.contains_key(source) {
            return Ok(());
        }
        Url::parse(&source.url).map_err(|error| format!("`{}`: {error}", source.url))?;
        self.add_tls(source.ca.as_ref())?;
        let auth = source.auth.as_ref().map(|from| {
            let secret = from.read_secret().map_err(|error| format!("`authFrom`: {error}"))?;
            external::bearer(secret.expose()).map_err(|problem| format!("`authFrom`: what is in `{from}` {problem}"))
        });
        let room = Arc::new(Semaphore::new(external::AT_ONCE));
        self.services.insert(source.clone(), Arc::new(Service { auth: auth.transpose()?, room }));
        Ok(())
    }

    fn add_keys(&mut self, source: &KeySource) -> Result<(), String> {
        if self.keys.contains(source) {
            return Ok(());
        }
        let urls = match &source.at {
            KeysAt::Url(url) => vec![url.clone()],
            KeysAt::Issuer(issuer) => metadata_urls(issuer).to_vec(),
        };
        urls.iter().try_for_each(|url| Url::parse(url).map(drop).map_err(|error| format!("`{url}`: {error}")))?;
        self.add_tls(source.ca.as_ref())?;
        self.keys.push(source.clone());
        Ok(())
    }

    fn add_client(&mut self, source: &IntrospectionSource) -> Result<(), String> {
        if self.clients.contains_key(source) {
            return Ok(());
        }
        Url::parse(&source.url).map_err(|error| format!("`{}`: {error}", source.url))?;
        self.add_tls(source.ca.as_ref())?;
        let secret = source.client_auth.read_secret().map_err(|error| format!("`clientAuthFrom`: {error}"))?;
        let auth = basic_auth(secret.expose()).map_err(|problem| {
            format!("`clientAuthFrom`: what is in `{}` {problem}; write `id:secret`", source.client_auth)
        })?;
        self.clients.insert(source.clone(), Arc::new(auth));
        Ok(())
    }

    fn add_tls(&mut self, ca: Option<&Material>) -> Result<(), String> {
        if self.tls.contains_key(&ca.cloned()) {
            return Ok(());
        }
        let roots = match ca {
            None => Roots::System,
            Some(from) => Roots::Given(from.read_public().map_err(|error| format!("`caFrom`: {error}"))?),
        };
        let made = outbound::tls_client(roots, None).map_err(|error| match ca {
            None => error.to_string(),
            Some(from) => format!("`caFrom`: `{from}`: {error}"),
        })?;
        self.tls.insert(ca.cloned(), Arc::new(made));
        Ok(())
    }
}

/// Makes our own calls.
pub(crate) struct Calls {
    gate: Arc<Gate>,
    room: Arc<Semaphore>,
    setup: ArcSwap<Setup>,
}

/// The addresses that the running set allows.
struct Gate(ArcSwap<Egress>);

impl Addresses for Gate {
    fn admit<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, String>> {
        let egress = self.0.load_full();
        Box::pin(async move { egress.resolve(host, port).await.map_err(|error| error.to_string()) })
    }
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            gate: Arc::new(Gate(ArcSwap::from_pointee(Egress::of_own_calls(None)))),
            room: Outbound::room(),
            setup: ArcSwap::default(),
        }
    }

    /// Goes by what a new set says.
    pub(super) fn follow(&self, snapshot: &Snapshot, setup: Arc<Setup>) {
        self.gate.0.store(Arc::new(Egress::of_own_calls(snapshot.own_egress.clone())));
        self.setup.store(setup);
    }

    /// The header that says at `source` who we are; `None` where no set that runs asks there.
    pub(super) fn auth(&self, source: &IntrospectionSource) -> Option<Arc<Redacted<Vec<u8>>>> {
        self.setup.load().clients.get(source).cloned()
    }

    /// The service at `source`; `None` where no set that runs asks there.
    pub(super) fn service(&self, source: &ExternalSource) -> Option<Arc<Service>> {
        self.setup.load().services.get(source).cloned()
    }

    /// Makes a call, believing the authorities of `ca`. `http` is for this machine alone.
    pub(super) async fn send(&self, ca: Option<&Material>, request: Request) -> Result<Answer, OutboundError> {
        self.send_in(&self.room, ca, request).await
    }

    /// As [`Calls::send`], in a room of its own.
    pub(super) async fn send_in(
        &self,
        room: &Arc<Semaphore>,
        ca: Option<&Material>,
        request: Request,
    ) -> Result<Answer, OutboundError> {
        let tls = self.setup.load().tls.get(&ca.cloned()).cloned();
        let Some(tls) = tls else {
            return Err(OutboundError::NotAdmitted("the running policy does not call there".to_owned()));
        };
        let outbound = Outbound::with(self.gate.clone(), tls, room.clone());
        outbound.send(request.allow_plain_loopback()).await
    }
}

/// Bounds of a call that requests wait for.
pub(crate) fn limits(body: usize) -> Limits {
    Limits {
        connect: Duration::from_secs(3),
        handshake: Duration::from_secs(3),
        first_byte: Duration::from_secs(5),
        whole: Duration::from_secs(8),
        body,
        ..Limits::default()
    }
}
