//! The secrets of an upstream as detectors: wherever one stands in a text, in plain or in an encoding that hides it from a
//! search for the plain one.
//!
//! The values are compiled into automata, which have to hold them for as long as they look for them; nothing shows an
//! automaton, and it is the one form in which a value is kept without being wiped.

use postern_config::{ContentAction, Part, Redacted};

use super::ScanError;
use super::pattern::Pattern;

/// Name in the coverage matrix and in records.
pub const GUARD: &str = "secrets/leak";

/// A shorter value would be found in ordinary text.
const MIN: usize = 8;
/// Of a longer value its end is looked for: of a token that is the signature, without which the rest is worth nothing.
const MAX: usize = 128;

/// What is looked for besides what policies of content list.
#[derive(Debug, Default)]
pub struct Managed {
    /// Names, as records have them, and values.
    pub secrets: Vec<(String, Redacted<Vec<u8>>)>,
    pub parts: Vec<Part>,
    pub action: Option<ContentAction>,
}

/// Whether a search for it would find it and nothing else.
pub(crate) fn can_be_searched_for(secret: &Redacted<Vec<u8>>) -> bool {
    let bytes = secret.expose();
    bytes.len() >= MIN && bytes.iter().all(|byte| (0x20..=0x7e).contains(byte))
}

/// The automaton that finds `secret`, and whether it is looked for whole.
///
/// # Errors
/// [`ScanError::Managed`], which names the secret and nothing of it.
pub(crate) fn pattern(name: &str, secret: &Redacted<Vec<u8>>) -> Result<(Pattern, bool), ScanError> {
    let refuse = |why: &'static str| ScanError::Managed { name: name.to_owned(), why };
    let bytes = secret.expose();
    if bytes.len() < MIN {
        return Err(refuse("it has less than 8 characters, which ordinary text has as well"));
    }
    if !bytes.iter().all(|byte| (0x20..=0x7e).contains(byte)) {
        return Err(refuse("it is not visible ASCII"));
    }
    let end = bytes.get(bytes.len().saturating_sub(MAX)..).unwrap_or(bytes);
    let expression = Redacted::new(expression(end));
    // What an error of the compiler says may repeat the expression.
    let pattern = Pattern::from_regex(expression.expose(), None).map_err(|_| refuse("it cannot be searched for"))?;
    Ok((pattern, end.len() == bytes.len()))
}

/// Plain with any of its characters escaped for a URL, in base64 at each of the three places it can have in what was
/// encoded, in hexadecimal.
fn expression(secret: &[u8]) -> String {
    let escaped: String = secret.iter().map(|byte| format!("(?:{}|%(?i:{byte:02x}))", literal(*byte))).collect();
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let either = |text: String| text.replace('+', "[+\\-]").replace('/', "[/_]");
    let encoded: Vec<String> = (0..3).map(|place| either(base64(secret, place))).collect();
    format!("{escaped}|(?i:{hex})|{}", encoded.join("|"))
}

fn literal(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") }
}

/// The characters that depend on nothing but the secret where `place` bytes stand before it in a group of three.
pub(super) fn base64(secret: &[u8], place: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| secret.get(at / 8).map(|byte| usize::from(byte >> (7 - at % 8) & 1));
    let bits = secret.len().saturating_mul(8);
    // The first whole group of six bits that begins within the secret.
    let first = (6 - place.saturating_mul(8) % 6) % 6;
    let groups = (first..bits).step_by(6).map_while(|at| (at..at + 6).try_fold(0, |sum, at| Some(sum << 1 | bit(at)?)));
    groups.filter_map(|group: usize| ALPHABET.get(group)).map(|character| char::from(*character)).collect()
}

#[cfg(test)]
mod tests {

    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use postern_config::{DataProtection, Direction, RuntimeSecurity};

    use super::*;
    use crate::scan::ContentGuards;
    use crate::text::TextGuards as _;

    const SECRET: &str = "k3y/of+the~house?>42";

    fn guards(secret: &str, action: ContentAction) -> Result<ContentGuards, ScanError> {
        let data = DataProtection::default();
        let secrets = vec![("api-key".to_owned(), Redacted::new(secret.as_bytes().to_vec()))];
        let managed = Managed { secrets, parts: vec![Part::Assistant], action: Some(action) };
        ContentGuards::compile_with(&data, &RuntimeSecurity::default(), &managed, Direction::Response)
    }

    #[test]
    fn a_secret_is_found_in_every_form_that_hides_it() {
        let guards = guards(SECRET, ContentAction::Block).unwrap();
        let found = |text: &str| guards.judge(Part::Assistant, text).blocked;
        let percent = |all: bool| -> String {
            let keep = |byte: u8| !all && byte.is_ascii_alphanumeric();
            SECRET.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
        };
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![
            SECRET.to_owned(),
            percent(false),
            percent(true),
            percent(true).to_lowercase(),
            hex.to_uppercase(),
            hex,
        ];
        for before in ["", "a", "ab", "abc", "id:"] {
            for after in ["", "z", "zz"] {
                forms.push(STANDARD.encode(format!("{before}{SECRET}{after}")));
                forms.push(URL_SAFE_NO_PAD.encode(format!("{before}{SECRET}{after}")));
            }
        }
        for form in &forms {
            for text in [form.clone(), format!("it is {form}."), format!("x{form}x")] {
                assert!(found(&text), "{text}");
            }
            let cut: String = form.chars().take(form.chars().count() / 2).collect();
            assert!(!found(&cut), "{cut}");
        }
        assert!(found("k3y/of+\u{200b}the~house?>42"), "characters that show nothing hide nothing");
        assert!(!found("K3Y/OF+THE~HOUSE?>42") && !found("an ordinary text"));
        assert!(!guards.judge(Part::Reasoning, SECRET).blocked, "a part that is not listed");
    }

    #[test]
    fn a_stream_releases_nothing_of_a_secret_wherever_it_is_cut() {
        let guards = guards(SECRET, ContentAction::Redact).unwrap();
        let text = format!("say {SECRET} twice: {SECRET}!");
        for at in 0..text.len() {
            let mut stream = guards.open(Part::Assistant);
            let mut out = stream.push(&text[..at]).release;
            out.push_str(&stream.push(&text[at..]).release);
            out.push_str(&stream.finish().release);
            assert_eq!(out, "say [redacted:api-key] twice: [redacted:api-key]!", "{at}");
        }
    }

    #[test]
    fn a_long_secret_is_found_by_its_end_and_blocks() {
        let long: String = ('a'..='z').cycle().take(300).chain("0123456789/signature".chars()).collect();
        let guards = guards(&long, ContentAction::Redact).unwrap();
        assert!(guards.judge(Part::Assistant, &long).blocked, "the rest of it would be left");
        assert!(!guards.judge(Part::Assistant, &long[..300]).blocked);
    }

    #[test]
    fn a_secret_that_cannot_be_told_from_text_is_refused_and_not_shown() {
        for secret in ["", "hunter2", "caf\u{e9} au lait", "two\nlines of it"] {
            let error = guards(secret, ContentAction::Block).unwrap_err().to_string();
            assert!(error.contains("api-key") && (secret.is_empty() || !error.contains(secret)), "{error}");
        }
        let shown = format!("{:?}", guards(SECRET, ContentAction::Block).unwrap());
        assert!(!shown.contains(SECRET) && shown.len() < 2000, "{shown}");
    }
}
