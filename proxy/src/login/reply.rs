//! Answers of our own places: a redirect or nothing, with cookies.

use bytes::Bytes;
use http::header;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use postern_config::Hsts;

use crate::answer;
use crate::story::Story;

/// What a browser, or the issuer, gets.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    /// Whole `Set-Cookie` values.
    pub(super) cookies: Vec<String>,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// To be fetched by GET, whatever was asked with (RFC 9110 §15.4.4).
    pub(super) fn see(location: String) -> Self {
        Self { status: 303, location: Some(location), cookies: Vec::new() }
    }
}

/// A cookie for this host alone, which scripts do not see. `Lax`, so that it comes along when a link leads here: what changes
/// something is refused from other sites by `crossSite`.
pub(super) fn cookie(name: &str, value: &str, seconds: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
}

/// Makes a browser forget a cookie.
pub(super) fn forget(name: &str) -> String {
    cookie(name, "", 0)
}

/// Writes it. What cannot be written is noted.
pub(super) async fn write(reply: Reply, session: &mut ServerSession, story: &mut Story, hsts: Option<&Hsts>) {
    story.status = reply.status;
    let write = async {
        let head = head(&reply, story, hsts)?;
        session.write_response_header(Box::new(head)).await?;
        session.write_response_body(Bytes::new(), true).await
    };
    match tokio::time::timeout(answer::WRITE, write).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => story.note_trouble("the client left before the answer"),
        Err(_) => story.note_trouble("the client did not take the answer"),
    }
}

fn head(reply: &Reply, story: &Story, hsts: Option<&Hsts>) -> pingora_core::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(reply.status, Some(10))?;
    head.insert_header(header::CONTENT_LENGTH, 0)?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    // The address of the callback holds a code.
    head.insert_header(header::REFERRER_POLICY, "no-referrer")?;
    head.insert_header("postern-decision", story.id.to_string())?;
    if let Some(location) = &reply.location {
        head.insert_header(header::LOCATION, location.as_str())?;
    }
    for cookie in &reply.cookies {
        head.append_header(header::SET_COOKIE, cookie.as_str())?;
    }
    answer::add_own(&mut head, story, hsts)?;
    Ok(head)
}
