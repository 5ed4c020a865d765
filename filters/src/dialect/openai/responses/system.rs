//! `instructions`, which stand before all input; behind system items of clients a further item.

use crate::dialect::DialectError;
use crate::dialect::system::{self, SystemTexts};
use crate::json::{Editor, Value};

pub(super) fn put(root: Value<'_>, texts: SystemTexts<'_>, editor: &mut Editor<'_>) -> Result<(), DialectError> {
    let items = root.get("input").map(|input| input.items());
    let behind = items.into_iter().flatten().filter(|item| is_system(*item)).last();
    let mut own = texts;
    if let Some(behind) = behind.filter(|_| !texts.last.is_empty()) {
        own.last = "";
        editor.put_behind(behind.id(), &item(texts.last));
    }
    match root.get("instructions") {
        _ if own.is_empty() => {}
        None => editor.put_first(root.id(), &system::member("instructions", &own.joined())),
        Some(said) if said.is_null() || said.is_text("") => editor.set_text(said.id(), &own.joined()),
        Some(said) => editor.enclose(said.id(), &own.before(), &own.behind())?,
    }
    Ok(())
}

fn is_system(item: Value<'_>) -> bool {
    let is_message = item.get("type").is_none_or(|kind| kind.is_text("message"));
    is_message && item.get("role").is_some_and(|role| role.is_text("system") || role.is_text("developer"))
}

fn item(text: &str) -> Vec<u8> {
    [&br#"{"type":"message","role":"system","#[..], &system::member("content", text), b"}"].concat()
}
