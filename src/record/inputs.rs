//! `inputs.jsonl`, the frozen input list: its header, its lines, how it is published and how a share is read from it.
//!
//! The first line is the header, every other one an entry. The header knows where every 1024th entry begins, with a
//! checksum of that block, so that a replica reads its share of a long list and notices damage in it. The header's own
//! checksum is its last member.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::discover::EntryType;
use crate::entries::{Entries, Entry};
use crate::provenance::{NamedFile, Process};
use crate::record::atomic_file::{AtomicFile, Published};
use crate::record::layout::Layout;
use crate::record::regular;
use crate::select::{Share, Strategy};
use crate::text::{OsText, PathText};

/// The format's major version; readers refuse others.
pub const VERSION: u32 = 1;

/// What the header's `format` says, so that no other JSON is taken for a list.
const FORMAT: &str = "canfar-run inputs";

/// Entries a block: some 64 KiB of paths, one read.
const BLOCK: u64 = 1024;

/// Where a run's files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// What patterns found.
    Patterns {
        /// As given.
        patterns: Vec<OsText>,
        /// What the relative ones among patterns and excludes are relative to, if there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<OsText>,
        /// `--exclude`.
        exclude: Vec<OsText>,
        /// `--type`.
        #[serde(rename = "type")]
        entry_type: EntryType,
    },
    /// A list that was given.
    FilesFrom {
        /// The absolute path of the list, or `-` for standard input.
        file: OsText,
        /// `--null`.
        null: bool,
    },
}

/// The command of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// A program and its arguments, placeholders unreplaced.
    Argv(Vec<OsText>),
    /// `--shell`.
    Shell(OsText),
}

/// How the tasks of a run are run where nothing else is said: what `resume` goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where the command was given, absolute: what is relative in it is so to that. `None` in lists of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<OsText>,
    /// Options about tasks and their results that are not defaults, by their long names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, OsText>,
    /// Variables that tasks get, from the job file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// A block of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Where its first line begins, bytes from the end of the header line.
    pub offset: u64,
    /// First 16 hexadecimal digits of the BLAKE3 of its lines.
    pub check: String,
}

/// The first line of `inputs.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always `canfar-run inputs`.
    pub format: String,
    /// Always [`VERSION`].
    pub v: u32,
    /// The run id.
    pub run: String,
    /// Where the entries come from.
    pub source: Source,
    /// How they are shared out.
    pub strategy: Strategy,
    /// Among how many.
    pub replica_count: u32,
    /// What is run for each.
    pub command: Command,
    /// Small files that the command names.
    pub command_files: Vec<NamedFile>,
    /// How its tasks are run.
    #[serde(default)]
    pub settings: Settings,
    /// How many entries there are.
    pub count: u64,
    /// Length of all entry lines, bytes.
    pub bytes: u64,
    /// BLAKE3 of all entry lines, hexadecimal: `tail -n +2 inputs.jsonl | b3sum`.
    pub blake3: String,
    /// Directories that could not be read when the list was made.
    pub unreadable: Vec<OsText>,
    /// Who made it.
    pub created_by: Process,
    /// When.
    pub created_at: String,
    /// Entries a block.
    pub block_entries: u64,
    /// The blocks.
    pub blocks: Vec<Block>,
}

/// What of a header is known before its list is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Where the entries come from.
    pub source: Source,
    /// How they are shared out.
    pub strategy: Strategy,
    /// Among how many.
    pub replica_count: u32,
    /// What is run for each.
    pub command: Command,
    /// Small files that the command names.
    pub command_files: Vec<NamedFile>,
    /// How its tasks are run.
    pub settings: Settings,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    path: PathText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// A fresh run id: six characters, drawn at random.
fn draw_run_id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).map(|letter| letter.to_ascii_lowercase()).take(6).collect()
}

/// Publishes a new list in `layout`, whole or not at all; one that is there already stays and is to be adopted.
///
/// # Errors
/// When it can't be written.
pub fn publish(
    layout: &Layout,
    origin: Origin,
    entries: &Entries,
    unreadable: &[std::path::PathBuf],
    me: &Process,
) -> anyhow::Result<Published> {
    let path = layout.inputs();
    let encoded = Encoded::of(entries)?;
    let header = Header {
        format: FORMAT.to_owned(),
        v: VERSION,
        run: draw_run_id(),
        source: origin.source,
        strategy: origin.strategy,
        replica_count: origin.replica_count,
        command: origin.command,
        command_files: origin.command_files,
        settings: origin.settings,
        count: entries.len() as u64,
        bytes: encoded.bytes,
        blake3: encoded.blake3,
        unreadable: unreadable.iter().map(|path| OsText::from(path.as_os_str())).collect(),
        created_by: me.clone(),
        created_at: crate::clock::now(),
        block_entries: BLOCK,
        blocks: encoded.blocks,
    };
    let write = || -> anyhow::Result<Published> {
        let mut file = AtomicFile::create(&path)?;
        file.write_all(&sealed(serde_json::to_vec(&header)?))?;
        encode(entries, |block| Ok(file.write_all(block)?))?;
        Ok(file.publish()?)
    };
    write().with_context(|| format!("can't write the input list {}", path.display()))
}

