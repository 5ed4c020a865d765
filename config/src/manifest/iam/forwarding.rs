//! What becomes of the caller's token.

use crate::TokenForwarding;
use crate::decode::words;

words! {
    /// What becomes of the caller's token. The strictest of all manifests holds, which is `Strip`; two others exclude each other.
    impl TokenForwarding {
        /// It is removed.
        (TokenForwarding::Strip) = "Strip",
        /// It is exchanged for another one at the token service of the upstream's credential of type `TokenExchange`, which must be
        /// there. A caller without a token is refused.
        (TokenForwarding::Exchange) = "Exchange",
        /// It is removed, and the upstream gets a transaction token that the proxy signs (`txnTokens`), in the header `Txn-Token`. One that
        /// a provider of type `TxnToken` recognised goes on as it is: it was made for the same trust domain.
        (TokenForwarding::TxnToken) = "TxnToken",
    }
    never { "Forward", "Passthrough", "PassThrough", "Pass", "Relay", "Keep" } with 14,
        "`tokenForwarding: {}` would hand the caller's token to an upstream it was not made for",
        "use `Strip`, and give the upstream its own credential with SecretManagement"
}
