//! The messages of the Workload API's X.509 profile, by the field numbers of its specification (§5.1).

use std::collections::HashMap;

use postern_certs::{MessageSvid, WorkloadMessage};
use postern_config::Redacted;
use prost::Message as _;

/// A request says nothing: an empty message in the frame of gRPC.
pub(super) const REQUEST: [u8; 5] = [0; 5];

// Printing is left out: keys are in there.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct X509SvidResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<X509Svid>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    crl: Vec<Vec<u8>>,
    #[prost(map = "string, bytes", tag = "3")]
    federated_bundles: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct X509Svid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(bytes = "vec", tag = "2")]
    x509_svid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    x509_svid_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
}

/// Reads one response. Fields that are not known are passed over, as protocol buffers have it.
///
/// # Errors
/// Where the bytes are no such message.
pub(super) fn read(bytes: &[u8]) -> Result<WorkloadMessage, prost::DecodeError> {
    let response = X509SvidResponse::decode(bytes)?;
    let svid = |svid: X509Svid| MessageSvid {
        spiffe_id: svid.spiffe_id,
        chain: svid.x509_svid,
        key: Redacted::new(svid.x509_svid_key),
        bundle: svid.bundle,
    };
    let mut federated: Vec<_> = response.federated_bundles.into_iter().collect();
    federated.sort();
    Ok(WorkloadMessage { svids: response.svids.into_iter().map(svid).collect(), crls: response.crl, federated })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_wire_format_of_the_specification() {
        // svids { spiffe_id: "spiffe://a/b" x509_svid: "C" x509_svid_key: "K" bundle: "B" hint: "h" }
        let mut svid = b"\x0a\x0cspiffe://a/b\x12\x01C\x1a\x01K\x22\x01B\x2a\x01h".to_vec();
        let mut bytes = vec![0x0a, u8::try_from(svid.len()).unwrap()];
        bytes.append(&mut svid);
        // crl: "L", federated_bundles { key: "spiffe://c" value: "F" }
        bytes.extend_from_slice(b"\x12\x01L\x1a\x0f\x0a\x0aspiffe://c\x12\x01F");
        let message = read(&bytes).unwrap();
        let svid = &message.svids[0];
        assert_eq!(
            (svid.spiffe_id.as_str(), &svid.chain[..], &svid.bundle[..]),
            ("spiffe://a/b", &b"C"[..], &b"B"[..])
        );
        assert_eq!(svid.key.expose(), b"K");
        assert_eq!(message.crls, [b"L".to_vec()]);
        assert_eq!(message.federated, [("spiffe://c".to_owned(), b"F".to_vec())]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = read(&bytes);
        }
    }
}
