//! JSON strings and plain text: finding the end of plain bytes, comparing, decoding, writing.

use std::borrow::Cow;

use serde::Deserialize;

/// The length of the run of bytes at the beginning of `body` that stand for themselves in a string (all but `"`, `\` and
/// control characters), and whether they are all ASCII.
pub(super) fn plain_run(body: &[u8]) -> (usize, bool) {
    const HIGH_BITS: u64 = repeated(0x80);
    let (words, rest) = body.as_chunks::<8>();
    let mut high = 0;
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = special_bytes(word);
        if special != 0 {
            let bits_before = special & special.wrapping_neg();
            high |= word & (bits_before - 1);
            return (index * 8 + special.trailing_zeros() as usize / 8, high & HIGH_BITS == 0);
        }
        high |= word;
    }
    let plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..=0x1f);
    let tail = rest.iter().take_while(plain).inspect(|byte| high |= u64::from(**byte)).count();
    (words.len() * 8 + tail, high & HIGH_BITS == 0)
}

/// Has the high bit set of the first byte of `word` (the least significant first) that is a quote, a backslash or a
/// control character; none if there is none. Bits above the first one mean nothing: the subtraction borrows from there.
fn special_bytes(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(repeated(limit)) & !word;
    let equal = |byte: u8| below(word ^ repeated(byte), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & repeated(0x80)
}

const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The end of the valid string that begins at `start`: the byte after its closing quote.
pub(super) fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(body) = text.get(at..) {
        at += plain_run(body).0;
        match text.get(at) {
            Some(b'\\') => at += 2,
            Some(_) => return at + 1,
            None => break,
        }
    }
    text.len()
}

/// Whether a valid JSON string (with its quotes, perhaps with escapes: `"\u0066ile"`) stands for `text`. A lone surrogate
/// equals nothing.
pub fn string_eq(raw: &[u8], text: &str) -> bool {
    if has_escapes(raw) {
        exact_text(raw).is_some_and(|own| own == text)
    } else {
        body(raw) == text.as_bytes()
    }
}

/// What a valid JSON string (with its quotes) stands for, where that can be said exactly; `None` where there is a lone
/// surrogate, which is no text.
pub fn exact_text(raw: &[u8]) -> Option<Cow<'_, str>> {
    if has_escapes(raw) {
        serde_json::from_slice(raw).ok().map(Cow::Owned)
    } else {
        Some(String::from_utf8_lossy(body(raw)))
    }
}

/// The same; a lone surrogate becomes U+FFFD.
pub fn string_text(raw: &[u8]) -> Cow<'_, str> {
    /// As bytes, a string may have lone surrogates.
    #[derive(Deserialize)]
    struct StringBytes<'a>(#[serde(borrow)] Cow<'a, [u8]>);
    exact_text(raw).unwrap_or_else(|| {
        let bytes = serde_json::from_slice(raw).map_or(Cow::Borrowed(raw), |StringBytes(bytes)| bytes);
        // A surrogate is three bytes, each of which is replaced.
        Cow::Owned(String::from_utf8_lossy(&bytes).replace("\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}"))
    })
}

/// Appends `text` as a JSON string, quotes and all; of what is not ASCII nothing is escaped.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// A string without its quotes.
fn body(raw: &[u8]) -> &[u8] {
    raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(raw)
}

fn has_escapes(raw: &[u8]) -> bool {
    memchr::memchr(b'\\', raw).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::scan_value;

    #[test]
    fn strings_equal_the_text_they_stand_for() {
        let same = [
            (r#""file""#, "file"),
            (r#""\u0066ile""#, "file"),
            (r#""fil\u0065""#, "file"),
            (r#""""#, ""),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\ud83d\uDE00é\u00e9""#, "\u{1f600}éé"),
        ];
        for (raw, text) in same {
            assert!(string_eq(raw.as_bytes(), text), "{raw}");
            assert_eq!(string_text(raw.as_bytes()), text);
            assert_eq!(exact_text(raw.as_bytes()).as_deref(), Some(text));
            assert!(!string_eq(raw.as_bytes(), &format!("{text}x")), "{raw} is shorter");
        }
        for raw in [r#""files""#, r#""fil""#, r#""file\u0000""#, r#""\u0046ile""#, r#""\n""#] {
            assert!(!string_eq(raw.as_bytes(), "file"), "{raw}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_read_as_the_replacement_character_and_equals_nothing() {
        for (raw, text) in [
            (r#""\ud800""#, "\u{fffd}"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
        ] {
            assert_eq!(string_text(raw.as_bytes()), text, "{raw}");
            assert_eq!(exact_text(raw.as_bytes()), None, "{raw}");
            assert!(!string_eq(raw.as_bytes(), text), "{raw}");
        }
    }

    /// Bytes among which special ones are frequent, at all distances.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![8 => 0x20_u8..0x7f, 2 => any::<u8>(), 1 => Just(b'\\'), 1 => Just(b'"'), 1 => Just(0x1f)];
        proptest::collection::vec(byte, 0..40)
    }

    proptest! {
        #[test]
        fn a_plain_run_ends_at_the_first_byte_that_is_not_plain(bytes in bytes()) {
            let plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
            let length = bytes.iter().take_while(plain).count();
            prop_assert_eq!(plain_run(&bytes), (length, bytes[..length].is_ascii()));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in bytes()) {
            string_text(&bytes);
            string_eq(&bytes, "file");
            prop_assert!(string_end(&bytes, 0) <= bytes.len());
        }

        #[test]
        fn what_is_written_reads_back(text in any::<String>()) {
            let mut raw = b" ".to_vec();
            write_string(&mut raw, &text);
            prop_assert_eq!(scan_value(&raw, 0, 0).unwrap().end, raw.len());
            prop_assert_eq!(string_end(&raw, 1), raw.len());
            prop_assert_eq!(string_text(&raw[1..]), text.as_str());
            prop_assert!(string_eq(&raw[1..], &text));
        }
    }
}
