//! Policy tests of users: cases written in YAML beside the manifests, in files whose names end with `.test.yaml`.
//!
//! They are read as manifests are, so that a slip in a case is told with its place. They are not manifests: the loader passes
//! them by, and refuses one that holds a manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::decode::{At, Cx, Decode, MaterialRule, Setting, spec, words};
use crate::values::Time;
use crate::yaml::{self, End, Node};
use crate::{Code, Report, disk};

const PV_SHAPE: Code = Code(2);
const MAX_FILE: usize = 1 << 20;

spec! {
    /// A file of cases. Its name ends with `.test.yaml` or `.test.yml`.
    pub struct CaseFile {
        /// The cases; each is asked by itself, with nothing spent and nothing remembered.
        [E] cases: At<Vec<At<Case>>>,
    }
}

spec! {
    /// A request, who asks, and what should come of it.
    pub struct Case {
        /// What the case shows, as a sentence.
        [E] name: At<String>,
        /// The request.
        [E] request: At<RequestCase>,
        /// Who asks: `user/NAME`, `agent/NAME`, `serviceaccount/NAME`, `component/NAME` or `anonymous`. The name of a workload is
        /// its SPIFFE ID.
        [E] caller as "as": At<String>,
        /// What the caller's credential says. Nothing is proven: a credential that says so is taken for verified.
        [E] identity: Option<At<IdentityCase>>,
        /// The moment at which it is asked. Default: now.
        [E] at: Option<At<Time>>,
        /// What should come of it.
        [E] expect: At<Expectation>,
    }
}

spec! {
    /// A request. What is left out is chosen so that the route is reached.
    pub struct RequestCase {
        /// The route it is for. A request that goes to another one fails the case.
        [E] route: Option<At<String>>,
        /// The listener it comes in by. Default: the first that the route takes requests from.
        [E] listener: Option<At<String>>,
        /// Default: one that the route's allow list names.
        [E] method: Option<At<String>>,
        /// Default: one that the route takes.
        [E] host: Option<At<String>>,
        /// Path and query, as in the request line.
        [E] path: Option<At<String>>,
        /// Headers, each once.
        [E] headers: Option<At<BTreeMap<String, At<String>>>>,
        /// The address it comes from. Default: 127.0.0.1
        [E] source: Option<At<String>>,
        /// The model, on a route to a model; the rest of the body is made up.
        [E] model: Option<At<String>>,
        /// Whether the answer is asked for as a stream.
        [E] stream: Setting<bool> = "false",
        /// The body. Its content type is `application/json` unless `headers` say otherwise.
        [E] body: Option<At<String>>,
        /// A file that holds the body, relative to the file of cases.
        [E] body_from: Option<At<String>>,
    }
}

spec! {
    /// What a credential says.
    pub struct IdentityCase {
        /// Which of the route's providers it is of. Default: the one that makes such a principal.
        [E] provider: Option<At<String>>,
        /// Its issuer. One that no provider of the route has is refused.
        [E] issuer: Option<At<String>>,
        /// Default: the one the provider asserts, or the route's where it asserts several.
        [E] tenant: Option<At<String>>,
        /// Groups.
        [E] groups: Vec<At<String>>,
        /// Scopes.
        [E] scopes: Vec<At<String>>,
        /// Tags, each with its values.
        [E] tags: Option<At<BTreeMap<String, At<Vec<At<String>>>>>>,
        /// Authentication context class.
        [E] acr: Option<At<String>>,
        /// Authentication methods.
        [E] amr: Vec<At<String>>,
        /// Time since the caller authenticated.
        [E] age: Setting<Duration> = "0s",
        /// Whether it is bound to the client's certificate. Default: if its provider demands it.
        [E] bound: Option<At<bool>>,
        /// The User an Agent acts for: `user/NAME`.
        [E] on_behalf_of: Option<At<String>>,
    }
}

spec! {
    /// What should come of it. Only what is written is compared.
    pub struct Expectation {
        /// Whether it passes.
        [E] decision: At<DecisionWord>,
        /// The reason that records name: `not_permitted`, `over_limit`.
        [E] reason: Option<At<String>>,
        /// The rule that decides, as records name it, or its own name alone.
        [E] rule: Option<At<String>>,
        /// The status a refused client gets.
        [E] status: Option<At<u32>>,
        /// What would come of it if everything with `mode: Audit` acted. Where that makes no difference, it is what comes of it.
        [E] shadow: Option<At<ShadowExpectation>>,
    }
}

