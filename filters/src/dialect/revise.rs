//! What becomes of a body before anything looks at it: fields that are dropped, content that nobody can read, and the provider's
//! switch for keeping what it is sent. What is decided is decided about what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use postern_config::{Minimized, Opaque, Revision};

use super::adapter::Endpoint;
use super::body::{Hidden, JsonBody, same_words};
use super::{DialectError, gemini, openai};
use crate::json::{Editor, Kind, NodeId, Value};

/// Whether a provider keeps what an endpoint is sent, where its API has a switch for that. It is called `store` everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    UnlessOff,
    IfOn,
}

const SWITCH: &str = "store";

fn keeps(endpoint: Endpoint) -> Option<Keeps> {
    match endpoint {
        Endpoint::OpenAi(openai::Endpoint::Responses) => Some(Keeps::UnlessOff),
        Endpoint::OpenAi(openai::Endpoint::ChatCompletions)
        | Endpoint::Gemini(gemini::Endpoint::GenerateContent | gemini::Endpoint::StreamGenerateContent) => {
            Some(Keeps::IfOn)
        }
        Endpoint::OpenAi(_) | Endpoint::Anthropic(_) | Endpoint::Gemini(_) => None,
    }
}

/// Something that does not pass.
#[derive(Debug)]
struct Gone {
    container: NodeId,
    child: NodeId,
    span: Range<usize>,
}

impl JsonBody {
    /// The body as `revision` leaves it; nothing where that is as it came.
    pub(super) fn revised(
        &self,
        revision: &Revision,
        endpoint: Option<Endpoint>,
    ) -> Result<Option<Bytes>, DialectError> {
        let mut gone = Vec::new();
        for one in &revision.minimize {
            minimize(self.root(), one, &mut gone);
        }
        if revision.opaque == Opaque::Strip {
            self.strip(&mut gone);
        }
        let mut editor = Editor::new(self.document());
        self.remove(gone, &mut editor);
        if revision.not_kept
            && let Some(keeps) = endpoint.and_then(keeps)
        {
            match self.root().get(SWITCH) {
                Some(store) if store.boolean() == Some(false) => {}
                Some(store) => editor.set(store.id(), b"false")?,
                None if keeps == Keeps::UnlessOff => editor.add_member(self.root().id(), SWITCH, b"false"),
                None => {}
            }
        }
        Ok(if editor.is_unchanged() { None } else { Some(editor.finish()?) })
    }

    /// The body without what nobody can read.
    pub(super) fn stripped(&self) -> Result<Bytes, DialectError> {
        let mut gone = Vec::new();
        self.strip(&mut gone);
        let mut editor = Editor::new(self.document());
        self.remove(gone, &mut editor);
        Ok(editor.finish()?)
    }

    /// What is inside of something that goes is gone with it.
    fn remove(&self, gone: Vec<Gone>, editor: &mut Editor<'_>) {
        let mut spans: Vec<Range<usize>> = gone.iter().map(|one| one.span.clone()).collect();
        // The widest first of those that begin together: each that is inside of another comes behind it.
        spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut outermost: Vec<Range<usize>> = Vec::new();
        for span in spans {
            if outermost.last().is_none_or(|last| last.end <= span.start) {
                outermost.push(span);
            }
        }
        for one in gone {
            if outermost
                .binary_search_by_key(&one.span.start, |span| span.start)
                .is_ok_and(|at| outermost.get(at).is_some_and(|span| *span == one.span))
            {
                editor.remove(one.container, one.child);
            }
        }
    }

    /// Takes out what is hidden. Where nothing would be left in a place that says something, or the place cannot be without it, it
    /// stays, and is refused.
    fn strip(&self, gone: &mut Vec<Gone>) {
        let doc = self.document();
        let here: BTreeSet<NodeId> = self.hidden().iter().filter_map(Hidden::value).collect();
        let of_whole: BTreeSet<NodeId> = self.hidden().iter().filter_map(Hidden::within).collect();
        let mut taken: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
        for (value, [within, around]) in doc.around(&here) {
            let place = if of_whole.contains(&value) { (around, within) } else { (within, Some(value)) };
            if let (Some(container), Some(child)) = place {
                taken.entry(container).or_default().insert(child);
            }
        }
        for (container, children) in taken {
            let within = doc.value(container);
            if within.kind() == Kind::Object || children.len() < within.len() {
                let one = |child| Gone { container, child, span: doc.value(child).span() };
                gone.extend(children.into_iter().map(one));
            }
        }
    }
}

