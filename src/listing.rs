//! The run's list: an existing one, or a new one that one replica makes while the others wait for it.

mod products;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::discover::{self, DiscoverError, EntryType, InterruptibleReader, Search};
use crate::exit_code::CannotWrite;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::run_lock::{LockFiles, LockObserver, RunLock};
use crate::model::entries::{Entries, Entry};
use crate::model::provenance::Process;
use crate::products::declared::DeclaredProducts;
use crate::products::{conflicts, same_names};
use crate::record::family::{self, ListedBefore, ParentRun};
use crate::record::inputs::{self, DeclaredProduct, InputList, InputSpec, Origin};
use crate::record::results;
use crate::store::layout::Layout;
use crate::table::{self, Table, TableSource};
use crate::template::Template;
use crate::text::OsText;
use crate::units;

/// What was listed.
#[derive(Debug)]
pub struct ListedInputs {
    /// The entries.
    pub entries: Entries,
    /// Where they come from, with what was learned about it.
    pub source: InputSpec,
    /// How many entries are left out, since a run that this one continues has them.
    pub known: u64,
    /// Directories that could not be read.
    pub unreadable: Vec<PathBuf>,
    /// What the user should know about how it was listed.
    pub notes: Vec<String>,
}

/// Which entries' sizes are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeLookup {
    /// None's.
    None,
    /// Every entry's.
    Needed,
    /// Every entry's or none's: they are of use where the shares of so many replicas are cut into blocks, if that is cheap.
    ForBlocks {
        /// How many.
        replicas: u32,
    },
}

/// A share of so few files is cut into blocks of one anyway.
const UNCUT: usize = 4;

/// Of more files sizes are not looked up for blocks. At 1 ms a call these take about 8 s.
const MOST_FOR_BLOCKS: usize = 100_000;

/// Nor for longer than this.
const LONGEST_FOR_BLOCKS: Duration = Duration::from_secs(15);

/// How to list.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Whether patterns may match nothing.
    pub allow_empty: bool,
    /// Whether runs whose products are listed may be incomplete.
    pub allow_missing: bool,
    /// Whose sizes are looked up.
    pub sizes: SizeLookup,
    /// Never entered.
    pub results_dir: &'a Path,
    /// By which it is told whether those runs are at work.
    pub heartbeat: HeartbeatTimes,
    /// What the tasks would make; `None` where that is not to be looked at.
    pub makes: Option<Makes<'a>>,
    /// Whose files are left out.
    pub since: Option<Since<'a>>,
}

/// A run whose files, and those of the runs that it continues, are left out.
#[derive(Debug, Clone, Copy)]
pub struct Since<'a> {
    /// That run.
    pub parent: &'a ParentRun,
    /// What relative entries are relative to.
    pub folder: &'a Path,
}

impl Since<'_> {
    /// The entries that are new, and how many are not.
    fn new_of(self, entries: &Entries) -> anyhow::Result<(Entries, u64)> {
        let Self { parent, folder } = self;
        let lists = family::lineage(&parent.run, &parent.dir)?;
        let mut before = ListedBefore::read(lists.iter().map(|(_, list)| list), folder)?;
        let mut new = Entries::default();
        entries.iter().filter(|entry| !before.has(entry.path)).try_for_each(|entry| new.push(entry))?;
        let known = (entries.len() - new.len()) as u64;
        Ok((new, known))
    }

    /// All entries of these runs, and then new ones: at the place of each is its index.
    fn all_with(self, new: &Entries) -> anyhow::Result<Entries> {
        let mut all = Entries::default();
        for (_, list) in family::lineage(&self.parent.run, &self.parent.dir)? {
            list.read(list.header().indices(), |_, entry| Ok(all.push(entry)?))?;
        }
        new.iter().try_for_each(|entry| all.push(entry))?;
        Ok(all)
    }
}

/// What tasks make, as far as the names of it are known before they run.
#[derive(Debug, Clone, Copy)]
pub struct Makes<'a> {
    /// What was declared.
    pub products: &'a [DeclaredProduct],
    /// The command, which may make names of its own; `None` where there is none.
    pub template: Option<&'a Template>,
    /// Where the run is begun.
    pub folder: &'a Path,
}

