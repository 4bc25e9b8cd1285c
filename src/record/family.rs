//! Runs that continue each other (`--new-since`): the ancestors of a run by its list's header, its descendants by what these
//! left in `children/`, and which entries they have.
//!
//! `children/<run>` in a results directory is a line of JSON, `{"results_dir": text}`: where the run of that id is, which
//! continues the one in this directory. `children/nothing.<digest of that place>` says so of a directory in which no run was
//! begun, since nothing had come. Both only help to find a run: its own header says what it continues.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::exit_code::CannotGoOn;
use crate::record::inputs::{Header, InputList};
use crate::record::known_entries::{KnownEntries, digest};
use crate::store::atomic_file::AtomicFile;
use crate::store::layout::Layout;
use crate::text::OsText;
use crate::units;

/// A run that another one continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentRun {
    /// Its run id.
    pub run: String,
    /// Its results directory, absolute.
    pub dir: PathBuf,
    /// The indices of its list.
    pub indices: Range<u64>,
}

impl ParentRun {
    /// The run with this list in a results directory.
    pub fn of(header: &Header, dir: &Path) -> Self {
        Self { run: header.run.clone(), dir: dir.to_owned(), indices: header.indices() }
    }
}

/// The lists of a run and of all that it continues, in the order of their indices, each with its results directory.
///
/// # Errors
/// When one of these runs is not where it was.
pub fn lineage(run: &str, dir: &Path) -> anyhow::Result<Vec<(PathBuf, InputList)>> {
    let mut lists = Vec::new();
    let mut next = Some((run.to_owned(), dir.to_owned()));
    // Indices fall from each run to the one before it, so this ends.
    let mut before = None;
    while let Some((run, dir)) = next.take() {
        let list = list_of(&run, &dir)?;
        let header = list.header();
        if before.is_some_and(|before| header.indices().end > before) {
            bail!("the run in {} continues itself: its list was edited", units::path(&dir));
        }
        before = Some(header.first_index);
        next = header.parent.clone().zip(header.parent_dir.as_ref().map(|dir| PathBuf::from(&dir.0)));
        lists.push((dir, list));
    }
    lists.reverse();
    Ok(lists)
}

/// The list of a run that is expected in a results directory.
fn list_of(run: &str, dir: &Path) -> anyhow::Result<InputList> {
    let found = InputList::open(&Layout::new(dir))?;
    let what = match &found {
        Some(list) if list.header().run == run => None,
        Some(list) => Some(format!("now holds the run {}", units::printable(&list.header().run))),
        None => Some("holds no run (no inputs.jsonl)".to_owned()),
    };
    match (found, what) {
        (Some(list), None) => Ok(list),
        (_, what) => bail!(CannotGoOn(format!(
            "the list of the run {} is needed to tell which files are new, and its results directory {} {}: move the run back there, or begin a run without --new-since",
            units::printable(run),
            units::path(dir),
            what.unwrap_or_default()
        ))),
    }
}

/// The entries of several lists, to tell which others are new.
#[derive(Debug)]
pub struct ListedBefore {
    known: KnownEntries<()>,
    /// What relative entries of each list are relative to; last, those that are asked for.
    folders: Vec<PathBuf>,
}

impl ListedBefore {
    /// Reads the lists. Relative entries that are asked for later are relative to `folder`.
    ///
    /// # Errors
    /// When a list can't be read.
    pub fn read<'l>(lists: impl IntoIterator<Item = &'l InputList>, folder: &Path) -> anyhow::Result<Self> {
        let (mut known, mut folders) = (KnownEntries::default(), Vec::new());
        for (number, list) in lists.into_iter().enumerate() {
            let header = list.header();
            folders.push(header.begun_in().unwrap_or(Path::new("")).to_owned());
            list.read(header.indices(), |_, entry| {
                let key = known.key_of(entry.path, number, |number| &folders[number]);
                known.best.insert(key, ());
                Ok(())
            })?;
        }
        folders.push(folder.to_owned());
        Ok(Self { known, folders })
    }

    /// Whether one of the lists has an entry.
    pub fn has(&mut self, entry: &OsStr) -> bool {
        let Self { known, folders } = self;
        let key = known.key_of(entry, folders.len() - 1, |number| &folders[number]);
        known.best.contains_key(&key)
    }
}

/// What a file in `children/` holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChildPlace {
    results_dir: OsText,
}