impl Hidden {
    fn value(&self) -> Option<NodeId> {
        match self {
            Self::Here(value) | Self::Around(value) => Some(*value),
            Self::Everywhere => None,
        }
    }

    fn within(&self) -> Option<NodeId> {
        match self {
            Self::Around(value) => Some(*value),
            Self::Here(_) | Self::Everywhere => None,
        }
    }
}

/// Collects what `rule` takes out of `root`: all that is not kept, and all that is dropped.
fn minimize(root: Value<'_>, rule: &Minimized, gone: &mut Vec<Gone>) {
    if let Some(keep) = &rule.keep {
        let keep: Vec<&[String]> = keep.iter().map(Vec::as_slice).collect();
        keep_only(root, &keep, gone);
    }
    for pointer in &rule.drop {
        let mut within = vec![root];
        for (at, name) in pointer.iter().enumerate() {
            let found: Vec<(Value<'_>, Value<'_>)> =
                within.iter().flat_map(|one| steps(*one, name).map(move |child| (*one, child))).collect();
            if at + 1 == pointer.len() {
                let one = |(container, child): &(Value<'_>, Value<'_>)| Gone {
                    container: container.id(),
                    child: child.id(),
                    span: child.span(),
                };
                gone.extend(found.iter().map(one));
            }
            within = found.into_iter().map(|(_, child)| child).collect();
        }
    }
}

/// What `name` leads to: members, or the item with that number (RFC 6901 §4). Some readers take names without case, and with `_`
/// or camels, so that several may be the one that is meant.
fn steps<'v>(value: Value<'v>, name: &str) -> impl Iterator<Item = Value<'v>> {
    let members = value.entries().filter(|(key, _)| key.text().is_some_and(|key| same_words(&key, name)));
    let item = place(name).and_then(|place| value.items().nth(place));
    members.map(|(_, value)| value).chain(item)
}

/// Digits without leading zeros.
fn place(name: &str) -> Option<usize> {
    let number: usize = name.parse().ok()?;
    (number.to_string() == name).then_some(number)
}

