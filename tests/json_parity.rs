//! The json module against Python's `json.loads`, whole documents against streamed ones, and the truth about offsets.

use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine};
use canfar_run::testing::{
    Elements, ElementsError, JsonError, JsonFault, JsonKind, members, normalise, scan_value, string_text,
};
use fastrand::Rng;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{Component, InTime, python, require};

#[path = "support/json_documents.rs"]
pub(crate) mod documents;

/// Above what any generated document has.
const DEPTH: usize = 5_000;

/// What the module says of a document, as `json_reference.py` wants it.
fn case(document: &[u8]) -> serde_json::Value {
    let Ok(normal) = normalise(document, DEPTH) else {
        return json!({"document": BASE64_STANDARD.encode(document), "accepted": false});
    };
    assert!(!normal.text.contains(&b'\n'), "{}", document.escape_ascii());
    let texts: Vec<_> = match normal.kind {
        JsonKind::String => vec![string_text(&normal.text)],
        _ => members(document).map(|member| string_text(member.key)).collect(),
    };
    json!({
        "document": BASE64_STANDARD.encode(document),
        "accepted": true,
        "normal": BASE64_STANDARD.encode(&normal.text),
        "non_finite": normal.non_finite,
        "rebuilt": BASE64_STANDARD.encode(rebuilt(document, normal.kind)),
        "texts": texts,
    })
}

/// A valid document put together again from what its members or elements are said to be.
fn rebuilt(document: &[u8], kind: JsonKind) -> Vec<u8> {
    let between = |open: &str, parts: &[Vec<u8>], close: &str| {
        [open.as_bytes(), &parts.join(&b','), close.as_bytes()].concat()
    };
    match kind {
        JsonKind::Object => {
            let member = |member: canfar_run::testing::Member<'_>| [member.key, b":", member.value].concat();
            between("{", &members(document).map(member).collect::<Vec<_>>(), "}")
        }
        JsonKind::Array => {
            let elements = streamed(document, &[usize::MAX], 64).unwrap();
            between("[", &elements.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), "]")
        }
        _ => document.to_vec(),
    }
}

#[test]
fn documents_are_accepted_and_read_as_python_does() {
    if !require(Component::Python("json")) {
        return;
    }
    let mut python = Command::new(python());
    let mut rng = Rng::with_seed(20_261_123);
    let mut cases = documents::fragments();
    cases.extend([1, 900, 2_000].map(|levels| [b"[".repeat(levels), b"]".repeat(levels)].concat()));
    cases.extend([1, 900].map(|levels| [b"{\"a\":[NaN,\n".repeat(levels), b"1]}".repeat(levels)].concat()));
    for _ in 0..3_000 {
        let valid = documents::document(&mut rng);
        cases.extend((0..4).map(|_| documents::mutated(&valid, &mut rng)));
        cases.push(valid);
    }

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/json_reference.py");
    let lines: Vec<String> = cases.iter().map(|document| case(document).to_string()).collect();
    let output = python.arg(script).output_given(lines.join("\n").as_bytes()).unwrap();
    let output = String::from_utf8(output.stdout).unwrap();

    let (disagreements, summary) = output.trim_end().rsplit_once('\n').unwrap_or(("", output.trim_end()));
    assert_eq!(disagreements, "");
    let summary: serde_json::Value = serde_json::from_str(summary).unwrap();
    assert_eq!(summary["documents"], cases.len());
    let accepted = usize::try_from(summary["accepted"].as_u64().unwrap()).unwrap();
    assert!(
        accepted > 4_000 && cases.len() - accepted > 4_000,
        "{accepted} of {}: too one-sided",
        cases.len()
    );
}

#[test]
fn a_document_that_is_cut_off_breaks_at_its_end() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..300 {
        let document = documents::array(&mut rng);
        let whole = document.trim_ascii_end().len();
        for cut in 0..whole {
            let error = normalise(&document[..cut], DEPTH).unwrap_err();
            assert_eq!(error.offset, cut as u64, "{}: {error}", document[..cut].escape_ascii());
            assert!(matches!(error.what, JsonFault::Ends { .. } | JsonFault::Empty), "{error}");
            let error = streamed(&document[..cut], &[7], 16).unwrap_err().1;
            assert_eq!(error.offset, cut as u64, "{}: {error}", document[..cut].escape_ascii());
            assert!(matches!(error.what, JsonFault::EndsAfter { .. } | JsonFault::Empty), "{error}");
        }
        assert!(normalise(&document[..whole], DEPTH).is_ok());
    }
}

