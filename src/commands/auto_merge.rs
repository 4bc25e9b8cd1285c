//! `--merge`: a launch that finds the run complete when it ends merges it.
//!
//! A launch looks at all replicas only after its own records, results file and stop record are in place. The run is complete
//! as soon as every file has a record, whether others are still running or not. So of all launches that end, the one that wrote
//! the last record of the run finds it complete, and so may others that ended meanwhile: at least one merges, and
//! no two can each leave it to the other. If that one dies, any replica that is launched again has nothing to do, checks, and
//! merges.
//!
//! Merges of one run run one at a time, under the lock that listing and `reset` take, too: a merge that began earlier, and
//! knows less, must not write last. A launch that waited for another one's merge checks what it was made from, and merges again only if
//! a journal has grown since.

use serde::Deserialize;

use crate::commands::merge;
use crate::exit_code::ExitCode;
use crate::journal::launches;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::run_lock::{LockObserver, with_run_lock};
use crate::model::provenance::Process;
use crate::process::shutdown::Shutdown;
use crate::status::{MonitoredRun, ReplicaState};
use crate::store::layout::Layout;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// Merges if the run is complete. Gives what that adds to the exit code: as `merge` would exit, so 1 where any replica's
/// file failed, 3 where something can't be read and 4 where it can't be written; nothing where others have files left.
pub(super) fn merge_if_last(
    layout: &Layout,
    me: &Process,
    times: HeartbeatTimes,
    console: &Console,
    stop: &Shutdown,
) -> ExitCode {
    if let Some(signal) = stop.signal() {
        return ExitCode::Signal(signal);
    }
    let merged = merge_if_complete(layout, me, times, &Waiting { console, stop });
    merged.unwrap_or_else(|error| {
        let code = match (ExitCode::of_error(&error), stop.signal()) {
            (ExitCode::CannotWrite, _) => ExitCode::CannotWrite,
            (_, Some(signal)) => ExitCode::Signal(signal),
            // That is for wrong usage, and tasks were run.
            _ => ExitCode::Incomplete,
        };
        let again =
            format!("the results were not merged: `canfar-run merge {}` does it", layout.root().display());
        console.error(&error.context(again));
        code
    })
}

fn merge_if_complete(
    layout: &Layout,
    me: &Process,
    times: HeartbeatTimes,
    waiting: &Waiting<'_>,
) -> anyhow::Result<ExitCode> {
    let figures = MonitoredRun::open(layout.root())?.monitor(times).look()?;
    if let Some(unreadable) =
        figures.replicas.iter().find(|replica| replica.state == ReplicaState::Unreadable)
    {
        let why = unreadable.said.as_deref().unwrap_or("its journals can't be read");
        anyhow::bail!("can't tell whether the run is complete: replica {}: {why}", unreadable.replica_id);
    }
    if !figures.complete {
        let left = match figures.totals.left {
            // The launch that ran the last ones has not recorded its end yet.
            0 => "other replicas have not finished".to_owned(),
            left => format!("{} of the run have no record yet", units::count(left, "file")),
        };
        let text = format!("not merged: {left}; the replica that finishes last will merge (--merge)");
        waiting.console.say(Verbosity::Normal, Tone::Plain, &text);
        return Ok(ExitCode::Ok);
    }
    if let Some(code) = merged_already(layout)? {
        return Ok(code);
    }
    with_run_lock(layout, me, times, waiting, || match merged_already(layout)? {
        Some(code) => Ok(code),
        None => merge::whole(layout, times, waiting.console),
    })?
}

/// What the result of the last merge is judged by.
#[derive(Deserialize)]
struct Merged {
    results: String,
    complete: bool,
    failed: u64,
    journals: Option<String>,
}

/// The outcome of a merge of the run in its current state, if there was one.
fn merged_already(layout: &Layout) -> anyhow::Result<Option<ExitCode>> {
    let results = layout.merged("final_results.json");
    let Ok(summary) = std::fs::read(layout.merged("final_summary.json")) else { return Ok(None) };
    let Ok(merged) = serde_json::from_slice::<Merged>(&summary) else { return Ok(None) };
    let is_current = merged.complete
        && merged.results == units::path(&results)
        && results.exists()
        && merged.journals == Some(launches::fingerprint(layout)?);
    let code = if merged.failed > 0 { ExitCode::TasksFailed } else { ExitCode::Ok };
    Ok(is_current.then_some(code))
}

/// Told when another process is merging.
struct Waiting<'a> {
    console: &'a Console,
    stop: &'a Shutdown,
}

impl LockObserver for Waiting<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for_lock(&self, who: &str) {
        let text = format!("waiting for {who}, which is merging the results");
        self.console.say(Verbosity::Normal, Tone::Plain, &text);
    }
}
