//! Whatever comes from upstream, a stream gives the same bytes wherever it was cut, and every event it sends is JSON.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use postern_config::Part;
use postern_filters::dialect::openai::{ChatStream, StreamLimits};
use postern_filters::json::{Document, Limits};
use postern_filters::{Judgement, TextGuard, TextGuards, TextStep};

/// Holds back every text until its end.
#[derive(Debug, Default)]
struct Hold(String);

impl TextGuards for Hold {
    fn judge(&self, _: Part, _: &str) -> Judgement {
        Judgement::default()
    }

    fn open(&self, _: Part) -> Box<dyn TextGuard> {
        Box::new(Hold::default())
    }
}

impl TextGuard for Hold {
    fn push(&mut self, text: &str) -> TextStep {
        self.0.push_str(text);
        TextStep::default()
    }

    fn finish(&mut self) -> TextStep {
        TextStep { release: std::mem::take(&mut self.0), ..TextStep::default() }
    }

    fn stall(&mut self) -> TextStep {
        TextStep::default()
    }

    fn is_holding(&self) -> bool {
        !self.0.is_empty()
    }
}

fn run<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = ChatStream::new(Arc::new(Hold::default()), "d", StreamLimits::default());
    let mut out: Vec<u8> = pieces.flat_map(|piece| stream.push(piece).bytes).collect();
    out.extend(stream.finish().bytes);
    out
}

fuzz_target!(|data: &[u8]| {
    let whole = run(std::iter::once(data));
    assert_eq!(run(data.chunks(1)), whole);
    let text = String::from_utf8(whole).expect("only text is sent");
    for data in text.split_terminator("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        if data != "[DONE]" {
            Document::parse(Bytes::copy_from_slice(data.as_bytes()), Limits::default()).expect("an event is JSON");
        }
    }
});
