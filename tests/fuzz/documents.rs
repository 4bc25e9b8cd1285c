//! JSON that is broken, deep or long: normal in one step, never read twice, the same however it arrives.

use canfar_run::testing::{
    Elements, JsonKind, members, normalise, scan_value, string_eq, string_text, write_string,
};
use fastrand::Rng;
use proptest::prelude::*;

use super::hunt;
use crate::json_parity::documents as made;

const DEPTH: usize = 1_000;

/// What a document may consist of, many times over.
const PARTS: [&str; 16] = [
    "[",
    "]",
    "{\"a\":",
    "}",
    "\"",
    "\\\"",
    "\\u",
    "\\ud800",
    "-1e9",
    "0.",
    " \n",
    ",",
    "NaN,",
    "-Infinity",
    "nul",
    "\"\u{e9}\":1,",
];

fn document() -> impl Strategy<Value = Vec<u8>> {
    let mutated = any::<u64>().prop_map(|seed| {
        let mut rng = Rng::with_seed(seed);
        let document = made::document(&mut rng);
        made::mutated(&document, &mut rng)
    });
    let repeated = (prop::sample::select(&PARTS[..]), 0..20_000_usize);
    let long = proptest::collection::vec(repeated, 1..5).prop_map(|parts| {
        parts.into_iter().flat_map(|(part, times)| part.repeat(times).into_bytes()).collect()
    });
    let random = proptest::collection::vec(any::<u8>(), 0..50);
    prop_oneof![6 => mutated, 1 => long, 1 => random]
}

#[test]
fn documents_of_any_kind_are_refused_or_made_normal() {
    hunt("json", 500, &(document(), 0..64_usize), |(document, buffer)| {
        let mut elements = Elements::with_buffer(document.as_slice(), DEPTH, buffer);
        let mut streamed = 0;
        let end = loop {
            match elements.next() {
                Ok(Some(_)) => streamed += 1,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let Ok(normal) = normalise(&document, DEPTH) else {
            prop_assert!(end.is_err());
            return Ok(());
        };
        let again = normalise(&normal.text, DEPTH).unwrap();
        prop_assert_eq!((&again.text, again.non_finite, again.kind), (&normal.text, 0, normal.kind));
        prop_assert_eq!(scan_value(&normal.text, 0, DEPTH).unwrap().end, normal.text.len());
        prop_assert_eq!(
            end.is_ok(),
            normal.kind == JsonKind::Array && document.len() >= 2 * usize::from(streamed > 0)
        );
        if normal.kind == JsonKind::Object {
            for member in members(&normal.text) {
                let text = string_text(member.key);
                // What has half a character in it is told with a sign in its place.
                if !text.contains('\u{fffd}') {
                    prop_assert!(string_eq(member.key, &text));
                    let mut written = Vec::new();
                    write_string(&mut written, &text);
                    prop_assert_eq!(string_text(&written), text);
                }
            }
        }
        Ok(())
    });
}
