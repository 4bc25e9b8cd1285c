//! Names and patterns in messages: plain where they can't be misread, else quoted and escaped.

use std::ffi::OsStr;
use std::fmt;

/// A name in a message. With control characters, blanks, quotes or bytes that are not UTF-8 it is shown as `"..."` with
/// escapes.
pub(super) struct Quoted<'a>(pub(super) &'a OsStr);

impl<'a, T: AsRef<OsStr> + ?Sized> From<&'a T> for Quoted<'a> {
    fn from(name: &'a T) -> Self {
        Self(name.as_ref())
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harmless = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\');
        match self.0.to_str() {
            Some(text) if !text.is_empty() && text.chars().all(harmless) => f.write_str(text),
            _ => fmt::Debug::fmt(self.0, f),
        }
    }
}

/// Several names, with commas, at most `limit` of them.
pub(super) fn some_of<T: AsRef<OsStr>>(names: &[T], limit: usize) -> String {
    let mut parts: Vec<String> =
        names.iter().take(limit).map(|name| Quoted::from(name).to_string()).collect();
    if names.len() > limit {
        parts.push("...".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn only_names_that_could_be_misread_are_quoted() {
        let quoted = |bytes: &[u8]| Quoted(OsStr::from_bytes(bytes)).to_string();
        assert_eq!(quoted(b"/data/*.fits"), "/data/*.fits");
        assert_eq!(quoted("/d/é".as_bytes()), "/d/é");
        assert_eq!(quoted(b""), "\"\"");
        assert_eq!(quoted(b"a b\n\xff"), "\"a b\\n\\xFF\"");
        assert_eq!(quoted(b"\x1b[31m"), "\"\\u{1b}[31m\"");
    }
}
