//! `content_block_delta`: more of a block.

use postern_config::Part;

use super::{Block, Blocks, MOST_BLOCKS, Says, only, send_delta};
use crate::dialect::DialectError;
use crate::dialect::anthropic::block::citations;
use crate::dialect::fields::{base64, expect, index, member, shape, string};
use crate::dialect::stream::{Cut, Judge};
use crate::json::{Document, Editor, Kind, Value};

impl Blocks {
    pub(super) fn delta(&mut self, doc: &Document, judge: &mut Judge) -> Result<(), Cut> {
        let root = doc.root();
        only(root, &["type", "index", "delta"])?;
        let number = index(root, "index", MOST_BLOCKS, "blocks")?;
        let delta = member(root, "delta", "delta")?;
        expect(delta, Kind::Object, "delta")?;
        let kind = string(member(delta, "type", "delta.type")?, "delta.type")?;
        // Nothing can be said in a block that has not begun, has ended, or is of another kind.
        let block = self.blocks.get_mut(&number);
        match (kind.as_ref(), block) {
            ("text_delta", Some(Block::Text)) => self.text(doc, number, Says::Text, delta, judge),
            ("thinking_delta", Some(Block::Thinking { signed: false })) => {
                self.text(doc, number, Says::Thinking, delta, judge)
            }
            ("signature_delta", Some(Block::Thinking { signed })) => {
                *signed = true;
                self.signature(number, delta, judge)
            }
            ("input_json_delta", Some(Block::Tool { input, .. })) => {
                only(delta, &["type", "partial_json"])?;
                let piece = string(member(delta, "partial_json", "partial_json")?, "partial_json")?;
                self.held += piece.len();
                if self.held > judge.limits.held {
                    return Err(DialectError::TooMany { what: "bytes of tool calls" }.into());
                }
                input.push_str(&piece);
                Ok(())
            }
            ("citations_delta", Some(Block::Text)) => {
                let judged = judge.whole(doc.bytes().clone(), |root, found| {
                    let delta = member(root, "delta", "delta")?;
                    only(delta, &["type", "citation"])?;
                    citations(member(delta, "citation", "citation")?, Part::Assistant, found);
                    Ok(())
                })?;
                judge.send("content_block_delta", &judged);
                Ok(())
            }
            _ => Err(shape(delta, "delta").into()),
        }
    }

    fn text(
        &mut self,
        doc: &Document,
        number: u32,
        says: Says,
        delta: Value<'_>,
        judge: &mut Judge,
    ) -> Result<(), Cut> {
        let (_, field) = says.delta();
        only(delta, &["type", field])?;
        let value = member(delta, field, "delta.text")?;
        let text = string(value, "delta.text")?;
        let release = self.texts.push((number, says), says.part(), &text, judge)?;
        if release == text {
            judge.send("content_block_delta", doc.bytes());
        } else if !release.is_empty() {
            let mut editor = Editor::new(doc);
            editor.set_text(value.id(), &release);
            judge.send("content_block_delta", &editor.finish().map_err(DialectError::from)?);
        }
        Ok(())
    }

    /// The provider's signature of the reasoning before it, which no longer fits once a word of that is changed. Where there
    /// is none before it, the signature is all there is: reasoning that only the provider can read.
    fn signature(&mut self, number: u32, delta: Value<'_>, judge: &mut Judge) -> Result<(), Cut> {
        only(delta, &["type", "signature"])?;
        let value = member(delta, "signature", "signature")?;
        base64(value, "signature")?;
        if !self.texts.keys().contains(&(number, Says::Thinking)) {
            return Err(DialectError::Unsupported { what: "encrypted thinking" }.into());
        }
        if !self.finish_texts(number, judge)? {
            return Err(DialectError::Fixed.into());
        }
        send_delta(number, "signature_delta", "signature", value.raw(), judge);
        Ok(())
    }
}