/// Gives the lines of all entries to `take`, a block at a time: together they are as long as the list.
fn encode(entries: &Entries, mut take: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let mut entries = entries.iter().peekable();
    while entries.peek().is_some() {
        lines.clear();
        for entry in entries.by_ref().take(usize::try_from(BLOCK)?) {
            let line = Line { path: PathText::exact(entry.path), size: entry.size };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
        }
        take(&lines)?;
    }
    Ok(())
}

/// What the header has to say of the lines, which come after it.
struct Encoded {
    bytes: u64,
    blake3: String,
    blocks: Vec<Block>,
}

impl Encoded {
    fn of(entries: &Entries) -> anyhow::Result<Self> {
        let (mut bytes, mut digest, mut blocks) = (0, blake3::Hasher::new(), Vec::new());
        encode(entries, |lines| {
            blocks.push(Block { offset: bytes, check: checksum(lines) });
            digest.update(lines);
            bytes += lines.len() as u64;
            Ok(())
        })?;
        Ok(Self { bytes, blake3: digest.finalize().to_hex().to_string(), blocks })
    }
}

/// The header line: what it says with a checksum of that as its last member.
fn sealed(mut header: Vec<u8>) -> Vec<u8> {
    header.pop();
    let seal = seal(&header);
    header.extend_from_slice(seal.as_bytes());
    header
}

/// How a header line ends, after what comes before.
fn seal(header: &[u8]) -> String {
    format!(",\"check\":\"{}\"}}\n", checksum(header))
}

fn is_sealed(first: &[u8]) -> bool {
    let end = memchr::memmem::rfind(first, b",\"check\":").unwrap_or(first.len());
    let (header, end) = first.split_at(end);
    end == seal(header).as_bytes()
}

fn checksum(block: &[u8]) -> String {
    blake3::hash(block).to_hex()[..16].to_owned()
}

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
                return Err(error).with_context(|| format!("can't open the input list {}", path.display()));
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
        reader.read_until(b'\n', &mut first)?;
        check_version(&first, path)?;
        let parsed = serde_json::from_slice(&first);
        let header: Header =
            parsed.map_err(|error| anyhow!("its first line is not a header ({error}). {}", mend(path)))?;
        let body = first.len() as u64;
        if Some(length) != body.checked_add(header.bytes) {
            bail!(
                "it has {} bytes of entries and should have {}: it was cut or edited. {}",
                length.saturating_sub(body),
                header.bytes,
                mend(path)
            );
        }
        if !header.is_sound() {
            bail!("its header contradicts itself: it was edited. {}", mend(path));
        }
        if !is_sealed(&first) {
            bail!("its header does not have its checksum: it was edited. {}", mend(path));
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
    pub fn share_of(&self, replica: crate::replica::Replica) -> anyhow::Result<Share> {
        let sizes = self.sizes()?;
        Ok(crate::select::share(self.header.strategy, self.header.count, &sizes, replica))
    }

    /// The shares of all replicas, in the order of their ids.
    ///
    /// # Errors
    /// As [`Self::share_of`].
    pub fn shares(&self) -> anyhow::Result<Vec<Share>> {
        Ok(crate::select::shares(self.header.strategy, self.header.count, &self.sizes()?, self.replicas()?))
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

    fn unusable(&self) -> String {
        format!("the input list {} can't be used", self.path.display())
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
            bail!(
                "entries from {first} on don't have the checksum of their block: they were edited or damaged. {}",
                mend(&self.path)
            );
        }
        Ok(())
    }
}

impl Header {
    /// Whether its numbers fit together, and with the length of the file: what is reserved in memory for entries and
    /// blocks is then bounded by that.
    fn is_sound(&self) -> bool {
        let offsets = self.blocks.iter().map(|block| block.offset).chain([self.bytes]);
        self.block_entries > 0
            && (1..=crate::replica::MOST).contains(&self.replica_count)
            // No line is shorter than {}.
            && self.count <= self.bytes / 3
            && self.blocks.len() as u64 == self.count.div_ceil(self.block_entries)
            && offsets.is_sorted()
    }
}

/// What to do about a list that is damaged.
fn mend(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("."));
    format!("Restore it from a copy, or begin anew after `canfar-run reset {}`", folder.display())
}

