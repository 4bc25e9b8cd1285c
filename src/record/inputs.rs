//! `inputs.jsonl`, the frozen input list, and how a share is read from it.
//!
//! The first line is the header, every other one an entry. The header knows where every 1024th entry begins, with a
//! checksum of that block, so that a replica reads its share of a long list and notices damage in it. The header's own
//! checksum is its last member.

mod header;
mod line;
mod publish;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Context;

pub use self::header::{Block, Command, Header, Origin, Settings, Source, VERSION};
pub use self::publish::{PreparedList, prepare, publish};

use self::header::{check_version, damaged, is_sealed};
use self::line::{checksum, parse_line, parse_size};
use crate::exit_code::CannotGoOn;
use crate::model::entries::{Entries, Entry};
use crate::model::shares::Share;
use crate::store::layout::Layout;
use crate::store::regular;

/// A published list, open for reading.
#[derive(Debug)]
pub struct InputList {
    header: Header,
    /// Where the first entry line begins in the file.
    body: u64,
    file: File,
    path: std::path::PathBuf,
}

impl InputList {
    /// Opens the list of the results directory; `None` where there is none.
    ///
    /// # Errors
    /// When it can't be read, is of another version, or is damaged.
    pub fn open(layout: &Layout) -> anyhow::Result<Option<Self>> {
        let path = layout.inputs();
        let file = match regular::open(&path) {
            Ok(file) => file,
            // Where the results directory is a file, making it says so better.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => {
                let cannot = || CannotGoOn(format!("can't open the input list {}", path.display()));
                return Err(error).with_context(cannot);
            }
        };
        Self::read_header(file, &path)
            .with_context(|| format!("the input list {} can't be used", path.display()))
            .map(Some)
    }

    fn read_header(file: File, path: &Path) -> anyhow::Result<Self> {
        let length = file.metadata()?.len();
        let mut reader = BufReader::new(&file);
        let mut first = Vec::new();
        reader.read_until(b'\n', &mut first).with_context(|| CannotGoOn("it can't be read".to_owned()))?;
        check_version(&first, path)?;
        let parsed = serde_json::from_slice(&first);
        let header: Header =
            parsed.map_err(|error| damaged(&format!("its first line is not a header ({error})"), path))?;
        let body = first.len() as u64;
        if Some(length) != body.checked_add(header.bytes) {
            let (found, expected) = (length.saturating_sub(body), header.bytes);
            let what =
                format!("it has {found} bytes of entries and should have {expected}: it was cut or edited");
            return Err(damaged(&what, path));
        }
        if !header.is_sound() {
            return Err(damaged("its header contradicts itself: it was edited", path));
        }
        if !is_sealed(&first) {
            return Err(damaged("its header does not have its checksum: it was edited", path));
        }
        Ok(Self { header, body, file, path: path.to_owned() })
    }

    /// Its first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The share of one replica. Only `size` has to read the whole list for it.
    ///
    /// # Errors
    /// When the list can't be read or is damaged.
    pub fn share_of(&self, replica: crate::model::replica::Replica) -> anyhow::Result<Share> {
        let sizes = self.sizes()?;
        Ok(crate::model::shares::share(self.header.strategy, self.header.count, &sizes, replica))
    }

    /// The shares of all replicas, in the order of their ids.
    ///
    /// # Errors
    /// As [`Self::share_of`].
    pub fn shares(&self) -> anyhow::Result<Vec<Share>> {
        Ok(crate::model::shares::shares(
            self.header.strategy,
            self.header.count,
            &self.sizes()?,
            self.replicas()?,
        ))
    }

    fn replicas(&self) -> anyhow::Result<std::num::NonZeroU32> {
        std::num::NonZeroU32::new(self.header.replica_count).context("its replica count is 0")
    }

    /// The sizes of all entries where sharing needs them, else none.
    fn sizes(&self) -> anyhow::Result<Vec<u64>> {
        let mut sizes = Vec::new();
        if self.header.strategy.needs_sizes() {
            self.read_lines(0..self.header.count, |index, line| {
                sizes.push(parse_size(line, index).with_context(|| self.unusable())?);
                Ok(())
            })?;
        }
        Ok(sizes)
    }

    /// The entries of a share, in its order.
    ///
    /// # Errors
    /// When the list can't be read or is damaged.
    pub fn entries(&self, share: &Share) -> anyhow::Result<Entries> {
        let count = share.len().min(self.header.count);
        let bytes = u128::from(self.header.bytes) * u128::from(count) / u128::from(self.header.count.max(1));
        let mut entries = Entries::with_capacity(usize::try_from(count)?, usize::try_from(bytes)?);
        self.read(share.iter(), |_, entry| Ok(entries.push(entry)?))?;
        entries.shrink();
        Ok(entries)
    }

    /// Gives each wanted entry (ascending indices) to `take`, reading only the blocks that hold one.
    ///
    /// # Errors
    /// When the list can't be read, is damaged, or `take` says so.
    pub fn read(
        &self,
        wanted: impl Iterator<Item = u64>,
        mut take: impl FnMut(u64, Entry<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.read_lines(wanted, |index, line| {
            let (path, size) = parse_line(line, index).with_context(|| self.unusable())?;
            take(index, Entry { path: &path, size })
        })
    }

    fn read_lines(
        &self,
        wanted: impl Iterator<Item = u64>,
        mut take: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut wanted = wanted.peekable();
        let mut block = Vec::new();
        while let Some(&next) = wanted.peek() {
            let number = next / self.header.block_entries;
            self.read_block(number, &mut block).with_context(|| self.unusable())?;
            let first = number * self.header.block_entries;
            let lines = block.split_inclusive(|byte| *byte == b'\n');
            for (index, line) in (first..).zip(lines) {
                if wanted.next_if_eq(&index).is_some() {
                    take(index, line)?;
                }
            }
        }
        Ok(())
    }

    /// Makes sure that all of it is as it was published.
    ///
    /// # Errors
    /// When the list can't be read or is damaged.
    pub fn verify(&self) -> anyhow::Result<()> {
        let mut block = Vec::new();
        (0..self.header.blocks.len() as u64)
            .try_for_each(|number| self.read_block(number, &mut block))
            .with_context(|| self.unusable())
    }

    fn unusable(&self) -> CannotGoOn {
        CannotGoOn(format!("the input list {} can't be used", self.path.display()))
    }

    fn read_block(&self, number: u64, block: &mut Vec<u8>) -> anyhow::Result<()> {
        let at = |number: u64| usize::try_from(number).ok().and_then(|at| self.header.blocks.get(at));
        let begin = at(number).with_context(|| format!("its header has no block {number}"))?;
        let end = at(number + 1).map_or(self.header.bytes, |next| next.offset);
        let length = end.checked_sub(begin.offset).context("the offsets in its header fall")?;
        block.resize(usize::try_from(length)?, 0);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.body + begin.offset))?;
        file.read_exact(block)?;
        let first = number * self.header.block_entries;
        let lines = memchr::memchr_iter(b'\n', block).count() as u64;
        let expected = self.header.block_entries.min(self.header.count - first);
        if checksum(block) != begin.check || lines != expected {
            let what = format!(
                "entries from {first} on don't have the checksum of their block: they were edited or damaged"
            );
            return Err(damaged(&what, &self.path));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
