//! A whole document in the form records carry it: one line, without what strict parsers refuse.

use std::borrow::Cow;

use super::error::{JsonError, JsonFault};
use super::scan::{JsonKind, scan_value, skip_whitespace};
use super::text::string_end;

/// U+FEFF in UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A valid document on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normal<'a> {
    /// The document without whitespace around it.
    pub text: Cow<'a, [u8]>,
    /// How many `NaN`, `Infinity` and `-Infinity` became `null`.
    pub non_finite: usize,
    /// What the document is.
    pub kind: JsonKind,
}

/// Checks a whole document and takes the whitespace around it away. `NaN` and its like become `null`; if there are line
/// breaks outside strings, all whitespace outside strings goes. Everything else stays as it is, and without either the
/// text is borrowed.
///
/// # Errors
/// The document is not valid, or nests more than `max_depth` arrays and objects.
pub fn normalise(document: &[u8], max_depth: usize) -> Result<Normal<'_>, JsonError> {
    if document.starts_with(BYTE_ORDER_MARK) {
        return Err(JsonError::new(0, JsonFault::ByteOrderMark));
    }
    let scanned = scan_value(document, 0, max_depth)?;
    let after = skip_whitespace(document, scanned.end);
    if let Some(&found) = document.get(after) {
        return Err(JsonError::new(after, JsonFault::Expected { wanted: "the end of the text", found }));
    }
    let text = &document[skip_whitespace(document, 0)..scanned.end];
    let text = match (scanned.non_finite, scanned.line_breaks) {
        (0, false) => Cow::Borrowed(text),
        (_, true) => Cow::Owned(rewritten(text, Whitespace::Drop)),
        (_, false) => Cow::Owned(rewritten(text, Whitespace::Keep)),
    };
    Ok(Normal { text, non_finite: scanned.non_finite, kind: scanned.kind })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whitespace {
    Keep,
    Drop,
}

/// A valid value's text with `null` for what is not finite, and perhaps without whitespace outside strings.
fn rewritten(value: &[u8], whitespace: Whitespace) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(&byte) = rest.first() {
        let (length, becomes): (usize, &[u8]) = match byte {
            b'"' => {
                let length = string_end(rest, 0);
                (length, &rest[..length])
            }
            // Outside strings these letters begin nothing else, and a minus is followed by this one or a digit.
            b'N' => ("NaN".len(), b"null"),
            b'I' => ("Infinity".len(), b"null"),
            b'-' if rest.starts_with(b"-I") => ("-Infinity".len(), b"null"),
            b' ' | b'\t' | b'\n' | b'\r' if whitespace == Whitespace::Drop => (1, b""),
            _ => (1, &rest[..1]),
        };
        out.extend_from_slice(becomes);
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(document: &str) -> (String, usize) {
        let normal = normalise(document.as_bytes(), 10).unwrap();
        (String::from_utf8(normal.text.into_owned()).unwrap(), normal.non_finite)
    }

    #[test]
    fn a_document_on_one_line_is_borrowed_as_it_stands() {
        let text =
            r#"{"a" :  1.50, "a": 123456789012345678901234567890, "s": "\ud800 NaN\u000a", "e": 1E-05}"#;
        let document = format!("\r\n {text}\n\n");
        let normal = normalise(document.as_bytes(), 10).unwrap();
        assert!(matches!(normal.text, Cow::Borrowed(_)));
        assert_eq!(normal, Normal { text: text.as_bytes().into(), non_finite: 0, kind: JsonKind::Object });
    }

    #[test]
    fn what_is_not_finite_becomes_null_outside_strings_only() {
        assert_eq!(normal("NaN"), ("null".into(), 1));
        assert_eq!(
            normal(r#"[NaN, -Infinity , {"NaN":Infinity}, "-Infinity\" NaN", -1e-5]"#),
            (r#"[null, null , {"NaN":null}, "-Infinity\" NaN", -1e-5]"#.into(), 3)
        );
        assert_eq!(normalise(b"-Infinity", 0).unwrap().kind, JsonKind::Null);
    }

    #[test]
    fn line_breaks_take_all_whitespace_outside_strings_along() {
        assert_eq!(
            normal("{\n  \"a b\": [1,\r\t NaN ],\n \"\\\" \": {} }"),
            (r#"{"a b":[1,null],"\" ":{}}"#.into(), 1)
        );
    }

    #[test]
    fn only_whitespace_may_follow_and_nothing_be_in_front() {
        let error = |document: &[u8]| normalise(document, 1).unwrap_err().to_string();
        assert_eq!(error(b"[] []"), "at byte 3: expected the end of the text, found '['");
        assert_eq!(error(b"01"), "at byte 1: expected the end of the text, found '1'");
        assert_eq!(error(b" \n"), "at byte 2: there is nothing: the text is empty");
        assert_eq!(error(b"[[]]"), "at byte 1: nested more than 1 deep");
        assert!(error(b"\xef\xbb\xbf[]").starts_with("at byte 0: the text begins with a byte order mark"));
    }
}
