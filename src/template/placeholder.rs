//! The placeholders: their exact texts, how one is found in a word, and what each stands for in a task.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::error::{TemplateError, readable};
use super::parts;
use crate::model::row;

/// The values of the placeholders for one task.
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
    /// The paths to write the task's products to, in the order of their declaration.
    pub outs: &'a [PathBuf],
    /// The row of the table that it stands for, with a member for each column, in their order.
    pub row: Option<&'a [u8]>,
}

impl TaskPlace<'_> {
    /// Of what lies nowhere in a run but in a slot: a worker, which is started before it is given any task.
    pub fn of_slot(slot: usize, replica: u32) -> Self {
        let nothing = OsStr::new("");
        Self { path: nothing, rel: nothing, index: 0, slot, replica, outs: &[], row: None }
    }
}

/// A placeholder. What counts as directory, base name and extension: the slashes at the end of an entry belong to no
/// part; an extension follows the last dot of a base name that does not begin there; entries that are no paths are
/// treated as if they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// `{}`: the entry as written in the list.
    Path,
    /// `{/}`: what follows the last slash.
    BaseName,
    /// `{//}`: the part before the base name; `.` if there is none.
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
    /// `{out}` or `{out:NAME}`: where to write the product of this place in the declaration, from 0. It is one only where
    /// products are declared.
    Out(usize),
    /// `{NAME}`: the cell of the column of this place in the table, from 0. It is one only where the run has a table.
    Column(usize),
}

impl Token {
    /// The placeholders of every run, in the order of the documentation.
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

    /// The token as it is written; of a product the shortest that is one, of a column what stands for its name.
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
            Token::Out(_) => "{out}",
            Token::Column(_) => "{column}",
        }
    }

    /// Whether it depends on the file, and not only on where the task runs.
    pub(super) const fn is_of_a_file(self) -> bool {
        !matches!(self, Token::Slot | Token::Replica)
    }

    /// Whether it says to the command which file to read.
    pub(super) const fn is_of_input(self) -> bool {
        self.is_of_a_file() && !matches!(self, Token::Out(_))
    }

    /// Appends the value of the token.
    pub fn append(self, place: &TaskPlace, out: &mut Vec<u8>) {
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
            Token::Out(product) => {
                out.extend_from_slice(place.outs.get(product).map_or(b"", |out| out.as_os_str().as_bytes()));
            }
            Token::Column(column) => {
                out.extend_from_slice(
                    place.row.and_then(|row| row::cell(row, column)).unwrap_or_default().as_bytes(),
                );
            }
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the entries of a run are, as far as it matters to what can be named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntryKind {
    /// Files, or whatever a given list names: the path is appended to a command that names nothing of it.
    #[default]
    Files,
    /// Rows and numbers, which have no path.
    Labels,
}

/// What a command can name beside the placeholders of every run: `{out}` is the first product, `{out:NAME}` the one of this
/// name, `{NAME}` a column. Where there are no products, the former are plain text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    outs: Vec<Option<String>>,
    columns: Vec<String>,
    entries: EntryKind,
}

impl Vocabulary {
    /// Of products with these names, in the order of their declaration.
    pub fn new(outs: impl IntoIterator<Item = Option<String>>) -> Self {
        Self::default().with_outs(outs)
    }

    /// The same for entries of this kind, with a cell for each of these columns.
    #[must_use]
    pub fn with_entries(self, entries: EntryKind, columns: impl IntoIterator<Item = String>) -> Self {
        Self { entries, columns: columns.into_iter().collect(), ..self }
    }

    /// The same with products of these names, in the order of their declaration.
    #[must_use]
    pub fn with_outs(self, outs: impl IntoIterator<Item = Option<String>>) -> Self {
        Self { outs: outs.into_iter().collect(), ..self }
    }

