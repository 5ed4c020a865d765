//! `/models` and `/models/{model}`: what the provider offers. Requests carry no text; every string of an answer is one.

use postern_config::{Action, Part};

use super::chat::answer::error;
use crate::dialect::DialectError;
use crate::dialect::adapter::{Adapter, Line};
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{expect, shape};
use crate::json::{Kind, Value};

pub(super) static ADAPTER: Adapter =
    Adapter { writes: false, put: None, action: Action::Read, request: None, answer, events: None };

/// Whether a path is the list, or one model in it.
pub(super) fn is_asked(line: Line<'_>) -> bool {
    if line.is("GET", "/v1/models") {
        return true;
    }
    // The name may hold an organisation: `org/model`.
    let below = ["/v1/models/", "/models/"].iter().find_map(|front| line.below.strip_prefix(front));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@/-".contains(&byte);
    line.method == "GET" && below.is_some_and(|name| !name.is_empty() && name.bytes().all(plain))
}

fn answer(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    if error(root, found, facts) {
        return Ok(());
    }
    if root.get("data").is_none() && root.get("id").is_none() {
        return Err(shape(root, "answer"));
    }
    found.tree(root, Part::Assistant, &["object", "list", "data", "model", "id", "created", "owned_by"]);
    Ok(())
}
