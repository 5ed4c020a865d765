//! Keys of model providers and of what is used with models.

use super::format::{Format, token};

pub(super) const FORMATS: &[Format] = &[
    token!(
        "OpenAI",
        "`sk-proj-`, `sk-svcacct-`, `sk-admin-` or `sk-None-`, 20 or more characters",
        ["sk-proj-", "sk-svcacct-", "sk-admin-"],
        r"\bsk-(?:proj|svcacct|admin|None)-[0-9A-Za-z_-]{20,200}"
    ),
    token!("OpenAI, DeepSeek and others", "`sk-`, 32 to 64 letters or digits", ["sk-"], r"\bsk-[0-9A-Za-z]{32,64}\b"),
    token!(
        "Anthropic",
        "`sk-ant-`, kind, 32 or more characters",
        ["sk-ant-"],
        r"\bsk-ant-[a-z]{2,8}[0-9]{2}-[0-9A-Za-z_-]{32,200}"
    ),
    token!("OpenRouter", "`sk-or-v1-`, 64 hexadecimal digits", ["sk-or-v1-"], r"\bsk-or-v1-[0-9a-f]{64}\b"),
    token!("Hugging Face", "`hf_`, 34 to 40 letters or digits", ["hf_"], r"\bhf_[A-Za-z0-9]{34,40}\b"),
    token!(
        "Hugging Face",
        "organization: `api_org_`, 34 letters or digits",
        ["api_org_"],
        r"\bapi_org_[A-Za-z0-9]{34}\b"
    ),
    token!("Groq", "`gsk_`, 48 to 56 letters or digits", ["gsk_"], r"\bgsk_[A-Za-z0-9]{48,56}\b"),
    token!("Replicate", "`r8_`, 37 to 40 characters", ["r8_"], r"\br8_[A-Za-z0-9_-]{37,40}"),
    token!("xAI", "`xai-`, 70 to 90 characters", ["xai-"], r"\bxai-[A-Za-z0-9_-]{70,90}"),
    token!("Perplexity", "`pplx-`, 40 to 56 letters or digits", ["pplx-"], r"\bpplx-[A-Za-z0-9]{40,56}\b"),
    token!("NVIDIA", "`nvapi-`, 60 to 90 characters", ["nvapi-"], r"\bnvapi-[A-Za-z0-9_-]{60,90}"),
    token!("Together", "`tgp_v1_`, 43 characters", ["tgp_v1_"], r"\btgp_v1_[A-Za-z0-9_-]{43}"),
    token!("Fireworks", "`fw_`, 22 to 48 letters or digits", ["fw_"], r"\bfw_[A-Za-z0-9]{22,48}\b"),
    token!("Cerebras", "`csk-`, 40 to 64 lower-case letters or digits", ["csk-"], r"\bcsk-[a-z0-9]{40,64}\b"),
    token!("Voyage AI", "`pa-`, 43 characters", ["pa-"], r"\bpa-[A-Za-z0-9_-]{43}"),
    token!("ElevenLabs", "`sk_`, 48 hexadecimal digits", ["sk_"], r"\bsk_[0-9a-f]{48}\b"),
    token!(
        "LangSmith",
        "`lsv2_pt_` or `lsv2_sk_`, 32 and 10 hexadecimal digits",
        ["lsv2_"],
        r"\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}\b"
    ),
    token!("Langfuse", "`sk-lf-`, a UUID", ["sk-lf-"], r"\bsk-lf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    token!("Helicone", "`sk-helicone-`, 27 or more characters", ["sk-helicone-"], r"\bsk-helicone-[0-9a-z-]{27,}"),
    token!(
        "Pinecone",
        "`pcsk_`, id and 50 or more letters or digits",
        ["pcsk_"],
        r"\bpcsk_[0-9A-Za-z]{5,6}_[0-9A-Za-z]{50,70}\b"
    ),
    token!("Jina AI", "`jina_`, 60 characters", ["jina_"], r"\bjina_[0-9A-Za-z_-]{60}"),
    token!("Tavily", "`tvly-`, 20 or more characters", ["tvly-"], r"\btvly-(?:dev-|prod-)?[0-9A-Za-z]{20,}\b"),
    token!("Firecrawl", "`fc-`, 32 hexadecimal digits", ["fc-"], r"\bfc-[0-9a-f]{32}\b"),
    token!("E2B", "`e2b_`, 40 hexadecimal digits", ["e2b_"], r"\be2b_[0-9a-f]{40}\b"),
];
