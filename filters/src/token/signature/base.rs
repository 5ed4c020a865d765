//! What a signature is made over (RFC 9421 §2.5), from the request as it is judged and forwarded.

use http::HeaderName;

use super::SignatureProblem;
use super::input::{Input, joined};
use crate::RequestView;
use crate::token::Excerpt;

/// The text that the sender signed, if it signed this request.
///
/// # Errors
/// [`SignatureProblem::Component`] for a component that this request does not have, or that nobody here knows.
pub(super) fn base(input: &Input<'_>, req: &RequestView<'_>) -> Result<String, SignatureProblem> {
    let mut base = String::with_capacity(512);
    for name in &input.components {
        line(&mut base, name, req).ok_or_else(|| SignatureProblem::Component(Excerpt::of(name)))?;
        base.push('\n');
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(input.text);
    Ok(base)
}

fn line(base: &mut String, name: &str, req: &RequestView<'_>) -> Option<()> {
    base.extend(["\"", name, "\": "]);
    match name {
        "@method" => base.push_str(req.method),
        "@authority" => authority(base, req),
        "@scheme" => base.push_str(scheme(req)),
        "@path" => base.push_str(req.path),
        "@query" => base.extend(["?", req.query.unwrap_or_default()]),
        "@target-uri" => {
            base.extend([scheme(req), "://"]);
            authority(base, req);
            base.push_str(req.path);
            if let Some(query) = req.query {
                base.extend(["?", query]);
            }
        }
        _ => base.push_str(&field(name, req)?),
    }
    Some(())
}

/// The value of a header field. Names of other derived components begin with `@` and are none of a field.
fn field<'r>(name: &str, req: &RequestView<'r>) -> Option<std::borrow::Cow<'r, str>> {
    let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| lower)?;
    joined(req.headers, &name)
}

fn scheme(req: &RequestView<'_>) -> &'static str {
    if req.tls { "https" } else { "http" }
}

/// In the normal spelling: lower case, and without the port that the scheme has anyway (RFC 9421 §2.2.3).
fn authority(base: &mut String, req: &RequestView<'_>) {
    let default = if req.tls { 443 } else { 80 };
    base.push_str(req.host);
    if let Some(port) = req.port.filter(|port| *port != default) {
        base.extend([":", &port.to_string()]);
    }
}
