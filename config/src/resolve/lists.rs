//! The lists that detectors of DataProtectionPolicies take what they look for from: words, and hashes of values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;

use super::attach::Attachments;
use crate::decode::At;
use crate::manifest::{DataDetector, Spec};
use crate::values::DocumentFile;
use crate::{Bootstrap, Code, Dictionary, Digest, ExactValues, Position, Redacted, Report, disk};

const PV_SHAPE: Code = Code(2);
const PV_CEILING: Code = Code(9);

const MAX_WORDS_FILE: usize = 4 << 20;
const MAX_HASHES_FILE: usize = 16 << 20;
const MAX_ENTRIES: usize = 100_000;
/// Of an entry, and of a value that is known by its hash.
const MAX_WORDS: usize = 8;
const MAX_BYTES: usize = 128;

/// Lists by the file they were read from. What has a problem is not among them, and was reported.
#[derive(Debug, Default)]
pub(super) struct Lists {
    dictionaries: BTreeMap<PathBuf, Arc<Dictionary>>,
    exact: BTreeMap<PathBuf, Arc<ExactValues>>,
}

impl Lists {
    /// Reads every list that an attached manifest names, once.
    pub(super) fn read(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) -> Self {
        let mut lists = Self::default();
        let mut done: Vec<(&Path, bool)> = Vec::new();
        for manifest in attached.manifests() {
            let Spec::DataProtectionPolicy(policy) = &manifest.spec else { continue };
            for detector in &policy.detectors {
                let (from, hashes) = match &detector.value {
                    DataDetector::Dictionary(spec) => (&spec.values_from, false),
                    DataDetector::ExactMatch(spec) => (&spec.hashes_from, true),
                    DataDetector::Builtin(_) | DataDetector::Regex(_) | DataDetector::Managed(_) => continue,
                };
                let key = (from.value.0.as_path(), hashes);
                if !done.contains(&key) {
                    done.push(key);
                    lists.add(bootstrap, from, hashes, report);
                }
            }
        }
        lists
    }

    fn add(&mut self, bootstrap: &Bootstrap, from: &At<DocumentFile>, hashes: bool, report: &mut Report) {
        let path = &from.value.0;
        let name = disk::name_of(path, &bootstrap.base);
        let most = if hashes { MAX_HASHES_FILE } else { MAX_WORDS_FILE };
        let bytes = match read(path, most, hashes) {
            Ok(bytes) => bytes,
            Err(error) => {
                let help = if error.kind() == io::ErrorKind::PermissionDenied && hashes {
                    "make it readable by the proxy's user alone: mode 0600 or 0400"
                } else {
                    "check that it exists and that the proxy's user may read it"
                };
                return from.error(report, PV_SHAPE, format!("`{name}` cannot be read: {error}"), help);
            }
        };
        if bytes.len() > most {
            let message = format!("`{name}` is larger than {}Mi", most >> 20);
            return from.error(report, PV_CEILING, message, "divide it, and name several detectors");
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return from.error(report, PV_SHAPE, format!("`{name}` is not UTF-8"), "write it in UTF-8");
        };
        let text = Redacted::new(text);
        let mut reader = Reader { file: Arc::from(name.as_str()), report };
        if hashes {
            if let Some(exact) = reader.hashes(path, &text) {
                self.exact.insert(path.clone(), Arc::new(exact));
            }
        } else if let Some(dictionary) = reader.words(path, text) {
            self.dictionaries.insert(path.clone(), Arc::new(dictionary));
        }
    }

    /// An empty one where there was a problem.
    pub(super) fn dictionary(&self, from: &DocumentFile) -> Arc<Dictionary> {
        let none = || {
            let text = Redacted::new(String::new());
            Arc::new(Dictionary { file: from.0.clone(), digest: Digest::default(), text })
        };
        self.dictionaries.get(&from.0).cloned().unwrap_or_else(none)
    }

    /// As [`Lists::dictionary`].
    pub(super) fn exact(&self, from: &DocumentFile) -> Arc<ExactValues> {
        let none = || {
            let (file, salt) = (from.0.clone(), Redacted::new(Vec::new()));
            Arc::new(ExactValues { file, digest: Digest::default(), salt, words: 1, length: 1..=1, hashes: Vec::new() })
        };
        self.exact.get(&from.0).cloned().unwrap_or_else(none)
    }

