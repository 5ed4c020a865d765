//! Globs, regular expressions and Cedar.

use super::malformed;
use super::names::text_types;
use crate::decode::{Cx, Fault, Scalar, nearest};
use crate::secrets::shown;
use crate::{BUILTIN_DETECTORS, Code};

text_types! {
    /// `*` within a segment, `**` across.
    Glob;
    /// A glob over the canonical path of a request.
    PathGlob;
    /// A regular expression that compiles in linear time.
    Pattern;
    /// The body of a Cedar `when`.
    Cedar;
    /// A glob on SPIFFE IDs, or a host name.
    PeerName;
    /// A glob on SPIFFE IDs.
    SpiffeGlob;
}

fn is_glob(text: &str) -> bool {
    (1..=512).contains(&text.len()) && !text.contains("***") && text.chars().all(|c| !c.is_control())
}

impl Scalar for Glob {
    const NAME: &'static str = "Glob";
    const DOC: &'static str =
        "`*` stands for any run within a segment, `**` across segments; everything else for itself. At most 512 bytes.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if is_glob(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed(text, cx, "a glob", "use `*` or `**`, at most 512 bytes"))
        }
    }
}

impl Scalar for PathGlob {
    const NAME: &'static str = "Path glob";
    const DOC: &'static str =
        "A glob over the whole canonical path: begins with `/`, `*` stays within a segment, `**` crosses them.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if !is_glob(text) || !text.starts_with('/') {
            return Err(malformed(text, cx, "a path glob", "begin it with `/`: `/v1/chat/*`, `/files/**`"));
        }
        if text.contains(['?', '#', '%', '\\', ';'])
            || text.contains("//")
            || text.split('/').any(|s| s == "." || s == "..")
        {
            let help = "write the path as the proxy compares it: without query, escapes, parameters, `.`, `..` and empty segments";
            return Err(malformed(text, cx, "a canonical path", help));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Scalar for PeerName {
    const NAME: &'static str = "Peer name";
    const DOC: &'static str =
        "A glob on SPIFFE IDs, `spiffe://example.org/ns/agents/**`, with the trust domain written out; or a Host.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let Some(id) = text.strip_prefix("spiffe://") else {
            return super::Host::read(text, cx).map(|host| Self(host.as_str().to_owned()));
        };
        let domain = id.split('/').next().unwrap_or_default();
        let named = !domain.is_empty()
            && domain.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'));
        if named && is_glob(text) && text.is_ascii() {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed(
                text,
                cx,
                "a SPIFFE ID glob",
                "write the trust domain out: `spiffe://example.org/ns/agents/**`",
            ))
        }
    }
}

impl Scalar for SpiffeGlob {
    const NAME: &'static str = "SPIFFE glob";
    const DOC: &'static str =
        "A glob on SPIFFE IDs, `spiffe://example.org/ns/agents/**`, with the trust domain written out.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if !text.starts_with("spiffe://") {
            let help = "begin it with `spiffe://` and the trust domain: `spiffe://example.org/ns/agents/**`";
            return Err(malformed(text, cx, "a SPIFFE ID glob", help));
        }
        PeerName::read(text, cx).map(|name| Self(name.0))
    }
}

impl Scalar for Pattern {
    const NAME: &'static str = "Regex";
    const DOC: &'static str = "A regular expression in linear-time syntax (no look-around, no back references), at most 1Ki, anchored only \
        where it says so. One that does not compile is PV-053.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let refused = |message: String, help: &str| Err(Fault::coded(Code(53), message, help));
        let field = cx.field();
        if text.is_empty() || text.len() > 1024 {
            return refused(
                format!("`{field}` has {} bytes, not 1 to 1024", text.len()),
                "write a shorter pattern, or several detectors",
            );
        }
        match regex::RegexBuilder::new(text).size_limit(1 << 20).build() {
            Ok(regex) if regex.is_match("") => refused(
                format!("`{field}` matches the empty text, so it finds something everywhere"),
                "make it match at least one character",
            ),
            Ok(_) => Ok(Self(text.to_owned())),
            Err(regex::Error::CompiledTooBig(_)) => {
                refused(format!("`{field}` compiles to more than 1Mi"), "use smaller repetition counts and classes")
            }
            Err(error) => {
                let reason = error.to_string();
                let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                refused(
                    format!("`{field}` is not a regular expression: {last}"),
                    "use linear-time syntax, without look-around and back references",
                )
            }
        }
    }
}

impl Scalar for Cedar {
    const NAME: &'static str = "Cedar";
    const DOC: &'static str =
        "One Cedar expression, the body of a `when`: `principal.groups.contains(\"sre\")`. At most 16Ki.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text.trim().is_empty() || text.len() > 16 << 10 {
            let message = format!("`{}` has {} bytes, not 1 to 16384", cx.field(), text.len());
            return Err(Fault::new(message, "write one Cedar expression, or several rules"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// An id of [`BUILTIN_DETECTORS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuiltinDetector(pub &'static str);

impl Scalar for BuiltinDetector {
    const NAME: &'static str = "Built-in detector";
    const DOC: &'static str =
        "The id of a detector that comes with the proxy; they are listed under *Built-in detectors*.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let ids: Vec<&'static str> = BUILTIN_DETECTORS.iter().map(|(id, _)| *id).collect();
        if let Some(id) = ids.iter().find(|id| **id == text) {
            return Ok(Self(id));
        }
        let help = match nearest(text, &ids) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use one of {}", ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")),
        };
        Err(Fault::new(format!("no built-in detector `{}` in `{}`", shown(text), cx.field()), help))
    }
}
