//! Undoes the coding of a body where content is inspected. What goes on is the text that was read.

use crate::encoding::{Coding, UnknownCoding, decode};
use crate::{Context, Flow, Reason, RequestView, Verdict};

/// Behind what judges a body as it came, in front of all that reads it.
#[derive(Debug)]
pub(crate) struct Decode;

impl Decode {
    pub(crate) const NAME: &str = "decode";

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let coding = match Coding::of(req.headers) {
            Ok(None) => return Ok(Flow::Continue),
            Ok(Some(coding)) => coding,
            // The frame has refused these.
            Err(UnknownCoding) => return Ok(Flow::refuse(Reason::UnsupportedContent, UnknownCoding.to_string())),
        };
        if cx.body().is_empty() {
            cx.set_decoded(coding, cx.body().clone());
            return Ok(Flow::Continue);
        }
        match decode(coding, cx.body(), cx.message_limits().decoded) {
            Ok(body) => {
                cx.set_decoded(coding, body);
                Ok(Flow::Continue)
            }
            Err(error) => Ok(Flow::refuse(error.reason(), error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::MessageLimits;
    use crate::encoding::DecodeLimits;
    use crate::testing::{asked, context};

    #[test]
    fn a_body_goes_on_without_its_coding_or_not_at_all() {
        let stored = Bytes::from_static(b"\x78\x01\x01\x05\0\xfa\xffhello\x06\x2c\x02\x15");
        for (head, body, want) in [
            ("", stored.clone(), Ok((None, stored.clone()))),
            ("content-encoding: identity", stored.clone(), Ok((None, stored.clone()))),
            ("content-encoding: deflate", stored.clone(), Ok((Some(Coding::Deflate), Bytes::from_static(b"hello")))),
            ("content-encoding: deflate", Bytes::new(), Ok((Some(Coding::Deflate), Bytes::new()))),
            ("content-encoding: gzip", stored.clone(), Err(Reason::Malformed)),
            ("content-encoding: deflate", stored.slice(..9), Err(Reason::Malformed)),
            ("content-encoding: deflate, deflate", stored.clone(), Err(Reason::UnsupportedContent)),
        ] {
            let mut cx = context();
            cx.set_body(body);
            let got = match Decode.check(&asked("POST", "/a").head(head).view(), &mut cx).unwrap() {
                Flow::Continue => Ok((cx.decoded(), cx.body().clone())),
                Flow::Refuse(refusal) => Err(refusal.reason),
                Flow::Wait(need) => panic!("it asks for {need:?}"),
            };
            assert_eq!(got, want, "{head}");
        }
        let mut cx = context();
        cx.set_message_limits(MessageLimits {
            decoded: DecodeLimits { output: 4, ratio: 100 },
            ..MessageLimits::default()
        });
        cx.set_body(stored);
        let flow = Decode.check(&asked("POST", "/a").head("content-encoding: deflate").view(), &mut cx).unwrap();
        assert!(matches!(flow, Flow::Refuse(refusal) if refusal.reason == Reason::TooLarge));
    }
}