    /// Of all lists, in an order that does not depend on their names.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let words = self.dictionaries.values().map(|list| list.digest);
        let mut all: Vec<Digest> = words.chain(self.exact.values().map(|list| list.digest)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// At most one byte more than `most`, so that one sees that there is more.
pub(super) fn read(path: &Path, most: usize, own: bool) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody to write.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let file = File::open(path)?;
    if own && file.metadata()?.permissions().mode() & 0o077 != 0 {
        let why = "its group or everybody may use it, and hashes of what can be guessed say what was hashed";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut bytes = Vec::new();
    file.take(u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn digest_of(text: &str) -> Digest {
    let mut out = Digest::default();
    let made = digest::digest(&digest::SHA256, text.as_bytes());
    out.iter_mut().zip(made.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

struct Reader<'r> {
    file: Arc<str>,
    report: &'r mut Report,
}

impl Reader<'_> {
    /// Names the line, and nothing of what it says.
    fn refuse(&mut self, line: usize, message: &str, help: &str) {
        let position = Position { file: self.file.clone(), line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
        self.report.error(PV_SHAPE, &position, "", message, help);
    }

    fn words(&mut self, path: &Path, text: Redacted<String>) -> Option<Dictionary> {
        let mut count = 0_usize;
        for (index, line) in text.expose().lines().enumerate() {
            let entry = line.trim();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            count = count.saturating_add(1);
            let words = entry.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).count();
            let why = match words {
                0 => "the entry has no letter and no digit",
                _ if words > MAX_WORDS => "the entry has more than 8 words",
                _ if entry.len() > MAX_BYTES => "the entry is longer than 128 bytes",
                _ if count > MAX_ENTRIES => "there are more than 100000 entries",
                _ => continue,
            };
            self.refuse(index.saturating_add(1), why, "write one word or phrase a line, as it stands in texts");
            return None;
        }
        if count == 0 {
            self.refuse(1, "the list is empty, so it would find nothing", "write one word or phrase a line");
            return None;
        }
        Some(Dictionary { file: path.to_owned(), digest: digest_of(text.expose()), text })
    }

    fn hashes(&mut self, path: &Path, text: &Redacted<String>) -> Option<ExactValues> {
        let (mut salt, mut words, mut length) = (None, None, None);
        let mut hashes = Vec::new();
        for (index, line) in text.expose().lines().enumerate() {
            let (number, line) = (index.saturating_add(1), line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fits = match line.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("salt", value)) => set(&mut salt, hex(value).filter(|bytes| (16..=64).contains(&bytes.len()))),
                Some(("words", value)) => set(&mut words, value.parse().ok().filter(|n| (1..=MAX_WORDS).contains(n))),
                Some(("length", value)) => set(&mut length, range(value)),
                Some(_) => false,
                None => hex(line).and_then(|bytes| bytes.try_into().ok()).map(|hash| hashes.push(hash)).is_some(),
            };
            if !fits {
                let help = "write `salt:` and 16 to 64 bytes in hexadecimal, `words:` and a number up to 8, `length:` and \
                            `FROM-TO` up to 128, each once, and then a hash of 64 hexadecimal digits a line";
                self.refuse(number, "the line is nothing that a list of hashes has", help);
                return None;
            }
        }
        let (Some(salt), Some(length)) = (salt, length) else {
            self.refuse(1, "`salt` or `length` is missing", "write both above the hashes");
            return None;
        };
        if hashes.is_empty() {
            self.refuse(
                1,
                "the list is empty, so it would find nothing",
                "write a hash of 64 hexadecimal digits a line",
            );
            return None;
        }
        hashes.sort_unstable();
        hashes.dedup();
        Some(ExactValues {
            file: path.to_owned(),
            digest: digest_of(text.expose()),
            salt: Redacted::new(salt),
            words: words.unwrap_or(MAX_WORDS),
            length,
            hashes,
        })
    }
}

/// Whether there is a value, and it is the first.
fn set<T>(to: &mut Option<T>, value: Option<T>) -> bool {
    let first = to.is_none() && value.is_some();
    if first {
        *to = value;
    }
    first
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// `8-24`: more than three, as shorter values are in every text.
fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (4 <= from && from <= to && to <= MAX_BYTES).then_some(from..=to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Dictionary, String> {
        let mut report = Report::new();
        let mut reader = Reader { file: Arc::from("words"), report: &mut report };
        reader.words(Path::new("words"), Redacted::new(text.to_owned())).ok_or_else(|| report.to_string())
    }

    fn hashes(text: &str) -> Result<ExactValues, String> {
        let mut report = Report::new();
        let mut reader = Reader { file: Arc::from("hashes"), report: &mut report };
        reader.hashes(Path::new("hashes"), &Redacted::new(text.to_owned())).ok_or_else(|| report.to_string())
    }

    #[test]
    fn a_list_of_words_is_read_or_refused_by_line_without_a_word_of_it() {
        let list = words("# people\n\nAda Lovelace\r\n  Grace Hopper \n").unwrap();
        assert_eq!(list.entries().collect::<Vec<_>>(), ["Ada Lovelace", "Grace Hopper"]);
        assert!(!format!("{list:?}").contains("Ada"));
        let long = "x".repeat(129);
        for (text, line, why) in [
            ("", 1, "empty"),
            ("# only this\n", 1, "empty"),
            ("a\n...\n", 2, "no letter"),
            ("a secret of more than eight words in all\n", 1, "8 words"),
            (&long, 1, "128 bytes"),
            (&"a\n".repeat(100_001), 100_001, "100000"),
        ] {
            let told = words(text).unwrap_err();
            assert!(
                told.contains(why) && told.contains(&format!("words:{line}:")) && !told.contains("secret"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_list_of_hashes_is_read_or_refused_by_line() {
        let (salt, hash) = ("0f".repeat(16), "ab".repeat(32));
        let good = format!("# v1\nsalt: {salt}\nwords: 3\nlength: 8-24\n{hash}\n{}\n{hash}\n", hash.to_uppercase());
        let list = hashes(&good).unwrap();
        assert_eq!((list.words, &list.length, list.hashes.len()), (3, &(8..=24), 1));
        assert!(!format!("{list:?}").contains("15, 15"), "the salt is not shown");
        for (text, line) in [
            (format!("salt: {salt}\nlength: 8-24\n"), 1),
            (format!("length: 8-24\n{hash}\n"), 1),
            (format!("salt: {salt}\n{hash}\n"), 1),
            (good.replace("words: 3", "words: 9"), 3),
            (good.replace("8-24", "3-24"), 4),
            (good.replace("8-24", "24-8"), 4),
            (good.replace("8-24", "8-129"), 4),
            (good.replace(&salt, "0f0f"), 2),
            (good.replace("words: 3", &format!("salt: {salt}")), 3),
            (format!("{good}mia@example.com\n"), 8),
            (format!("{good}abc\n"), 8),
            (format!("{good}name: x\n"), 8),
        ] {
            let told = hashes(&text).unwrap_err();
            assert!(told.contains(&format!("hashes:{line}:")) && !told.contains("mia@"), "{told}");
        }
    }
}
