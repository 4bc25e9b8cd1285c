//! The message when nothing is left to do: since when, which files match the run's input now that are not in its list,
//! and which files of the command have changed since results were made.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::journal::launches::launches_of;
use crate::launch::Launcher;
use crate::listing::{self, Rules, SizeLookup};
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::counts::TaskCounts;
use crate::model::entries::Entries;
use crate::model::provenance::NamedFile;
use crate::model::shares::Share;
use crate::process::shutdown::Shutdown;
use crate::record::command_files::{LaunchHeads, RecordsByContent};
use crate::record::family::{self, ListedBefore};
use crate::record::inputs::{InputList, InputSpec};
use crate::status::MonitoredRun;
use crate::store::layout::Layout;
use crate::template;
use crate::terminal::console::{Tone, Verbosity};
use crate::units;

/// A remark is not worth a longer search: many containers may search at the same time.
const PATIENCE: Duration = Duration::from_secs(30);

impl Launcher<'_> {
    /// Says why there is nothing to do, and what has changed since.
    pub fn say_nothing_to_do(&self, share: &Share, standing: &TaskCounts, now: &[NamedFile]) {
        if self.config.verbosity < Verbosity::Normal {
            return;
        }
        let replica = self.config.identity.replica;
        let done = match self.sharing {
            Some(_) => how_run_stands(self.layout, self.config.heartbeat).map_or_else(
                || "all files of this run are done".to_owned(),
                |run| run_done(&run, self.layout.root()),
            ),
            None if share.is_empty() => {
                return self.console.say(Verbosity::Normal, Tone::Plain, &self.no_share());
            }
            None if replica.count() == 1 => done(standing, "this run"),
            None => done(standing, &replica.to_string()),
        };
        let changed = changed_since(self.layout, now, [(self.id(), standing.ok)]);
        let remarks = remarks(self.list, self.layout, self.stop, &changed);
        let text = format!("nothing to do: {done}\n{}", remarks.join("\n"));
        self.console.say(Verbosity::Normal, Tone::Plain, &text);
    }
}

/// The counts of tasks of a whole run; `None` if unknown.
pub fn how_run_stands(layout: &Layout, times: HeartbeatTimes) -> Option<TaskCounts> {
    let run = MonitoredRun::open(layout.root()).ok()?;
    Some(run.monitor(times).look().ok()?.totals.counts)
}

/// The message for a finished run with shared work. A failed task runs again in a launch of the replica that recorded it.
fn run_done(run: &TaskCounts, root: &Path) -> String {
    let rerun = if run.lost > 0 { " --rerun all" } else { "" };
    let again = || format!("; to run those again: `canfar-run resume {}{rerun}`", quoted(root.as_os_str()));
    how_done(run, "this run") + &(if run.failed > 0 { again() } else { String::new() })
}

/// How all is done, and what to give for what failed.
fn done(standing: &TaskCounts, owner: &str) -> String {
    let again = match standing {
        TaskCounts { failed: 0, .. } => return how_done(standing, owner),
        TaskCounts { lost: 0, .. } => "failed",
        _ => "all",
    };
    how_done(standing, owner) + &format!("; to run those again give --rerun {again}")
}

