//! `postern hash-values`: the list that a detector of type ExactMatch takes, from the values that it is to find.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use aws_lc_rs::rand;
use postern_filters::scan::exact_hash;
use zeroize::Zeroizing;

/// What a list may have, of letters and digits and of words.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=128;
const MAX_WORDS: usize = 8;
/// Hashes of 65 bytes each that fit a list.
const MAX_VALUES: usize = 250_000;
/// Bytes of a line.
const MAX_LINE: u64 = 4096;

pub(super) fn run() -> ExitCode {
    match write(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postern: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Nothing is written unless every line is a value that can be found.
fn write(input: impl Read, mut output: impl Write) -> Result<(), String> {
    let mut salt = [0_u8; 32];
    rand::fill(&mut salt).map_err(|_| "the system has no random bytes".to_owned())?;
    let mut input = BufReader::new(input);
    let (mut hashes, mut words, mut shortest, mut longest) = (Vec::new(), 1, usize::MAX, 0);
    let mut number = 0_usize;
    loop {
        // The values are why one hashes them.
        let mut line = Zeroizing::new(Vec::new());
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if read == 0 {
            break;
        }
        number = number.saturating_add(1);
        let value = std::str::from_utf8(&line).map_err(|_| format!("line {number} is not UTF-8"))?.trim();
        if value.is_empty() {
            continue;
        }
        let made = exact_hash(&salt, value).ok_or_else(|| format!("line {number} has no letter and no digit"))?;
        if !LENGTHS.contains(&made.letters) || made.words > MAX_WORDS {
            return Err(format!("line {number} has not 4 to 128 letters and digits in at most 8 words"));
        }
        words = words.max(made.words);
        (shortest, longest) = (shortest.min(made.letters), longest.max(made.letters));
        hashes.push(made.hash);
        if hashes.len() > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values: make several lists"));
        }
    }
    if hashes.is_empty() {
        return Err("there is no value on standard input; write one a line".to_owned());
    }
    hashes.sort_unstable();
    hashes.dedup();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut text = format!("salt: {}\nwords: {words}\nlength: {shortest}-{longest}\n", hex(&salt));
    for hash in &hashes {
        text.push_str(&hex(hash));
        text.push('\n');
    }
    output.write_all(text.as_bytes()).map_err(|error| error.to_string())
}