fn check_version(first: &[u8], path: &Path) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Version {
        format: String,
        v: u32,
    }
    if first.is_empty() {
        bail!("it is empty. {}", mend(path));
    }
    let Ok(version) = serde_json::from_slice::<Version>(first) else {
        bail!(
            "its first line is no header of canfar-run's: it was cut or edited, or is somebody else's. {}",
            mend(path)
        );
    };
    if version.format != FORMAT {
        bail!(
            "it is a file of another kind ({:?}). Give another --results-dir, or move it away",
            version.format
        );
    }
    if version.v != VERSION {
        bail!(
            "it has format version {} and this canfar-run ({}) reads version {VERSION}: use the canfar-run that made it, or another --results-dir",
            version.v,
            env!("CARGO_PKG_VERSION")
        );
    }
    Ok(())
}

fn parse_line(line: &[u8], index: u64) -> anyhow::Result<(OsString, Option<u64>)> {
    let line: Line =
        serde_json::from_slice(line).with_context(|| format!("entry {index} is not a list entry"))?;
    let path = line.path.bytes().map_err(|error| anyhow::anyhow!("entry {index}: {error}"))?;
    Ok((path, line.size))
}

/// The size alone, without memory for the path: all lines are asked for it where shares go by size.
fn parse_size(line: &[u8], index: u64) -> anyhow::Result<u64> {
    #[derive(Deserialize)]
    struct Size {
        #[serde(default)]
        size: Option<u64>,
    }
    let line: Size =
        serde_json::from_slice(line).with_context(|| format!("entry {index} is not a list entry"))?;
    Ok(line.size.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crate::provenance::Process;

    use super::{BLOCK, Command, InputList, Origin, Source, publish};
    use crate::entries::{Entries, Entry};
    use crate::record::atomic_file::Published;
    use crate::record::layout::Layout;
    use crate::replica::Replica;
    use crate::select::Strategy;
    use crate::text::OsText;

    fn published(folder: &std::path::Path, strategy: Strategy, count: u64) -> (Layout, Entries) {
        let layout = Layout::new(folder);
        let mut entries = Entries::default();
        for index in 0..count {
            let path = format!("/data/{index:07}");
            entries.push(Entry { path: path.as_ref(), size: Some(index % 7) }).unwrap();
        }
        let origin = Origin {
            source: Source::FilesFrom { file: OsText("-".into()), null: false },
            strategy,
            replica_count: 3,
            command: Command::Argv(vec![OsText("true".into())]),
            command_files: Vec::new(),
            settings: super::Settings::default(),
        };
        assert_eq!(publish(&layout, origin, &entries, &[], &Process::current(None)).unwrap(), Published::New);
        (layout, entries)
    }

    #[test]
    fn every_share_is_read_whole_from_a_list_of_several_blocks() {
        for strategy in Strategy::ALL {
            let folder = tempfile::tempdir().unwrap();
            let (layout, entries) = published(folder.path(), strategy, 3 * BLOCK + 17);
            let list = InputList::open(&layout).unwrap().unwrap();
            for id in 1..=3 {
                let share = list.share_of(Replica::new(id, 3).unwrap()).unwrap();
                let expected =
                    share.iter().map(|index| entries.get(usize::try_from(index).unwrap()).unwrap());
                assert_eq!(list.entries(&share).unwrap(), Entries::of(expected).unwrap());
            }
        }
    }

    #[test]
    fn a_list_that_was_edited_anywhere_is_refused_and_never_misread() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, entries) = published(folder.path(), Strategy::Even, 20);
        let whole = std::fs::read(layout.inputs()).unwrap();
        let read = || -> anyhow::Result<Entries> {
            let list = InputList::open(&layout)?.expect("it is there");
            list.entries(&crate::select::Share::Range(0..list.header().count))
        };
        assert_eq!(read().unwrap(), entries);
        for cut in 0..whole.len() {
            std::fs::write(layout.inputs(), &whole[..cut]).unwrap();
            assert!(read().is_err(), "cut at {cut}");
        }
        for place in 0..whole.len() {
            let mut edited = whole.clone();
            edited[place] ^= 1;
            std::fs::write(layout.inputs(), &edited).unwrap();
            assert!(read().is_err(), "byte {place}");
        }
        for (from, to) in [
            ("\"count\":20", "\"count\":99999999999999"),
            ("\"count\":20", "\"count\":19"),
            ("\"block_entries\":1024", "\"block_entries\":0"),
            ("\"offset\":0", "\"offset\":7"),
            ("\"replica_count\":3", "\"replica_count\":0"),
            ("\"v\":1", "\"v\":2"),
        ] {
            let text = String::from_utf8(whole.clone()).unwrap().replacen(from, to, 1);
            std::fs::write(layout.inputs(), text).unwrap();
            assert!(read().is_err(), "{to}");
        }
    }
}