/// Takes out what no pointer of `keep` leads to, through or below. Depth is bounded by that of the reader and of the pointers.
fn keep_only(value: Value<'_>, keep: &[&[String]], gone: &mut Vec<Gone>) {
    if keep.iter().any(|pointer| pointer.is_empty()) {
        return;
    }
    let below = |is: &dyn Fn(&str) -> bool| -> Vec<&[String]> {
        keep.iter()
            .filter_map(|pointer| pointer.split_first())
            .filter(|(first, _)| is(first))
            .map(|(_, rest)| rest)
            .collect()
    };
    let members = value.entries().map(|(key, child)| {
        let name = key.text().unwrap_or_default();
        (child, below(&|first| first == name))
    });
    let items = value.items().enumerate().map(|(at, child)| (child, below(&|first| place(first) == Some(at))));
    for (child, kept) in members.chain(items) {
        if kept.is_empty() {
            gone.push(Gone { container: value.id(), child: child.id(), span: child.span() });
        } else {
            keep_only(child, &kept, gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Message as _, anthropic, testing};
    use crate::json::Limits;

    fn rule(drop: &[&str], keep: Option<&[&str]>) -> Revision {
        let split = |all: &[&str]| all.iter().map(|one| postern_config::pointer::split(one)).collect();
        let minimized = Minimized {
            owner: "DataProtectionPolicy/default/d".to_owned(),
            guard: "data/minimize/d".to_owned(),
            drop: split(drop),
            keep: keep.map(split),
        };
        Revision { minimize: vec![minimized], ..Revision::default() }
    }

    fn revised(body: &str, revision: &Revision) -> Option<String> {
        let (body, ()) =
            JsonBody::parse(Bytes::copy_from_slice(body.as_bytes()), Limits::default(), |_, _| Ok(())).unwrap();
        body.revised(revision, None).unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn fields_are_dropped_and_kept_by_pointer() {
        for (body, drop, keep, want) in [
            (r#"{"a":1,"b":2}"#, &["/a"][..], None, Some(r#"{"b":2}"#)),
            (r#"{"a":1,"b":2}"#, &["/b"], None, Some(r#"{"a":1}"#)),
            (r#"{ "a" : 1 }"#, &["/a"], None, Some("{  }")),
            (r#"{"a":{"b":1,"c":[1,2,3]}}"#, &["/a/c/1", "/a/b"], None, Some(r#"{"a":{"c":[1,3]}}"#)),
            // What is in something that goes is gone with it.
            (r#"{"a":{"b":1},"c":2}"#, &["/a/b", "/a"], None, Some(r#"{"c":2}"#)),
            (r#"{"a":{"b":1},"c":2}"#, &["/a", "/a/b", "/a"], None, Some(r#"{"c":2}"#)),
            (r#"{"a":1}"#, &["/b", "/a/x", "/a/0"], None, None),
            // A reader behind us may take `userId` for `user_id`, or go without case.
            (r#"{"userId":1,"x":2}"#, &["/user_id"], None, Some(r#"{"x":2}"#)),
            (r#"{"userId":1,"user_id":3,"u_serid":{},"x":2}"#, &["/user_id"], None, Some(r#"{"x":2}"#)),
            (r#"{"aB":{"c":1},"a_b":{"C":2,"d":3}}"#, &["/ab/c"], None, Some(r#"{"aB":{},"a_b":{"d":3}}"#)),
            (r#"{"USER_ID":1,"x":2}"#, &["/user_id"], None, Some(r#"{"x":2}"#)),
            (r#"{"\u0061":1,"x":2}"#, &["/a"], None, Some(r#"{"x":2}"#)),
            (r#"{"a/b":1,"m~n":2,"":3}"#, &["/a~1b", "/m~0n"], None, Some(r#"{"":3}"#)),
            (r#"{"a":1,"":3}"#, &["/"], None, Some(r#"{"a":1}"#)),
            (r#"{"a":[1,2]}"#, &["/a/01", "/a/-", "/a/+1"], None, None),
            (r#"{"a":1,"b":{"c":2,"d":3},"e":4}"#, &[], Some(&["/b/c"][..]), Some(r#"{"b":{"c":2}}"#)),
            (r#"{"a":1,"b":{"c":2,"d":3}}"#, &["/b/d"], Some(&["/b"]), Some(r#"{"b":{"c":2}}"#)),
            (r#"{"a":[{"x":1,"y":2},{"x":3}]}"#, &[], Some(&["/a/0/x"]), Some(r#"{"a":[{"x":1}]}"#)),
            (r#"{"A":1,"a_":2}"#, &[], Some(&["/a"]), Some("{}")),
            (r#"[1,2,3]"#, &[], Some(&["/1"]), Some("[2]")),
            (r#""text""#, &["/a"], Some(&["/b"]), None),
        ] {
            assert_eq!(revised(body, &rule(drop, keep)).as_deref(), want, "{body} drop {drop:?} keep {keep:?}");
        }
    }

    const CHAT: Endpoint = Endpoint::OpenAi(openai::Endpoint::ChatCompletions);
    const RESPONSES: Endpoint = Endpoint::OpenAi(openai::Endpoint::Responses);
    const MESSAGES: Endpoint = Endpoint::Anthropic(anthropic::Endpoint::Messages);
    const GENERATE: Endpoint = Endpoint::Gemini(gemini::Endpoint::GenerateContent);

    /// As it is sent on under `revision`: the body, and whether something in it cannot be read.
    fn sent(endpoint: Endpoint, body: &str, revision: &Revision) -> (String, bool) {
        let request = testing::request(endpoint, body).unwrap_or_else(|error| panic!("{body}: {error}"));
        let revised = request.revised(revision).unwrap();
        let body = revised.map_or_else(|| body.to_owned(), |bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let opaque = testing::request(endpoint, &body).unwrap_or_else(|error| panic!("{body}: {error}")).opaque();
        (body, opaque.is_some())
    }

    #[test]
    fn what_nobody_can_read_is_taken_out_where_something_is_left() {
        let strip = Revision { opaque: Opaque::Strip, ..Revision::default() };
        let chat = |parts: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{parts}]}}]}}"#);
        let claude = |blocks: &str| {
            format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{blocks}]}}]}}"#)
        };
        let answered = |blocks: &str| {
            format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"assistant","content":[{blocks}]}}]}}"#)
        };
        let gemini = |parts: &str| format!(r#"{{"contents":[{{"role":"user","parts":[{parts}]}}]}}"#);
        let responses = |rest: &str| format!(r#"{{"model":"m",{rest}}}"#);
        let (text, image) =
            (r#"{"type":"text","text":"a"}"#, r#"{"type":"image_url","image_url":{"url":"https://e.example/x"}}"#);
        let picture = r#"{"type":"image","source":{"type":"url","url":"https://e.example/x"}}"#;
        let document = r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}"#;
        for (endpoint, body, want) in [
            (CHAT, chat(&format!("{text},{image}")), Some(chat(text))),
            (CHAT, chat(&format!("{image},{text},{image}")), Some(chat(text))),
            (CHAT, chat(image), None),
            (
                CHAT,
                r#"{"model":"m","modalities":["text","audio"],"messages":[{"role":"user","content":"a"}]}"#.to_owned(),
                Some(r#"{"model":"m","modalities":["text"],"messages":[{"role":"user","content":"a"}]}"#.to_owned()),
            ),
            (MESSAGES, claude(&format!("{picture},{text},{document}")), Some(claude(text))),
            (MESSAGES, claude(document), None),
            (
                MESSAGES,
                answered(&format!(r#"{{"type":"redacted_thinking","data":"eA=="}},{text}"#)),
                Some(answered(text)),
            ),
            (
                MESSAGES,
                answered(&format!(r#"{{"type":"thinking","thinking":"","signature":"eA=="}},{text}"#)),
                Some(answered(text)),
            ),
            (
                GENERATE,
                gemini(r#"{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"eA=="}}"#),
                Some(gemini(r#"{"text":"a"}"#)),
            ),
            (GENERATE, gemini(r#"{"text":"a","thoughtSignature":"eA=="}"#), Some(gemini(r#"{"text":"a"}"#))),
            (RESPONSES, responses(r#""previous_response_id":"resp_1","input":"a""#), Some(responses(r#""input":"a""#))),
            (
                RESPONSES,
                responses(r#""input":[{"type":"item_reference","id":"x"},{"role":"user","content":"a"}]"#),
                Some(responses(r#""input":[{"role":"user","content":"a"}]"#)),
            ),
            (RESPONSES, responses(r#""input":[{"type":"item_reference","id":"x"}]"#), None),
            (RESPONSES, responses(r#""include":["reasoning.encrypted_content"],"input":"a""#), None),
        ] {
            let (got, opaque) = sent(endpoint, &body, &strip);
            assert_eq!((got, opaque), (want.clone().unwrap_or(body.clone()), want.is_none()), "{body}");
            assert!(sent(endpoint, &body, &Revision::default()).1, "{body}");
        }
    }

    #[test]
    fn many_pictures_cost_no_more_than_one_pass() {
        let image = r#"{"type":"image_url","image_url":{"url":"x"}}"#;
        let parts = vec![image; 20_000].join(",");
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{parts},{{"type":"text","text":"a"}}]}}]}}"#
        );
        let strip = Revision { opaque: Opaque::Strip, ..Revision::default() };
        let (got, opaque) = sent(CHAT, &body, &strip);
        assert_eq!(got, r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}"#);
        assert!(!opaque);
    }

    #[test]
    fn a_provider_is_told_to_keep_nothing() {
        let off = Revision { not_kept: true, ..Revision::default() };
        for (endpoint, body, want) in [
            (RESPONSES, r#"{"model":"m","input":"a"}"#, r#"{"store":false,"model":"m","input":"a"}"#),
            (
                RESPONSES,
                r#"{ "model":"m","input":"a","store": true }"#,
                r#"{ "model":"m","input":"a","store": false }"#,
            ),
            (RESPONSES, r#"{"model":"m","input":"a","store":null}"#, r#"{"model":"m","input":"a","store":false}"#),
            (RESPONSES, r#"{"model":"m","input":"a","store":false}"#, r#"{"model":"m","input":"a","store":false}"#),
            // Off unless it is asked for: nothing is added for providers that do not know the field.
            (
                CHAT,
                r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#,
                r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                CHAT,
                r#"{"store":true,"model":"m","messages":[{"role":"user","content":"a"}]}"#,
                r#"{"store":false,"model":"m","messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                GENERATE,
                r#"{"contents":[{"parts":[{"text":"a"}]}],"store":true}"#,
                r#"{"contents":[{"parts":[{"text":"a"}]}],"store":false}"#,
            ),
            (GENERATE, r#"{"contents":[{"parts":[{"text":"a"}]}]}"#, r#"{"contents":[{"parts":[{"text":"a"}]}]}"#),
        ] {
            assert_eq!(sent(endpoint, body, &off).0, want, "{body}");
            assert_eq!(sent(endpoint, body, &Revision::default()).0, body);
        }
    }
}
