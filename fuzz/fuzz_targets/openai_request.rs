//! Every part of a request can be replaced, or says that it cannot, and the result is a request again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use postern_filters::Edit;
use postern_filters::dialect::Message;
use postern_filters::dialect::openai::{ChatLimits, ChatRequest};

fuzz_target!(|data: &[u8]| {
    let Ok(request) = ChatRequest::parse(Bytes::copy_from_slice(data), ChatLimits::default()) else { return };
    assert_eq!(request.rewrite(&[]).expect("no change"), data);
    for (index, part) in request.parts().iter().enumerate() {
        let whole = Edit { range: 0..part.text.as_str().len(), with: "[\"]".into() };
        if let Ok(body) = request.rewrite(&[(index, vec![whole])]) {
            ChatRequest::parse(body, ChatLimits::default()).expect("a rewritten request is a request");
        }
    }
});
