//! What is wrong with a signature.

use crate::token::Excerpt;

/// What is wrong with the signature of a request. Reads on after "the signature of the request".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    #[error("is not one `Signature-Input` and one `Signature` of the same name, both in their normal spelling")]
    Headers,
    #[error("has the parameter `{0}`, which is unknown here or not of its type")]
    Parameter(Excerpt),
    #[error("lacks the parameter `{0}`")]
    Lacks(&'static str),
    #[error("covers `{0}`, which is unknown here, not in the request or covered twice")]
    Component(Excerpt),
    #[error("does not cover `{0}`")]
    Uncovered(String),
    #[error("has another `tag` than any provider of the route wants")]
    Tag,
    #[error("is by the key `{0}`, which provider `{1}` does not have")]
    UnknownKey(Excerpt, String),
    #[error("is by a key of provider `{0}` that has ended")]
    KeyEnded(String),
    #[error("is of an algorithm that its key or the provider does not have")]
    Algorithm,
    #[error("is too old, has expired or is of the future")]
    Age,
    #[error("does not match")]
    Mismatch,
    #[error("was used before")]
    Replayed,
    #[error("cannot be told from those used before: the memory of them is full")]
    Undecided,
    #[error("covers a `Content-Digest` without a SHA-256 or SHA-512 in its normal spelling")]
    Digest,
    #[error("is of another body")]
    Body,
}