impl Makes<'_> {
    /// What to say of names that the command makes, if anything.
    fn check(&self, listed: &ListedInputs, rules: Rules<'_>) -> anyhow::Result<Option<String>> {
        let (entries, source) = (&listed.entries, &listed.source);
        if self.products.is_empty() {
            return Ok(self.template.and_then(|template| same_names::note(template, entries, source)));
        }
        let declared = DeclaredProducts::new(self.products, source, self.folder)?;
        // What a run has made that this one continues must not be replaced either.
        let all = rules.since.map(|since| since.all_with(entries)).transpose()?;
        conflicts::check(&declared, all.as_ref().unwrap_or(entries), self.folder, rules.results_dir)?;
        Ok(None)
    }
}

/// Returns whether to go on.
pub type KeepGoing<'a> = &'a (dyn Fn() -> bool + Sync);

/// Lists the entries of a source.
///
/// # Errors
/// When a pattern matches nothing, a directory can't be listed (except for lack of permission), a list can't be read, a
/// run whose products are listed is not complete, or two tasks would make the same.
pub fn list(source: &InputSpec, rules: Rules<'_>, keep_going: KeepGoing<'_>) -> anyhow::Result<ListedInputs> {
    let mut listed = found(source, rules, keep_going)?;
    if let Some(since) = rules.since {
        (listed.entries, listed.known) = since.new_of(&listed.entries)?;
    }
    // What products are like is known from the run that made them.
    if !matches!(source, InputSpec::Products { .. })
        && let Some(sizes) = sizes(&listed.entries, source, rules.sizes, keep_going)?
    {
        listed.entries.set_sizes(sizes);
    }
    if let Some(makes) = rules.makes {
        listed.notes.extend(makes.check(&listed, rules)?);
    }
    Ok(listed)
}

fn found(source: &InputSpec, rules: Rules<'_>, keep_going: KeepGoing<'_>) -> anyhow::Result<ListedInputs> {
    let (entries, unreadable, notes) = match source {
        InputSpec::Products { runs, name, .. } => {
            return products::list(runs, name.as_deref(), rules, keep_going);
        }
        InputSpec::Patterns { patterns, cwd, exclude, entry_type } => {
            let search = Search {
                patterns,
                exclude,
                entry_type: *entry_type,
                allow_empty: rules.allow_empty,
                cwd: cwd.as_ref().map_or(Path::new("/"), |cwd| Path::new(&cwd.0)),
                results_dir: rules.results_dir,
            };
            let found = discover::find(&search, keep_going).map_err(DiscoverError::with_exit_code)?;
            (found.entries, found.unreadable, found.notes.iter().map(ToString::to_string).collect())
        }
        InputSpec::Table { file, .. } => return rows(file, rules, keep_going),
        InputSpec::Numbers { count } => {
            refuse_sizes(rules.sizes)?;
            (numbers(*count)?, Vec::new(), Vec::new())
        }
        InputSpec::List { file, null } => {
            let (entries, notes) = read_list(Path::new(&file.0), *null, rules.allow_empty, keep_going)?;
            (entries, Vec::new(), notes)
        }
    };
    Ok(ListedInputs { entries, source: source.clone(), known: 0, unreadable, notes })
}

/// The rows of a table.
fn rows(file: &OsText, rules: Rules<'_>, keep_going: KeepGoing<'_>) -> anyhow::Result<ListedInputs> {
    let read =
        TableSource::open(Path::new(&file.0), keep_going).and_then(|mut source| table::read(&mut source));
    let Table { entries, columns, notes } = match read {
        Err(_) if !keep_going() => return Err(DiscoverError::Stopped.with_exit_code()),
        read => read?,
    };
    if entries.is_empty() && !rules.allow_empty {
        bail!(
            "the table {} (--table) has no rows below its column names; give --allow-empty if that is right",
            units::path(&file.0)
        );
    }
    let source = InputSpec::Table { file: file.clone(), columns };
    refuse_sizes(rules.sizes)?;
    Ok(ListedInputs { entries, source, known: 0, unreadable: Vec::new(), notes })
}

/// Refuses to share by sizes what has none.
fn refuse_sizes(lookup: SizeLookup) -> anyhow::Result<()> {
    if lookup == SizeLookup::Needed {
        bail!(
            "--strategy size shares files out by their bytes, and the tasks of --table and --tasks have none: leave it out, or use --strategy stripe where neighbours take equally long"
        );
    }
    Ok(())
}