spec! {
    /// What would come of it with everything on trial acting. Only what is written is compared.
    pub struct ShadowExpectation {
        /// Whether it would pass.
        [E] decision: At<ShadowWord>,
        /// The rule that would decide, as records name it, or its own name alone.
        [E] rule: Option<At<String>>,
        /// The manifest on trial that makes the difference, `AccessControlPolicy/default/tools`; `several`, or `none`.
        [E] policy: Option<At<String>>,
    }
}

words! {
    /// What would come of a request.
    pub enum ShadowWord {
        /// It would pass as it is.
        Allow = "Allow",
        /// It would pass with something covered that is not covered now.
        Rewrite = "Rewrite",
        /// A policy would refuse it.
        Deny = "Deny",
        /// It could not be decided.
        Error = "Error",
    }
}

words! {
    /// What comes of a request.
    pub enum DecisionWord {
        /// It passes.
        Allow = "Allow",
        /// A policy refuses it.
        Deny = "Deny",
        /// It cannot be decided, which refuses it too.
        Error = "Error",
    }
}

/// Whether a file of this name holds cases, and so is no manifest.
#[must_use]
pub fn is_case_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

/// The files of cases below `folder`, and what they say. Every problem goes into `report`.
pub fn load_cases(folder: &Path, report: &mut Report) -> Vec<(PathBuf, CaseFile)> {
    let mut read = Vec::new();
    for path in disk::case_files(folder, report) {
        let name = disk::name_of(&path, folder);
        match disk::read_file(&path) {
            Ok(bytes) => {
                let cases = parse_cases(&name, &bytes, report);
                read.extend(cases.into_iter().map(|cases| (path.clone(), cases)));
            }
            Err(error) => disk::unreadable(&path, folder, &error, report),
        }
    }
    read
}

/// Reads the bytes of one file.
pub fn parse_cases(name: &str, bytes: &[u8], report: &mut Report) -> Vec<CaseFile> {
    let file = std::sync::Arc::from(name);
    let documents = yaml::parse(&file, bytes, MAX_FILE, End::Newline, report);
    let read = documents.nodes.iter().filter_map(|node| {
        if let Some(manifest) = is_manifest(node) {
            let message = "a manifest in a file of test cases, which nothing would enforce";
            report.error(PV_SHAPE, &manifest.position, "", message, HELP);
            return None;
        }
        let material = MaterialRule::new(Path::new(""), false, "default");
        CaseFile::decode(node, &mut Cx::new(report, material))
    });
    read.collect()
}

const HELP: &str = "move it to a file whose name does not end with `.test.yaml`";

/// Reports manifests that stand in a file whose name says that it holds cases: they would be passed by in silence.
pub(crate) fn refuse_manifests(name: &str, bytes: &[u8], report: &mut Report) {
    let file = std::sync::Arc::from(name);
    let documents = yaml::parse(&file, bytes, MAX_FILE, End::Newline, &mut Report::new());
    for node in documents.nodes.iter().filter_map(is_manifest) {
        let message = "a manifest in a file of test cases, which nothing would enforce";
        report.error(PV_SHAPE, &node.position, "", message, HELP);
    }
}

fn is_manifest(node: &Node) -> Option<&Node> {
    node.get("apiVersion").or_else(|| node.get("kind"))
}

/// What the reference says about the files.
#[must_use]
pub fn cases_shape() -> crate::decode::Shape {
    CaseFile::shape()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_case_is_told_with_its_place() {
        let text = "cases:\n  - name: staff reads\n    request: {rute: orders}\n    as: user/mia\n    expect: {decision: Permit, shadow: {decision: Maybe}}\n";
        let mut report = Report::new();
        assert!(parse_cases("a.test.yaml", text.as_bytes(), &mut report).is_empty());
        let told = report.to_string();
        for wanted in [
            "error[PV-002]: unknown field `rute`\n  --> a.test.yaml:3:15  cases[0].request.rute\n  help: did you mean `route`?",
            "`decision` cannot be `Permit`",
            "a.test.yaml:5:24  cases[0].expect.decision",
            "`decision` cannot be `Maybe`",
        ] {
            assert!(told.contains(wanted), "no `{wanted}` in\n{told}");
        }
    }

    #[test]
    fn a_manifest_is_no_case_and_is_not_passed_by() {
        let text = "apiVersion: x\nkind: RBACPolicy\n";
        let mut report = Report::new();
        assert!(parse_cases("a.test.yaml", text.as_bytes(), &mut report).is_empty());
        assert!(report.to_string().contains("which nothing would enforce"), "{report}");
        for (name, cases) in [
            ("a.test.yaml", true),
            ("A.TEST.YML", true),
            ("test.yaml", false),
            ("a.test.json", false),
            ("a.yaml", false),
        ] {
            assert_eq!(is_case_file(Path::new(name)), cases, "{name}");
        }
    }
}
