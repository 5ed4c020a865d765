//! `systemInstruction`, a content of text parts.

use super::names::{find, written};
use crate::dialect::DialectError;
use crate::dialect::system::{self, SystemTexts};
use crate::json::{Editor, Value};

pub(super) fn put(root: Value<'_>, texts: SystemTexts<'_>, editor: &mut Editor<'_>) -> Result<(), DialectError> {
    // One that is `null` is absent to the vendor, and still must not be there twice.
    let Some(said) = written(root, "systemInstruction") else {
        let member = [&br#""systemInstruction":"#[..], &instruction(&texts.joined())].concat();
        editor.put_first(root.id(), &member);
        return Ok(());
    };
    match find(said, "parts").filter(|parts| !parts.is_empty()) {
        None => editor.set(said.id(), &instruction(&texts.joined()))?,
        Some(parts) => {
            if !texts.first.is_empty() {
                editor.put_first(parts.id(), &piece(texts.first));
            }
            if !texts.last.is_empty() {
                editor.put_last(parts.id(), &piece(texts.last));
            }
        }
    }
    Ok(())
}

fn instruction(text: &str) -> Vec<u8> {
    [&br#"{"parts":["#[..], &piece(text), b"]}"].concat()
}

fn piece(text: &str) -> Vec<u8> {
    [b"{".to_vec(), system::member("text", text), b"}".to_vec()].concat()
}
