//! Finds the operation of a request: segment by segment, what is written out before what is a parameter.

use std::collections::HashMap;

use postern_config::{Operation, Segment};

/// Path templates as a tree. Each node is reached in one way, so a search looks at each at most once.
#[derive(Debug, Default)]
pub(super) struct Router {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    parameter: Option<usize>,
    /// Operations of the template that ends here, by index.
    operations: Vec<usize>,
}

/// No operation fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrouted {
    NoPath,
    /// The path is there; `methods` are those it has.
    NoMethod {
        template: String,
        methods: Vec<String>,
    },
}

impl Router {
    pub(super) fn new(operations: &[Operation]) -> Self {
        let mut router = Self { nodes: vec![Node::default()] };
        for (index, operation) in operations.iter().enumerate() {
            let mut at = 0;
            for segment in &operation.path {
                at = router.step(at, segment);
            }
            if let Some(node) = router.nodes.get_mut(at) {
                node.operations.push(index);
            }
        }
        router
    }

    fn step(&mut self, at: usize, segment: &Segment) -> usize {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        let next = match segment {
            Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(fresh),
            Segment::Parameter(_) => *node.parameter.get_or_insert(fresh),
        };
        if next == fresh {
            self.nodes.push(Node::default());
        }
        next
    }

    /// The operation of a canonical path. Where a path is written out, a template that would match it as well is not asked,
    /// whatever methods it has.
    pub(super) fn find<'o>(
        &self,
        operations: &'o [Operation],
        method: &str,
        path: &str,
    ) -> Result<&'o Operation, Unrouted> {
        let rest = path.strip_prefix('/').ok_or(Unrouted::NoPath)?;
        let here = self.walk(0, Some(rest)).ok_or(Unrouted::NoPath)?;
        let mut there = here.operations.iter().filter_map(|index| operations.get(*index));
        if let Some(found) = there.clone().find(|operation| operation.method == method) {
            return Ok(found);
        }
        let methods = there.clone().map(|operation| operation.method.clone()).collect();
        let template = there.next().map(|operation| operation.template.clone()).unwrap_or_default();
        Err(Unrouted::NoMethod { template, methods })
    }

    /// The node that all of `rest` leads to from `at`. As deep as the longest template.
    fn walk(&self, at: usize, rest: Option<&str>) -> Option<&Node> {
        let node = self.nodes.get(at)?;
        let Some(rest) = rest else { return (!node.operations.is_empty()).then_some(node) };
        let (segment, rest) = rest.split_once('/').map_or((rest, None), |(segment, rest)| (segment, Some(rest)));
        let written = node.literals.get(segment).and_then(|next| self.walk(*next, rest));
        written.or_else(|| node.parameter.filter(|_| !segment.is_empty()).and_then(|next| self.walk(next, rest)))
    }
}
