//! Pages, parts of which are kept or written anew: what stands between `<!-- name -->` and `<!-- /name -->`.

use std::ops::Range;

use anyhow::{Context, Result};

fn marks(name: &str) -> (String, String) {
    (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"))
}

fn place(page: &str, name: &str) -> Option<Range<usize>> {
    let (open, close) = marks(name);
    let start = page.find(&open)? + open.len();
    Some(start..start + page.get(start..)?.find(&close)?)
}

/// What stands between the marks.
pub(crate) fn between<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    page.get(place(page, name)?)
}

/// The page with that in it.
pub(crate) fn with(page: &str, name: &str, text: &str) -> Result<String> {
    let place = place(page, name).with_context(|| format!("no `<!-- {name} -->` with its end"))?;
    let mut page = page.to_owned();
    page.replace_range(place, text);
    Ok(page)
}

/// `text` between marks.
pub(crate) fn marked(name: &str, text: &str) -> String {
    let (open, close) = marks(name);
    format!("{open}{text}{close}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_marks_is_read_and_written() {
        let page = format!("above\n{}below\n", marked("cpu", "old\n"));
        assert_eq!(between(&page, "cpu"), Some("old\n"));
        let page = with(&page, "cpu", "new\n").unwrap();
        assert_eq!(page, "above\n<!-- cpu -->\nnew\n<!-- /cpu -->\nbelow\n");
        assert!(with("<!-- cpu -->\nopen", "cpu", "").is_err());
        assert_eq!(between("", "cpu"), None);
    }
}
