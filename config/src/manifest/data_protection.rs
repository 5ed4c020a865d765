//! DataProtectionPolicy: find sensitive content, then decide.

use std::collections::BTreeMap;
use std::time::Duration;

use super::LabelName;
use crate::decode::{At, Fields, Setting, spec, tagged, words};
use crate::values::{BuiltinDetector, DocumentFile, Name, Pattern, Pointer, Size, show_duration};
use crate::{Code, ContentAction, DataClass, Opaque, Part, TokenScope, Validator};

spec! {
    /// Sensitive content: find it, say how sensitive it is, then decide.
    pub struct DataProtectionPolicy {
        /// What is looked for.
        [E] detectors: Vec<At<DataDetector>>,
        /// What happens to what is found; the strongest action on a finding wins.
        [E] rules: Vec<At<DataRule>>,
        /// Which upstream may see which class; one that no entry names may see nothing. Counts what is sent: a finding that a rule
        /// redacts, masks or tokenizes in the same part is not. Of several manifests each has to agree.
        [E] eligibility: Vec<At<Eligibility>>,
        /// Fields of JSON bodies that requests leave without, before anything else looks at them. All of them apply.
        [E] minimize: Vec<At<Minimize>>,
        /// Content the proxy cannot read: images, audio, files, encrypted reasoning, references to content stored elsewhere.
        [E] opaque: Setting<Opaque> = "Deny",
        /// How streams are held back until they are judged.
        [E] streaming: Setting<Streaming> = "{}",
        /// What the proxy keeps.
        [E] retention: Setting<DataRetention> = "{}",
        /// Why the data is processed.
        [D] purposes: Vec<At<Purpose>>,
    }
}

tagged! {
    /// One thing to look for.
    pub enum DataDetector {
        /// One that comes with the proxy.
        Builtin(BuiltinSpec),
        /// A regular expression.
        Regex(RegexSpec),
        /// Words and phrases of a list.
        Dictionary(DictionarySpec),
        /// Values of which only hashes are known: of customers, accounts, documents.
        ExactMatch(ExactMatchSpec),
        /// The proxy's own secrets: those it shows the upstream of the route, plain or in an encoding that hides them.
        Managed(ManagedSpec),
    }
}

impl DataDetector {
    #[must_use]
    pub fn name(&self) -> &At<Name> {
        match self {
            Self::Builtin(spec) => &spec.name,
            Self::Regex(spec) => &spec.name,
            Self::Dictionary(spec) => &spec.name,
            Self::ExactMatch(spec) => &spec.name,
            Self::Managed(spec) => &spec.name,
        }
    }

    #[must_use]
    pub fn class(&self) -> DataClass {
        match self {
            Self::Builtin(spec) => spec.class.value,
            Self::Regex(spec) => spec.class.value,
            Self::Dictionary(spec) => spec.class.value,
            Self::ExactMatch(spec) => spec.class.value,
            Self::Managed(spec) => spec.class.value,
        }
    }

    /// The list that it takes what it looks for from.
    #[must_use]
    pub fn list(&self) -> Option<&At<DocumentFile>> {
        match self {
            Self::Dictionary(spec) => Some(&spec.values_from),
            Self::ExactMatch(spec) => Some(&spec.hashes_from),
            Self::Builtin(_) | Self::Regex(_) | Self::Managed(_) => None,
        }
    }
}

spec! {
    /// A detector that comes with the proxy.
    pub struct BuiltinSpec {
        /// Named by `match.detectors`.
        [E] name: At<Name>,
        /// Which one.
        [E] id: At<BuiltinDetector>,
        /// How sensitive a finding is.
        [E] class: At<DataClass>,
    }
}

spec! {
    /// A regular expression.
    pub struct RegexSpec {
        /// Named by `match.detectors`.
        [E] name: At<Name>,
        /// What it matches. On streaming routes no match may be longer than `streaming.holdBack` (PV-053).
        [E] pattern: At<Pattern>,
        /// A match counts only if this holds too.
        [E] validate: Option<At<Validator>>,
        /// How sensitive a finding is.
        [E] class: At<DataClass>,
    }
}

spec! {
    /// Words and phrases.
    pub struct DictionarySpec {
        /// Named by `match.detectors`.
        [E] name: At<Name>,
        /// UTF-8 with one word or phrase a line; empty lines and those that begin with `#` are skipped. At most 4Mi and 100000
        /// entries of at most 8 words and 128 bytes each. Case, accents, full-width and look-alike letters make no difference, and
        /// whole words are found: words of a phrase may have up to 16 bytes of anything else between them. It is watched.
        [E] values_from: At<DocumentFile>,
        /// How sensitive a finding is.
        [E] class: At<DataClass>,
    }
}

