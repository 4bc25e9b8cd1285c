//! The placeholders: their exact texts, how one is found in a word, and what each stands for in a task.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::parts;

/// What the placeholders stand for: one task's place in the run.
#[derive(Debug, Clone, Copy)]
pub struct TaskPlace<'a> {
    /// The entry of the input list: an absolute path, or any text where a list of texts was given.
    pub path: &'a OsStr,
    /// The path below the pattern's fixed part.
    pub rel: &'a OsStr,
    /// Place in the input list, from 0.
    pub index: u64,
    /// Which of the tasks that run at the same time, from 1 to `jobs`.
    pub slot: usize,
    /// The replica, from 1.
    pub replica: u32,
    /// Where the task is to write its products, in the order of their declaration.
    pub outs: &'a [PathBuf],
}

/// A placeholder. What counts as directory, base name and extension: the slashes at the end of an entry belong to no
/// part; an extension follows the last dot of a base name that does not begin there; entries that are no paths are
/// treated as if they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// `{}`: the entry as it stands in the list.
    Path,
    /// `{/}`: what follows the last slash.
    BaseName,
    /// `{//}`: what stands before the base name; `.` if nothing does.
    Directory,
    /// `{.}`: the path without its last extension.
    WithoutExtension,
    /// `{/.}`: the base name without its last extension.
    BaseWithoutExtension,
    /// `{:}`: the path without a compression suffix (gz bz2 xz zst lz4 lzma Z fz br, in any case) and then without one
    /// extension.
    Stem,
    /// `{/:}`: the base name, shortened like [`Token::Stem`].
    BaseStem,
    /// `{rel}`: the path below the pattern's fixed part.
    Rel,
    /// `{index}`: the place in the input list, from 0.
    Index,
    /// `{slot}`: 1 to `jobs`.
    Slot,
    /// `{replica}`: this replica's number, from 1.
    Replica,
}

impl Token {
    /// All of them, in the order of the documentation.
    pub const ALL: [Token; 11] = [
        Token::Path,
        Token::BaseName,
        Token::Directory,
        Token::WithoutExtension,
        Token::BaseWithoutExtension,
        Token::Stem,
        Token::BaseStem,
        Token::Rel,
        Token::Index,
        Token::Slot,
        Token::Replica,
    ];

    /// The token as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Token::Path => "{}",
            Token::BaseName => "{/}",
            Token::Directory => "{//}",
            Token::WithoutExtension => "{.}",
            Token::BaseWithoutExtension => "{/.}",
            Token::Stem => "{:}",
            Token::BaseStem => "{/:}",
            Token::Rel => "{rel}",
            Token::Index => "{index}",
            Token::Slot => "{slot}",
            Token::Replica => "{replica}",
        }
    }

    /// Whether it stands for something of one file, and not only of where tasks run.
    pub(super) const fn is_of_a_file(self) -> bool {
        !matches!(self, Token::Slot | Token::Replica)
    }

    /// Appends what the token stands for.
    pub(super) fn append(self, place: &TaskPlace, out: &mut Vec<u8>) {
        let path = place.path.as_bytes();
        match self {
            Token::Path => out.extend_from_slice(path),
            Token::BaseName => out.extend_from_slice(parts::base_name(path)),
            Token::Directory => out.extend_from_slice(parts::directory(path)),
            Token::WithoutExtension => out.extend_from_slice(parts::without_extension(path)),
            Token::BaseWithoutExtension => {
                out.extend_from_slice(parts::base_name(parts::without_extension(path)));
            }
            Token::Stem => out.extend_from_slice(parts::stem(path)),
            Token::BaseStem => out.extend_from_slice(parts::base_name(parts::stem(path))),
            Token::Rel => out.extend_from_slice(place.rel.as_bytes()),
            Token::Index => out.extend_from_slice(place.index.to_string().as_bytes()),
            Token::Slot => out.extend_from_slice(place.slot.to_string().as_bytes()),
            Token::Replica => out.extend_from_slice(place.replica.to_string().as_bytes()),
        }
    }

    fn beginning(bytes: &[u8]) -> Option<Token> {
        Token::ALL.into_iter().find(|token| bytes.starts_with(token.as_str().as_bytes()))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a brace begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundPlaceholder {
    /// A placeholder.
    Token(Token),
    /// A doubled one such as `{{}}`, which means the text of the token, `{}`.
    Text(Token),
}

impl FoundPlaceholder {
    /// How many bytes of the source it takes.
    pub(super) const fn len(self) -> usize {
        match self {
            FoundPlaceholder::Token(token) => token.as_str().len(),
            FoundPlaceholder::Text(token) => token.as_str().len() + 2,
        }
    }
}

/// The placeholder or doubled placeholder that `bytes` begin with.
pub(super) fn beginning(bytes: &[u8]) -> Option<FoundPlaceholder> {
    let inner = bytes.strip_prefix(b"{")?;
    if let Some(token) = Token::beginning(bytes) {
        return Some(FoundPlaceholder::Token(token));
    }
    let token = Token::beginning(inner)?;
    (inner.get(token.as_str().len()) == Some(&b'}')).then_some(FoundPlaceholder::Text(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_found_alone_and_doubled() {
        for token in Token::ALL {
            assert_eq!(beginning(format!("{token}x").as_bytes()), Some(FoundPlaceholder::Token(token)));
            assert_eq!(beginning(format!("{{{token}}}x").as_bytes()), Some(FoundPlaceholder::Text(token)));
        }
    }

    #[test]
    fn other_braces_are_no_placeholders() {
        for text in ["", "{", "}", "{{", "{ }", "{a}", "{///}", "{Index}", "{{}", "{{ }}", "{0}", "x{}"] {
            assert_eq!(beginning(text.as_bytes()), None, "{text:?}");
        }
    }
}