#[test]
fn a_foreign_byte_in_a_document_is_where_it_breaks() {
    let mut rng = Rng::with_seed(2);
    for _ in 0..300 {
        let document = documents::array(&mut rng);
        let at = rng.usize(0..document.len());
        // Nowhere in JSON can there be this byte, and all before it is good, but for a character that it cuts in two.
        let broken = [&document[..at], b"\xff", &document[at..]].concat();
        let good = std::str::from_utf8(&document[..at]).map_or_else(|error| error.valid_up_to(), str::len);
        let error = normalise(&broken, DEPTH).unwrap_err();
        assert_eq!(error.offset, good as u64, "{error}: {}", broken.escape_ascii());
    }
}

/// A reader that gives the bytes in pieces of these lengths, over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.lengths.next().map_or(1, |length| buffer.len().min(*length));
        self.bytes.read(&mut buffer[..length])
    }
}

type Found = Vec<(u64, Vec<u8>)>;

/// The elements with their offsets; where the document breaks those before and the error.
fn streamed(document: &[u8], lengths: &[usize], buffer: usize) -> Result<Found, (Found, JsonError)> {
    let pieces = Pieces { bytes: document, lengths: lengths.iter().cycle() };
    let mut elements = Elements::with_buffer(pieces, DEPTH, buffer);
    let mut found = Vec::new();
    loop {
        match elements.next() {
            Ok(Some(element)) => {
                let scanned = scan_value(element.text, 0, DEPTH).unwrap();
                assert_eq!(scanned.end, element.text.len());
                assert_eq!(scanned.non_finite, element.non_finite);
                assert_eq!(scanned.line_breaks, element.line_breaks);
                assert_eq!(scanned.kind, element.kind);
                found.push((element.offset, element.text.to_vec()));
            }
            Ok(None) => return Ok(found),
            Err(ElementsError::Json(error)) => return Err((found, error)),
            Err(error @ ElementsError::Read { .. }) => panic!("{error}"),
        }
    }
}

/// The same elements, cut out of the whole document.
fn sliced(document: &[u8]) -> Found {
    let blank = |at: usize| at + document[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut found = Vec::new();
    let mut start = blank(blank(0) + 1);
    while document[start] != b']' {
        let end = scan_value(document, start, DEPTH).unwrap().end;
        found.push((start as u64, document[start..end].to_vec()));
        let separator = blank(end);
        start = if document[separator] == b',' { blank(separator + 1) } else { separator };
    }
    found
}

proptest! {
    #[test]
    fn elements_are_the_same_however_the_document_arrives(
        seed in any::<u64>(),
        lengths in proptest::collection::vec(1_usize..20, 1..5),
        buffer in 0_usize..100,
    ) {
        let document = documents::array(&mut Rng::with_seed(seed));
        prop_assert_eq!(streamed(&document, &lengths, buffer).unwrap(), sliced(&document));
    }

    #[test]
    fn a_broken_document_breaks_at_the_same_byte_however_it_arrives(
        seed in any::<u64>(),
        lengths in proptest::collection::vec(1_usize..20, 1..5),
        buffer in 0_usize..100,
    ) {
        let mut rng = Rng::with_seed(seed);
        let document = documents::array(&mut rng);
        let document = documents::mutated(&document, &mut rng);
        let whole = normalise(&document, DEPTH);
        let at_once = streamed(&document, &[usize::MAX], 1 << 16);
        prop_assert_eq!(&streamed(&document, &lengths, buffer), &at_once);
        match (whole, at_once) {
            (Ok(normal), Ok(found)) => {
                prop_assert_eq!(normal.kind, JsonKind::Array);
                prop_assert_eq!(found, sliced(&document));
            }
            (Err(whole), Err((_, streamed))) if !matches!(streamed.what, JsonFault::NotAnArray(_)) => {
                prop_assert_eq!(whole.offset, streamed.offset);
            }
            (whole, Err((_, streamed))) => {
                prop_assert!(matches!(streamed.what, JsonFault::NotAnArray(_)), "{:?} {:?}", whole, streamed);
            }
            (Err(whole), Ok(_)) => prop_assert!(false, "accepted although {whole}"),
        }
    }
}