spec! {
    /// Values by their hashes.
    pub struct ExactMatchSpec {
        /// Named by `match.detectors`.
        [E] name: At<Name>,
        /// The hashes, as [data-protection.md](data-protection.md#exact-matches) says; at most 16Mi, for the proxy's user alone
        /// to read. It is watched.
        [E] hashes_from: At<DocumentFile>,
        /// How sensitive a finding is.
        [E] class: At<DataClass>,
    }
}

spec! {
    /// The secrets that SecretManagement has for the upstream of the route.
    pub struct ManagedSpec {
        /// Named by `match.detectors`.
        [E] name: At<Name>,
        /// How sensitive a finding is.
        [E] class: At<DataClass>,
    }
}

words! {
    /// A check digit.
    impl Validator {
        /// ISO/IEC 7812-1, as payment cards have it.
        (Validator::Luhn) = "Luhn",
        /// ISO 7064 MOD 97-10, as IBANs have it.
        (Validator::Iban) = "Iban",
    }
}

spec! {
    /// What happens to what is found.
    pub struct DataRule {
        /// For records and explanations.
        [E] name: At<Name>,
        /// Where it looks.
        [E] direction: At<DirectionWord>,
        /// Message parts it looks at. A rule that can see none of them on a route does not load.
        [E] parts: At<Vec<At<Part>>>,
        /// Which findings it is about.
        [E] matches as "match": At<DataMatch>,
        /// What happens.
        [E] action: At<ContentAction>,
        /// With `Tokenize`: puts the values that this exchange tokenized back where the model speaks of them, never into URLs or tool
        /// arguments. The answer gets `Cache-Control: private, no-store`.
        [E] restore: Setting<bool> = "false",
        /// With `Tokenize`: who shares a token for the same value.
        [E] scope: Setting<TokenScope> = "Principal",
    }
    check check_rule
}

fn check_rule(rule: &DataRule, fields: &mut Fields<'_, '_, '_>) {
    if rule.action.value != ContentAction::Tokenize {
        let written = [("restore", rule.restore.written().is_some()), ("scope", rule.scope.written().is_some())];
        if let Some((field, _)) = written.into_iter().find(|(_, written)| *written) {
            let position = fields.position.clone();
            let message = format!("`{field}` is about tokens, and the action of the rule makes none");
            fields.cx.shape(&position, message, "write `action: Tokenize`, or remove it");
        }
    } else if *rule.restore && rule.direction.value == DirectionWord::Response {
        let position = fields.position.clone();
        let message = "`restore` puts values of requests back, and the rule is for answers";
        fields.cx.shape(&position, message, "write `direction: Request` or `Both`, or remove it");
    }
}

words! {
    /// Who shares a token for the same value.
    impl TokenScope {
        /// One principal: nobody can compare their tokens with those of another.
        (TokenScope::Principal) = "Principal",
        /// All of a tenant.
        (TokenScope::Tenant) = "Tenant",
    }
}

spec! {
    /// Upstreams, and what they may see.
    pub struct Eligibility {
        /// Which ones.
        [E] upstreams: At<UpstreamSelector>,
        /// The highest class that is sent there. Requests with a finding above it are refused.
        [E] max_class: At<DataClass>,
        /// Only upstreams whose label `region` is one of these.
        [E] regions: Option<At<Vec<At<String>>>>,
    }
}

spec! {
    /// Upstreams by their labels.
    pub struct UpstreamSelector {
        /// Labels an upstream must carry, all of them; at least one.
        [E] match_labels: At<BTreeMap<LabelName, At<String>>>,
    }
    check check_upstreams
}

fn check_upstreams(selector: &UpstreamSelector, fields: &mut Fields<'_, '_, '_>) {
    if selector.match_labels.is_empty() {
        let help = "name at least one label, such as `vendor`";
        selector.match_labels.error(fields.cx.report, Code(2), "`matchLabels` is empty", help);
    }
}

words! {
    /// Requests, answers, or both.
    pub enum DirectionWord {
        /// On the way in.
        Request = "Request",
        /// On the way out.
        Response = "Response",
        /// Both ways.
        Both = "Both",
    }
}

impl DirectionWord {
    #[must_use]
    pub fn request(self) -> bool {
        self != Self::Response
    }

    #[must_use]
    pub fn response(self) -> bool {
        self != Self::Request
    }
}

