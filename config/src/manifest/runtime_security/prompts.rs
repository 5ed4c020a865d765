//! What models are told by the operator, and who else may speak in that place.

use crate::LayerPosition;
use crate::decode::{At, Fields, Setting, spec, words};
use crate::values::{DocumentFile, Name};

const PV_SHAPE: crate::Code = crate::Code(2);

spec! {
    /// A text of the operator's that every request to a model carries.
    pub struct PromptLayer {
        /// For records and explanations. One name stands for one text on a route.
        [E] name: At<Name>,
        /// Where it stands among all system text.
        [E] position: At<LayerPosition>,
        /// As whom it speaks.
        [E] role: Setting<LayerRole> = "System",
        /// UTF-8, at most 64Ki, not empty; white space around it is left out. It is watched.
        [E] content_from: At<DocumentFile>,
        /// A layer is always locked: nothing that a client sends adds to it, moves it or changes it.
        [E] lock: Setting<bool> = "true",
    }
    check check_lock
}

fn check_lock(layer: &PromptLayer, fields: &mut Fields<'_, '_, '_>) {
    if !*layer.lock {
        let message = "`lock: false` would be a layer that clients may change";
        let help = "remove the field; text that clients choose belongs into their requests";
        layer.lock.at.error(fields.cx.report, PV_SHAPE, message, help);
    }
}

words! {
    /// Where a layer stands.
    impl LayerPosition {
        /// Before all other system text. Those of the gateway stand before those of a route.
        (LayerPosition::First) = "First",
        /// Behind all other system text. Those of the gateway stand behind those of a route.
        (LayerPosition::Last) = "Last",
    }
}

words! {
    /// As whom a layer speaks.
    pub enum LayerRole {
        /// As the operator.
        System = "System",
    }
}

words! {
    /// Whether clients may speak as the operator.
    pub enum SystemText {
        /// Requests with system text are refused.
        Deny = "Deny",
        /// System text of clients stands between the layers that stand first and those that stand last.
        Allow = "Allow",
    }
}

spec! {
    /// Puts a value into what the model is told that nobody can guess, new for every request, and looks for it in the answer: where
    /// it appears, the model repeats what it was told.
    pub struct CanarySpec {
        /// For records and explanations.
        [E] name: At<Name>,
        /// Message parts of answers that it is looked for in. A detector that can see none of them on a route does not load.
        [E] parts: At<Vec<At<crate::Part>>>,
        /// What happens to a finding.
        [E] action: At<crate::RuntimeAction>,
    }
}
