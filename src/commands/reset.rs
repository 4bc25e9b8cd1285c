//! `reset`: moves a whole run aside, so that a new one can begin in the same results directory.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::ResetArgs;
use crate::commands::Invocation;
use crate::commands::waiting::WaitingForLock;
use crate::config::heartbeat_times;
use crate::exit_code::CannotWrite;
use crate::exit_code::{CannotGoOn, ExitCode};
use crate::journal::launches::all_launches;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::probe::Prober;
use crate::liveness::run_lock::with_run_lock;
use crate::model::provenance::Process;
use crate::store::layout::Layout;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::terminal::screen::Color;

/// Moves the run in a results directory to `previous/<time>/`.
///
/// # Errors
/// When one of its replicas is running, or a file can't be moved.
pub fn run(args: &ResetArgs, invocation: &Invocation<'_>) -> anyhow::Result<ExitCode> {
    let Invocation { environment, .. } = invocation;
    let console = Console::new(Verbosity::Normal, Color::Auto);
    let layout = Layout::new(environment.absolute(&args.dir));
    let moved = if files_of_the_run(&layout)?.is_empty() {
        None
    } else {
        let me = Process::current(None);
        let times = heartbeat_times(environment)?;
        let work = || move_away(&layout, times, &console);
        with_run_lock(&layout, &me, times, &WaitingForLock(&console), work)??
    };
    let root = layout.root().display();
    let said = match moved {
        Some(target) => {
            format!("moved the run to {}; a new one can begin in {root}", target.display())
        }
        None => format!("{root} holds no run: nothing to move"),
    };
    console.say(Verbosity::Normal, Tone::Plain, &said);
    Ok(ExitCode::Ok)
}

/// Moves everything, and returns where to.
fn move_away(layout: &Layout, times: HeartbeatTimes, console: &Console) -> anyhow::Result<Option<PathBuf>> {
    let files = files_of_the_run(layout)?;
    if files.is_empty() {
        return Ok(None);
    }
    let before = last_journals(layout)?;
    refuse_if_at_work(layout, &before, times, console)?;
    let target = make_target(layout)?;
    let place = |file: &Path| target.join(file.file_name().unwrap_or_default());
    // The list goes first: without it no launch can begin or continue this run.
    for file in files {
        let is_list = file == layout.inputs();
        let failed = || format!("can't move {} to {}", file.display(), target.display());
        std::fs::rename(&file, place(&file)).with_context(failed).context(CannotWrite)?;
        if is_list && let Err(error) = refuse_if_changed(layout, &before) {
            std::fs::rename(place(&file), &file)
                .with_context(|| format!("can't move {} back to {}", place(&file).display(), file.display()))
                .context(CannotWrite)?;
            // Whatever else is in it stays.
            let _ = std::fs::remove_dir(&target);
            return Err(error);
        }
    }
    Ok(Some(target))
}

/// All files of a run, its list first, then its claims: from these a launch that was only frozen sees that the run is gone
/// before it claims anything more. Not the lock of a process that is listing, merging, or moving it away.
fn files_of_the_run(layout: &Layout) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("can't read the results directory {}", layout.root().display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(layout.root()).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        if Layout::is_of_a_run(&entry.file_name()) && !Layout::is_of_the_lock(&entry.file_name()) {
            files.push(entry.path());
        }
    }
    files.sort_by_key(|file| (*file != layout.inputs(), *file != layout.claims(), file.clone()));
    Ok(files)
}

/// By replica, its last launch and how long that one's journal is.
type Journals = BTreeMap<u32, (u32, u64)>;

