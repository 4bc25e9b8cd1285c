//! Patterns made to take forever, against a table that can't.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use canfar_run::testing::{NamePattern, fixed_part};
use proptest::collection::vec;
use proptest::prelude::*;

use super::hunt;

/// What `*` and `?` mean, in a time that is the product of the lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut row = vec![false; name.len() + 1];
    row[0] = true;
    for wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        next[0] = row[0] && *wanted == b'*';
        for (at, byte) in name.iter().enumerate() {
            next[at + 1] = match wanted {
                b'*' => row[at + 1] || next[at],
                b'?' => row[at],
                wanted => row[at] && wanted == byte,
            };
        }
        row = next;
    }
    row[name.len()]
}

fn letters(some: &'static [u8], most: usize) -> impl Strategy<Value = Vec<u8>> {
    let repeated = (prop::sample::select(some), prop_oneof![6 => Just(1), 1 => 1..most]);
    vec(repeated, 0..20)
        .prop_map(|parts| parts.into_iter().flat_map(|(byte, times)| vec![byte; times]).collect())
}

#[test]
fn patterns_without_sets_match_as_a_table_says() {
    // The longest name that Linux has is 255 bytes.
    hunt("patterns", 500, &(letters(b"**a?b", 60), letters(b"ab", 60)), |(pattern, name)| {
        prop_assert_eq!(NamePattern::new(&pattern).matches(&name), matches(&pattern, &name));
        Ok(())
    });
}

#[test]
fn patterns_of_any_bytes_match_or_do_not() {
    let pattern = prop_oneof![letters(b"**a?b[[]!-^\\/.\xff\xc3\xa9", 200), vec(any::<u8>(), 0..40)];
    let name = prop_oneof![letters(b"ab[]!-\xff\xc3\xa9.", 200), vec(any::<u8>(), 0..40)];
    hunt("patterns of bytes", 500, &(pattern, name), |(pattern, name)| {
        NamePattern::new(&pattern).matches(&name);
        let fixed = fixed_part(OsStr::from_bytes(&pattern), Path::new("/work"));
        prop_assert!(fixed.is_absolute());
        // A star takes what any pattern takes.
        prop_assert!(NamePattern::new(b"*").matches(&name));
        Ok(())
    });
}