/// Notes in the directory of the run that a run continues where that one is, unless it is known there.
///
/// # Errors
/// When that can't be written; where the parent is no longer there, nothing is to be noted.
pub fn note_child(header: &Header, dir: &Path) -> io::Result<()> {
    let (Some(parent), Some(parent_dir)) = (&header.parent, &header.parent_dir) else { return Ok(()) };
    let layout = Layout::new(&parent_dir.0);
    let is_there =
        InputList::open(&layout).is_ok_and(|list| list.is_some_and(|list| list.header().run == *parent));
    if is_there { note(&layout, &header.run, dir) } else { Ok(()) }
}

/// Notes in the directory of a run that nothing had come for a run in `dir`.
///
/// # Errors
/// When that can't be written.
pub fn note_nothing_new(parent: &Layout, dir: &Path) -> io::Result<()> {
    let place = real_place(dir);
    note(parent, &name_of_nothing(&place), &place)
}

/// Whether nothing had come since the run in a directory for one in `dir`.
pub fn is_nothing_new(parent: &Layout, dir: &Path) -> bool {
    let real = real_place(dir);
    place_in(&parent.children().join(name_of_nothing(&real))).is_some_and(|place| place == real)
}

/// The one name of a folder that need not exist.
fn real_place(dir: &Path) -> PathBuf {
    let real = || Some(dir.parent()?.canonicalize().ok()?.join(dir.file_name()?));
    real().unwrap_or_else(|| dir.to_owned())
}

fn name_of_nothing(place: &Path) -> String {
    let hash = digest(place.as_os_str());
    hash.iter().fold("nothing.".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

fn note(parent: &Layout, name: &str, dir: &Path) -> io::Result<()> {
    let path = parent.children().join(name);
    if place_in(&path).is_some_and(|place| place == dir) {
        return Ok(());
    }
    match std::fs::create_dir(parent.children()) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = AtomicFile::create(&path)?;
    serde_json::to_writer(&mut file, &ChildPlace { results_dir: dir.as_os_str().into() })?;
    file.write_all(b"\n")?;
    file.replace()
}

/// The place that a file in `children/` names.
fn place_in(file: &Path) -> Option<PathBuf> {
    let text = std::fs::read(file).ok()?;
    let place: ChildPlace = serde_json::from_slice(&text).ok()?;
    Some(place.results_dir.0.into())
}

/// A run that continues another one.
#[derive(Debug)]
pub struct ChildRun {
    /// Its results directory.
    pub dir: PathBuf,
    /// Its list.
    pub list: InputList,
}

impl ChildRun {
    /// For people and programs.
    pub fn told(&self) -> ContinuingRun {
        let header = self.list.header();
        ContinuingRun { results_dir: units::path(&self.dir), run: header.run.clone(), files: header.count }
    }
}

/// A run that continues another one, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContinuingRun {
    /// Its results directory.
    pub results_dir: String,
    /// Its run id.
    pub run: String,
    /// How many files it has.
    pub files: u64,
}

impl fmt::Display for ContinuingRun {
    /// A line about the run that it continues.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} came since: run in {}", units::count(self.files, "file"), self.results_dir)
    }
}

/// The runs that continue the one in a results directory, and those that continue these, in the order of their indices. What
/// is no longer where it was noted, or continues another run, is none.
pub fn descendants(layout: &Layout, run: &str) -> Vec<ChildRun> {
    let mut found: Vec<ChildRun> = Vec::new();
    let mut seen: HashSet<String> = HashSet::from([run.to_owned()]);
    let mut parents = vec![(layout.clone(), run.to_owned())];
    while let Some((layout, run)) = parents.pop() {
        for child in children(&layout, &run) {
            let header = child.list.header();
            if seen.insert(header.run.clone()) {
                parents.push((Layout::new(&child.dir), header.run.clone()));
                found.push(child);
            }
        }
    }
    found.sort_by_cached_key(|child| {
        let header = child.list.header();
        (header.first_index, header.created_at.clone(), header.run.clone())
    });
    found
}

fn children(layout: &Layout, run: &str) -> Vec<ChildRun> {
    let files = std::fs::read_dir(layout.children()).into_iter().flatten().flatten();
    let child = |file: std::fs::DirEntry| {
        let dir = place_in(&file.path())?;
        let list = InputList::open(&Layout::new(&dir)).ok()??;
        let header = list.header();
        let is_child = file.file_name() == *header.run && header.parent.as_deref() == Some(run);
        is_child.then_some(ChildRun { dir, list })
    };
    files.filter_map(child).collect()
}