    /// The same with the products that a text names, declared or not.
    pub(super) fn with_outs_in(&self, text: &[u8]) -> Self {
        let named =
            outs_in(text).map(|(_, name)| name.map(|name| String::from_utf8_lossy(name).into_owned()));
        self.clone().with_outs(named.flat_map(|name| [None, name]))
    }

    /// Whether the entry is appended to a command that names nothing of it.
    pub(super) fn appends_path(&self) -> bool {
        self.entries == EntryKind::Files
    }

    /// A token as it is written.
    pub(super) fn written(&self, token: Token) -> String {
        match token {
            Token::Column(column) => format!("{{{}}}", self.columns.get(column).map_or("", String::as_str)),
            token => token.as_str().to_owned(),
        }
    }

    /// Refuses what is of a file where entries are none.
    pub(super) fn check_token(&self, token: Token) -> Result<(), TemplateError> {
        match token {
            Token::Rel if self.entries == EntryKind::Labels => Err(TemplateError::RelOfNoFile),
            _ => Ok(()),
        }
    }

    /// The place of a product in the declaration.
    fn place(&self, name: Option<&[u8]>) -> Option<usize> {
        let is_it = |known: &Option<String>| known.as_ref().map(String::as_bytes) == name;
        match name {
            None => (!self.outs.is_empty()).then_some(0),
            Some(_) => self.outs.iter().position(is_it),
        }
    }

    /// Refuses a product that is not declared, where some are.
    pub(super) fn check(&self, text: &[u8]) -> Result<(), TemplateError> {
        let unknown = outs_in(text).find(|(_, name)| self.place(*name).is_none());
        match unknown.filter(|_| !self.outs.is_empty()) {
            Some((token, _)) => {
                Err(TemplateError::UnknownOut { token: readable(token), declared: self.declared_outs() })
            }
            None => Ok(()),
        }
    }

    /// The products that can be named.
    fn declared_outs(&self) -> String {
        let named = self.outs.iter().flatten().map(|name| format!(", {{out:{name}}}"));
        [Token::Out(0).as_str().to_owned()].into_iter().chain(named).collect()
    }

    /// The column that a text begins with, in braces, as it is written.
    fn column_beginning<'s>(&self, bytes: &'s [u8]) -> Option<(&'s [u8], Token)> {
        let name = bytes.strip_prefix(b"{")?;
        let ends = |column: &&[u8]| name.starts_with(column) && name.get(column.len()) == Some(&b'}');
        let columns = self.columns.iter().map(String::as_bytes).enumerate();
        let (place, column) = columns.into_iter().find(|(_, column)| ends(column))?;
        Some((&bytes[..column.len() + 2], Token::Column(place)))
    }
}

/// `{out}` or `{out:NAME}` at the beginning of a text, as it is written and with the name.
fn out_beginning(bytes: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let after = bytes.strip_prefix(b"{out")?;
    if after.first() == Some(&b'}') {
        return Some((&bytes[..b"{out}".len()], None));
    }
    let name = after.strip_prefix(b":")?;
    let end = memchr::memchr(b'}', name)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let name = Some(&name[..end]).filter(|name| !name.is_empty() && name.iter().all(is_name))?;
    Some((&bytes[..b"{out:}".len() + end], Some(name)))
}

/// Each `{out}` and `{out:NAME}` in a text that is not doubled, as it is written and with the name.
pub(super) fn outs_in(text: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let is_doubled = |at: usize, end: usize| at > 0 && text[at - 1] == b'{' && text.get(end) == Some(&b'}');
    memchr::memmem::find_iter(text, b"{out").filter_map(move |at| {
        let found = out_beginning(&text[at..])?;
        (!is_doubled(at, at + found.0.len())).then_some(found)
    })
}

/// The first `{out}` or `{out:NAME}` in a text, which is a placeholder only where products are declared.
pub fn first_out(text: &OsStr) -> Option<String> {
    outs_in(text.as_bytes()).next().map(|(token, _)| readable(token))
}

