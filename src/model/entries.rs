//! Entries of a list in little memory: a replica's share may have a million of them.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// One entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// A path, or whatever a given list names.
    pub path: &'a OsStr,
    /// Its size in bytes, where the strategy needs it.
    pub size: Option<u64>,
    /// The value of `{rel}` for it, if no pattern determines it. Never empty.
    pub rel: Option<&'a OsStr>,
    /// The row of a table that it stands for: a JSON object on one line.
    pub row: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// A path without further information.
    pub fn of(path: &'a (impl AsRef<OsStr> + ?Sized)) -> Self {
        Self { path: path.as_ref(), size: None, rel: None, row: None }
    }
}

/// Entries in the order of their list. Each takes the bytes of its path and 4 more, 16 more where sizes are known, and the
/// bytes of a `rel` or row and 4 more where entries have one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    paths: Texts,
    /// As long as no entry has one, this is empty; `rels` and `rows` likewise.
    sizes: Vec<Option<u64>>,
    rels: Texts,
    rows: Texts,
}

/// An entry has more than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry has more than 4 GiB: is this a list of files?")
    }
}

impl std::error::Error for TooLong {}

impl Entries {
    /// Empty, with capacity for this many entries, with paths of this many bytes together.
    pub fn with_capacity(entries: usize, bytes: usize) -> Self {
        Self { paths: Texts::with_capacity(entries, bytes), ..Self::default() }
    }

    /// All of these.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn of<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Result<Self, TooLong> {
        let mut all = Self::default();
        entries.into_iter().try_for_each(|entry| all.push(entry))?;
        Ok(all)
    }

    /// Adds one at the end.
    ///
    /// # Errors
    /// When it is longer than 4 GiB.
    pub fn push(&mut self, entry: Entry<'_>) -> Result<(), TooLong> {
        let place = self.len();
        self.paths.push(entry.path.as_bytes())?;
        self.rels.push_at(place, entry.rel.map(OsStr::as_bytes))?;
        self.rows.push_at(place, entry.row)?;
        if entry.size.is_some() || !self.sizes.is_empty() {
            self.sizes.resize(place, None);
            self.sizes.push(entry.size);
        }
        Ok(())
    }

    /// Sets the sizes of all, in their order.
    pub fn set_sizes(&mut self, sizes: Vec<u64>) {
        self.sizes = sizes.into_iter().map(Some).collect();
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at a place, from 0.
    pub fn get(&self, place: usize) -> Option<Entry<'_>> {
        Some(self.entry(place, self.paths.get(place)?))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.paths.iter().enumerate().map(|(place, path)| self.entry(place, path))
    }

    fn entry<'a>(&'a self, place: usize, path: &'a [u8]) -> Entry<'a> {
        let some = |texts: &'a Texts| texts.get(place).filter(|text| !text.is_empty());
        Entry {
            path: OsStr::from_bytes(path),
            size: self.sizes.get(place).copied().flatten(),
            rel: some(&self.rels).map(OsStr::from_bytes),
            row: some(&self.rows),
        }
    }

    /// Gives back the room that is not used.
    pub fn shrink(&mut self) {
        self.sizes.shrink_to_fit();
        [&mut self.paths, &mut self.rels, &mut self.rows].into_iter().for_each(Texts::shrink);
    }
}

/// The interval of texts at which the start offset is kept.
const STRIDE: usize = 64;

/// Byte strings, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Texts {
    bytes: Vec<u8>,
    /// The start of every [`STRIDE`]th text.
    begins: Vec<usize>,
    lengths: Vec<u32>,
}

impl Texts {
    fn with_capacity(texts: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            begins: Vec::with_capacity(texts.div_ceil(STRIDE)),
            lengths: Vec::with_capacity(texts),
        }
    }

    fn push(&mut self, text: &[u8]) -> Result<(), TooLong> {
        let length = u32::try_from(text.len()).map_err(|_| TooLong)?;
        if self.len().is_multiple_of(STRIDE) {
            self.begins.push(self.bytes.len());
        }
        self.bytes.extend_from_slice(text);
        self.lengths.push(length);
        Ok(())
    }

    /// Adds a text that may be missing, as an empty one, but nothing as long as all were missing.
    fn push_at(&mut self, place: usize, text: Option<&[u8]>) -> Result<(), TooLong> {
        if text.is_none() && self.len() == 0 {
            return Ok(());
        }
        (self.len()..place).try_for_each(|_| self.push(b""))?;
        self.push(text.unwrap_or_default())
    }

    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        let length = *self.lengths.get(place)? as usize;
        let before = self.lengths.get(place - place % STRIDE..place)?;
        let begin =
            self.begins.get(place / STRIDE)? + before.iter().map(|length| *length as usize).sum::<usize>();
        self.bytes.get(begin..begin + length)
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.lengths.iter().map(move |length| {
            let end = begin + *length as usize;
            let text = self.bytes.get(begin..end).unwrap_or_default();
            begin = end;
            text
        })
    }

    fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.lengths.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Entries, Entry, STRIDE, Texts};

    #[test]
    fn each_is_found_at_its_place_with_what_it_has() {
        for known_from in [0, 3, STRIDE + 5, 1000] {
            let name = |place: usize| OsString::from("x".repeat(place % 7) + &place.to_string());
            let texts: Vec<(OsString, String)> =
                (0..3 * STRIDE).map(|place| (name(place), format!("{{\"n\":{place}}}"))).collect();
            let entry = |place: usize| {
                let (name, row) = &texts[place];
                let is_known = place >= known_from && place % 2 == 1;
                Entry {
                    size: is_known.then_some(place as u64),
                    rel: is_known.then_some(name.as_os_str()),
                    row: (is_known && place % 3 == 1).then_some(row.as_bytes()),
                    ..Entry::of(name)
                }
            };
            let mut entries = Entries::default();
            for place in 0..3 * STRIDE {
                entries.push(entry(place)).unwrap();
                assert_eq!(entries.get(place).unwrap(), entry(place));
            }
            assert_eq!((entries.len(), entries.get(3 * STRIDE)), (3 * STRIDE, None));
            assert!(entries.iter().eq((0..3 * STRIDE).map(entry)));
            assert_eq!(Entries::of(entries.iter()), Ok(entries));
        }
    }

    #[test]
    fn what_no_entry_has_takes_no_memory() {
        let entries = Entries::of(["a", "b"].map(Entry::of)).unwrap();
        assert_eq!(
            (entries.rels, entries.rows, entries.sizes),
            (Texts::default(), Texts::default(), Vec::new())
        );
    }

    #[test]
    fn of_none_there_is_none() {
        let none = Entries::default();
        assert_eq!((none.len(), none.get(0), none.iter().next()), (0, None, None));
    }
}
