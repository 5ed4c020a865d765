//! JSON Schemas that what models write has to fit.

use crate::Code;
use crate::decode::{At, Fields, spec};
use crate::values::{DocumentFile, Glob};

const PV_SHAPE: Code = Code(2);

spec! {
    /// A JSON Schema, and what has to fit it: answers of a model, or arguments of calls of a tool.
    pub struct SchemaDemand {
        /// Names of models; `*` is any run of characters. It holds where the model that was asked for has such a name, or the one that
        /// answers, each with and without the version that it may end with. All that such a model says in one choice has to be one JSON
        /// document that fits; one that calls tools may say nothing. A request for a stream of it is refused: nobody could judge the
        /// document before its end. Not with `tool`.
        [E] model: Option<At<Glob>>,
        /// Names of tools, likewise. The arguments of every call have to fit, in whole answers and in streams. Not with `model`.
        [E] tool: Option<At<Glob>>,
        /// JSON Schema 2020-12, as JSON or YAML, at most 256Ki. What nothing enforces, such as a reference out of it, does not load.
        /// It is watched.
        [E] schema_from: At<DocumentFile>,
    }
    check check_of
}

fn check_of(demand: &SchemaDemand, fields: &mut Fields<'_, '_, '_>) {
    let message = match (&demand.model, &demand.tool) {
        (None, None) => "a schema of nothing: neither `model` nor `tool` says what has to fit",
        (Some(_), Some(_)) => "one schema for a model and for a tool",
        _ => return,
    };
    let help = "write `model` for answers, or `tool` for arguments of calls; both may name the same file, each in an entry of its own";
    let position = fields.position.clone();
    fields.cx.error(PV_SHAPE, &position, message, help);
}
