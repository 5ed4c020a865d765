//! Messages of role `system`. Where clients have none there is one, as some servers take no second.

use crate::dialect::DialectError;
use crate::dialect::fields::member;
use crate::dialect::system::{self, SystemTexts};
use crate::json::{Editor, Value};

pub(super) fn put(root: Value<'_>, texts: SystemTexts<'_>, editor: &mut Editor<'_>) -> Result<(), DialectError> {
    let messages = member(root, "messages", "messages")?;
    let Some(behind) = messages.items().filter(|item| is_system(*item)).last() else {
        editor.put_first(messages.id(), &message(&texts.joined()));
        return Ok(());
    };
    if !texts.first.is_empty() {
        editor.put_first(messages.id(), &message(texts.first));
    }
    if !texts.last.is_empty() {
        editor.put_behind(behind.id(), &message(texts.last));
    }
    Ok(())
}

fn is_system(item: Value<'_>) -> bool {
    item.get("role").is_some_and(|role| role.is_text("system") || role.is_text("developer"))
}

fn message(text: &str) -> Vec<u8> {
    [&br#"{"role":"system","#[..], &system::member("content", text), b"}"].concat()
}
