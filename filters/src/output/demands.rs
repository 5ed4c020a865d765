//! What is demanded of the calls of tools in one answer, whole or streamed: that they were offered, fit the schemas of policy, and are
//! within the limits of their task.

use std::sync::Arc;

use postern_config::{ContentAction, Part};

use super::calls::{Offered, not_offered};
use super::schemas::{AnswerSchemas, unfit_call};
use crate::ContentFinding;
use crate::course::{Arguments, Course, View};
use crate::dialect::Call;
use crate::json::Limits;

/// Everything, with what is known of the calls so far.
#[derive(Debug, Default)]
pub(crate) struct CallDemands {
    /// The tools that may be called, where that is judged.
    pub(crate) offered: Option<Arc<Offered>>,
    pub(crate) schemas: Option<Arc<AnswerSchemas>>,
    pub(crate) course: Option<Course>,
}

type Judged = Result<(), ContentFinding>;

impl CallDemands {
    /// A call that has come whole.
    pub(crate) fn whole(&mut self, call: Call<'_>, limits: Limits) -> Judged {
        if self.offered.as_ref().is_some_and(|offered| !offered.allow(call, limits)) {
            return Err(not_offered());
        }
        if self.schemas.as_ref().is_some_and(|schemas| !schemas.allow(call, limits)) {
            return Err(unfit_call());
        }
        let Some(course) = &mut self.course else { return Ok(()) };
        course.begin()?;
        let name = call.name.and_then(|name| name.text()).unwrap_or_default();
        course.end(&name, Arguments::of(call.input), limits)
    }

    /// A call that begins: its arguments come later.
    pub(crate) fn begin(&mut self, call: Call<'_>) -> Judged {
        if self.offered.as_ref().is_some_and(|offered| !offered.know(call)) {
            return Err(not_offered());
        }
        if self.schemas.as_ref().is_some_and(|schemas| !schemas.know(call)) {
            return Err(unfit_call());
        }
        self.course.as_mut().map_or(Ok(()), Course::begin)
    }

    /// The arguments of a call that has begun.
    pub(crate) fn end(&mut self, name: &str, input: Arguments<'_>, limits: Limits) -> Judged {
        let json = if let Arguments::Json(json) = input { Some(json) } else { None };
        let offered = self.offered.as_ref().zip(json);
        if offered.is_some_and(|(offered, json)| !offered.allow_named(name, json, limits)) {
            return Err(not_offered());
        }
        if self.schemas.as_ref().is_some_and(|schemas| !schemas.allow_named(name, json, limits)) {
            return Err(unfit_call());
        }
        self.course.as_mut().map_or(Ok(()), |course| course.end(name, input, limits))
    }

    /// From now on what is said is of this view of the answer.
    pub(crate) fn view(&mut self, view: View) {
        if let Some(course) = &mut self.course {
            course.view(view);
        }
    }
}

/// What is told of a call that is refused.
pub(crate) fn uncalled_for(guard: &str, detector: &str) -> ContentFinding {
    ContentFinding {
        guard: guard.to_owned(),
        detector: detector.to_owned(),
        part: Part::ToolArguments,
        action: ContentAction::Block,
        score: 100,
        range: 0..0,
        label: None,
    }
}