/// So many entries, called by their indices.
fn numbers(count: u64) -> anyhow::Result<Entries> {
    const DIGITS: usize = 7;
    let capacity = usize::try_from(count)?;
    let mut entries = Entries::with_capacity(capacity, capacity.saturating_mul(DIGITS));
    (0..count).try_for_each(|index| entries.push(Entry::of(&index.to_string())))?;
    entries.shrink();
    Ok(entries)
}

/// The sizes of all entries, if they are to be looked up.
fn sizes(
    entries: &Entries,
    source: &InputSpec,
    lookup: SizeLookup,
    keep_going: KeepGoing<'_>,
) -> anyhow::Result<Option<Vec<u64>>> {
    let paths = || entries.iter().map(|entry| entry.path).collect::<Vec<&OsStr>>();
    match lookup {
        SizeLookup::Needed => {
            discover::sizes(&paths(), keep_going).map(Some).map_err(DiscoverError::with_exit_code)
        }
        SizeLookup::ForBlocks { replicas } if are_of_use(entries.len(), source, replicas) => {
            sizes_for_blocks(&paths(), keep_going)
        }
        SizeLookup::None | SizeLookup::ForBlocks { .. } => Ok(None),
    }
}

/// Whether sizes help to cut shares, and each takes one call. What lies below a directory takes many.
fn are_of_use(files: usize, source: &InputSpec, replicas: u32) -> bool {
    let are_files = matches!(source, InputSpec::Patterns { entry_type: EntryType::File, .. });
    are_files && files > UNCUT.saturating_mul(replicas as usize) && files <= MOST_FOR_BLOCKS
}

/// Sizes that one can do without: a file that is gone by now, or slow storage, is no reason to fail or to wait.
fn sizes_for_blocks(paths: &[&OsStr], keep_going: KeepGoing<'_>) -> anyhow::Result<Option<Vec<u64>>> {
    let begun = Instant::now();
    let sizes = discover::sizes(paths, &|| keep_going() && begun.elapsed() < LONGEST_FOR_BLOCKS);
    match sizes {
        Err(stopped @ DiscoverError::Stopped) if !keep_going() => Err(stopped.with_exit_code()),
        sizes => Ok(sizes.ok()),
    }
}

fn read_list(
    file: &Path,
    null: bool,
    allow_empty: bool,
    keep_going: KeepGoing<'_>,
) -> anyhow::Result<(Entries, Vec<String>)> {
    let is_stdin = file.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
    let opened = if is_stdin {
        InterruptibleReader::standard_input(keep_going)
    } else {
        InterruptibleReader::open(file, keep_going)
    };
    let opened = opened.with_context(|| format!("can't open the list {name} (--files-from)"))?;
    let read = discover::read_entries(io::BufReader::new(opened), null, &name);
    let read = read.map_err(DiscoverError::with_exit_code)?;
    if read.entries.is_empty() && !allow_empty {
        bail!("the list {name} (--files-from) has no entries; give --allow-empty if that is right");
    }
    let repeats = (read.repeats > 0).then(|| {
        let entries = units::plural(read.repeats as u64, "entry", "entries");
        format!("{entries} repeated in the list {name}; each counts once")
    });
    let strangers = strange_entries(&read.entries);
    Ok((read.entries, repeats.into_iter().chain(strangers).collect()))
}

/// Longer lists are not compared with the storage: each entry takes a call.
const MOST_COMPARED: usize = 1000;

