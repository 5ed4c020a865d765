//! A Cedar expression as written in a rule: parsed alone, never pasted into other text, and what it reads.

use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::pst;
use cedar_policy::pst::{BinaryOp, Expr, UnaryOp, Var};

/// Longest expression, in bytes.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// Deepest nesting of brackets and `if`.
pub(super) const MAX_NESTING: usize = 48;
/// Most operator characters: a chain of operators nests as deep as it is long once it is parsed.
pub(super) const MAX_OPERATORS: usize = 1024;

/// Why an expression is no expression.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExpressionError {
    #[error(
        "is longer than {MAX_BYTES} bytes, or nests deeper than {MAX_NESTING} brackets or {MAX_OPERATORS} operators"
    )]
    TooLarge,
    #[error("is not a Cedar expression: {0}")]
    Parse(#[source] Box<cedar_policy::ParseErrors>),
    #[error("uses a part of Cedar that is not supported here: {0}")]
    Unsupported(#[source] Box<pst::PstConstructionError>),
    #[error("uses a part of Cedar that this version does not know")]
    Unknown,
}

/// An expression and what evaluating it can touch.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) expr: Arc<Expr>,
    pub(super) reads: Reads,
}

/// What an expression can touch. Whatever is not recognised counts as touching everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) context: ContextParts,
    pub(super) action: bool,
    /// `principal`, `resource`, `action` or `context` in any way: without one the value is the same for every request.
    pub(super) request: bool,
    /// `+`, `-` or `*` on values that are not all written out: can overflow.
    pub(super) arithmetic: bool,
    /// `ip()`, `decimal()`, `datetime()` or `duration()` of something else than a written text: can fail.
    pub(super) constructs: bool,
}

/// Attributes of `context`, and of the records in it: a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ContextParts(u32);

impl ContextParts {
    pub(super) const ALL: Self = Self(u32::MAX);
    pub(super) const PROVIDER: Self = Self(1);
    pub(super) const METHOD: Self = Self(1 << 1);
    pub(super) const ACR: Self = Self(1 << 2);
    pub(super) const AMR: Self = Self(1 << 3);
    pub(super) const AGE: Self = Self(1 << 4);
    pub(super) const SENDER_BOUND: Self = Self(1 << 5);
    pub(super) const SOURCE_IP: Self = Self(1 << 6);
    pub(super) const TLS: Self = Self(1 << 7);
    pub(super) const MTLS: Self = Self(1 << 8);
    pub(super) const HTTP_METHOD: Self = Self(1 << 9);
    pub(super) const HOST: Self = Self(1 << 10);
    pub(super) const PATH: Self = Self(1 << 11);
    pub(super) const NOW: Self = Self(1 << 12);
    pub(super) const RISK: Self = Self(1 << 13);
    pub(super) const COMPLIANCE: Self = Self(1 << 14);
    pub(super) const DIALECT: Self = Self(1 << 15);
    pub(super) const STREAM: Self = Self(1 << 16);
    pub(super) const INPUT_TOKENS: Self = Self(1 << 17);
    pub(super) const MAX_OUTPUT_TOKENS: Self = Self(1 << 18);
    pub(super) const DATA_CLASS: Self = Self(1 << 19);
    pub(super) const TOOLS: Self = Self(1 << 20);
    pub(super) const OPAQUE: Self = Self(1 << 21);

    /// Every attribute of the schema, with the record's name first and nothing second where it is no record.
    const LEAVES: [(&'static str, &'static str, Self); 22] = [
        ("authn", "provider", Self::PROVIDER),
        ("authn", "method", Self::METHOD),
        ("authn", "acr", Self::ACR),
        ("authn", "amr", Self::AMR),
        ("authn", "ageSeconds", Self::AGE),
        ("authn", "senderBound", Self::SENDER_BOUND),
        ("net", "sourceIp", Self::SOURCE_IP),
        ("net", "tls", Self::TLS),
        ("net", "mtls", Self::MTLS),
        ("http", "method", Self::HTTP_METHOD),
        ("http", "host", Self::HOST),
        ("http", "path", Self::PATH),
        ("now", "", Self::NOW),
        ("risk", "", Self::RISK),
        ("compliance", "", Self::COMPLIANCE),
        ("ai", "dialect", Self::DIALECT),
        ("ai", "stream", Self::STREAM),
        ("ai", "inputTokens", Self::INPUT_TOKENS),
        ("ai", "maxOutputTokens", Self::MAX_OUTPUT_TOKENS),
        ("ai", "dataClass", Self::DATA_CLASS),
        ("ai", "tools", Self::TOOLS),
        ("ai", "opaque", Self::OPAQUE),
    ];

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, part: Self) -> bool {
        self.0 & part.0 != 0
    }

    /// `context.first.second`, or all of `context.first`. What is not in the schema does not validate; until then it
    /// may be anything.
    fn of(first: &str, second: Option<&str>) -> Self {
        let is_read = |leaf: &str| leaf.is_empty() || second.is_none_or(|second| second == leaf);
        let leaves = Self::LEAVES.into_iter().filter(|(record, leaf, _)| *record == first && is_read(leaf));
        let read = leaves.fold(Self::default(), |read, (_, _, part)| read.union(part));
        if read == Self::default() { Self::ALL } else { read }
    }
}

