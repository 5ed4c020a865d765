//! `system`, which is a string or blocks; behind system text inside of messages another one of the same shape.

use crate::dialect::DialectError;
use crate::dialect::system::{self, SystemTexts};
use crate::json::{Editor, Kind, Value, quote};

pub(super) fn put(root: Value<'_>, texts: SystemTexts<'_>, editor: &mut Editor<'_>) -> Result<(), DialectError> {
    let mut own = texts;
    if !texts.last.is_empty()
        && let Some(inside) = root.get("messages").and_then(last_inside)
    {
        own.last = "";
        inside.follow(texts.last, editor)?;
    }
    match root.get("system") {
        _ if own.is_empty() => {}
        None => editor.put_first(root.id(), &system::member("system", &own.joined())),
        Some(said) => match said.kind() {
            Kind::Array if !said.is_empty() => {
                if !own.first.is_empty() {
                    editor.put_first(said.id(), &block(own.first));
                }
                if !own.last.is_empty() {
                    editor.put_last(said.id(), &block(own.last));
                }
            }
            Kind::String if !said.is_text("") => {
                let blocks = [block(own.first), text_block(said.raw()), block(own.last)];
                let blocks = blocks.into_iter().zip([!own.first.is_empty(), true, !own.last.is_empty()]);
                let blocks: Vec<Vec<u8>> = blocks.filter(|(_, there)| *there).map(|(block, _)| block).collect();
                editor.set(said.id(), &[b"[".to_vec(), blocks.join(&b","[..]), b"]".to_vec()].concat())?;
            }
            _ => editor.set_text(said.id(), &own.joined()),
        },
    }
    Ok(())
}

/// The last system text inside of messages.
enum Inside<'a> {
    Message(Value<'a>),
    Block(Value<'a>),
}

fn last_inside(messages: Value<'_>) -> Option<Inside<'_>> {
    let all = messages.items().flat_map(|message| {
        let is_system = message.get("role").is_some_and(|role| role.is_text("system"));
        let content = message.get("content").into_iter().flat_map(|content| content.items());
        let blocks = content.filter(|block| block.get("type").is_some_and(|kind| kind.is_text("mid_conv_system")));
        // A message as a whole is behind its blocks.
        blocks.filter(move |_| !is_system).map(Inside::Block).chain(is_system.then_some(Inside::Message(message)))
    });
    all.last()
}

impl Inside<'_> {
    fn follow(&self, text: &str, editor: &mut Editor<'_>) -> Result<(), DialectError> {
        match self {
            Self::Message(message) => {
                let json = [&br#"{"role":"system","#[..], &system::member("content", text), b"}"].concat();
                editor.put_behind(message.id(), &json);
            }
            Self::Block(inside) => {
                let said = ["content", "text"].into_iter().find_map(|name| Some((name, inside.get(name)?)));
                let (name, said) = said.ok_or(DialectError::Unsupported { what: "mid_conv_system" })?;
                let content = match said.kind() {
                    Kind::String => quote(text),
                    _ => [b"[".to_vec(), block(text), b"]".to_vec()].concat(),
                };
                let head = format!("{{\"type\":\"mid_conv_system\",\"{name}\":");
                editor.put_behind(inside.id(), &[head.as_bytes(), &content, b"}"].concat());
            }
        }
        Ok(())
    }
}

fn block(text: &str) -> Vec<u8> {
    text_block(&quote(text))
}

/// `json`: a string.
fn text_block(json: &[u8]) -> Vec<u8> {
    [&br#"{"type":"text","text":"#[..], json, b"}"].concat()
}