/// What a brace begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundPlaceholder<'s> {
    /// A placeholder, and how it is written.
    Token(Token, &'s [u8]),
    /// A doubled one such as `{{}}`, which means the text of the token, `{}`.
    Text(&'s [u8]),
}

impl FoundPlaceholder<'_> {
    /// How many bytes of the source it takes.
    pub(super) const fn len(&self) -> usize {
        match self {
            FoundPlaceholder::Token(_, text) => text.len(),
            FoundPlaceholder::Text(text) => text.len() + 2,
        }
    }
}

/// The placeholder or doubled placeholder that `bytes` begin with.
pub(super) fn beginning<'s>(bytes: &'s [u8], names: &Vocabulary) -> Option<FoundPlaceholder<'s>> {
    let inner = bytes.strip_prefix(b"{")?;
    if let Some((text, token)) = written(bytes, names) {
        return token.map(|token| FoundPlaceholder::Token(token, text));
    }
    // A product that is not declared is refused, so that doubled it is text in every run.
    let text = written(inner, names).map(|(text, _)| text).or_else(|| Some(out_beginning(inner)?.0))?;
    (inner.get(text.len()) == Some(&b'}')).then_some(FoundPlaceholder::Text(text))
}

/// How the placeholder is written that `bytes` begin with, and which it is; none is one for a product that is not declared.
fn written<'s>(bytes: &'s [u8], names: &Vocabulary) -> Option<(&'s [u8], Option<Token>)> {
    if let Some(token) = Token::ALL.into_iter().find(|token| bytes.starts_with(token.as_str().as_bytes())) {
        return Some((&bytes[..token.as_str().len()], Some(token)));
    }
    if let Some((text, token)) = names.column_beginning(bytes) {
        return Some((text, Some(token)));
    }
    let (text, name) = out_beginning(bytes).filter(|_| !names.outs.is_empty())?;
    Some((text, names.place(name).map(Token::Out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_found_alone_and_doubled() {
        let outs = Vocabulary::new([None, Some("cat".to_owned())]);
        let all = Token::ALL.map(|token| (token, token.as_str()));
        let of_products = [(Token::Out(0), "{out}"), (Token::Out(1), "{out:cat}")];
        for (token, text) in all.into_iter().chain(of_products) {
            let (bytes, doubled) = (format!("{text}x"), format!("{{{text}}}x"));
            let found = beginning(bytes.as_bytes(), &outs);
            assert_eq!(found, Some(FoundPlaceholder::Token(token, text.as_bytes())));
            let found = beginning(doubled.as_bytes(), &outs);
            assert_eq!(found, Some(FoundPlaceholder::Text(text.as_bytes())));
        }
    }

    #[test]
    fn other_braces_are_no_placeholders() {
        for text in [
            "", "{", "}", "{{", "{ }", "{a}", "{///}", "{Index}", "{{}", "{{ }}", "{0}", "x{}", "{out}",
            "{out:a}", "{{out}",
        ] {
            assert_eq!(beginning(text.as_bytes(), &Vocabulary::default()), None, "{text:?}");
        }
    }

    #[test]
    fn products_that_are_not_declared_are_refused_where_some_are() {
        let outs = Vocabulary::new([Some("cat".to_owned()), Some("img".to_owned())]);
        for fine in ["{out}", "{out:cat} {out:img}", "{{out:x}}", "{out:}", "{out: 3}", "{outer}", "x"] {
            assert_eq!(outs.check(fine.as_bytes()), Ok(()), "{fine}");
        }
        for wrong in ["a{out:x}b", "{out} {out:im-g}", "{{out:x} }"] {
            let error = outs.check(wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("{out}, {out:cat}, {out:img}"), "{wrong}: {error}");
        }
        assert_eq!(Vocabulary::default().check(b"{out:x}"), Ok(()));
        assert_eq!(first_out(OsStr::new("{{out}} {out:x}")).as_deref(), Some("{out:x}"));
    }
}
