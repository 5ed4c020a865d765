//! References within a document. None leads out of it: nothing is fetched, and no other file is opened.

use super::keys::Spot;
use super::{PV_SHAPE, Reader};
use crate::secrets::shown;
use crate::{percent, pointer};

/// References that lead to references.
const MAX_STEPS: usize = 16;

impl<'d> Reader<'d, '_> {
    /// Where a `$ref` at `spot` leads.
    pub(super) fn target(&mut self, spot: &Spot<'d>) -> Option<Spot<'d>> {
        let text = self.text(spot)?;
        let Some(pointer) = text.strip_prefix('#') else {
            let message = format!("`{}` leads out of the document", shown(text));
            let help = "put what it refers to into this document: below `components`, or below `$defs` of a schema by itself, and write `#/components/…` or `#/$defs/…`; nothing is fetched";
            self.later(spot, message, help);
            return None;
        };
        let Some(path) = pointer.strip_prefix('/') else {
            let help = "write `#/components/…` or `#/$defs/…`; anchors and the document itself are not referred to";
            self.later(spot, format!("`{}` is no pointer to a part of the document", shown(text)), help);
            return None;
        };
        let mut at = Spot::root(self.root);
        for step in path.split('/') {
            let next = unescaped(step).and_then(|key| {
                let index = key.parse().ok().filter(|_| key.bytes().all(|byte| byte.is_ascii_digit()));
                at.key(&key).or_else(|| at.item(index?))
            });
            let Some(next) = next else {
                let message = format!("`{}` leads nowhere", shown(text));
                self.error(spot, PV_SHAPE, message, "correct it, or add what it refers to");
                return None;
            };
            at = next;
        }
        Some(at)
    }

    /// Follows references until there is something to read.
    pub(super) fn follow(&mut self, spot: Spot<'d>) -> Option<Spot<'d>> {
        let mut at = spot;
        for _ in 0..MAX_STEPS {
            let Some(reference) = at.key("$ref") else { return Some(at) };
            // OpenAPI 3.1 lets a reference be described anew; nothing else may stand beside one.
            self.only(&at, &["$ref"], &["summary", "description"]);
            at = self.target(&reference)?;
        }
        self.error(&at, PV_SHAPE, "references lead in a circle", "write out what is meant");
        None
    }
}

/// One step of a pointer: escapes of URIs, then those of pointers.
fn unescaped(step: &str) -> Option<String> {
    Some(pointer::name(&percent::decode(step)?))
}
