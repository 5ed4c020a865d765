//! Fields whose value is not a text, and what is dropped from answers. A field in no table is refused.

use crate::json::Kind;

/// Top-level request fields that steer sampling or accounting: a value of this kind, or `null`, passes unread. The last
/// three are common additions of self-hosted servers.
pub(super) const REQUEST_SCALARS: [(&str, Kind); 10] = [
    ("temperature", Kind::Number),
    ("top_p", Kind::Number),
    ("frequency_penalty", Kind::Number),
    ("presence_penalty", Kind::Number),
    ("seed", Kind::Number),
    ("parallel_tool_calls", Kind::Bool),
    ("store", Kind::Bool),
    ("top_k", Kind::Number),
    ("min_p", Kind::Number),
    ("repetition_penalty", Kind::Number),
];

/// Top-level request fields whose value is one of the vendor's words.
pub(super) const REQUEST_WORDS: [&str; 4] = ["reasoning_effort", "verbosity", "service_tier", "prompt_cache_retention"];

/// Request fields that make the provider do what nobody here can see: searches of its own, audio, its own moderation.
pub(super) const REQUEST_UNSUPPORTED: [&str; 3] = ["web_search_options", "moderation", "audio"];

/// Fields of answers, choices and deltas that are taken out, because they repeat the text in a form that is not judged
/// (tokens, details of reasoning), or because they are padding and accounting of single vendors.
pub(in crate::dialect::openai) const ANSWER_DROPPED: [&str; 20] = [
    "obfuscation",
    "moderation",
    "metadata",
    "provider",
    "x_groq",
    "timings",
    "citations",
    "search_results",
    "content_filter_results",
    "content_filter_result",
    "content_filter_offsets",
    "prompt_filter_results",
    "prompt_logprobs",
    "prompt_token_ids",
    "token_ids",
    "kv_transfer_params",
    "stop_reason",
    "matched_stop",
    "native_finish_reason",
    "reasoning_details",
];
