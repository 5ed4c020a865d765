//! Which models requests may name, what they may ask of them, and that they are who answers.

use postern_config::{Action, ModelRules, ParamBounds};

use crate::json::{Kind, Value};
use crate::message::Message;
use crate::{Context, Flow, Reason, Refusal, Verdict};

/// What the manifests of a route say about models: all of it holds.
#[derive(Debug)]
pub(crate) struct Models {
    rules: Vec<ModelRules>,
}

impl Models {
    pub(crate) const GUARD: &str = "models";

    /// Nothing where no manifest says anything.
    pub(crate) fn new(rules: &[ModelRules]) -> Option<Self> {
        (!rules.is_empty()).then(|| Self { rules: rules.to_vec() })
    }

    pub(crate) fn check(&self, cx: &Context) -> Verdict {
        let message = cx.message()?;
        // Only a request without one, as for a list of models: where the endpoint has one, it was read or refused.
        let Some(model) = message.model() else { return Ok(Flow::Continue) };
        for rules in &self.rules {
            if let Err(why) = judge(rules, model, message, cx) {
                return Ok(Flow::Refuse(Refusal::new(Reason::NotPermitted, why).by(&*rules.owner)));
            }
        }
        Ok(Flow::Continue)
    }

    /// Whether an answer may come from a model of this name.
    pub(crate) fn check_answer(&self, asked: Option<&str>, answers: &str) -> Result<(), Refusal> {
        let Some(asked) = asked else { return Ok(()) };
        if is_version(own(asked), own(answers)) {
            return Ok(());
        }
        for rules in &self.rules {
            if !rules.allow.iter().any(|glob| matches(glob, own(answers))) {
                let why = "another model answers than was asked, and none that is allowed".to_owned();
                return Err(Refusal::new(Reason::AnswerRefused, why).by(&*rules.owner));
            }
        }
        Ok(())
    }
}

fn judge(rules: &ModelRules, model: &str, message: &Message, cx: &Context) -> Result<(), String> {
    if !rules.allow.iter().any(|glob| matches(glob, own(model))) {
        return Err("the model is not among those that are allowed".to_owned());
    }
    if let Some(most) = rules.max_input_tokens
        && cx.tokens().input > most
    {
        return Err(format!("the request has more than {most} tokens, by estimate"));
    }
    if let Some(most) = rules.max_output_tokens.filter(|_| cx.action() == Some(Action::Chat) && message.has_output()) {
        match message.max_output_tokens() {
            u64::MAX => {
                return Err(format!("the request has to say how long its answer may be, at most {most} tokens"));
            }
            asked if asked > most => return Err(format!("the request asks for more than {most} tokens")),
            _ => {}
        }
    }
    rules.params.iter().try_for_each(|(name, bounds)| param(name, bounds, message.field(name)))
}

fn param(name: &[String], bounds: &ParamBounds, value: Option<Value<'_>>) -> Result<(), String> {
    let name = name.join(".");
    match (bounds, value) {
        (ParamBounds::Is(fixed), Some(value)) if is(value, fixed) => Ok(()),
        (ParamBounds::Is(fixed), _) => Err(format!("`{name}` has to be `{fixed}`")),
        (ParamBounds::Between(..), None) => Ok(()),
        (ParamBounds::Between(min, max), Some(value)) => {
            let number = value.number().filter(|_| value.kind() == Kind::Number);
            let fits = number.is_some_and(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max));
            if fits { Ok(()) } else { Err(format!("`{name}` is not within its bounds")) }
        }
    }
}

fn is(value: Value<'_>, fixed: &str) -> bool {
    match value.kind() {
        Kind::String => value.is_text(fixed),
        Kind::Number => fixed.parse::<f64>().is_ok_and(|fixed| value.number() == Some(fixed)),
        Kind::Bool => value.boolean().is_some_and(|truth| fixed == if truth { "true" } else { "false" }),
        Kind::Null | Kind::Array | Kind::Object => false,
    }
}

/// Without the collection that some vendors name it in.
fn own(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// Whether `answers` is `asked`, or a version of it: `gpt-5-mini` and `gpt-5-mini-2026-01-15`, `claude` and `claude@20260101`.
/// What goes on is a number, as `-mini` would be another model.
fn is_version(asked: &str, answers: &str) -> bool {
    let Some(rest) = answers.strip_prefix(asked) else { return false };
    let mut rest = rest.chars();
    match rest.next() {
        None => true,
        Some('-' | '@') => rest.clone().next().is_some() && rest.all(|c| c.is_ascii_digit() || matches!(c, '-' | '.')),
        Some(_) => false,
    }
}

/// Whether a model of this name, with or without the version that it may end with, is one that `glob` names.
pub(crate) fn is_model(glob: &str, model: &str) -> bool {
    let model = own(model);
    let ends = model.char_indices().filter(|(_, c)| matches!(c, '-' | '@')).map(|(at, _)| at);
    let without = ends.filter_map(|at| model.get(..at)).filter(|asked| is_version(asked, model));
    matches(glob, model) || without.into_iter().any(|asked| matches(glob, asked))
}

/// Whether `*` of `glob`, each any run of characters, make it `text`.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_of_models_are_runs_of_characters() {
        for (glob, text, want) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-*", "gpt-5-mini", true),
            ("gpt-*", "agpt-5", false),
            ("*mini", "gpt-5-mini", true),
            ("*mini", "gpt-5-mini-high", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("**", "any/thing", true),
            ("", "", true),
        ] {
            assert_eq!(matches(glob, text), want, "{glob} {text}");
        }
    }

    #[test]
    fn what_holds_for_a_model_holds_for_its_versions() {
        for (glob, model, want) in [
            ("gpt-5-mini", "gpt-5-mini", true),
            ("gpt-5-mini", "models/gpt-5-mini", true),
            ("gpt-5-mini", "gpt-5-mini-2026-01-15", true),
            ("gpt-5", "gpt-5-2026-01-15", true),
            ("claude", "claude@20260101", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-5", "gpt-5-mini-2026-01-15", false),
            ("*-mini", "gpt-5-mini-2026-01-15", true),
        ] {
            assert_eq!(is_model(glob, model), want, "{glob} {model}");
        }
    }

    #[test]
    fn a_version_of_a_model_is_the_model_and_another_size_is_not() {
        for (asked, answers, want) in [
            ("gpt-5-mini", "gpt-5-mini", true),
            ("gpt-5-mini", "gpt-5-mini-2026-01-15", true),
            ("claude", "claude@20260101", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-5", "gpt-5-", false),
            ("gpt-5", "gpt-5.1", false),
            ("gpt-5-2026", "gpt-5", false),
            ("gemini", "gemini-001", true),
        ] {
            assert_eq!(is_version(asked, answers), want, "{asked} {answers}");
        }
    }
}
