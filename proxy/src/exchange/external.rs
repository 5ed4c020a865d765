//! A message waits until services outside have said what they think of it.

use std::sync::Arc;

use pingora_core::protocols::http::ServerSession;
use postern_filters::external::Question;
use postern_filters::{Given, Reason, Refusal};

use super::{Exchange, forward};
use crate::story::Story;

impl Exchange<'_> {
    /// Asks `questions`, all at once. False where the client left meanwhile, which ends the calls.
    ///
    /// # Errors
    /// A refusal where there is no room for the texts once more.
    pub(super) async fn supply_external(
        self,
        questions: &[Arc<Question>],
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<bool, Refusal> {
        let id = story.id.to_string();
        let bytes = questions.iter().map(|question| question.length(&id)).fold(0, usize::saturating_add);
        // Each is there as it is made and as it is sent.
        let bytes = bytes.saturating_mul(2);
        story.share.take(bytes).map_err(|error| Refusal::new(Reason::Undecided, error.to_string()))?;
        // An HTTP/1.1 client that sends a body is not looked at before somebody reads it.
        let watched = session.is_body_empty() || session.is_body_done() || session.is_http2();
        let said = tokio::select! {
            said = self.shared.outside.ask(questions, &id, &self.shared.metrics) => said,
            () = forward::client_left(session), if watched => {
                story.note_trouble("the client left while a service was asked about the message");
                return Ok(false);
            }
        };
        story.share.give(bytes);
        story.context.supply(Given::External(said));
        Ok(true)
    }
}
