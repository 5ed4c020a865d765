//! What a request presents to say who asks, beside the certificate of its connection.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::bearer::{Scheme, authorization};
use super::{ProofProblem, TokenError, signature};

/// Where clients of some vendors put their key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const DPOP: HeaderName = HeaderName::from_static("dpop");
const TXN_TOKEN: HeaderName = HeaderName::from_static("txn-token");

/// One credential in the head of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presented<'h> {
    /// `Authorization: Bearer`: a token, or a key that begins as a provider's keys do.
    Bearer(&'h str),
    /// `Authorization: DPoP`, with the proof beside it.
    Dpop { token: &'h str, proof: &'h str },
    /// `x-api-key`.
    Key(&'h str),
    /// `Txn-Token`.
    Txn(&'h str),
    /// A signature over the request.
    Signature,
}

/// Which headers are credentials on a route, `Authorization` aside, which always is. Others are as if they were not there:
/// whatever they say, nobody here could believe it, and they are not passed on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) api_key: bool,
    pub(super) txn: bool,
    pub(super) signature: bool,
}

/// The credential that `headers` present; `None` where there is none.
///
/// # Errors
/// [`TokenError::SeveralCredentials`] where there are two, in whatever headers: one of them would have to be ignored, and
/// somebody else might read that one. [`TokenError::ProofForNothing`] for a proof without the scheme `DPoP`, and
/// [`ProofProblem::Header`] for that scheme without one proof. [`TokenError::Repeated`] and [`TokenError::NotBearer`] as
/// [`authorization`].
pub(super) fn presented(headers: &HeaderMap, wanted: Wanted) -> Result<Option<Presented<'_>>, TokenError> {
    let values: Vec<&[u8]> = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
    let proof = headers.contains_key(&DPOP);
    let by_scheme = match authorization(&values)? {
        Some((Scheme::Dpop, token)) => {
            let proof = sole(headers, &DPOP).ok().flatten().ok_or(ProofProblem::Header)?;
            Some(Presented::Dpop { token, proof })
        }
        _ if proof => return Err(TokenError::ProofForNothing),
        other => other.map(|(_, token)| Presented::Bearer(token)),
    };
    let by_key = if wanted.api_key { sole(headers, &API_KEY)?.map(Presented::Key) } else { None };
    let by_txn = if wanted.txn { sole(headers, &TXN_TOKEN)?.map(Presented::Txn) } else { None };
    let signed = (wanted.signature && signature::is_presented(headers)).then_some(Presented::Signature);
    let mut all = [by_scheme, by_key, by_txn, signed].into_iter().flatten();
    match (all.next(), all.next()) {
        (_, Some(_)) => Err(TokenError::SeveralCredentials),
        (one, None) => Ok(one),
    }
}

/// The one value of a header, of visible ASCII.
fn sole<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, TokenError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(TokenError::SeveralCredentials);
    }
    let text = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
    text.map(Some).ok_or(TokenError::KeyShape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_is_read_and_two_are_refused() {
        let both = Wanted { api_key: true, txn: true, signature: true };
        for (case, lines, wanted, want) in [
            ("nothing", vec![], both, "none"),
            ("a token", vec![("authorization", "Bearer a.b.c")], both, "bearer a.b.c"),
            ("a key", vec![("x-api-key", "acme_1")], both, "key acme_1"),
            ("a key nobody wants", vec![("x-api-key", "acme_1")], Wanted::default(), "none"),
            ("both", vec![("authorization", "Bearer a"), ("x-api-key", "b")], both, "several"),
            ("both, equal", vec![("authorization", "Bearer a"), ("x-api-key", "a")], both, "several"),
            ("a key twice", vec![("x-api-key", "a"), ("x-api-key", "a")], both, "several"),
            ("an empty key", vec![("x-api-key", "")], both, "shape"),
            ("a key with a space", vec![("x-api-key", "a b")], both, "shape"),
            ("a proof and its token", vec![("authorization", "dpop a"), ("dpop", "p")], both, "dpop a p"),
            ("a proof of nothing", vec![("dpop", "p")], both, "for nothing"),
            ("a proof beside a bearer", vec![("authorization", "Bearer a"), ("dpop", "p")], both, "for nothing"),
            ("a proof beside a key", vec![("x-api-key", "a"), ("dpop", "p")], both, "for nothing"),
            ("no proof", vec![("authorization", "DPoP a")], both, "proof"),
            ("two proofs", vec![("authorization", "DPoP a"), ("dpop", "p"), ("dpop", "p")], both, "proof"),
            ("a transaction token", vec![("txn-token", "a.b.c")], both, "txn a.b.c"),
            ("one that nobody wants", vec![("txn-token", "a.b.c")], Wanted::default(), "none"),
            ("two of them", vec![("txn-token", "a"), ("txn-token", "b")], both, "several"),
            ("one and a token", vec![("authorization", "Bearer a"), ("txn-token", "b")], both, "several"),
            ("one and a key", vec![("x-api-key", "a"), ("txn-token", "b")], both, "several"),
            ("a signature", vec![("signature", "a"), ("signature-input", "b")], both, "signature"),
            ("half a signature", vec![("signature-input", "b")], both, "signature"),
            ("a signature beside a token", vec![("authorization", "Bearer a"), ("signature", "b")], both, "several"),
            ("a signature beside a key", vec![("x-api-key", "a"), ("signature", "b")], both, "several"),
            ("a signature nobody wants", vec![("signature", "b")], Wanted::default(), "none"),
            ("another scheme and a key", vec![("authorization", "Basic YTpi"), ("x-api-key", "a")], both, "scheme"),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let got = match presented(&headers, wanted) {
                Ok(None) => "none".to_owned(),
                Ok(Some(Presented::Bearer(text))) => format!("bearer {text}"),
                Ok(Some(Presented::Signature)) => "signature".to_owned(),
                Ok(Some(Presented::Key(text))) => format!("key {text}"),
                Ok(Some(Presented::Txn(text))) => format!("txn {text}"),
                Ok(Some(Presented::Dpop { token, proof })) => format!("dpop {token} {proof}"),
                Err(TokenError::ProofForNothing) => "for nothing".to_owned(),
                Err(TokenError::Proof(ProofProblem::Header)) => "proof".to_owned(),
                Err(TokenError::SeveralCredentials) => "several".to_owned(),
                Err(TokenError::KeyShape) => "shape".to_owned(),
                Err(_) => "scheme".to_owned(),
            };
            assert_eq!(got, want, "{case}");
        }
    }
}
