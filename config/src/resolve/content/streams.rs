//! What cannot be judged before a part of it has left (PV-053): matches that can outgrow the window of a stream, and detectors that
//! need the whole of a value.

use super::Detectors;
use crate::manifest::{self, RuntimeDetector};
use crate::{Code, DataRule, Dialect, Direction, Part, Report, capability};

const PV_PATTERN: Code = Code(53);

/// Whether a text of this part may come as a stream.
fn comes_as_stream(dialect: Dialect, part: Part) -> bool {
    capability::streams(dialect, Direction::Response) && capability::parts(dialect, Direction::Response).contains(&part)
}

pub(super) fn check_data(
    detectors: &Detectors<'_>,
    rules: &[DataRule],
    hold_back: usize,
    dialect: Dialect,
    report: &mut Report,
) {
    if !capability::streams(dialect, Direction::Response) {
        return;
    }
    for (index, (_, detector)) in detectors.values().enumerate() {
        let manifest::DataDetector::Regex(regex) = &detector.value else { continue };
        if !rules.iter().any(|rule| rule.response && rule.detectors.contains(&index)) {
            continue;
        }
        if let Some(message) = outgrows(regex.name.as_str(), regex.pattern.as_str(), hold_back) {
            let help = "bound the repetitions of the pattern, raise `streaming.holdBack`, or use it for requests only";
            regex.pattern.error(report, PV_PATTERN, message, help);
        }
    }
}

pub(super) fn check_hostile(detector: &RuntimeDetector, hold_back: usize, dialect: Dialect, report: &mut Report) {
    let streamed = super::seen_parts(detector).into_iter().find(|part| comes_as_stream(dialect, *part));
    let Some(streamed) = streamed else { return };
    match detector {
        RuntimeDetector::PromptInjection(_)
        | RuntimeDetector::Jailbreak(_)
        | RuntimeDetector::HiddenText(_)
        | RuntimeDetector::EncodedPayload(_)
        | RuntimeDetector::Canary(_) => {}
        RuntimeDetector::Regex(regex) => {
            if let Some(message) = outgrows(regex.name.as_str(), regex.pattern.as_str(), hold_back) {
                let help = "bound the repetitions of the pattern, raise `streaming.holdBack`, or leave out parts that models stream";
                regex.pattern.error(report, PV_PATTERN, message, help);
            }
        }
        RuntimeDetector::SqlInjection(spec)
        | RuntimeDetector::Xss(spec)
        | RuntimeDetector::CommandInjection(spec)
        | RuntimeDetector::PathTraversal(spec)
        | RuntimeDetector::Ssrf(spec) => {
            let name = spec.name.as_str();
            let message =
                format!("detector `{name}` judges whole values, and `{}` may come as a stream", streamed.as_str());
            let help = "list parts of requests only, such as `User`, `ToolResult`, `HttpQuery` and `HttpBody`";
            spec.parts.error(report, PV_PATTERN, message, help);
        }
        RuntimeDetector::External(spec) => {
            let name = spec.name.as_str();
            let message = format!(
                "detector `{name}` is asked about whole texts, and `{}` may come as a stream",
                streamed.as_str()
            );
            let help = "list parts of requests only, such as `User`, `ToolResult`, `HttpQuery` and `HttpBody`";
            spec.parts.error(report, PV_PATTERN, message, help);
        }
    }
}

/// What is said of a pattern whose match can be longer than the window.
fn outgrows(name: &str, pattern: &str, hold_back: usize) -> Option<String> {
    let longest = longest_match(pattern);
    if longest.is_some_and(|longest| longest <= hold_back) {
        return None;
    }
    let what = longest.map_or("of any length".to_owned(), |longest| format!("{longest} bytes long"));
    Some(format!("a match of detector `{name}` can be {what}; a stream holds back {hold_back} bytes"))
}

/// Bytes of the longest match; `None` where there is no bound.
fn longest_match(pattern: &str) -> Option<usize> {
    regex_syntax::parse(pattern).ok()?.properties().maximum_len()
}
