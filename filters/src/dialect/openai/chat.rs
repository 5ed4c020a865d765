//! `/chat/completions`: chat completions, buffered and streamed.

pub(super) mod answer;
mod message;
pub(super) mod request;
pub(super) mod stream;
mod system;
mod tables;

use postern_config::Action;

use crate::dialect::adapter::Adapter;

pub(super) static ADAPTER: Adapter = Adapter {
    writes: true,
    put: Some(system::put),
    action: Action::Chat,
    request: Some(request::request),
    answer: answer::answer,
    events: Some(stream::Completions::chat),
};

#[cfg(test)]
mod tests;
