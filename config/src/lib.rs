//! From text to an immutable snapshot: manifests with positions, merge, diagnostics and the coverage matrix.
//!
//! The way of a load is `text → yaml::Node → manifest::Manifest → Snapshot`; every problem on it is collected in one
//! [`Report`]. Nothing here opens a socket or knows TLS.

pub mod address;
pub mod bootstrap;
pub mod capability;
pub mod cases;
pub mod codes;
mod coverage;
pub mod decode;
mod disk;
pub mod docs;
mod init;
pub mod manifest;
mod material;
pub mod openapi;
pub mod percent;
pub mod pointer;
mod report;
mod resolve;
mod secrets;
mod snapshot;
pub mod values;
pub mod written;
pub mod yaml;

pub use address::AddressClass;
pub use bootstrap::{Bootstrap, ForwardedBy, RetryAfter, UpstreamProtocol, load_bootstrap, parse_bootstrap};
pub use coverage::{Coverage, Guard, Stage};
pub use init::init_files;
pub use manifest::{Manifest, ManifestId, ManifestRules, Parsed, SourceFile, load_manifests, parse_manifests};
pub use material::{Material, MaterialError, MountedSecret, Redacted};
pub use report::{Code, Position, Problem, Report, Severity};
pub use resolve::{EffectiveField, EffectiveValue, Loaded, Nature, effective, load, resolve};
pub use snapshot::*;
pub use values::{Cidr, StoreUrl as StorePlace, WorkloadSocket};

/// The one place where the API group is spelled.
pub const API_GROUP: &str = "secure.platformspec.io";
/// `apiVersion` of every manifest.
pub const API_VERSION: &str = "secure.platformspec.io/v1alpha1";

/// Built-in detectors of DataProtectionPolicy, by id, with what each finds.
pub const BUILTIN_DETECTORS: &[(&str, &str)] = &[
    ("payment-card", "payment card numbers of 13 to 19 digits with a valid Luhn digit and a known issuer range"),
    ("iban", "IBANs of a known country length with a valid ISO 7064 checksum"),
    ("email", "e-mail addresses"),
    (
        "phone",
        "telephone numbers in international or North American form; in other national forms with a word near them, such as `Tel`",
    ),
    ("us-ssn", "US social security numbers in an assigned range, with separators or with a word near them"),
    (
        "national-id",
        "numbers that some forty states give to people, with valid check digits; bare digits with a word near them",
    ),
    ("date-of-birth", "dates of birth, where a word such as `born` is near them"),
    ("driver-license", "driving licences of the United States, Canada and the United Kingdom, where words say so"),
    (
        "postal-address",
        "postal addresses with a postcode, in the orders of some countries of Europe and the Americas; streets without one, where a word announces an address",
    ),
    (
        "person-name",
        "names of people: a common given name with a family name, or a name behind words such as `Mrs` or `my name is`",
    ),
    ("ip-address", "IPv4 and IPv6 addresses"),
    (
        "secret",
        "credentials: tokens and keys in some 150 formats, JWTs, PEM private keys, passwords in URLs, and random values of names such as `password` or `api_key`",
    ),
];
