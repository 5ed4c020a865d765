//! Every part of a request can be replaced, or says that it cannot, and the result is a request again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use postern_filters::Edit;
use postern_filters::dialect::{AiMessage, Endpoint, Message, Target};
use postern_filters::json::Limits;

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    let Some(endpoint) = Endpoint::ALL.get(usize::from(*which) % Endpoint::ALL.len()) else { return };
    let parse = |body| AiMessage::request(Target { endpoint: *endpoint, model: None }, body, Limits::default());
    let Ok(request) = parse(Bytes::copy_from_slice(data)) else { return };
    if !endpoint.takes_body() {
        return;
    }
    assert_eq!(request.rewrite(&[]).expect("no change"), data);
    for (index, part) in request.parts().iter().enumerate() {
        let whole = Edit { range: 0..part.text.as_str().len(), with: "[\"]".into() };
        if let Ok(body) = request.rewrite(&[(index, vec![whole])]) {
            parse(body).expect("a rewritten request is a request");
        }
    }
});
