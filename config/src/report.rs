//! Problems of a load: all of them at once, each with a place, a code and a way out.

use std::fmt;
use std::sync::Arc;

/// A place in a file. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Number of a refusal, stable over versions: `PV-071`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PV-{:03}", self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub code: Code,
    pub position: Position,
    /// Path to the field as a person writes it: `spec.rateLimits[0].burst`. Empty where there is none.
    pub pointer: String,
    /// Lower case, no full stop, what was written in backticks.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for Problem {
    /// ```text
    /// error[PV-071]: `burst` is 900, more than ten times the `limit` of 60
    ///   --> policies/ai-edge.yaml:17:75  spec.rateLimits[0].burst
    ///   help: use a burst of at most 600, or raise the limit
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: {}\n  --> {}", self.code, self.message, self.position)?;
        if !self.pointer.is_empty() {
            write!(f, "  {}", self.pointer)?;
        }
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

/// Every problem of a load, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    problems: Vec<Problem>,
}

impl Report {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds an error. `message` in lower case without full stop, `help` says the way out.
    pub fn error(
        &mut self,
        code: Code,
        position: &Position,
        pointer: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Problem {
            severity: Severity::Error,
            code,
            position: position.clone(),
            pointer: pointer.into(),
            message: message.into(),
            help: help.into(),
        });
    }

    /// Adds a warning: said, but the load goes on.
    pub fn warning(
        &mut self,
        code: Code,
        position: &Position,
        pointer: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Problem {
            severity: Severity::Warning,
            code,
            position: position.clone(),
            pointer: pointer.into(),
            message: message.into(),
            help: help.into(),
        });
    }

    pub fn extend(&mut self, other: Self) {
        self.problems.extend(other.problems);
    }

    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// Sorted by file, line and column.
    #[must_use]
    pub fn problems(&self) -> Vec<&Problem> {
        let mut sorted: Vec<_> = self.problems.iter().collect();
        sorted.sort_by(|a, b| (&a.position, a.code, &a.message).cmp(&(&b.position, b.code, &b.message)));
        sorted.dedup();
        sorted
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems() {
            writeln!(f, "{problem}\n")?;
        }
        Ok(())
    }
}
