//! OpenAPI documents (3.0 and 3.1) to what requests must match.
//!
//! A document is read strictly: what it says about requests is compiled into [`Api`], what it says about answers and for people is
//! passed by, and anything else is a problem with its place and a way out. A keyword that nothing enforces never loads.

mod alone;
mod body;
mod keys;
mod operation;
mod parameter;
mod paths;
mod pattern;
mod reference;
mod schema;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::yaml::{self, End, Node};
use crate::{Api, Code, Digest, Position, Report, Schema, SchemaId};
pub use alone::{SchemaForm, schema_alone, schema_file};
use keys::Spot;

const PV_SHAPE: Code = Code(2);
const PV_CONFLICT: Code = Code(5);
const PV_LATER: Code = Code(7);
const PV_CEILING: Code = Code(9);
const PV_BLIND: Code = Code(25);
const PV_PATTERN: Code = Code(53);

/// Largest document.
pub const MAX_DOCUMENT: usize = 4 << 20;
const MAX_OPERATIONS: usize = 4096;
const MAX_SCHEMAS: usize = 50_000;

/// Which OpenAPI a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// 3.0: a dialect of its own of JSON Schema.
    V30,
    /// 3.1: JSON Schema 2020-12.
    V31,
}

/// Reads a document. Every problem goes into `report`, with `file` as its file; nothing comes back where there was one.
#[must_use]
pub fn read(file: &str, bytes: &[u8], report: &mut Report) -> Option<Api> {
    let file: Arc<str> = Arc::from(file);
    let mut own = Report::new();
    let api = document(&file, bytes, &mut own);
    let sound = !own.has_errors();
    report.extend(own);
    api.filter(|_| sound)
}

fn document(file: &Arc<str>, bytes: &[u8], report: &mut Report) -> Option<Api> {
    let read = yaml::parse(file, bytes, MAX_DOCUMENT, End::Newline, report);
    let [root] = read.nodes.as_slice() else {
        if let Some(second) = read.nodes.get(1) {
            report.error(PV_SHAPE, &second.position, "", "a second document in the file", "keep one of them");
        }
        return None;
    };
    if !read.whole {
        return None;
    }
    let spot = Spot::root(root);
    let version = version(&spot, report)?;
    let mut reader = Reader::new(root, version, report);
    let operations = reader.document(&spot);
    reader.refuse_circles();
    let mut out = Digest::default();
    out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()).for_each(|(to, from)| *to = *from);
    let (schemas, patterns) = (reader.schemas, reader.patterns);
    Some(Api { digest: out, operations, schemas, patterns })
}

fn version(root: &Spot<'_>, report: &mut Report) -> Option<Version> {
    let help =
        "the documents that are read begin with `openapi: 3.0.3`, `openapi: 3.1.0` or another version of the two";
    let Some(written) = root.key("openapi") else {
        report.error(
            PV_SHAPE,
            &root.node.position,
            "/openapi",
            "`openapi` is missing: this is no OpenAPI document",
            help,
        );
        return None;
    };
    let text = written.node.scalar().unwrap_or_default();
    let of = |line: &str| {
        text.strip_prefix(line).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()) && !rest.is_empty())
    };
    if of("3.0.") {
        return Some(Version::V30);
    }
    if of("3.1.") {
        return Some(Version::V31);
    }
    let message = format!("version `{}` of OpenAPI is not read", crate::secrets::shown(text));
    report.error(PV_LATER, &written.node.position, "/openapi", message, help);
    None
}

/// Reads one document.
struct Reader<'d, 'r> {
    root: &'d Node,
    version: Version,
    report: &'r mut Report,
    schemas: Vec<Schema>,
    /// Where each schema stands.
    places: Vec<(Position, String)>,
    /// Schemas by pointer, so that each is read once, and one that holds itself ends.
    known: BTreeMap<String, SchemaId>,
    /// Schemas that were named and not read yet.
    waiting: VecDeque<(SchemaId, Spot<'d>)>,
    patterns: Vec<String>,
    warned_of_security: bool,
}

impl<'d, 'r> Reader<'d, 'r> {
    fn new(root: &'d Node, version: Version, report: &'r mut Report) -> Self {
        Self {
            root,
            version,
            report,
            schemas: Vec::new(),
            places: Vec::new(),
            known: BTreeMap::new(),
            waiting: VecDeque::new(),
            patterns: Vec::new(),
            warned_of_security: false,
        }
    }
}

impl<'d> Reader<'d, '_> {
    fn error(&mut self, spot: &Spot<'d>, code: Code, message: impl Into<String>, help: impl Into<String>) {
        self.report.error(code, &spot.node.position, spot.pointer.clone(), message, help);
    }

    /// What this version has no enforcement for.
    fn later(&mut self, spot: &Spot<'d>, message: impl Into<String>, help: impl Into<String>) {
        self.error(spot, PV_LATER, message, help);
    }

    /// A schema that judges a value by way of others must come to an end without going into the value.
    fn refuse_circles(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            No,
            Open,
            Done,
        }
        let mut seen = vec![Seen::No; self.schemas.len()];
        for start in 0..self.schemas.len() {
            let mut stack = vec![(start, false)];
            while let Some((at, leaving)) = stack.pop() {
                let Some(state) = seen.get_mut(at) else { continue };
                if leaving {
                    *state = Seen::Done;
                    continue;
                }
                match *state {
                    Seen::Done => continue,
                    Seen::Open => continue,
                    Seen::No => *state = Seen::Open,
                }
                stack.push((at, true));
                let next: Vec<usize> =
                    self.schemas.get(at).into_iter().flat_map(Schema::in_place).map(|id| id.0).collect();
                for id in next {
                    match seen.get(id) {
                        Some(Seen::Open) => {
                            if let Some((position, pointer)) = self.places.get(id) {
                                let message = "a schema that holds for a value if it holds for that value";
                                let help = "a schema may refer to itself below `properties` or `items`, not through `$ref`, `allOf`, `anyOf`, `oneOf` or `not` alone";
                                self.report.error(PV_SHAPE, position, pointer.clone(), message, help);
                            }
                            return;
                        }
                        Some(Seen::No) => stack.push((id, false)),
                        _ => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
