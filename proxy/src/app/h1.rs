//! HTTP/1.1: one request after the other, as long as the connection may carry another.

use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use tokio::sync::watch;

use super::ConnectionApp;

/// Seconds a connection may idle between requests.
const IDLE: u64 = 60;

impl ConnectionApp {
    pub(super) async fn serve_h1(&self, stream: Stream, shutdown: &watch::Receiver<bool>) {
        let mut session = ServerSession::new_http1(stream);
        session.set_keepalive((!*shutdown.borrow()).then_some(IDLE));
        while let Some(reused) = self.request(session, shutdown).await {
            let (stream, settings) = reused.consume();
            session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
        }
    }
}
