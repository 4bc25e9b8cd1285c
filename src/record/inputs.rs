//! `inputs.jsonl`, the frozen input list: its format, and how a share is read from it.
//!
//! # Format, version 2
//!
//! Each line is a JSON object: the first one is the header, every other one an entry. The header says where every 1024th
//! entry begins, with a checksum of that piece of the list, so a replica reads only its share of a long list and notices
//! damage in it. Readers pass over members that they don't know, read versions 1 and 2, and refuse others.
//!
//! **Header.** A `text` is a JSON string, or `{"base64": ...}` where it is not UTF-8.
//!
//! | member | value |
//! | --- | --- |
//! | `format` | `"canfar-run inputs"` |
//! | `v` | 2 |
//! | `run` | the run id |
//! | `parent` | run id of the run that this one continues (`--new-since`); absent or null: none |
//! | `parent_dir` | where that run was, its results directory, a text; absent: no parent |
//! | `first_index` | the index of the first entry, the others follow; 0 without a parent; absent: 0 |
//! | `source` | where the entries come from: `{"kind": ..., ...}`, see below |
//! | `strategy`, `replica_count` | how the list is shared out (`even`, `chunk`, `stripe`, `size`), and among how many |
//! | `balance` | whether replicas go on with what others have not begun; absent: false |
//! | `sizes` | whether every entry has its `size`; absent: only where the strategy is `size` |
//! | `products` | what each task makes: a list of `{"name": ..., "path": text}`, `name` absent where none was given; absent: none |
//! | `command` | `{"argv": [text, ...]}` or `{"shell": text}`, placeholders unreplaced |
//! | `command_files` | the small files that the command names, with their digests |
//! | `settings` | how tasks are run: the folder where the run was begun (`cwd`), `options`, `env` |
//! | `count`, `bytes`, `blake3` | of all entry lines: how many, their length, their digest (`tail -n +2 inputs.jsonl \| b3sum`) |
//! | `unreadable` | directories that could not be read when the list was made, each a text |
//! | `created_by`, `created_at` | who made the list, and when |
//! | `piece_entries` | entries in a piece, of which the last may have fewer |
//! | `pieces` | a list of `{"offset": bytes from the end of the header line, "check": ...}`; a check is the first 16 hexadecimal digits of the BLAKE3 of the piece's lines |
//! | `check` | always last: the same of all that stands before `,"check":` in the header |
//!
//! | `kind` of the source | its other members |
//! | --- | --- |
//! | `patterns` | `patterns` and `exclude`, each a list of texts; `cwd`, the folder that relative ones mean; `type`, `file` or `dir` |
//! | `list` | `file`, the list's absolute path or `-`, a text; `null`, whether its entries were NUL-separated |
//! | `products` | `runs`, the runs whose products the entries are, each with its `results_dir`, a text, and `found`: its `run` id, how many `products` were taken, how many of its tasks had `failed`, how many were `missing`; `name`, which product; `columns`, where those were made of the rows of tables |
//! | `numbers` | `count`: so many tasks without a file, called 0, 1, ... |
//! | `table` | `file`, the table's absolute path or `-`, a text; `columns`, a list of `{"name": ..., "numbers": whether its cells are numbers}`: each row has them in this order |
//!
//! **Entry.**
//!
//! | member | value |
//! | --- | --- |
//! | `path`, or `path_base64` where it is not UTF-8 | the path, or whatever a given list names; never empty |
//! | `rel`, or `rel_base64` | what `{rel}` means, where the source has no patterns to tell it from; absent: none; never empty |
//! | `size` | bytes, where the header says so |
//! | `row` | the row of a table, an object with a member for each column of the header, in their order; its text is kept as it is written |
//!
//! What this version can't do yet is read and refused, with what it is: another kind of source.
//!
//! # Version 1
//!
//! Written by 0.1, and still finished, merged and shown. The header has no `parent`, `parent_dir`, `first_index`, `balance`, `sizes`
//! and `products`, and in early ones no `settings`; the kind `list` is called `files_from`, `piece_entries` `block_entries`, and
//! `pieces` `blocks`. Entries have `path` or `path_base64`, and `size`.

mod header;
mod line;
mod publish;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, ensure};

pub use self::header::{
    CallCommand, DeclaredProduct, FoundRun, Header, InputSpec, Origin, Settings, SourceRun, TaskCommand,
};
pub use self::publish::prepare;