/// What to say of entries that are no files where others are, such as a comment. A list of names alone is right, too.
fn strange_entries(entries: &Entries) -> Option<String> {
    if entries.len() > MOST_COMPARED {
        return None;
    }
    let here = std::env::current_dir().ok()?;
    let is_there = |entry: &Entry<'_>| here.join(entry.path).try_exists().unwrap_or(true);
    let is_comment = |entry: &Entry<'_>| entry.path.as_encoded_bytes().starts_with(b"#");
    let (there, strange): (Vec<Entry<'_>>, Vec<_>) = entries.iter().partition(is_there);
    let example = strange.iter().find(|entry| is_comment(entry)).or(strange.first())?;
    if there.is_empty() && !is_comment(example) {
        return None;
    }
    Some(format!(
        "{} of {} {} not a file in {}, such as '{}' (entries are taken as they are; there are no comments)",
        strange.len(),
        units::plural(entries.len() as u64, "entry", "entries"),
        if strange.len() == 1 { "is" } else { "are" },
        here.display(),
        units::path(example.path)
    ))
}

/// Is told how the list is made or waited for.
pub trait ListingObserver: LockObserver {
    /// Something that the user should know about how it was listed.
    fn note(&self, note: &str);

    /// Refuses what was listed, before anything is published, for what only the list can tell.
    ///
    /// # Errors
    /// Says why.
    fn check(&self, source: &InputSpec) -> anyhow::Result<()>;
}

/// What came of looking for a run's list.
#[derive(Debug)]
pub enum FoundList {
    /// The list.
    List(Box<InputList>),
    /// Nothing was found that could be listed, so none was published.
    Nothing {
        /// How many entries were left out, since a run that this one continues has them.
        known: u64,
    },
}

/// The run's list. If there is none and an `origin` is given, one is made and published, unless it is empty.
///
/// # Errors
/// As [`list`]; when the results directory can't be written; when there is neither a list nor a source.
pub fn adopt_or_publish(
    layout: &Layout,
    origin: Option<&Origin>,
    rules: Rules<'_>,
    me: &Process,
    times: HeartbeatTimes,
    observer: &dyn ListingObserver,
) -> anyhow::Result<FoundList> {
    let lock_files = LockFiles::of(layout, me, times);
    loop {
        if let Some(list) = InputList::open(layout)? {
            return Ok(FoundList::List(Box::new(list)));
        }
        let Some(origin) = origin else {
            bail!(
                "no input: {} has no list yet, so say which files with --input, --files-from, --table, --tasks or --input-from",
                layout.root().display()
            );
        };
        let (made, lock) = acquire(layout, &lock_files)?;
        let lock = match lock {
            Some(lock) => Some(lock),
            // If that fails, opening the list gives the error.
            None => lock_files.wait(observer, &|| layout.inputs().try_exists().unwrap_or(true))?,
        };
        let Some(lock) = lock else { continue };
        let listing = Listing { lock, made };
        // Without, another process took this one for dead and took the lock.
        if let Some(found) = listing.list_and_publish(layout, origin, rules, me, observer)? {
            return Ok(found);
        }
    }
}

/// When a folder vanishes more often than this, other replicas that found nothing are not the reason.
const MOST_TRIES: usize = 100;

/// The lock, unless another process has it, and the folders that were made for it.
fn acquire(layout: &Layout, files: &LockFiles<'_>) -> anyhow::Result<(MadeFolders, Option<RunLock>)> {
    let mut tries = 0;
    loop {
        let mut made = make_folders(layout.root())?;
        tries += 1;
        match files.try_acquire() {
            Ok(None) => {
                // The process that has the lock keeps or removes them.
                made.keep();
                return Ok((made, None));
            }
            Ok(lock) => return Ok((made, lock)),
            // Another replica that found nothing has just removed the folder that it had made.
            Err(error) if is_not_found(&error) && tries < MOST_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let system = error.downcast_ref::<io::Error>();
    system.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Makes the list while no other process does.
struct Listing {
    /// Declared first, so that it is released before the folders are removed.
    lock: RunLock,
    made: MadeFolders,
}

impl Listing {
    /// `None` where the lock was lost meanwhile.
    fn list_and_publish(
        mut self,
        layout: &Layout,
        origin: &Origin,
        rules: Rules<'_>,
        me: &Process,
        observer: &dyn ListingObserver,
    ) -> anyhow::Result<Option<FoundList>> {
        // The process that had the lock before may have published a list since this one looked.
        if let Some(list) = InputList::open(layout)? {
            self.made.keep();
            return Ok(Some(FoundList::List(Box::new(list))));
        }
        refuse_results_of_others(layout, origin.replica_count)?;
        let listed = list(&origin.source, rules, &|| observer.keep_going())?;
        for note in &listed.notes {
            observer.note(note);
        }
        if listed.entries.is_empty() {
            return Ok(Some(FoundList::Nothing { known: listed.known }));
        }
        observer.check(&listed.source)?;
        let origin = Origin { source: listed.source, ..origin.clone() };
        let list =
            inputs::prepare(layout, origin, &listed.entries, &listed.unreadable, me).context(CannotWrite)?;
        if !self.lock.is_held()? {
            return Ok(None);
        }
        list.publish().context(CannotWrite)?;
        self.made.keep();
        Ok(InputList::open(layout)?.map(|list| FoundList::List(Box::new(list))))
    }
}

/// Refuses to begin a run beside results of other runs, which would be overwritten or merged with ours.
fn refuse_results_of_others(layout: &Layout, replica_count: u32) -> anyhow::Result<()> {
    let root = layout.root().display();
    let found = results::find_foreign(layout, replica_count)
        .with_context(|| format!("can't look for earlier results in {root}"))?;
    if let Some(stranger) = found {
        bail!(
            "{} is there although no run has begun here: it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset {root}`",
            stranger.display()
        );
    }
    Ok(())
}

/// Folders that were made for a list, outermost first. They are removed again if there will be no list.
#[derive(Debug, Default)]
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // A folder that is no longer empty stays.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Makes a folder and those above it; returns the ones that were made.
fn make_folders(folder: &Path) -> anyhow::Result<MadeFolders> {
    let mut made = MadeFolders::default();
    make_with_parents(folder, &mut made)
        .with_context(|| format!("can't create the results directory {}", folder.display()))
        .context(CannotWrite)?;
    if std::fs::metadata(folder).is_ok_and(|metadata| !metadata.is_dir()) {
        bail!("the results directory {} is a file: give another one with --results-dir", folder.display());
    }
    Ok(made)
}

/// Only folders that this process made count as made: one that can't be looked at may exist.
fn make_with_parents(folder: &Path, made: &mut MadeFolders) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Ok(()) => made.0.push(folder.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(above) = folder.parent() else { return Err(error) };
            make_with_parents(above, made)?;
            match std::fs::create_dir(folder) {
                Ok(()) => made.0.push(folder.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        // Where nothing may be made, the folder may exist nevertheless.
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists ten files for so many replicas; the sizes of the entries.
    fn listed(replicas: u32, entry_type: EntryType) -> Vec<Option<u64>> {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..10 {
            std::fs::write(dir.path().join(number.to_string()), vec![0; number]).unwrap();
            std::fs::create_dir(dir.path().join(format!("{number}.ms"))).unwrap();
        }
        let pattern = if entry_type == EntryType::File { "?" } else { "*.ms" };
        let source = InputSpec::Patterns {
            patterns: vec![dir.path().join(pattern).into_os_string().into()],
            cwd: None,
            exclude: Vec::new(),
            entry_type,
        };
        let lookup = SizeLookup::ForBlocks { replicas };
        let rules = Rules {
            allow_empty: false,
            allow_missing: false,
            sizes: lookup,
            results_dir: Path::new("/none"),
            heartbeat: HeartbeatTimes::default(),
            makes: None,
            since: None,
        };
        let listed = list(&source, rules, &|| true).unwrap();
        listed.entries.iter().map(|entry| entry.size).collect()
    }

    #[test]
    fn an_entry_that_is_no_file_where_others_are_is_told() {
        let of = |names: &[&str]| strange_entries(&Entries::of(names.iter().map(Entry::of)).unwrap());
        let told = of(&["# my targets", "/", "Cargo.toml"]).unwrap();
        assert!(told.starts_with("1 of 3 entries is not a file in "), "{told}");
        assert!(told.contains("such as '# my targets' (entries"), "{told}");
        assert!(of(&["/", "/no such file"]).is_some());
        for fine in [&["M31", "M33"][..], &["/"], &[]] {
            assert_eq!(of(fine), None, "{fine:?}");
        }
    }

    #[test]
    fn sizes_are_looked_up_for_blocks_where_they_help_to_cut() {
        assert_eq!(listed(2, EntryType::File), (0..10).map(Some).collect::<Vec<_>>());
        assert_eq!(listed(3, EntryType::File), [None; 10]);
        assert_eq!(listed(2, EntryType::Dir), [None; 10]);
    }

    #[test]
    fn sizes_for_blocks_are_no_reason_to_fail() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().as_os_str(), OsStr::new("/no/such/file")];
        assert_eq!(sizes_for_blocks(&paths, &|| true).unwrap(), None);
        assert!(sizes_for_blocks(&paths, &|| false).is_err());
    }
}
