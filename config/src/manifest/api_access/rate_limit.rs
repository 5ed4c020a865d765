//! Rate limits: what is counted together, in which unit, where, and what happens beyond.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Nothing;
use crate::decode::macros::refuse_word;
use crate::decode::{At, Cx, Decode, Fault, Fields, Scalar, Setting, Shape, WordShape, spec, tagged, words, written};
use crate::values::{HeaderName, Name, Size};
use crate::yaml::Node;
use crate::{Code, LimitKey, LimitUnit, OnUnavailable};

const PV_WORD: Code = Code(7);
const PV_BLIND: Code = Code(25);
const PV_LIMIT: Code = Code(71);

spec! {
    /// How much one key may use: in a window (GCRA), or at once.
    pub struct RateLimit {
        /// Named by `RateLimit-Policy` and by records.
        [E] name: At<Name>,
        /// What is counted together, at least one.
        [E, missing 71] key: At<Vec<At<LimitKey>>>,
        /// What is counted.
        [E] unit: At<LimitUnit>,
        /// Units per `window`, or requests at once; at least 1.
        [E] limit: At<Units>,
        /// The window, not 0. Required, but for `ConcurrentRequests`, which has none (PV-071).
        [E] window: Option<At<Duration>>,
        /// Units let through at once, at most ten times `limit` (PV-071). Default: `limit`. Not with `ConcurrentRequests`.
        [E] burst: Option<At<Units>>,
        /// What happens to a request over the limit.
        [E] over_limit: Setting<OverLimit> = "{type: Refuse}",
        /// Where it is counted.
        [E] store: Setting<CountedWhere> = "Local",
        /// What happens while the shared store is away; only with `store: Shared`. Default: `Deny`.
        [E] on_unavailable: Option<At<OnUnavailable>>,
    }
    check check_window
}

fn check_window(limit: &RateLimit, fields: &mut Fields<'_, '_, '_>) {
    let concurrent = limit.unit.value == LimitUnit::ConcurrentRequests;
    if concurrent {
        for name in ["window", "burst"] {
            let message = format!("`ConcurrentRequests` counts what is open at once, and has no `{name}`");
            fields.refuse(name, PV_LIMIT, message, "remove it");
        }
    } else if limit.window.is_none() {
        let message = "`window` is missing";
        limit.unit.error(fields.cx.report, PV_LIMIT, message, "add a window such as `window: 1m`");
    }
    if *limit.store == CountedWhere::Local
        && let Some(on_unavailable) = &limit.on_unavailable
    {
        let message = "nothing acts on `onUnavailable`: the limit is counted in this process";
        on_unavailable.error(fields.cx.report, PV_BLIND, message, "remove it, or write `store: Shared`");
    }
    let unit = limit.unit.value;
    if unit.is_tokens() && *limit.store == CountedWhere::Shared {
        let message = "the shared store does not count tokens in this version";
        limit.store.at.error(fields.cx.report, PV_WORD, message, "write `store: Local`");
    }
    if matches!(*limit.over_limit, OverLimit::Queue(_)) && (unit == LimitUnit::Bytes || unit.is_tokens()) {
        let message = format!("a queue for `{unit:?}`: what a request takes is known when it has ended");
        let help = "write `overLimit: {type: Refuse}`";
        limit.over_limit.at.error(fields.cx.report, PV_LIMIT, message, help);
    }
}

/// What a structured field can say (RFC 9651 §3.3.1).
const MOST: u64 = 999_999_999_999_999;

/// A number of units, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units(pub NonZeroU64);

impl Scalar for Units {
    const NAME: &'static str = "Units";
    const DOC: &'static str =
        "A whole number, at least 1, also with `Ki`, `Mi` or `Gi` (powers of 1024): `60`, `512Mi`.";
    const NUMERIC: bool = true;

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let Size(number) = Size::read(text, cx).map_err(|fault| Fault {
            help: "write a whole number from 1 on, such as `60` or `512Mi`".to_owned(),
            ..fault
        })?;
        let help = "write a whole number from 1 to 999999999999999";
        let wrong = || Fault::new(format!("`{}` is {number}", cx.field()), help);
        NonZeroU64::new(number).filter(|number| number.get() <= MOST).map(Self).ok_or_else(wrong)
    }
}

