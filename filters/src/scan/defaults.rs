//! What is looked for where nobody wrote a policy: by `postern scan` without `--config`.

use postern_config::{
    BUILTIN_DETECTORS, ContentAction, DataClass, DataDetector, DataDetectorKind, DataProtection, DataRule, Part,
    RuntimeAction, RuntimeDetector, RuntimeDetectorKind, RuntimeSecurity,
};

const OWNER: &str = "built-in";

/// Every built-in detector of data, and those of hostile texts, in all parts and both directions. Nobody's traffic is judged by
/// them.
#[must_use]
pub fn defaults() -> (DataProtection, RuntimeSecurity) {
    let detectors = BUILTIN_DETECTORS.iter().map(|(id, _)| DataDetector {
        name: (*id).to_owned(),
        kind: DataDetectorKind::Builtin(id),
        class: class(id),
    });
    let rules = BUILTIN_DETECTORS.iter().enumerate().map(|(index, (id, _))| DataRule {
        name: (*id).to_owned(),
        owner: OWNER.to_owned(),
        request: true,
        response: true,
        parts: Part::ALL.to_vec(),
        detectors: vec![index],
        action: ContentAction::Redact,
        tokens: postern_config::TokenRule::default(),
    });
    let hostile = [
        ("injection", RuntimeDetectorKind::PromptInjection, RuntimeAction::Block),
        ("hidden-text", RuntimeDetectorKind::HiddenText, RuntimeAction::Redact),
        ("encoded-payload", RuntimeDetectorKind::EncodedPayload, RuntimeAction::Block),
    ];
    let hostile = hostile.map(|(name, kind, action)| RuntimeDetector {
        name: name.to_owned(),
        owner: OWNER.to_owned(),
        kind,
        parts: Part::ALL.to_vec(),
        threshold: 80,
        action,
    });
    let data = DataProtection { detectors: detectors.collect(), rules: rules.collect(), ..DataProtection::default() };
    (data, RuntimeSecurity { detectors: hostile.into(), ..RuntimeSecurity::default() })
}

/// How much harm a value of this kind does in the wrong hands.
fn class(id: &str) -> DataClass {
    match id {
        "ip-address" => DataClass::Internal,
        "iban" | "email" | "phone" | "date-of-birth" | "postal-address" | "person-name" => DataClass::Confidential,
        _ => DataClass::Restricted,
    }
}
