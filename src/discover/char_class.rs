//! Which characters `?` and `[...]` match, exactly as in Python's `fnmatch` (3.11), oddities included.
//!
//! Python turns a set into the set of a regular expression, after taking out ranges that are empty. Which characters
//! remain, and whether the first `!` still negates, follows from the order of those steps, so they are done here in
//! the same order.

/// What one character of a pattern matches, in code points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CharClass {
    /// Any one code point: `?`, or a negated set of nothing such as `[!z-a]`.
    Any,
    /// No code point: a set of nothing such as `[z-a]`.
    Nothing,
    /// This code point.
    Exactly(u32),
    /// A code point within one of these ranges, or within none of them.
    Set { negated: bool, ranges: Vec<(u32, u32)> },
}

const HYPHEN: u32 = '-' as u32;
const BANG: u32 = '!' as u32;

impl CharClass {
    pub(super) fn accepts(&self, code: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Nothing => false,
            Self::Exactly(wanted) => *wanted == code,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&code)) != *negated
            }
        }
    }

    /// From what is between `[` and `]`, including a leading `!`.
    pub(super) fn from_brackets(inside: &[u32]) -> Self {
        let chunks = without_empty_ranges(split_at_range_hyphens(inside));
        match chunks.as_slice() {
            [only] if only.is_empty() => Self::Nothing,
            [only] if only == &[BANG] => Self::Any,
            _ => set_of(chunks),
        }
    }
}

/// Splits at the hyphens that may make a range: not the first character, and after one range the next
/// hyphen counts only from the third character on (`[a-c-e]` is a range, a hyphen and an `e`).
fn split_at_range_hyphens(inside: &[u32]) -> Vec<Vec<u32>> {
    let mut chunks: Vec<Vec<u32>> = Vec::new();
    let mut start = 0;
    let mut from = if inside.first() == Some(&BANG) { 2 } else { 1 };
    while let Some(found) = inside.iter().skip(from).position(|code| *code == HYPHEN) {
        let hyphen = from + found;
        chunks.push(inside[start..hyphen].to_vec());
        start = hyphen + 1;
        from = hyphen + 3;
    }
    let tail = &inside[start..];
    match chunks.last_mut() {
        Some(last) if tail.is_empty() => last.push(HYPHEN),
        _ => chunks.push(tail.to_vec()),
    }
    chunks
}

/// Joins neighbours whose range would be empty, without the two ends of that range.
fn without_empty_ranges(mut chunks: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
    for right in (1..chunks.len()).rev() {
        if chunks[right - 1].last() > chunks[right].first() {
            let joined = chunks.remove(right);
            chunks[right - 1].pop();
            chunks[right - 1].extend(joined.iter().skip(1));
        }
    }
    chunks
}

/// Two neighbouring chunks make a range; all other characters stand for themselves.
fn set_of(mut chunks: Vec<Vec<u32>>) -> CharClass {
    let negated = chunks[0].first() == Some(&BANG);
    if negated {
        chunks[0].remove(0);
    }
    let mut ranges = Vec::new();
    // `[z-a!-b]`: once the empty range is gone a `!` has come first, it negates, and its hyphen stands for itself.
    let mut range_from = None;
    if chunks[0].is_empty() {
        ranges.push((HYPHEN, HYPHEN));
        chunks.remove(0);
    }
    for chunk in &chunks {
        for (at, code) in chunk.iter().enumerate() {
            match range_from.filter(|_| at == 0) {
                Some(low) => {
                    ranges.pop();
                    ranges.push((low, *code));
                }
                None => ranges.push((*code, *code)),
            }
        }
        range_from = chunk.last().copied();
    }
    CharClass::Set { negated, ranges }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(inside: &str) -> String {
        let codes: Vec<u32> = inside.chars().map(u32::from).collect();
        let place = CharClass::from_brackets(&codes);
        "!-&]^abcxyz".chars().filter(|c| place.accepts(u32::from(*c))).collect()
    }

    #[test]
    fn a_set_accepts_what_python_accepts() {
        let table = [
            ("abc", "abc"),
            ("a-c", "abc"),
            ("!a-c", "!-&]^xyz"),
            ("^c", "^c"),
            ("]a", "]a"),
            ("!]a", "!-&^bcxyz"),
            ("-a", "-a"),
            ("a-", "-a"),
            ("!a-", "!&]^bcxyz"),
            ("!-a", "!&]^bcxyz"),
            ("z-a", ""),
            ("!z-a", "!-&]^abcxyz"),
            ("a-c-x", "-abcx"),
            ("a&&b", "&ab"),
            ("z-a!-b", "!&]^acxyz"),
            ("z-a!b", "!-&]^acxyz"),
            ("xz-ac", "cx"),
        ];
        for (inside, expected) in table {
            assert_eq!(accepted(inside), expected, "[{inside}]");
        }
    }
}