use self::header::{damaged, is_sealed};
use self::line::{ReadEntry, checksum, parse_size};
use crate::exit_code::CannotGoOn;
use crate::model::blocks::Blocks;
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
            // Where the results directory is a file, the attempt to make it gives a better error.
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
        let header = Header::parse(&first, path)?;
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

    /// The share of one replica. Only `size` has to read the whole list for it.
    ///
    /// # Errors
    /// When the list can't be read or is damaged.
    pub fn share_of(&self, replica: crate::model::replica::Replica) -> anyhow::Result<Share> {
        let sizes = self.sizes()?;
        let share = crate::model::shares::share(self.header.strategy, self.header.count, &sizes, replica);
        Ok(share.starting_at(self.header.first_index))
    }

    /// The shares of all replicas, in the order of their ids.
    ///
    /// # Errors
    /// As [`Self::share_of`].
    pub fn shares(&self) -> anyhow::Result<Vec<Share>> {
        let Header { strategy, count, first_index, .. } = self.header;
        let shares = crate::model::shares::shares(strategy, count, &self.sizes()?, self.replicas()?);
        Ok(shares.into_iter().map(|share| share.starting_at(first_index)).collect())
    }

    /// How the shares are cut into blocks. Where entries have sizes all of the list is read for it.
    ///
    /// # Errors
    /// As [`Self::share_of`].
    pub fn blocks(&self) -> anyhow::Result<Blocks> {
        let Header { strategy, count, first_index, .. } = self.header;
        ensure!(
            !strategy.needs_sizes() || u32::try_from(count).is_ok(),
            "{count} entries are too many for --strategy size with --balance"
        );
        let sizes = if self.header.has_sizes() { self.read_sizes()? } else { Vec::new() };
        Ok(Blocks::new(strategy, count, &sizes, self.replicas()?).starting_at(first_index))
    }

    /// Whether replicas go on with what others have not begun: never where there is one alone.
    pub fn has_balance(&self) -> bool {
        self.header.balance && self.header.replica_count > 1
    }

    fn replicas(&self) -> anyhow::Result<std::num::NonZeroU32> {
        std::num::NonZeroU32::new(self.header.replica_count).context("its replica count is 0")
    }

    /// The sizes of all entries where sharing needs them, else none.
    fn sizes(&self) -> anyhow::Result<Vec<u64>> {
        if self.header.strategy.needs_sizes() { self.read_sizes() } else { Ok(Vec::new()) }
    }

    fn read_sizes(&self) -> anyhow::Result<Vec<u64>> {
        let mut sizes = Vec::new();
        self.read_lines(self.header.indices(), |index, line| {
            sizes.push(parse_size(line, index).with_context(|| self.unusable())?);
            Ok(())
        })?;
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

    /// Gives each wanted entry (ascending indices) to `take`, reading only the pieces that hold one.
    ///
    /// # Errors
    /// When the list can't be read or is damaged, and those of `take`.
    pub fn read(
        &self,
        wanted: impl Iterator<Item = u64>,
        mut take: impl FnMut(u64, Entry<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.read_lines(wanted, |index, line| {
            let read = ReadEntry::parse(line, index).with_context(|| self.unusable())?;
            take(index, read.entry())
        })
    }

    fn read_lines(
        &self,
        wanted: impl Iterator<Item = u64>,
        mut take: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let first_index = self.header.first_index;
        let mut wanted = wanted.peekable();
        let mut piece = Vec::new();
        while let Some(&next) = wanted.peek() {
            let place = next.checked_sub(first_index).with_context(|| format!("it has no entry {next}"))?;
            let number = place / self.header.piece_entries;
            self.read_piece(number, &mut piece).with_context(|| self.unusable())?;
            let first = first_index + number * self.header.piece_entries;
            let lines = piece.split_inclusive(|byte| *byte == b'\n');
            for (index, line) in (first..).zip(lines) {
                if wanted.next_if_eq(&index).is_some() {
                    take(index, line)?;
                }
            }
        }
        Ok(())
    }

    /// Checks that all of it is as it was published.
    ///
    /// # Errors
    /// When the list can't be read or is damaged.
    pub fn verify(&self) -> anyhow::Result<()> {
        let mut piece = Vec::new();
        (0..self.header.pieces.len() as u64)
            .try_for_each(|number| self.read_piece(number, &mut piece))
            .with_context(|| self.unusable())
    }

    fn unusable(&self) -> CannotGoOn {
        CannotGoOn(format!("the input list {} can't be used", self.path.display()))
    }

    fn read_piece(&self, number: u64, piece: &mut Vec<u8>) -> anyhow::Result<()> {
        let at = |number: u64| usize::try_from(number).ok().and_then(|at| self.header.pieces.get(at));
        let begin = at(number).with_context(|| format!("its header has no piece {number}"))?;
        let end = at(number + 1).map_or(self.header.bytes, |next| next.offset);
        let length = end.checked_sub(begin.offset).context("the offsets in its header fall")?;
        piece.resize(usize::try_from(length)?, 0);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.body + begin.offset))?;
        file.read_exact(piece)?;
        let first = number * self.header.piece_entries;
        let lines = memchr::memchr_iter(b'\n', piece).count() as u64;
        let expected = self.header.piece_entries.min(self.header.count - first);
        if checksum(piece) != begin.check || lines != expected {
            let what = format!(
                "entries from {} on don't match their checksum: they were edited or damaged",
                self.header.first_index + first
            );
            return Err(damaged(&what, &self.path));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
