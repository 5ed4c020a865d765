//! Refuses what is there only because of an exception, once the exception has ended.

use postern_config::Waived;

use crate::{Context, Flow, Reason, Refusal, Verdict};

/// What all requests of a route hang on: its own exceptions, and those of its upstream.
#[derive(Debug)]
pub(crate) struct Exceptions {
    waived: Vec<Waived>,
}

impl Exceptions {
    pub(crate) fn new(waived: Vec<Waived>) -> Self {
        Self { waived }
    }

    pub(crate) fn check(&self, cx: &mut Context) -> Verdict {
        if let Some(over) = self.waived.iter().find(|waived| waived.has_ended(cx.now_ms())) {
            return Ok(Flow::Refuse(Refusal::new(Reason::ExceptionEnded, over.ended()).by(&*over.exception)));
        }
        self.waived.iter().for_each(|waived| cx.note_exception(waived));
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use postern_config::Waiver;

    use super::*;

    fn waived(name: &str, until: i64) -> Waived {
        Waived { what: Waiver::Unlimited, exception: Arc::from(format!("Policy/default/p#{name}")), until }
    }

    #[test]
    fn an_exception_holds_until_its_end_and_not_a_moment_longer() {
        let filter = Exceptions::new(vec![waived("long", 2000), waived("short", 1000)]);
        for (now_ms, want) in [(0, None), (999_999, None), (1_000_000, Some("Policy/default/p#short"))] {
            let mut cx = Context::new(now_ms, Duration::ZERO);
            let by = match filter.check(&mut cx).unwrap() {
                Flow::Wait(need) => panic!("it asks for {need:?}"),
                Flow::Continue => None,
                Flow::Refuse(refusal) => {
                    assert_eq!(refusal.reason, Reason::ExceptionEnded);
                    assert!(refusal.detail.contains("ended at 1970-01-01T00:16:40Z"), "{}", refusal.detail);
                    refusal.rule
                }
            };
            assert_eq!(by.as_deref(), want, "{now_ms}");
            let noted: Vec<&str> = cx.exceptions().iter().map(|waived| &*waived.exception).collect();
            let all = ["Policy/default/p#long", "Policy/default/p#short"];
            assert_eq!(noted, if want.is_none() { all.to_vec() } else { Vec::new() });
            assert_eq!(cx.excepted_until(), want.is_none().then_some(1000));
        }
    }
}
