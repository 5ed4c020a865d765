//! Path templates: what stands between slashes is a name or one parameter, and no two match one path with equal right.

use std::collections::BTreeMap;

use super::keys::Spot;
use super::{PV_CONFLICT, PV_SHAPE, Reader};
use crate::Segment;
use crate::secrets::shown;

impl<'d> Reader<'d, '_> {
    /// The path that all servers have in common: those of operations stand below it.
    pub(super) fn base(&mut self, root: &Spot<'d>) -> Option<String> {
        let Some(servers) = root.key("servers") else { return Some(String::new()) };
        if !self.is_list(&servers) {
            return None;
        }
        let mut base: Option<String> = None;
        let list: Vec<Spot<'d>> = servers.items().collect();
        for server in &list {
            if !self.is_object(server) {
                return None;
            }
            self.only(server, &["url"], &["description", "variables", "name"]);
            let Some(url) = server.key("url") else {
                self.error(
                    server,
                    PV_SHAPE,
                    "`url` is missing",
                    "write `url: /`, or the path that the operations stand below",
                );
                return None;
            };
            let path = self.text(&url).map(|text| match text.split_once("://") {
                Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
                None => text.strip_prefix('/').unwrap_or(text),
            })?;
            let path = path.trim_end_matches('/');
            let path = if path.is_empty() { String::new() } else { format!("/{path}") };
            if path.contains(['{', '?', '#']) {
                let help = "write the path out; a variable may stand in the host alone, which routes decide about";
                self.later(&url, "the path of a server with a variable, query or fragment", help);
                return None;
            }
            if base.as_ref().is_some_and(|other| *other != path) {
                let help = "keep the servers with one path: operations stand below it";
                self.later(&url, "servers whose paths differ", help);
                return None;
            }
            base = Some(path);
        }
        Some(base.unwrap_or_default())
    }

    pub(super) fn template(&mut self, spot: &Spot<'d>, written: &str) -> Option<Vec<Segment>> {
        let Some(rest) = written.strip_prefix('/') else {
            self.error(spot, PV_SHAPE, format!("`{}` does not begin with `/`", shown(written)), "write `/` before it");
            return None;
        };
        if rest.is_empty() {
            return Some(vec![Segment::Literal(String::new())]);
        }
        let mut segments = Vec::new();
        let count = rest.split('/').count();
        for (index, text) in rest.split('/').enumerate() {
            let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,=:@".contains(c);
            let (message, help) = match name {
                Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                    segments.push(Segment::Parameter(name.to_owned()));
                    continue;
                }
                None if text.chars().all(plain)
                    && !matches!(text, "." | "..")
                    && (!text.is_empty() || index + 1 == count) =>
                {
                    segments.push(Segment::Literal(text.to_owned()));
                    continue;
                }
                _ if text.contains(['{', '}']) => (
                    format!("`{}` is a parameter with something beside it", shown(text)),
                    "let a parameter be all that stands between two slashes, and give it a `pattern`",
                ),
                _ => (
                    format!("`{}` is not a canonical piece of a path", shown(text)),
                    "write paths without escapes, `;`, `.`, `..` and empty pieces: a request with one of these is refused anyway",
                ),
            };
            self.later(spot, message, help);
            return None;
        }
        Some(segments)
    }

    /// Reports templates that a path may match both of, where neither is the more concrete one throughout: another server may
    /// choose otherwise than we do.
    pub(super) fn refuse_ambiguous(&mut self, templates: &[(Vec<Segment>, Spot<'d>)]) {
        let mut by_length: BTreeMap<usize, Vec<&(Vec<Segment>, Spot<'d>)>> = BTreeMap::new();
        for template in templates {
            by_length.entry(template.0.len()).or_default().push(template);
        }
        for group in by_length.values() {
            for (index, (later, spot)) in group.iter().enumerate() {
                let earlier = group.iter().take(index).find(|(earlier, _)| is_ambiguous(earlier, later));
                if let Some((_, other)) = earlier {
                    let message = format!(
                        "`{}` and `{}` can match one path, and neither is the more concrete one",
                        spot.name(),
                        other.name()
                    );
                    let help = "rename one: servers differ in which of them they choose";
                    self.error(spot, PV_CONFLICT, message, help);
                }
            }
        }
    }
}

fn is_ambiguous(one: &[Segment], other: &[Segment]) -> bool {
    let (mut first, mut second) = (false, false);
    for pair in one.iter().zip(other) {
        match pair {
            (Segment::Literal(a), Segment::Literal(b)) if a != b => return false,
            (Segment::Literal(a), Segment::Parameter(_)) if a.is_empty() => return false,
            (Segment::Parameter(_), Segment::Literal(b)) if b.is_empty() => return false,
            (Segment::Literal(_), Segment::Parameter(_)) => first = true,
            (Segment::Parameter(_), Segment::Literal(_)) => second = true,
            _ => {}
        }
    }
    first == second
}
