//! The parts of an expression that all have to hold, and the attributes it reads, as they were written: for people to read.

/// `a && b` is `a` and `b`. What is joined otherwise at the top (`||`, `if`) stays whole, as no part of it can be told false
/// by itself.
pub(super) fn conjuncts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, depth, rest) in Walk::of(text) {
        let starts_if = rest.strip_prefix("if").is_some_and(|after| !after.starts_with(is_name));
        if depth == 0 && (rest.starts_with("||") || (starts_if && !ends_with_name(text, at))) {
            return vec![text.trim()];
        }
        if depth == 0 && rest.starts_with("&&") {
            parts.extend(text.get(begin..at));
            begin = at.saturating_add(2);
        }
    }
    parts.extend(text.get(begin..));
    parts.into_iter().map(str::trim).collect()
}

/// `principal.groups`, `context.authn.acr`, `context.args.getTag("repo")`: each once, in order.
pub(super) fn attributes(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, _, rest) in Walk::of(text) {
        let begins = ["principal.", "resource.", "context."].iter().any(|root| rest.starts_with(root));
        if begins && !ends_with_name(text, at) {
            let name = chain(rest);
            if name.contains('.') && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// The names joined by dots at the beginning of `text`, without a last one that is called.
fn chain(text: &str) -> String {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.is_empty() {
            return name;
        }
        if let Some(arguments) = after.strip_prefix('(') {
            // A tag is as good as an attribute where its name is written out.
            if word == "getTag"
                && let Some(end) = arguments.find(')')
                && let Some(tag) =
                    arguments.get(..end).filter(|tag| tag.len() > 1 && tag.starts_with('"') && tag.ends_with('"'))
            {
                name.push_str(&format!(".getTag({tag})"));
            }
            return name;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(word);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => return name,
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a name, or the dot of one, stands right before `at`.
fn ends_with_name(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.ends_with(|c| is_name(c) || c == '.' || c == ':'))
}

/// Every character outside of strings and comments: its place, how many brackets are open there, and the text from it on.
struct Walk<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Walk<'t> {
    fn of(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0 }
    }
}

impl<'t> Iterator for Walk<'t> {
    type Item = (usize, usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.text.get(self.at..)?;
            let first = rest.chars().next()?;
            let at = self.at;
            if first == '"' {
                self.at = at.saturating_add(string(rest));
                continue;
            }
            if rest.starts_with("//") {
                self.at = at.saturating_add(rest.find('\n').unwrap_or(rest.len()));
                continue;
            }
            self.at = at.saturating_add(first.len_utf8());
            match first {
                '(' | '[' | '{' => self.depth = self.depth.saturating_add(1),
                ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            return Some((at, self.depth, rest));
        }
    }
}

/// How long the string at the beginning of `text` is, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at.saturating_add(1),
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_all_has_to_hold() {
        for (text, want) in [
            ("a", vec!["a"]),
            ("a && b", vec!["a", "b"]),
            (" a\n && (b && c) &&\nd ", vec!["a", "(b && c)", "d"]),
            ("a && b || c", vec!["a && b || c"]),
            ("(a || b) && c", vec!["(a || b)", "c"]),
            ("x == \"a && b\" && c", vec!["x == \"a && b\"", "c"]),
            ("x == \"\\\" && b\" && c", vec!["x == \"\\\" && b\"", "c"]),
            ("a && if b then c else d", vec!["a && if b then c else d"]),
            ("principal.iffy && b", vec!["principal.iffy", "b"]),
        ] {
            assert_eq!(conjuncts(text), want, "{text}");
        }
    }

    #[test]
    fn attributes_are_told_as_they_were_written() {
        for (text, want) in [
            ("principal.groups.contains(\"a\")", vec!["principal.groups"]),
            (
                "context.authn.ageSeconds <= 300 && context.authn.amr.contains(\"hwk\")",
                vec!["context.authn.ageSeconds", "context.authn.amr"],
            ),
            ("principal.hasTag(\"d\") && principal.getTag(\"d\").contains(\"x\")", vec!["principal.getTag(\"d\")"]),
            ("\"context.risk\" == principal.tenant // context.risk", vec!["principal.tenant"]),
            ("principal in Postern::Role::\"r\"", vec![]),
            ("context.risk < 3 || context.risk > 5", vec!["context.risk"]),
        ] {
            assert_eq!(attributes(text), want, "{text}");
        }
    }
}
