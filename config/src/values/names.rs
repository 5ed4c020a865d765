//! Names, pointers and paths.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::malformed;
use crate::decode::{Cx, Fault, Scalar};

/// Text newtypes: `Deref` to `str`, printed as written.
macro_rules! text_types {
    ($( $(#[doc = $doc:literal])* $type:ident; )*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub(in crate::values) String);

        impl $type {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::ops::Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
pub(super) use text_types;

text_types! {
    /// A DNS label of at most 63 characters.
    Name;
    /// An RFC 6901 pointer.
    Pointer;
    /// Name of a claim at the top of a token.
    Claim;
    /// Origin line of a transparency log.
    LogOrigin;
    /// A SPIFFE ID of a workload.
    SpiffeName;
    /// How every API key of a provider begins.
    KeyPrefix;
}

impl Scalar for Name {
    const NAME: &'static str = "Name";
    const DOC: &'static str =
        "A DNS label: 1 to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let valid = (1..=63).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        let help = "use 1 to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit";
        if valid { Ok(Self(text.to_owned())) } else { Err(malformed(text, cx, "a name", help)) }
    }
}

impl Scalar for Pointer {
    const NAME: &'static str = "Pointer";
    const DOC: &'static str =
        "A JSON pointer of RFC 6901: `/user/email`; `/` in a name is written `~1`, `~` is written `~0`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let escapes = text.split('~').skip(1).all(|tail| tail.starts_with(['0', '1']));
        let valid = text.starts_with('/') && escapes && text.len() <= 1024;
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed(text, cx, "a JSON pointer", "begin it with `/`: `/user/email`"))
        }
    }
}

impl Scalar for Claim {
    const NAME: &'static str = "Claim";
    const DOC: &'static str = "Name of a claim at the top of the token: `sub`, `https://example.com/groups`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let valid = (1..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        let help = "write the claim's name, 1 to 256 visible ASCII characters";
        if valid { Ok(Self(text.to_owned())) } else { Err(malformed(text, cx, "a claim name", help)) }
    }
}

impl Scalar for LogOrigin {
    const NAME: &'static str = "Log origin";
    const DOC: &'static str = "A schema-less URL that names the log for ever (C2SP tlog-checkpoint): `audit.example.com/edge`. No spaces, no `+`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let valid = (1..=255).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_graphic() && c != '+')
            && !text.contains("://");
        let help = "write a schema-less URL such as `audit.example.com/edge`, without spaces and `+`";
        if valid { Ok(Self(text.to_owned())) } else { Err(malformed(text, cx, "a log origin", help)) }
    }
}

/// Whether API keys may begin with `text`.
#[must_use]
pub fn key_prefix_is_sound(text: &str) -> bool {
    (3..=32).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && text.ends_with(['_', '-'])
        && !text.starts_with("eyJ")
}

impl Scalar for KeyPrefix {
    const NAME: &'static str = "Key prefix";
    const DOC: &'static str = "How API keys begin: 3 to 32 letters, digits, `_` and `-`, of which the last is `_` or `-`: `acme_`. \
        It cannot begin like a token, with `eyJ`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let help = "use 3 to 32 letters, digits, `_` and `-`, the last of them `_` or `-`: `acme_`";
        if key_prefix_is_sound(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed(text, cx, "a prefix of keys", help))
        }
    }
}

impl Scalar for SpiffeName {
    const NAME: &'static str = "SPIFFE ID";
    const DOC: &'static str = "The ID of one workload, `spiffe://example.org/ns/pay/sa/api`: trust domain and at least one path segment, no pattern.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let (domain, path) = text.strip_prefix("spiffe://").and_then(|id| id.split_once('/')).unwrap_or_default();
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let any = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(any);
        let valid = (1..=255).contains(&domain.len())
            && domain.chars().all(lower)
            && path.split('/').all(segment)
            && text.len() <= 2048;
        let help = "write the one ID out: `spiffe://example.org/ns/pay/sa/api`";
        if valid { Ok(Self(text.to_owned())) } else { Err(malformed(text, cx, "a SPIFFE ID of a workload", help)) }
    }
}

/// A path of the bootstrap, made absolute or relative to the working directory through the bootstrap file's own directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(pub PathBuf);

impl Scalar for FilePath {
    const NAME: &'static str = "Path";
    const DOC: &'static str = "A path; a relative one is relative to the bootstrap file.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        path(text, cx).map(Self)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// A path relative to the bootstrap file. `..` stays possible: the operator may keep keys beside the folder.
pub(super) fn path(text: &str, cx: &Cx<'_>) -> Result<PathBuf, Fault> {
    if text.is_empty() || text.starts_with("//") || text.chars().any(char::is_control) {
        return Err(malformed(text, cx, "a path", "write `/absolute/path`, or a path relative to the bootstrap file"));
    }
    let joined: PathBuf = cx.material.base.join(Path::new(text));
    Ok(joined.components().filter(|part| *part != Component::CurDir).collect())
}
