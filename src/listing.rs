//! The run's list: the one that is there, or a new one, made by one replica while the others wait for it.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::discover::{self, Patient, Search};
use crate::entries::{Entries, Entry};
use crate::liveness::heartbeat::{self, HeartbeatTimes, Watched, Writer};
use crate::provenance::Process;
use crate::record::inputs::{self, InputList, Origin, Source};
use crate::record::layout::Layout;
use crate::record::results;

/// What was listed.
#[derive(Debug)]
pub struct Listed {
    /// The entries.
    pub entries: Entries,
    /// Directories that could not be read.
    pub unreadable: Vec<PathBuf>,
    /// What people should know about how it was listed.
    pub notes: Vec<String>,
}

/// How to list.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Whether patterns may match nothing.
    pub allow_empty: bool,
    /// Whether every entry's size is needed.
    pub with_sizes: bool,
    /// Never entered.
    pub results_dir: &'a Path,
}

/// Asks whether to go on.
pub type KeepGoing<'a> = &'a (dyn Fn() -> bool + Sync);

/// Lists what a source names.
///
/// # Errors
/// When a pattern matches nothing, a directory can't be listed (but for want of permission), or a list can't be read.
pub fn list(source: &Source, rules: Rules<'_>, keep_going: KeepGoing<'_>) -> anyhow::Result<Listed> {
    let (mut entries, unreadable, notes) = match source {
        Source::Patterns { patterns, cwd, exclude, entry_type } => {
            let search = Search {
                patterns: patterns.iter().map(|pattern| pattern.0.clone()).collect(),
                exclude: exclude.iter().map(|glob| glob.0.clone()).collect(),
                entry_type: *entry_type,
                allow_empty: rules.allow_empty,
                cwd: cwd.as_ref().map_or_else(|| PathBuf::from("/"), |cwd| PathBuf::from(&cwd.0)),
                results_dir: rules.results_dir.to_owned(),
            };
            let found = discover::find(&search, keep_going)?;
            let entries = found.paths.iter().map(|path| Entry { path: path.as_os_str(), size: None });
            (Entries::of(entries)?, found.unreadable, found.notes.iter().map(ToString::to_string).collect())
        }
        Source::FilesFrom { file, null } => {
            let (entries, notes) = given(Path::new(&file.0), *null, rules.allow_empty, keep_going)?;
            (entries, Vec::new(), notes)
        }
    };
    if rules.with_sizes {
        let paths: Vec<&OsStr> = entries.iter().map(|entry| entry.path).collect();
        let sizes = discover::sizes(&paths, keep_going)?;
        entries.set_sizes(sizes);
    }
    Ok(Listed { entries, unreadable, notes })
}

fn given(
    file: &Path,
    null: bool,
    allow_empty: bool,
    keep_going: KeepGoing<'_>,
) -> anyhow::Result<(Entries, Vec<String>)> {
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
    let opened = if is_stdin { Patient::standard_input(keep_going) } else { Patient::open(file, keep_going) };
    let opened = opened.with_context(|| format!("can't open the list {name} (--files-from)"))?;
    let read = discover::read_entries(io::BufReader::new(opened), null, &name)?;
    if read.entries.is_empty() && !allow_empty {
        bail!("the list {name} (--files-from) has no entries; give --allow-empty if that is right");
    }
    let repeats = (read.repeats > 0).then(|| {
        let entries = crate::units::plural(read.repeats as u64, "entry", "entries");
        format!("{entries} repeated in the list {name}; each counts once")
    });
    Ok((read.entries, repeats.into_iter().collect()))
}

/// What is heard while the list is made or waited for.
pub trait Listener: Sync {
    /// Whether to go on.
    fn keep_going(&self) -> bool;
    /// Another process is listing; this one waits.
    fn waiting_for_list(&self, who: &str);
    /// What people should know about how it was listed.
    fn note(&self, note: &str);
}

/// The run's list. If there is none and `source` is known, one is made and published; an empty one never is (`None`).
///
/// # Errors
/// As [`list`]; when the results directory can't be written; when there is neither a list nor a source.
pub fn adopt_or_publish(
    layout: &Layout,
    origin: Option<&Origin>,
    rules: Rules<'_>,
    me: &Process,
    times: HeartbeatTimes,
    listener: &dyn Listener,
) -> anyhow::Result<Option<InputList>> {
    loop {
        if let Some(list) = InputList::open(layout)? {
            return Ok(Some(list));
        }
        let Some(origin) = origin else {
            bail!(
                "no input: {} has no list yet, so say which files with --input or --files-from",
                layout.root().display()
            );
        };
        if let Some(sign) = Sign::put_up(layout, me)? {
            return sign.list_and_publish(layout, origin, rules, me, times, listener);
        }
        wait(layout, me, times, listener, &|| layout.inputs().exists())?;
    }
}

/// Does `work` while nobody else lists, or moves a run away, in this results directory.
///
/// # Errors
/// When the results directory can't be written, or the wait for others was given up.
pub fn undisturbed<T>(
    layout: &Layout,
    me: &Process,
    times: HeartbeatTimes,
    listener: &dyn Listener,
    work: impl FnOnce() -> T,
) -> anyhow::Result<T> {
    loop {
        if let Some(mut sign) = Sign::put_up(layout, me)? {
            return Ok(heartbeat::while_alive(&mut sign.file, times.interval, work).0);
        }
        wait(layout, me, times, listener, &|| false)?;
    }
}

