//! Matching one name against one pattern, exactly as Python's `fnmatch.fnmatchcase` (3.11) does.
//!
//! The `globset` crate can't express this: there braces are alternatives, a backslash escapes, `[a` and `[z-a]` are errors,
//! `^` negates, and `?` is a byte. In Python these are ordinary characters or match nothing, and a name that is not UTF-8
//! has one (surrogate) code point for each stray byte.

use memchr::memmem::Finder;

use super::char_class::CharClass;

/// A compiled pattern for one component of a path. `*` here also matches a leading dot and a slash: excluding those is up
/// to the caller, as in Python.
#[derive(Debug, Clone)]
pub struct NamePattern(Compiled);

#[derive(Debug, Clone)]
enum Compiled {
    /// Only literals and `*`, all UTF-8. Then bytes can be compared, since no UTF-8 sequence begins within another or
    /// within stray bytes.
    Bytes(Literals),
    Codes(Vec<PatternItem>),
}

/// The literals between the stars.
#[derive(Debug, Clone)]
enum Literals {
    Whole(Vec<u8>),
    Starred { first: Vec<u8>, middle: Vec<Finder<'static>>, last: Vec<u8> },
}

#[derive(Debug, Clone)]
enum PatternItem {
    Star,
    One(CharClass),
}

impl NamePattern {
    /// Compiles a pattern; every pattern is valid.
    pub fn new(pattern: &[u8]) -> Self {
        let plain = !pattern.iter().any(|byte| matches!(byte, b'?' | b'['));
        if plain && str::from_utf8(pattern).is_ok() {
            Self(Compiled::Bytes(Literals::new(pattern)))
        } else {
            Self(Compiled::Codes(items(&codes(pattern))))
        }
    }

    /// Whether `name` would match if upper and lower case were the same: of a pattern with one star, as `*.fits`.
    pub fn matches_but_for_case(&self, name: &[u8]) -> bool {
        let Self(Compiled::Bytes(Literals::Starred { first, middle, last })) = self else { return false };
        let (start, end) = (first.len(), name.len().wrapping_sub(last.len()));
        middle.is_empty()
            && end <= name.len()
            && start <= end
            && name[end..].eq_ignore_ascii_case(last)
            && name[..start].eq_ignore_ascii_case(first)
            && !self.matches(name)
    }

    /// Whether all of `name` matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        match &self.0 {
            Compiled::Bytes(pieces) => pieces.matches(name),
            Compiled::Codes(items) => items_match(items, name),
        }
    }
}

impl Literals {
    fn new(pattern: &[u8]) -> Self {
        let mut pieces = pattern.split(|byte| *byte == b'*');
        let first = pieces.next().unwrap_or_default().to_vec();
        let Some(last) = pieces.next_back() else { return Self::Whole(first) };
        let middle =
            pieces.filter(|piece| !piece.is_empty()).map(|piece| Finder::new(piece).into_owned()).collect();
        Self::Starred { first, middle, last: last.to_vec() }
    }

    fn matches(&self, name: &[u8]) -> bool {
        let (first, middle, last) = match self {
            Self::Whole(whole) => return name == whole,
            Self::Starred { first, middle, last } => (first, middle, last),
        };
        let ends_removed =
            name.strip_prefix(first.as_slice()).and_then(|rest| rest.strip_suffix(last.as_slice()));
        let Some(mut rest) = ends_removed else { return false };
        middle.iter().all(|piece| match piece.find(rest) {
            Some(at) => {
                rest = &rest[at + piece.needle().len()..];
                true
            }
            None => false,
        })
    }
}

fn items(pattern: &[u32]) -> Vec<PatternItem> {
    let mut items = Vec::new();
    let mut rest = pattern;
    while let Some((code, after)) = rest.split_first() {
        rest = after;
        items.push(match char::from_u32(*code) {
            Some('*') => PatternItem::Star,
            Some('?') => PatternItem::One(CharClass::Any),
            Some('[') => match closing_bracket(after) {
                Some(end) => {
                    rest = &after[end + 1..];
                    PatternItem::One(CharClass::from_brackets(&after[..end]))
                }
                None => PatternItem::One(CharClass::Exactly(*code)),
            },
            _ => PatternItem::One(CharClass::Exactly(*code)),
        });
    }
    items
}

/// Where the set after a `[` ends; a `]` that comes first, or first after `!`, belongs to the set.
fn closing_bracket(after: &[u32]) -> Option<usize> {
    let is = |at: usize, wanted: char| after.get(at) == Some(&u32::from(wanted));
    let mut from = usize::from(is(0, '!'));
    if is(from, ']') {
        from += 1;
    }
    after.iter().skip(from).position(|code| *code == u32::from(']')).map(|at| from + at)
}

/// Every item but a star matches one code point, so the earliest match of what follows a star is as good as any, and only
/// the last star ever needs another try.
fn items_match(items: &[PatternItem], name: &[u8]) -> bool {
    let (mut items, mut rest) = (items, name);
    let mut last_star: Option<(&[PatternItem], &[u8])> = None;
    loop {
        if let Some((PatternItem::Star, after)) = items.split_first() {
            last_star = Some((after, rest));
            items = after;
            continue;
        }
        let Some((code, after_code)) = split_code(rest) else { return items.is_empty() };
        if let Some((PatternItem::One(place), after)) = items.split_first()
            && place.accepts(code)
        {
            (items, rest) = (after, after_code);
            continue;
        }
        let Some((after_star, tried)) = last_star else { return false };
        let Some((_, next)) = split_code(tried) else { return false };
        last_star = Some((after_star, next));
        (items, rest) = (after_star, next);
    }
}

fn codes(bytes: &[u8]) -> Vec<u32> {
    let mut rest = bytes;
    std::iter::from_fn(|| {
        let (code, after) = split_code(rest)?;
        rest = after;
        Some(code)
    })
    .collect()
}

/// The first code point and what follows it. A byte that is not UTF-8 is one code point, 0xDC00 plus the byte, as with
/// Python's `surrogateescape`.
fn split_code(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, after) = bytes.split_first()?;
    if first.is_ascii() {
        return Some((u32::from(*first), after));
    }
    let longest = &bytes[..bytes.len().min(4)];
    match longest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()) {
        Some(char) => Some((u32::from(char), &bytes[char.len_utf8()..])),
        None => Some((0xDC00 + u32::from(*first), after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_python() {
        let table: &[(&[u8], &[u8], bool)] = &[
            (b"a*.fits", b"a1.fits", true),
            (b"a*a", b"a", false),
            (b"a*b*c", b"aXbYbZc", true),
            (b"a*b*c", b"acb", false),
            (b"**", b".x", true),
            (b"?", "é".as_bytes(), true),
            (b"?", b"\xff", true),
            (b"?", b"\xc3\xa9\xff", false),
            (b"??", b"\xe2\x82", true),
            (b"*\xa9", "é".as_bytes(), false),
            (b"[\xff]", b"\xff", true),
            (b"[a", b"[a", true),
            (b"[]", b"[]", true),
            (b"{a,b}", b"{a,b}", true),
            (b"{a,b}", b"a", false),
            (b"\\*", b"\\x", true),
            (b"\\[a]", b"\\a", true),
            (b"*[!x]*", b"xxy", true),
            (b"", b"", true),
        ];
        for (pattern, name, expected) in table {
            let answer = NamePattern::new(pattern).matches(name);
            assert_eq!(answer, *expected, "{} on {}", pattern.escape_ascii(), name.escape_ascii());
        }
    }
}
