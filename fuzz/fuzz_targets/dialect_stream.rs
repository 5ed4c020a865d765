//! Whatever comes from upstream, a stream gives the same bytes wherever it was cut, and every event it sends is JSON.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use postern_config::Part;
use postern_filters::dialect::{Endpoint, EventStream, StreamLimits};
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

fn run<'a>(endpoint: Endpoint, pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut stream = EventStream::new(endpoint, Arc::new(Hold::default()), "d", StreamLimits::default())?;
    let mut out: Vec<u8> = pieces.flat_map(|piece| stream.push(piece).bytes).collect();
    out.extend(stream.finish().bytes);
    Some(out)
}

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    let Some(endpoint) = Endpoint::ALL.get(usize::from(*which) % Endpoint::ALL.len()) else { return };
    let Some(whole) = run(*endpoint, std::iter::once(data)) else { return };
    assert_eq!(run(*endpoint, data.chunks(1)).as_ref(), Some(&whole));
    let text = String::from_utf8(whole).expect("only text is sent");
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if data != "[DONE]" {
            Document::parse(Bytes::copy_from_slice(data.as_bytes()), Limits::default()).expect("an event is JSON");
        }
    }
});
