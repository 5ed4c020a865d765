//! Judges of texts that are not ours.

use std::time::Duration;

use crate::decode::{At, Fields, Setting, spec};
use crate::values::{CallUrl, Name, Percent};
use crate::{Code, Material, Part, RuntimeAction};

spec! {
    /// Asks a service of the operator's about texts, once for each message. It is asked what is left once every other guard has let
    /// the message pass and has taken out what it takes out; as long as it has not answered, nothing of the message leaves, and without
    /// an answer that says something about every text the message is refused. Whole texts are judged, so it is for parts that do not
    /// come as streams (PV-053).
    pub struct ExternalSpec {
        /// For records and explanations; the service is told it too.
        [E] name: At<Name>,
        /// Where the service is asked.
        [E] url: At<CallUrl>,
        /// The longest time that a message waits for the answer, the connection included. At least 10 ms.
        [E, max "10s"] timeout: Setting<Duration> = "2s",
        /// What we prove there who we are with: a token, sent as `Authorization: Bearer <token>`. A secret: readable by its owner alone.
        [E] auth_from: Option<At<Material>>,
        /// Authorities that are believed there, and no others; PEM. Without it, those of the machine.
        [E] ca_from: Option<At<Material>>,
        /// Message parts it is shown. A detector that can see none of them on a route does not load.
        [E] parts: At<Vec<At<Part>>>,
        /// Is shown only those of `parts` that come from outside: ToolResult, Resource, AgentMessage.
        [E] untrusted_only: Setting<bool> = "false",
        /// A score at or above it is a finding.
        [E] threshold: Setting<Percent> = "80",
        /// What happens to a finding. `Redact` takes out the places that the service names in a text, or the whole text where it names
        /// none.
        [E] action: At<RuntimeAction>,
    }
    check check_external
}

/// The shortest time in which anybody answers.
const LEAST: Duration = Duration::from_millis(10);

fn check_external(spec: &ExternalSpec, fields: &mut Fields<'_, '_, '_>) {
    if *spec.timeout < LEAST {
        let message = "in less than 10 ms nobody answers, so every message would be refused";
        spec.timeout.at.error(fields.cx.report, Code(2), message, "write a longer time: `2s`");
    }
}