/// A launch that finds that the run is gone takes its own journal away, perhaps between listing and looking: then the one before
/// it is the last.
fn last_journals(layout: &Layout) -> anyhow::Result<Journals> {
    let mut journals = Journals::new();
    for (id, launches) in all_launches(layout)? {
        for launch in launches.into_iter().rev() {
            let path = layout.journal(id, launch);
            match std::fs::metadata(&path) {
                Ok(journal) => {
                    journals.insert(id, (launch, journal.len()));
                    break;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
            }
        }
    }
    Ok(journals)
}

fn refuse_if_at_work(
    layout: &Layout,
    journals: &Journals,
    times: HeartbeatTimes,
    console: &Console,
) -> anyhow::Result<()> {
    let prober = Prober::new(layout, times);
    let paths = || journals.iter().map(|(id, (launch, _))| (*id, layout.journal(*id, *launch)));
    refuse(layout, paths().filter(|(_, path)| prober.is_running(path)).map(|(id, _)| id))?;
    let silent: Vec<String> =
        paths().filter(|(_, path)| !prober.has_surely_ended(path)).map(|(id, _)| id.to_string()).collect();
    if silent.is_empty() {
        return Ok(());
    }
    // Modification times come from some other clock.
    let (whose, they) =
        if silent.len() == 1 { ("its journal", "it is") } else { ("their journals", "they are") };
    let text = format!(
        "{} left no stop record; watching {whose} for {} to see whether {they} still running",
        named(&silent),
        crate::units::duration(times.timeout)
    );
    console.say(Verbosity::Normal, Tone::Plain, &text);
    let begun = Instant::now();
    while begun.elapsed() < times.timeout {
        std::thread::sleep(LOOK.min(times.interval));
        refuse_if_changed(layout, journals)?;
    }
    Ok(())
}

/// How often journals that might grow are checked.
const LOOK: Duration = Duration::from_secs(1);

fn refuse_if_changed(layout: &Layout, before: &Journals) -> anyhow::Result<()> {
    let now = last_journals(layout)?;
    refuse(layout, now.into_iter().filter(|(id, last)| before.get(id) != Some(last)).map(|(id, _)| id))
}

fn refuse(layout: &Layout, at_work: impl Iterator<Item = u32>) -> anyhow::Result<()> {
    let ids: Vec<String> = at_work.map(|id| id.to_string()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let (root, replicas) = (layout.root().display(), named(&ids));
    bail!(CannotGoOn(format!(
        "the run in {root} is still active ({replicas}): stop it or wait for it to finish"
    )))
}

fn named(ids: &[String]) -> String {
    format!("{} {}", if ids.len() == 1 { "replica" } else { "replicas" }, ids.join(", "))
}

fn make_target(layout: &Layout) -> anyhow::Result<PathBuf> {
    let name = crate::clock::now_as_name();
    let names = std::iter::once(name.clone()).chain((2..1000).map(|number| format!("{name}-{number}")));
    std::fs::create_dir_all(layout.previous())
        .with_context(|| format!("can't create {}", layout.previous().display()))
        .context(CannotWrite)?;
    for name in names {
        let target = layout.previous().join(name);
        match std::fs::create_dir(&target) {
            Ok(()) => return Ok(target),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("can't create {}", target.display()))
                    .context(CannotWrite);
            }
        }
    }
    bail!(
        "{} already holds too many runs that were moved within this second: try again",
        layout.previous().display()
    )
}

#[cfg(test)]
mod tests {
    use super::{files_of_the_run, last_journals};
    use crate::store::layout::Layout;

    #[test]
    fn the_list_is_moved_first_and_the_claims_before_all_else() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        for made in [layout.journals(), layout.claims_of("run"), layout.previous()] {
            std::fs::create_dir_all(made).unwrap();
        }
        for written in [layout.inputs(), layout.listing(), layout.results(1), folder.path().join("a.fits")] {
            std::fs::write(written, "").unwrap();
        }
        let in_order = [layout.inputs(), layout.claims(), layout.results(1), layout.journals()];
        assert_eq!(files_of_the_run(&layout).unwrap(), in_order);
    }

    #[test]
    fn the_journal_of_a_launch_that_withdrew_since_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        std::fs::create_dir_all(layout.journals()).unwrap();
        std::fs::write(layout.journal(1, 1), "first").unwrap();
        // It is listed and can't be looked at, as one that is gone since.
        std::os::unix::fs::symlink("nowhere", layout.journal(1, 2)).unwrap();
        assert_eq!(last_journals(&layout).unwrap().into_iter().collect::<Vec<_>>(), [(1, (1, 5))]);
    }
}
