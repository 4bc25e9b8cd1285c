//! How a list is written: whole or not at all, and never over another one.

use std::io::Write;

use anyhow::Context;

use super::header::{FORMAT, Header, ListPiece, Origin, VERSION, sealed};
use super::line::{PIECE_ENTRIES, checksum, write_line};
use crate::model::entries::Entries;
use crate::model::provenance::Process;
use crate::store::atomic_file::{AtomicFile, FinishedFile, Published};
use crate::store::layout::Layout;
use crate::text::OsText;

/// A fresh run id: six characters, drawn at random.
fn draw_run_id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).map(|letter| letter.to_ascii_lowercase()).take(6).collect()
}

/// A list that is written and synced, but not yet published.
#[derive(Debug)]
pub struct PreparedList(FinishedFile);

impl PreparedList {
    /// Publishes it. A list that exists already stays, and is the one to use.
    ///
    /// # Errors
    /// When it can't be renamed into place.
    pub fn publish(self) -> anyhow::Result<Published> {
        let path = self.0.target().to_owned();
        self.0.publish().with_context(|| format!("can't write the input list {}", path.display()))
    }
}

/// Writes a new list for `layout`, under a temporary name.
///
/// # Errors
/// When it can't be written.
pub fn prepare(
    layout: &Layout,
    origin: Origin,
    entries: &Entries,
    unreadable: &[std::path::PathBuf],
    me: &Process,
) -> anyhow::Result<PreparedList> {
    let path = layout.inputs();
    let encoded = Encoded::of(entries)?;
    let header = Header {
        format: FORMAT.to_owned(),
        v: VERSION,
        run: draw_run_id(),
        parent: origin.parent.as_ref().map(|parent| parent.run.clone()),
        parent_dir: origin.parent.as_ref().map(|parent| parent.dir.as_os_str().into()),
        first_index: origin.parent.as_ref().map_or(0, |parent| parent.indices.end),
        source: origin.source,
        strategy: origin.strategy,
        replica_count: origin.replica_count,
        balance: origin.balance,
        sizes: !origin.strategy.needs_sizes() && entries.iter().all(|entry| entry.size.is_some()),
        products: origin.products,
        command: origin.command,
        command_files: origin.command_files,
        settings: origin.settings,
        count: entries.len() as u64,
        bytes: encoded.bytes,
        blake3: encoded.blake3,
        unreadable: unreadable.iter().map(|path| OsText::from(path.as_os_str())).collect(),
        created_by: me.clone(),
        created_at: crate::clock::now(),
        piece_entries: PIECE_ENTRIES,
        pieces: encoded.pieces,
    };
    let write = || -> anyhow::Result<PreparedList> {
        let mut file = AtomicFile::create(&path)?;
        file.write_all(&sealed(serde_json::to_vec(&header)?))?;
        encode(entries, |piece| Ok(file.write_all(piece)?))?;
        Ok(PreparedList(file.finish()?))
    };
    write().with_context(|| format!("can't write the input list {}", path.display()))
}

/// Gives the lines of all entries to `take`, a piece at a time: all together would take as much memory as the list.
fn encode(entries: &Entries, mut take: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let mut entries = entries.iter().peekable();
    while entries.peek().is_some() {
        lines.clear();
        for entry in entries.by_ref().take(usize::try_from(PIECE_ENTRIES)?) {
            write_line(&mut lines, entry)?;
        }
        take(&lines)?;
    }
    Ok(())
}

/// What the header says about the lines, which come after it.
struct Encoded {
    bytes: u64,
    blake3: String,
    pieces: Vec<ListPiece>,
}

impl Encoded {
    fn of(entries: &Entries) -> anyhow::Result<Self> {
        let (mut bytes, mut digest, mut pieces) = (0, blake3::Hasher::new(), Vec::new());
        encode(entries, |lines| {
            pieces.push(ListPiece { offset: bytes, check: checksum(lines) });
            digest.update(lines);
            bytes += lines.len() as u64;
            Ok(())
        })?;
        Ok(Self { bytes, blake3: digest.finalize().to_hex().to_string(), pieces })
    }
}