spec! {
    /// Which findings a rule is about: at least one of the two; both set = both must hold.
    pub struct DataMatch {
        /// Findings of these detectors.
        [E] detectors: Option<At<Vec<At<Name>>>>,
        /// Findings of at least this class.
        [E] min_class: Option<At<DataClass>>,
    }
    check check_match
}

fn check_match(matches: &DataMatch, fields: &mut Fields<'_, '_, '_>) {
    let named = matches.detectors.as_ref().is_some_and(|names| !names.is_empty());
    if !named && (matches.min_class.is_none() || matches.detectors.is_some()) {
        let position = fields.position.clone();
        fields.cx.shape(&position, "`match` is about no finding", "name `detectors` or a `minClass`");
    }
}

words! {
    /// What happens to a finding, strongest first.
    impl ContentAction {
        /// The message is refused.
        (ContentAction::Block) = "Block",
        /// The finding is replaced by a mark.
        (ContentAction::Redact) = "Redact",
        /// Letters and digits of the finding become `*`, but for the last four and never more than half of them; everything between
        /// them stays.
        (ContentAction::Mask) = "Mask",
        /// The finding stays as it is, and the record tells of it.
        (ContentAction::Annotate) = "Annotate",
        /// The finding stays as it is, and the record does not tell of it. Rules still read its class.
        (ContentAction::Allow) = "Allow",
        /// The finding is replaced by a token that stands for it, the same for the same value.
        (ContentAction::Tokenize) = "Tokenize",
    }
}

spec! {
    /// What requests leave without, in JSON bodies. Other bodies are refused where it applies. A pointer may lead nowhere.
    pub struct Minimize {
        /// Only these of the routes that the manifest is attached to; all of them without it.
        [E] routes: Option<At<Vec<At<Name>>>>,
        /// Fields and items that are taken out. Names are compared without case and `_`, as some readers do.
        [E] drop: Option<At<Vec<At<Pointer>>>>,
        /// Fields and items that stay, with what stands in them; everything else is taken out first.
        [E] keep: Option<At<Vec<At<Pointer>>>>,
    }
    check check_minimize
}

fn check_minimize(minimize: &Minimize, fields: &mut Fields<'_, '_, '_>) {
    let lists = [&minimize.drop, &minimize.keep];
    if lists.iter().all(|list| list.as_ref().is_none_or(|list| list.is_empty())) {
        let position = fields.position.clone();
        fields.cx.shape(&position, "nothing is named", "name fields in `drop`, or those that stay in `keep`");
    }
}

words! {
    /// Content the proxy cannot read.
    impl Opaque {
        /// It is refused.
        (Opaque::Deny) = "Deny",
        /// It is taken out of requests and of answers that are read whole. What nothing would be left without is refused, and so
        /// are streams with it.
        (Opaque::Strip) = "Strip",
        /// It passes unseen. Rules still read `context.ai.opaque`.
        (Opaque::Allow) = "Allow",
    }
}

spec! {
    /// How streams are held back until they are judged.
    pub struct Streaming {
        /// Most decoded text a stream may hold back.
        [E, max "1Mi"] hold_back: Setting<Size> = "512",
        /// How long an open match may wait for its end before it counts as found.
        [E, max "60s"] stall: Setting<Duration> = "5s",
    }
}

spec! {
    /// What the proxy keeps of content.
    pub struct DataRetention {
        /// Content of messages. This version keeps none.
        [E] payloads: Setting<Duration> = "0s",
        /// The way back from tokens with `restore`. It ends with the exchange; one that lasts longer than this is ended.
        [E, max "24h"] tokens: Setting<Duration> = "1h",
    }
    check check_retention
}

fn check_retention(retention: &DataRetention, fields: &mut Fields<'_, '_, '_>) {
    if !retention.payloads.is_zero() {
        let message = format!(
            "`payloads: {}` would keep what requests and answers say for that long, and Postern keeps none of it",
            show_duration(*retention.payloads)
        );
        let help = "remove the field or write `0s`: records tell what was found, where and what became of it, never the text; where texts \
                    have to be kept, keep them where they are made or used";
        retention.payloads.at.error(fields.cx.report, Code(7), message, help);
    }
}

spec! {
    /// Why data is processed.
    pub struct Purpose {
        /// The purpose.
        [D] name: At<String>,
        /// What allows it.
        [D] legal_basis: Option<At<String>>,
        /// Whose data it is.
        [D] data_subjects: Option<At<String>>,
    }
}
