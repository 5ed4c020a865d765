//! Asks services about texts: one call for each question, all of a message at once. What they say is read and judged by the filters.

use std::sync::Arc;

use futures::future::join_all;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use postern_config::Redacted;
use postern_filters::external::{Failure, MAX_ANSWER, Question, Verdict};
use tokio::time::Instant;

use super::calls::Calls;
use crate::outbound::{Answer, Limits, OutboundError, Request, Url};
use crate::telemetry::Metrics;

/// Calls at once to one service; a further one waits, within its own deadline.
pub(super) const AT_ONCE: usize = 64;

/// Asks all of `questions` at once, on behalf of the exchange `id`.
pub(super) async fn ask(
    calls: &Calls,
    questions: &[Arc<Question>],
    id: &str,
    metrics: &Metrics,
) -> Vec<(Arc<Question>, Result<Verdict, Failure>)> {
    let asked = questions.iter().map(|question| async move {
        let began = Instant::now();
        let said = one(calls, question, id).await;
        metrics.asked_outside(question.guard(), question.outcome(&said), began.elapsed().as_secs_f64());
        (Arc::clone(question), said)
    });
    join_all(asked).await
}

/// One question. The texts are in its body and nowhere else.
async fn one(calls: &Calls, question: &Question, id: &str) -> Result<Verdict, Failure> {
    let (source, away) = (question.source(), |error: &dyn std::fmt::Display| Failure::Away(error.to_string()));
    let url = Url::parse(&source.url).map_err(|error| away(&error))?;
    let text = |text: &str| Redacted::new(text.as_bytes().to_vec());
    let mut request = Request::post(url, question.body(id))
        .header(CONTENT_TYPE, text("application/json"))
        .header(ACCEPT, text("application/json"))
        .limits(Limits {
            connect: source.timeout,
            handshake: source.timeout,
            first_byte: source.timeout,
            whole: source.timeout,
            body: MAX_ANSWER,
            ..Limits::default()
        });
    let service = calls.service(source).ok_or_else(|| away(&"the running policy does not ask there"))?;
    if let Some(auth) = &service.auth {
        request = request.header(AUTHORIZATION, auth.clone());
    }
    let answer = match calls.send_in(&service.room, source.ca.as_ref(), request).await {
        Ok(answer) => answer,
        Err(OutboundError::Late(_)) => return Err(Failure::Late(source.timeout)),
        Err(OutboundError::Redirect { status, .. } | OutboundError::Status { status, .. }) => {
            return Err(Failure::Status(status));
        }
        Err(error) => return Err(away(&error)),
    };
    let Answer { status, content_type, body, .. } = answer;
    match status.as_u16() {
        200 => Ok(Verdict::read(question, content_type.as_deref(), body)?),
        status => Err(Failure::Status(status)),
    }
}

/// What is sent to prove who we are, made of a token.
///
/// # Errors
/// What is wrong with it; never what it says.
pub(super) fn bearer(material: &[u8]) -> Result<Redacted<Vec<u8>>, &'static str> {
    const MOST: usize = 8 << 10;
    if material.is_empty() || material.len() > MOST {
        return Err("is empty or longer than 8 KiB");
    }
    if !material.iter().all(u8::is_ascii_graphic) {
        return Err("has spaces, a second line or characters that a header cannot have");
    }
    Ok(Redacted::new([b"Bearer ", material].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_of_visible_characters() {
        for (material, want) in [
            (&b"abc.DEF-123_~+/="[..], Ok(&b"Bearer abc.DEF-123_~+/="[..])),
            (b"", Err(())),
            (b"two words", Err(())),
            (b"two\nlines", Err(())),
            (b"b\xc3\xbc", Err(())),
            (&[b'x'; 8193], Err(())),
        ] {
            let got = bearer(material).map(|value| value.expose().clone()).map_err(|_| ());
            assert_eq!(got, want.map(<[u8]>::to_vec));
        }
    }
}
