//! Entries of a list in little memory: a replica's share may have a million of them.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Of every so many entries it is kept where the first one begins.
const STRIDE: usize = 64;

/// One entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// A path, or whatever a given list names.
    pub path: &'a OsStr,
    /// Its size in bytes, where the strategy needs it.
    pub size: Option<u64>,
}

/// Entries in the order of their list. Takes their bytes, 4 more each, and 16 where sizes are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// All paths, end to end.
    bytes: Vec<u8>,
    /// Where the path of every [`STRIDE`]th entry begins.
    begins: Vec<usize>,
    lengths: Vec<u32>,
    /// Empty as long as no entry has one.
    sizes: Vec<Option<u64>>,
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
    /// None yet, with room for so many of so many bytes together.
    pub fn with_capacity(entries: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            begins: Vec::with_capacity(entries.div_ceil(STRIDE)),
            lengths: Vec::with_capacity(entries),
            sizes: Vec::new(),
        }
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
    /// When it is longer than anything that could be passed on.
    pub fn push(&mut self, entry: Entry<'_>) -> Result<(), TooLong> {
        let path = entry.path.as_bytes();
        let length = u32::try_from(path.len()).map_err(|_| TooLong)?;
        if self.len().is_multiple_of(STRIDE) {
            self.begins.push(self.bytes.len());
        }
        if entry.size.is_some() && self.sizes.is_empty() {
            self.sizes = vec![None; self.len()];
        }
        if entry.size.is_some() || !self.sizes.is_empty() {
            self.sizes.push(entry.size);
        }
        self.bytes.extend_from_slice(path);
        self.lengths.push(length);
        Ok(())
    }

    /// Sets the sizes of all, in their order.
    pub fn set_sizes(&mut self, sizes: Vec<u64>) {
        self.sizes = sizes.into_iter().map(Some).collect();
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The one at a place, from 0.
    pub fn get(&self, place: usize) -> Option<Entry<'_>> {
        let length = *self.lengths.get(place)? as usize;
        let before = self.lengths.get(place - place % STRIDE..place)?;
        let begin =
            self.begins.get(place / STRIDE)? + before.iter().map(|length| *length as usize).sum::<usize>();
        let path = OsStr::from_bytes(self.bytes.get(begin..begin + length)?);
        Some(Entry { path, size: self.sizes.get(place).copied().flatten() })
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut begin = 0;
        self.lengths.iter().enumerate().map(move |(place, length)| {
            let end = begin + *length as usize;
            let path = OsStr::from_bytes(self.bytes.get(begin..end).unwrap_or_default());
            begin = end;
            Entry { path, size: self.sizes.get(place).copied().flatten() }
        })
    }

    /// Gives back the room that is not used.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.lengths.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Entries, Entry, STRIDE};

    #[test]
    fn each_is_found_at_its_place_with_its_size() {
        for sized_from in [0, 3, STRIDE + 5, 1000] {
            let name = |place: usize| OsString::from("x".repeat(place % 7) + &place.to_string());
            let size = |place: usize| (place >= sized_from && place % 2 == 1).then_some(place as u64);
            let mut entries = Entries::default();
            for place in 0..3 * STRIDE {
                entries.push(Entry { path: &name(place), size: size(place) }).unwrap();
                assert_eq!(entries.get(place).unwrap(), Entry { path: &name(place), size: size(place) });
            }
            assert_eq!((entries.len(), entries.get(3 * STRIDE)), (3 * STRIDE, None));
            for (place, entry) in entries.iter().enumerate() {
                assert_eq!(entry, Entry { path: &name(place), size: size(place) });
            }
            assert_eq!(Entries::of(entries.iter()), Ok(entries));
        }
    }

    #[test]
    fn of_none_there_is_none() {
        let none = Entries::default();
        assert_eq!((none.len(), none.get(0), none.iter().next()), (0, None, None));
    }
}
