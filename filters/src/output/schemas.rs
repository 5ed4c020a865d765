//! JSON Schemas of policy: answers of some models fit them, and arguments of calls of some tools.
//!
//! What a model says can be judged only at its end, so it leaves only as part of an answer that was read whole: whoever asks for a stream
//! of such a model is refused, and a stream in which one answers is cut before anything of it has left.

use postern_config::{ContentAction, Output as Demands, Part, Written};

use super::fit::Fit;
use super::uncalled_for;
use crate::builtin::{is_model, is_run};
use crate::dialect::{Call, Choice};
use crate::json::Limits;
use crate::message::Message;
use crate::{ContentFinding, Context, Flow, Reason, Refusal, Verdict};

/// The schemas of one route.
#[derive(Debug)]
pub(crate) struct AnswerSchemas {
    models: Vec<Named>,
    tools: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    /// Of models or tools; `*` is any run of characters.
    names: String,
    fit: Fit,
}

impl AnswerSchemas {
    pub(crate) const NAME: &str = "answerSchemas";

    /// Nothing where there are none.
    ///
    /// # Errors
    /// A pattern that does not compile.
    pub(crate) fn new(demands: &Demands) -> Result<Option<Self>, regex::Error> {
        let (mut models, mut tools) = (Vec::new(), Vec::new());
        for one in &demands.schemas {
            let (names, all) = match &one.value.what {
                Written::Model(names) => (names, &mut models),
                Written::Tool(names) => (names, &mut tools),
            };
            let fit = Fit::new(&one.value.schema.api, one.value.schema.root)?;
            all.push(Named { names: names.clone(), fit });
        }
        Ok((!models.is_empty() || !tools.is_empty()).then_some(Self { models, tools }))
    }

    /// Whether answers of some model have to fit something.
    pub(crate) fn are_of_models(&self) -> bool {
        !self.models.is_empty()
    }

    fn of<'a>(&'a self, models: &'a [&'a str]) -> impl Iterator<Item = &'a Named> {
        self.models.iter().filter(|named| models.iter().any(|model| is_model(&named.names, model)))
    }

    /// Whether answers of this model have to fit something.
    pub(crate) fn hold_for(&self, model: &str) -> bool {
        self.of(&[model]).next().is_some()
    }

    /// Refuses a stream that nobody could judge before it has left.
    pub(crate) fn check(&self, cx: &Context) -> Verdict {
        let message = cx.message()?;
        if message.streams() && message.model().is_some_and(|model| self.hold_for(model)) {
            let why = "answers of the model have to fit a schema, and whether one does is known only at its end: ask without `stream`";
            return Ok(Flow::Refuse(Refusal::new(Reason::NotPermitted, why).by(Demands::SCHEMAS)));
        }
        Ok(Flow::Continue)
    }

    /// Whether a whole answer fits what holds for the model that was asked for, and for the one that answers.
    pub(crate) fn fit(&self, asked: Option<&str>, answer: &Message, limits: Limits) -> bool {
        let models: Vec<&str> = asked.into_iter().chain(answer.model()).collect();
        let mut all = self.of(&models).peekable();
        if all.peek().is_none() || !answer.endpoint().is_some_and(|endpoint| endpoint.has_output()) {
            return true;
        }
        let choices = answer.choices();
        !answer.is_error() && all.all(|named| choices.iter().all(|choice| named.takes(choice, limits)))
    }

    /// Whether the arguments of a call fit. One of which nobody can say of which tool it is fits nothing.
    pub(crate) fn allow(&self, call: Call<'_>, limits: Limits) -> bool {
        let Some(name) = call.name.and_then(|name| name.text()) else { return self.tools.is_empty() };
        self.of_tool(&name).all(|named| named.fit.holds_input(call.input, limits))
    }

    /// As [`AnswerSchemas::allow`], of a call whose arguments are JSON; nothing where they are another text.
    pub(crate) fn allow_named(&self, name: &str, input: Option<&str>, limits: Limits) -> bool {
        self.of_tool(name).all(|named| input.is_some_and(|input| named.fit.holds(input.as_bytes(), limits)))
    }

    /// As [`AnswerSchemas::allow`], with no word on the arguments, which are still to come.
    pub(crate) fn know(&self, call: Call<'_>) -> bool {
        call.name.is_some() || self.tools.is_empty()
    }

    fn of_tool<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Named> {
        self.tools.iter().filter(move |named| is_run(&named.names, name))
    }
}

impl Named {
    /// All that is said must be one document: readers differ on whether several texts are one.
    fn takes(&self, choice: &Choice<'_>, limits: Limits) -> bool {
        let mut texts = choice.texts.iter().filter(|text| !text.is_empty());
        match (texts.next(), texts.next()) {
            (None, _) => choice.calls,
            (Some(only), None) => self.fit.holds(only.as_bytes(), limits),
            (Some(_), Some(_)) => false,
        }
    }
}

/// What is told of an answer that does not fit.
pub(crate) fn unfit() -> ContentFinding {
    let (guard, detector) = (Demands::SCHEMAS.to_owned(), "schemas".to_owned());
    ContentFinding {
        guard,
        detector,
        part: Part::Assistant,
        action: ContentAction::Block,
        score: 100,
        range: 0..0,
        label: None,
    }
}

/// What is told of a call of which the arguments do not.
pub(super) fn unfit_call() -> ContentFinding {
    uncalled_for(Demands::SCHEMAS, "schemas")
}