impl Reads {
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            context: self.context.union(other.context),
            action: self.action || other.action,
            request: self.request || other.request,
            arithmetic: self.arithmetic || other.arithmetic,
            constructs: self.constructs || other.constructs,
        }
    }
}

/// Parses `text` as one whole expression.
pub(super) fn parse(text: &str) -> Result<Parsed, ExpressionError> {
    if text.len() > MAX_BYTES || !is_shallow(text) {
        return Err(ExpressionError::TooLarge);
    }
    let parsed = cedar_policy::Expression::from_str(text).map_err(|e| ExpressionError::Parse(Box::new(e)))?;
    let expr = Expr::try_from(parsed.as_ref().clone()).map_err(|e| ExpressionError::Unsupported(Box::new(e)))?;
    if expr.has_slots() || expr.has_unknowns() {
        return Err(ExpressionError::Unknown);
    }
    let reads = reads(&expr)?;
    Ok(Parsed { expr: Arc::new(expr), reads })
}

/// Whether no tree of `text` can be deep: the parser and all that walks the tree recurse.
fn is_shallow(text: &str) -> bool {
    let (mut open, mut deepest, mut operators) = (0_usize, 0_usize, 0_usize);
    let mut bytes = text.bytes().peekable();
    let mut word_before = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'/' if bytes.peek() == Some(&b'/') => while bytes.next_if(|b| *b != b'\n').is_some() {},
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'&' | b'|' | b'+' | b'-' | b'*' | b'.' | b'=' | b'<' | b'>' | b'!' => operators += 1,
            // Never closed again, so a chain of `if … else if …` counts as deep as it is.
            b'i' if !word_before && bytes.peek() == Some(&b'f') => open += 1,
            _ => {}
        }
        deepest = deepest.max(open);
        word_before = byte.is_ascii_alphanumeric() || byte == b'_';
    }
    deepest <= MAX_NESTING && operators <= MAX_OPERATORS
}

fn skip_string(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return,
            _ => {}
        }
    }
}

fn reads(root: &Expr) -> Result<Reads, ExpressionError> {
    let mut reads = Reads::default();
    let mut rest = vec![root];
    while let Some(expr) = rest.pop() {
        step(expr, &mut reads, &mut rest)?;
    }
    Ok(reads)
}

/// Notes what `expr` itself reads and puts its parts on `rest`.
fn step<'e>(expr: &'e Expr, reads: &mut Reads, rest: &mut Vec<&'e Expr>) -> Result<(), ExpressionError> {
    match expr {
        Expr::Literal(_) => {}
        Expr::Var(var) => variable(var, reads),
        Expr::GetAttr { expr, attr } => attribute(expr, attr, None, reads, rest),
        Expr::HasAttr { expr, attrs } => {
            attribute(expr, attrs.first(), attrs.get(1).map(|second| second.as_str()), reads, rest);
        }
        Expr::UnaryOp { op, expr } => {
            let literal = matches!(**expr, Expr::Literal(_));
            reads.arithmetic |= *op == UnaryOp::Neg && !literal;
            reads.constructs |=
                !literal && matches!(op, UnaryOp::Ip | UnaryOp::Decimal | UnaryOp::Datetime | UnaryOp::Duration);
            rest.push(expr);
        }
        Expr::BinaryOp { op, left, right } => {
            reads.arithmetic |= matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul);
            rest.extend([&**left, &**right]);
        }
        Expr::Like { expr, .. } => rest.push(expr),
        Expr::Is { expr, in_expr, .. } => {
            rest.push(expr);
            rest.extend(in_expr.as_deref());
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => rest.extend([&**cond, &**then_expr, &**else_expr]),
        Expr::Set(items) => rest.extend(items.iter().map(|item| &**item)),
        Expr::Record(fields) => rest.extend(fields.values().map(|value| &**value)),
        _ => return Err(ExpressionError::Unknown),
    }
    Ok(())
}

