//! The members of an object, as raw text.

use std::ops::Range;

use super::scan::skip_whitespace;
use super::text::string_end;

/// One `"key": value` of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key as written, with its quotes; see [`string_eq`](super::string_eq).
    pub key: &'a [u8],
    /// The value as written, without whitespace around it.
    pub value: &'a [u8],
    /// Where it stands in the object's text, from the key's first byte to after the value's last.
    pub span: Range<usize>,
}

/// The members of a valid object's text, in order, repeated keys too; those of objects within it are not looked at. Of a
/// text that is not an object there are none, and what a text that is not valid gives means nothing.
// The text has been scanned, so nothing is checked again: that is twice as fast, and merging does this for each record.
pub fn members(object: &[u8]) -> impl Iterator<Item = Member<'_>> {
    let mut at = skip_whitespace(object, 0);
    let mut before = b'{';
    std::iter::from_fn(move || {
        let start = after(object, at, before)?;
        if object.get(start) != Some(&b'"') {
            return None;
        }
        let key = start..string_end(object, start);
        let colon = skip_whitespace(object, key.end);
        let value_start = after(object, colon, b':')?;
        let value = value_start..value_end(object, value_start);
        at = skip_whitespace(object, value.end);
        before = b',';
        let span = start..value.end;
        Some(Member { key: &object[key], value: &object[value], span })
    })
}

/// Where to go on after `byte`, which has to be the one at `at`, and whitespace.
fn after(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then(|| skip_whitespace(text, at + 1))
}

/// The end of the valid value that begins at `start`.
fn value_end(text: &[u8], start: usize) -> usize {
    match text.get(start) {
        Some(b'"') => string_end(text, start),
        Some(b'{' | b'[') => container_end(text, start),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
            let scalar = text[start..].iter().take_while(|byte| !ends(byte));
            start + scalar.count()
        }
    }
}

/// The end of the valid array or object that begins at `start`: in it, only strings can hide brackets.
fn container_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(object: &str) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        members(object.as_bytes()).map(|member| (text(member.key), text(member.value))).collect()
    }

    #[test]
    fn members_come_in_order_as_they_are_written() {
        let object = r#" { "a" : 1.50 ,"b":[1, {"a": "]}"}] , "\u0061":"\\\"}" , "a":null, "o": { } } "#;
        let expected = [
            (r#""a""#, "1.50"),
            (r#""b""#, r#"[1, {"a": "]}"}]"#),
            (r#""\u0061""#, r#""\\\"}""#),
            (r#""a""#, "null"),
            (r#""o""#, "{ }"),
        ];
        assert_eq!(texts(object), expected);
        assert_eq!(texts("{}"), []);
        assert_eq!(texts("\n{\n}\n"), []);
    }

    #[test]
    fn a_span_cuts_its_member_out() {
        let object = r#"{"file": "a.fits",  "n" : 1}"#;
        let spans: Vec<_> = members(object.as_bytes()).map(|member| &object[member.span]).collect();
        assert_eq!(spans, [r#""file": "a.fits""#, r#""n" : 1"#]);
    }

    #[test]
    fn what_is_not_an_object_has_no_members() {
        for text in ["", " ", "[1]", "[{\"a\": 1}]", "\"{\"", "1", "null"] {
            assert_eq!(texts(text), [], "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_run_forever(text in r#"\{?["\\{}\[\]:, a1]*"#) {
            prop_assert!(members(text.as_bytes()).count() <= text.len());
        }
    }
}