/// A folder that vanishes more often than this has another reason than siblings that find nothing.
const MOST_TRIES: usize = 100;

/// The file that tells others that somebody is listing. Gone when this is dropped.
#[derive(Debug)]
struct Sign {
    path: PathBuf,
    file: std::fs::File,
    /// Folders made for it, outermost first, removed again when no list comes of it.
    made: Vec<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct SignText {
    #[serde(flatten)]
    process: Process,
    locked: bool,
}

impl Sign {
    /// `None` when somebody else's is there.
    fn put_up(layout: &Layout, me: &Process) -> anyhow::Result<Option<Self>> {
        let path = layout.listing();
        let mut tries = 0;
        let (made, file) = loop {
            let made = make_folders(layout.root())?;
            tries += 1;
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break (made, file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                // A sibling that found nothing has just removed the folder, as its own.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MOST_TRIES => {}
                Err(error) => {
                    remove_folders(&made);
                    let root = layout.root().display();
                    return Err(error)
                        .with_context(|| format!("can't write into the results directory {root}"))
                        .context(crate::CannotWrite);
                }
            }
        };
        let text = SignText { process: me.clone(), locked: heartbeat::lock(&file, &path) };
        let mut sign = Self { path, file, made };
        let mut line = serde_json::to_vec(&text)?;
        line.push(b'\n');
        sign.file
            .write_all(&line)
            .with_context(|| format!("can't write {}", sign.path.display()))
            .context(crate::CannotWrite)?;
        Ok(Some(sign))
    }

    fn list_and_publish(
        mut self,
        layout: &Layout,
        origin: &Origin,
        rules: Rules<'_>,
        me: &Process,
        times: HeartbeatTimes,
        listener: &dyn Listener,
    ) -> anyhow::Result<Option<InputList>> {
        // Whoever put up a sign before may have published since this process looked.
        if let Some(list) = InputList::open(layout)? {
            return Ok(Some(list));
        }
        refuse_results_of_others(layout, origin.replica_count)?;
        let work = || list(&origin.source, rules, &|| listener.keep_going());
        let listed = heartbeat::while_alive(&mut self.file, times.interval, work).0?;
        for note in &listed.notes {
            listener.note(note);
        }
        if listed.entries.is_empty() {
            return Ok(None);
        }
        inputs::publish(layout, origin.clone(), &listed.entries, &listed.unreadable, me)
            .context(crate::CannotWrite)?;
        self.made.clear();
        InputList::open(layout)
    }
}

/// Results that would be overwritten, or merged with ours, are found before a run begins beside them.
fn refuse_results_of_others(layout: &Layout, replica_count: u32) -> anyhow::Result<()> {
    let root = layout.root().display();
    let found = results::stranger(layout, replica_count)
        .with_context(|| format!("can't look for earlier results in {root}"))?;
    if let Some(stranger) = found {
        bail!(
            "{} is there although no run has begun here: it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset {root}`",
            stranger.display()
        );
    }
    Ok(())
}

impl Drop for Sign {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        remove_folders(&self.made);
    }
}

/// Makes a folder with those above it; tells which were made, outermost first.
fn make_folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if folder.exists() && !folder.is_dir() {
        bail!("the results directory {} is a file: give another one with --results-dir", folder.display());
    }
    let missing: Vec<PathBuf> =
        folder.ancestors().take_while(|above| !above.exists()).map(Path::to_owned).collect();
    std::fs::create_dir_all(folder)
        .with_context(|| format!("can't create the results directory {}", folder.display()))
        .context(crate::CannotWrite)?;
    Ok(missing.into_iter().rev().collect())
}

fn remove_folders(made: &[PathBuf]) {
    for folder in made.iter().rev() {
        // One that somebody put something into stays.
        let _ = std::fs::remove_dir(folder);
    }
}

/// Waits until somebody else's listing came to something: what `is_enough`, or its end.
fn wait(
    layout: &Layout,
    me: &Process,
    times: HeartbeatTimes,
    listener: &dyn Listener,
    is_enough: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    let sign = layout.listing();
    let text: Option<SignText> = std::fs::read(&sign).ok().and_then(|text| {
        let line = text.split(|byte| *byte == b'\n').next()?;
        serde_json::from_slice(line).ok()
    });
    if let Some(text) = &text
        && matches!(heartbeat::probe(&sign, &text.process, text.locked, me), Ok(Writer::Gone))
    {
        return take_down(&sign);
    }
    listener.waiting_for_list(
        &text.map_or_else(|| "another process".to_owned(), |text| text.process.to_string()),
    );
    loop {
        let watched = heartbeat::watch(&sign, times.timeout, &|| listener.keep_going() && !is_enough())
            .with_context(|| format!("can't watch {}", sign.display()))?;
        match watched {
            Watched::Grew => {}
            Watched::Missing => return Ok(()),
            Watched::Quiet => return take_down(&sign),
            Watched::Stopped if listener.keep_going() => return Ok(()),
            Watched::Stopped => bail!("stopped while waiting for the list of inputs"),
        }
    }
}

fn take_down(sign: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(sign) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error)
            .with_context(|| format!("can't remove {}, left by a process that died", sign.display())),
        _ => Ok(()),
    }
}