/// A variable standing by itself. All of `context` can then be reached by a way we do not follow.
fn variable(var: &Var, reads: &mut Reads) {
    reads.request = true;
    match var {
        Var::Context => reads.context = ContextParts::ALL,
        Var::Action => reads.action = true,
        Var::Principal | Var::Resource => {}
    }
}

/// `base.first` or `base has first.second`.
fn attribute<'e>(base: &'e Expr, first: &str, second: Option<&str>, reads: &mut Reads, rest: &mut Vec<&'e Expr>) {
    match base {
        Expr::Var(Var::Context) => context_attribute(first, second, reads),
        Expr::GetAttr { expr, attr } if matches!(**expr, Expr::Var(Var::Context)) => {
            context_attribute(attr, Some(first), reads);
        }
        other => rest.push(other),
    }
}

fn context_attribute(first: &str, second: Option<&str>, reads: &mut Reads) {
    reads.request = true;
    reads.context = reads.context.union(ContextParts::of(first, second));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_an_expression_reads() {
        const NONE: ContextParts = ContextParts(0);
        let ai = ContextParts::of("ai", None);
        for (text, want) in [
            ("principal.tenant == resource.tenant", NONE),
            ("context.risk < 40", ContextParts::RISK),
            ("context has risk", ContextParts::RISK),
            ("if true then context.risk < 40 else false", ContextParts::RISK),
            ("context.http.path.x", ContextParts::PATH),
            ("context.ai.stream", ContextParts::STREAM),
            ("context.ai.stream && context.risk < 1", ContextParts::STREAM.union(ContextParts::RISK)),
            ("context.ai.dataClass <= 2", ContextParts::DATA_CLASS),
            ("context.ai has dataClass", ContextParts::DATA_CLASS),
            ("context has ai.dataClass", ContextParts::DATA_CLASS),
            ("context has ai", ai),
            ("{a: context.ai}.a.dataClass <= 2", ai),
            ("context.ai == context.ai", ai),
            ("context.nosuch", ContextParts::ALL),
            ("context.ai.nosuch", ContextParts::ALL),
            ("{a: context}.a.risk <= 2", ContextParts::ALL),
            ("(if principal.tenant == \"a\" then context else context).risk < 4", ContextParts::ALL),
            ("\"context.risk\" == principal.tenant // context.risk", NONE),
        ] {
            assert_eq!(parse(text).unwrap().reads.context, want, "{text}");
        }
        assert!(ai.has(ContextParts::DATA_CLASS) && !ai.has(ContextParts::RISK));
    }

    #[test]
    fn knows_what_can_fail_at_run_time() {
        for (text, arithmetic, constructs) in [
            ("context.risk == -5", false, false),
            ("-context.risk == 5", true, false),
            ("context.risk + 1 > 5", true, false),
            ("context.risk * 2 > 5", true, false),
            ("1 - context.risk > 5", true, false),
            ("context.net.sourceIp.isInRange(ip(\"10.0.0.0/8\"))", false, false),
            ("ip(context.http.host).isLoopback()", false, true),
            ("datetime(context.http.host) < context.now", false, true),
        ] {
            let reads = parse(text).unwrap().reads;
            assert_eq!((reads.arithmetic, reads.constructs), (arithmetic, constructs), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one_expression() {
        for text in [
            "",
            "true; permit(principal, action, resource)",
            "true } ; permit(principal, action, resource) when { true",
            "\") || true //",
            "?principal == principal",
            "principal.",
            "nosuch(principal)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_expression_at_the_limits_is_walked_and_one_beyond_them_is_not() {
        let chain = |n: usize| format!("true{}", " && context.risk < 1".repeat(n));
        let deep = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
        let ifs = |n: usize| format!("{}true", "if true then false else ".repeat(n));
        let dots = |n: usize| format!("context{}", ".a".repeat(n));
        for (text, good) in [
            (chain(MAX_OPERATORS / 4), true),
            (chain(MAX_OPERATORS / 3), false),
            (deep(MAX_NESTING), true),
            (deep(MAX_NESTING + 1), false),
            (ifs(MAX_NESTING), true),
            (ifs(MAX_NESTING + 1), false),
            (dots(MAX_OPERATORS), true),
            (dots(MAX_OPERATORS + 1), false),
            (format!("// \"\n{}", deep(100_000)), false),
            (format!("context.http.path == \"{}\"", "(".repeat(1000)), true),
        ] {
            assert_eq!(parse(&text).is_ok(), good, "{} bytes: {}", text.len(), &text[..40.min(text.len())]);
        }
    }
}