/// The words of [`LimitKey`] that are no more than a word.
const KEYS: [(&str, LimitKey, &str); 5] = [
    ("Principal", LimitKey::Principal, "The authenticated caller."),
    ("Tenant", LimitKey::Tenant, "The caller's tenant."),
    ("SourceIp", LimitKey::SourceIp, "The caller's address; of IPv6 the /64."),
    ("Route", LimitKey::Route, "The route."),
    ("Model", LimitKey::Model, "The model that the request names. Requests that name none are counted together."),
];
const HEADER: &str = "The one value of a header. Requests without it, with two of it or with another value than visible ASCII are \
    counted together. Whoever sends the header chooses the value, so such a limit counts for nothing where one is demanded (PV-070).";

impl Decode for LimitKey {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let text = written(node, false, "a word", cx)?;
        if let Some((_, key, _)) = KEYS.iter().find(|(word, ..)| *word == text) {
            return Some(key.clone());
        }
        let Some(name) = text.strip_prefix("Header:") else {
            let known: Vec<&'static str> = KEYS.iter().map(|(word, ..)| *word).chain(["Header:<name>"]).collect();
            refuse_word(node, text, &known, &["Tool"], cx);
            return None;
        };
        match HeaderName::read(name, cx) {
            Ok(name) => Some(Self::Header(name.as_str().to_owned())),
            Err(fault) => {
                cx.error(fault.code, &node.position, fault.message, fault.help);
                None
            }
        }
    }

    fn shape() -> Shape {
        let words = KEYS.iter().map(|(word, _, doc)| (*word, *doc)).chain([("Header:<name>", HEADER)]);
        Shape::Words {
            name: "LimitKey",
            doc: "What is counted together.\n",
            words: words.map(|(word, doc)| WordShape { word, doc }).collect(),
            later: &["Tool"],
        }
    }
}

words! {
    /// What is counted.
    impl LimitUnit {
        /// Requests.
        (LimitUnit::Requests) = "Requests",
        /// Requests that have not ended: until the last byte of the answer is out, or the stream or tunnel is closed.
        (LimitUnit::ConcurrentRequests) = "ConcurrentRequests",
        /// Bytes of bodies, of requests and answers. A request passes while its key has any left; what it carries is charged before it
        /// is forwarded, what it is answered as it flows. What goes beyond is a debt that later requests wait for; at a debt of
        /// a whole `burst` the answer, stream or tunnel is cut.
        (LimitUnit::Bytes) = "Bytes",
        /// Tokens that models read. A request takes what its texts are estimated at before it is sent, and what the upstream says it
        /// was once that is known. One that needs more than a burst is refused whatever is left.
        (LimitUnit::InputTokens) = "InputTokens",
        /// Tokens that models write. A request takes the most that it asks for (`max_tokens` and its kin, for every choice; 4096 where it
        /// names none) before it is sent, and what it came to afterwards. A stream that goes beyond takes more as it flows, and is
        /// cut where there is none.
        (LimitUnit::OutputTokens) = "OutputTokens",
        /// Both together.
        (LimitUnit::TotalTokens) = "TotalTokens",
    }
    later { "ToolCalls" }
}

words! {
    /// Where a limit is counted.
    pub enum CountedWhere {
        /// In this process: every replica lets through as much.
        Local = "Local",
        /// In the store of the bootstrap's `shared`: all replicas together let through as much (PV-004 without one).
        Shared = "Shared",
    }
}

words! {
    /// What happens to requests while the store that counts them is away.
    impl OnUnavailable {
        /// They are refused: 503.
        (OnUnavailable::Deny) = "Deny",
        /// Every replica counts for itself meanwhile.
        (OnUnavailable::Local) = "Local",
    }
}

tagged! {
    /// What happens to a request over a limit.
    pub enum OverLimit {
        /// 429 with `Retry-After`.
        Refuse(Nothing),
        /// It waits its turn, first come, first served by key, and is refused where that takes longer. What waits is bounded;
        /// beyond, requests are refused at once. Not with `Bytes` and tokens (PV-071).
        Queue(Queue),
    }
}

spec! {
    /// A queue for requests over a limit.
    pub struct Queue {
        /// Longest wait.
        [E, max "1m"] max_wait: At<Duration>,
    }
}
