//! Signed notes, verifier keys, checkpoints, records' lines and tiles, as `postern audit verify` reads them from a log it does not trust.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postern_filters::audit::checkpoint::Checkpoint;
use postern_filters::audit::leaf::Line;
use postern_filters::audit::note::{Note, VerifyingKey};
use postern_filters::audit::tiles::{decode_entries, decode_hashes, encode_entries, encode_hashes};

fuzz_target!(|bytes: &[u8]| {
    let _ = Note::parse(bytes);
    if let Some(line) = Line::parse(bytes) {
        let mut again = Vec::new();
        line.write(&mut again);
        assert_eq!(again.strip_suffix(b"\n"), Some(bytes), "a line has one spelling");
    }
    if let Some(hashes) = decode_hashes(bytes) {
        assert_eq!(encode_hashes(&hashes), bytes, "a tile has one spelling");
    }
    if let Some(entries) = decode_entries(bytes) {
        assert_eq!(encode_entries(&entries), bytes, "a bundle has one spelling");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.body(), text, "a checkpoint has one spelling");
    }
    if let Ok(key) = text.parse::<VerifyingKey>() {
        assert_eq!(key.to_string(), text, "a key has one spelling");
    }
});
