//! CORS: which sites' scripts may ask, and read the answers.

use std::time::Duration;

use crate::Code;
use crate::decode::{At, Cx, Fault, Fields, Scalar, Setting, spec};
use crate::values::{HeaderName, Method, Origin};

const PV_SHAPE: Code = Code(2);
const PV_ORIGIN: Code = Code(41);

spec! {
    /// Which other sites' scripts may ask, and read what they are answered. Preflights are answered by the proxy; what the
    /// upstream says about other sites is removed on every route. `crossSite` judges requests with methods that change something
    /// beside it: an origin has to be in both.
    pub struct Cors {
        /// Origins, compared exactly; or `"*"` alone for all of them, which then may not send credentials (PV-041).
        [E] origins: At<Vec<At<CorsOrigin>>>,
        /// Methods they may use.
        [E] methods: At<Vec<At<Method>>>,
        /// Headers they may set, beside `Accept`, `Accept-Language`, `Content-Language` and `Content-Type`.
        [E] headers: Vec<At<HeaderName>>,
        /// Whether their requests may carry what the browser holds for this host: client certificates and cookies.
        [E] credentials: Setting<bool> = "false",
        /// How long a browser may go by the answer to a preflight.
        [E, max "1d"] max_age: Setting<Duration> = "10m",
    }
    check check_cors
}

fn check_cors(cors: &Cors, fields: &mut Fields<'_, '_, '_>) {
    let report = &mut *fields.cx.report;
    let Some(any) = cors.origins.iter().find(|origin| origin.value == CorsOrigin::Any) else { return };
    if cors.origins.len() > 1 {
        any.error(report, PV_SHAPE, "`*` beside other origins: it is all of them", "keep one or the other");
    }
    if *cors.credentials {
        let help = "write the origins out, or remove `credentials`";
        any.error(report, PV_ORIGIN, "`*` together with `credentials`: every site could act as its visitors", help);
    }
}

/// An origin, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CorsOrigin {
    Any,
    One(Origin),
}

impl Scalar for CorsOrigin {
    const NAME: &'static str = "Origin or `*`";
    const DOC: &'static str = "An Origin, or `\"*\"` for every site.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text == "*" { Ok(Self::Any) } else { Origin::read(text, cx).map(Self::One) }
    }
}
