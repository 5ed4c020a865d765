//! `/responses`: one turn, of items, whole and streamed. What the provider keeps between turns (`previous_response_id`,
//! `conversation`, stored prompts, files) cannot be read and is opaque; what it would do by itself is refused.

mod answer;
mod item;
mod request;
mod stream;
mod system;

use postern_config::Action;

use crate::dialect::adapter::Adapter;

pub(super) static ADAPTER: Adapter = Adapter {
    writes: true,
    put: Some(system::put),
    action: Action::Chat,
    request: Some(request::request),
    answer: answer::response,
    events: Some(stream::Items::open),
};

#[cfg(test)]
mod tests;