/// How all is done.
fn how_done(standing: &TaskCounts, owner: &str) -> String {
    let TaskCounts { files, ok, failed, lost, .. } = *standing;
    if failed == 0 {
        return match files {
            1 => format!("the one file of {owner} is done"),
            _ => format!("all {files} files of {owner} are done"),
        };
    }
    let mut text = format!("of the {} of {owner} {ok} are ok", units::count(files, "file"));
    for (count, what) in [(failed - lost, "failed"), (lost, "lost with their container")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// The files of the command that have changed since replicas made their results; with
/// the number of affected results.
pub fn changed_since(
    layout: &Layout,
    now: &[NamedFile],
    replicas: impl IntoIterator<Item = (u32, u64)>,
) -> Vec<(String, u64)> {
    let mut made = RecordsByContent::default();
    for (id, ok) in replicas.into_iter().filter(|_| !now.is_empty()) {
        let launches = launches_of(layout, id).unwrap_or_default();
        made.join(LaunchHeads::read(layout, id, &launches).records(ok));
    }
    let changed = now.iter().map(|file| (units::path(&file.name.0), made.by_others(file)));
    changed.filter(|(_, results)| *results > 0).collect()
}

/// What has changed since, including the files of the command `changed`, with what to type; last, how to start over.
pub fn remarks(list: &InputList, layout: &Layout, stop: &Shutdown, changed: &[(String, u64)]) -> Vec<String> {
    let root = layout.root();
    let mut lines = Vec::new();
    let children = family::descendants(layout, &list.header().run);
    lines.extend(children.iter().map(|child| child.told().to_string()));
    lines.extend(NewInputs::look(list, root, stop).map(|new| new.remark()));
    lines.extend(changed.iter().map(|(file, results)| {
        format!("{file} has changed since it made {}", units::count(*results, "result"))
    }));
    lines.push(format!(
        "The list of this run has been frozen since {}. To run everything again: `canfar-run reset {}`, then the same command",
        listed_at(list),
        quoted(root.as_os_str())
    ));
    lines
}

/// When the list was made, to the minute.
fn listed_at(list: &InputList) -> String {
    let at = &list.header().created_at;
    at.get(..16).map_or_else(|| at.clone(), |at| format!("{} UTC", at.replace('T', " ")))
}

/// What would be in a list that is made now, and is in none of the run's family: the runs that it continues and those that
/// continue it.
struct NewInputs {
    /// How many of what are.
    what: String,
    count: usize,
    example: OsString,
    /// Results directories of the family, and the list of the last one.
    family: Vec<PathBuf>,
    last: InputList,
}

impl NewInputs {
    /// `None` if there is nothing new, or it is unknown: then it is not this run's concern.
    fn look(list: &InputList, root: &Path, stop: &Shutdown) -> Option<Self> {
        let header = list.header();
        let source = &header.source;
        let [one, many] = nouns(source)?;
        let begun = Instant::now();
        let keep_going = || stop.signal().is_none() && begun.elapsed() < PATIENCE;
        let rules = Rules {
            allow_empty: true,
            allow_missing: true,
            sizes: SizeLookup::None,
            results_dir: root,
            heartbeat: HeartbeatTimes::default(),
            makes: None,
            since: None,
        };
        let now = listing::list(source, rules, &keep_going).ok()?.entries;
        let mut lists = family::lineage(&header.run, root).ok()?;
        let children = family::descendants(&Layout::new(root), &header.run);
        lists.extend(children.into_iter().map(|child| (child.dir, child.list)));
        let new = if matches!(source, InputSpec::Table { .. }) {
            new_rows(&now, list).ok()?
        } else {
            let folder = header.begun_in().unwrap_or(Path::new(""));
            let mut before = ListedBefore::read(lists.iter().map(|(_, list)| list), folder).ok()?;
            now.iter().map(|entry| entry.path).filter(|path| !before.has(path)).collect()
        };
        let (example, count) = ((*new.first()?).to_owned(), new.len());
        let what = units::plural(count as u64, &one, &many);
        let (family, mut lists): (Vec<PathBuf>, Vec<InputList>) = lists.into_iter().unzip();
        Some(Self { what, count, example, family, last: lists.pop()? })
    }

    /// With the lines to type.
    fn remark(&self) -> String {
        let what = format!("{} now that {} not there", self.what, were(self.count as u64));
        let first = self.family.first().map_or(Path::new("results"), PathBuf::as_path);
        let other = quoted(Layout::new(first).free_beside().as_os_str());
        let family: Vec<String> = self.family.iter().map(|dir| quoted(dir.as_os_str())).collect();
        let since = format!("`canfar-run --new-since {}", family.last().map_or("results", String::as_str));
        let how = match &self.last.header().source {
            // Rows are never the same as those of another run, so all of them would be merged twice.
            InputSpec::Table { .. } => {
                format!("the launch as before with a table of these alone and -o {other}")
            }
            // A given list is not read again unless it is named.
            InputSpec::List { file, null } => {
                let null = if *null { " --null" } else { "" };
                format!("{since} --files-from {}{null} -o {other}`", quoted(&file.0))
            }
            _ => format!("{since} -o {other}`"),
        };
        format!(
            "{what} on {}, such as {}. To run {}: {how}, then `canfar-run merge {} {other}`",
            listed_at(&self.last),
            units::path(&self.example),
            if self.count == 1 { "it" } else { "them" },
            family.join(" ")
        )
    }
}

/// The rows of a table that a list has not.
fn new_rows<'n>(now: &'n Entries, list: &InputList) -> anyhow::Result<Vec<&'n OsStr>> {
    let mut new: HashSet<&[u8]> = now.iter().filter_map(|entry| entry.row).collect();
    list.read(list.header().indices(), |_, entry| {
        entry.row.map(|row| new.remove(row));
        Ok(())
    })?;
    Ok(now
        .iter()
        .filter(|entry| entry.row.is_some_and(|row| new.contains(row)))
        .map(|entry| entry.path)
        .collect())
}

/// What one new entry of a source is called, and what several are; `None` where there can be none.
fn nouns(source: &InputSpec) -> Option<[String; 2]> {
    Some(match source {
        InputSpec::Patterns { .. } => ["file matches", "files match"].map(str::to_owned),
        InputSpec::Products { .. } => ["product is", "products are"].map(str::to_owned),
        InputSpec::List { file, .. } if file.0 == "-" => return None,
        InputSpec::List { file, .. } => {
            ["entry is", "entries are"].map(|what| format!("{what} in {}", units::path(&file.0)))
        }
        InputSpec::Table { file, .. } if file.0 == "-" => return None,
        InputSpec::Table { file, .. } => {
            ["row is", "rows are"].map(|what| format!("{what} in {}", units::path(&file.0)))
        }
        InputSpec::Numbers { .. } => return None,
    })
}

fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

fn quoted(path: &OsStr) -> String {
    template::quoted(&[path.to_owned()])
}
