//! Running a launch, and its end: results file, journal, summary, exit code.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use crate::clock;
use crate::exit_code::ExitCode;
use crate::host::storage::StorageError;
use crate::journal::event::{Event, LaunchProgress, ResultsWritten, Standing, StopReason, Stopped};
use crate::journal::state::JournalState;
use crate::journal::tail;
use crate::journal::writer::SharedJournalWriter;
use crate::launch::balance::Balancer;
use crate::launch::{Launcher, PreparedLaunch, Sharing};
use crate::liveness::fence::{Fence, Fenced};
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::counts::TaskCounts;
use crate::model::failures::FailureGroup;
use crate::model::usage::UsageFigures;
use crate::output::WhileRead;
use crate::process::descendants::PATIENCE;
use crate::process::spawn::Spawner;
use crate::products::publish::Publishing;
use crate::record::results::{self, PreparedResults};
use crate::report::advice::is_short_of_cpus;
use crate::report::doubts::DoubtNote;
use crate::report::launch::{LaunchReport, LaunchSummary, say_summary};
use crate::run::early_stop::EarlyStop;
use crate::run::execute::{ExecMode, Execute, ProcessSettings, ProcessSlot, SlotContext};
use crate::run::memory::{MemoryBudget, MemoryMonitor};
use crate::run::recorder::{Counters, KeepLogs, Recorder, RecorderParts};
use crate::run::schedule::{self, Feed, Work};
use crate::run::worker::{SharedWorkerState, WorkerSlot};
use crate::sharing::claims::ClaimsFolder;
use crate::store::pulse;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::terminal::progress::ExpectedTasks;
use crate::threads::locked;
use crate::units;

/// How a launch ended.
#[derive(Debug)]
pub struct LaunchOutcome {
    /// The exit code of the process.
    pub code: ExitCode,
    /// The summary that was printed; `None` if a newer launch took over.
    pub summary: Option<LaunchSummary>,
}

impl LaunchOutcome {
    /// Adds how what was done afterwards ended.
    pub fn then(&mut self, code: ExitCode) {
        self.code = self.code.or(code);
        if let Some(summary) = &mut self.summary {
            summary.exit = self.code.number();
        }
    }

    /// Prints the summary, if it was asked for; gives what to exit with.
    pub fn told(&self, is_asked_for: bool, console: &Console, out: &mut dyn Write) -> ExitCode {
        self.summary
            .as_ref()
            .map_or(self.code, |summary| told(summary, self.code, is_asked_for, console, out))
    }
}

/// Prints a closing summary, if it was asked for; gives what to exit with in place of `code`.
pub fn told(
    summary: &impl Serialize,
    code: ExitCode,
    is_asked_for: bool,
    console: &Console,
    out: &mut dyn Write,
) -> ExitCode {
    match print_json(is_asked_for, summary, &mut WhileRead(out)) {
        Ok(()) => code,
        Err(error) => {
            console.error(&error);
            code.or(ExitCode::CannotWrite)
        }
    }
}

/// What is left to report about a launch.
#[derive(Debug, Default)]
pub struct LaunchFigures {
    number: u32,
    tally: Counters,
    figures: UsageFigures,
    failures: Vec<FailureGroup>,
    doubts: Vec<DoubtNote>,
    /// Tasks that were to run and did not end.
    left: LeftTasks,
}

/// Tasks without a record that a launch leaves.
#[derive(Debug, Clone, Copy, Default)]
struct LeftTasks {
    /// That it had to run.
    here: u64,
    /// Tasks that no live launch has, in a run that shares its work.
    elsewhere: u64,
}

impl LeftTasks {
    fn all(self) -> u64 {
        self.here + self.elsewhere
    }
}

impl Launcher<'_> {
    /// Runs all tasks and ends the launch.
    pub fn carry_out(&self, mut prepared: PreparedLaunch<'_>, begun: Instant) -> LaunchOutcome {
        let resumed = prepared.resumed.take();
        let PreparedLaunch { share, tasks, jobs, recorder, source, heartbeat, .. } = &prepared;
        let held = resumed.as_ref().map_or(*tasks, |resumed| resumed.due);
        let (entries, before) = match &resumed {
            _ if self.selection.is_some() => (held, 0),
            Some(_) => (share.len(), recorder.counts().ok),
            None => (share.len(), share.len().saturating_sub(*tasks)),
        };
        let expected = ExpectedTasks { entries, before, held };
        let report = LaunchReport::new(
            self.console,
            self.config.progress,
            self.config.identity.replica,
            expected,
            *jobs,
        );
        let publishing = publishing(&prepared.settings)
            .map(|publishing| publishing.of_command_with_out(self.config.has_out()));
        let balancer =
            resumed.map(|resumed| Balancer::new(self, resumed, recorder, source, &report, heartbeat));
        if let Err(error) = self.work_off(&prepared, publishing.as_ref(), &report, balancer.as_ref(), begun) {
            prepared
                .source
                .stop_early(EarlyStop::CannotStart(format!("{error:#}"), ExitCode::of_error(&error)));
        }
        // Anything still running here would run while the results are written, and in the temporary folders.
        self.descendants.kill_all(PATIENCE);
        report.over();
        prepared.recorder.note_activity(prepared.registry.activity());
        let aftermath = balancer.map(Balancer::finish);
        let PreparedLaunch { recorder, heartbeat, fence, source, scratch, .. } = prepared;
        if let Some(signal) = self.stop.signal() {
            source.stop_early(EarlyStop::Signal(signal));
        }
        if let Some(trouble) = heartbeat.trouble() {
            source.stop_early(EarlyStop::CannotWrite(trouble));
        }
        let left = match &aftermath {
            Some(aftermath) => LeftTasks { here: recorder.left(), elsewhere: aftermath.left_behind },
            None => LeftTasks { here: source.left(), elsewhere: 0 },
        };
        // What came when all had been started kept nothing from being run.
        let early_stop = source.early_stop().filter(|stop| left.all() > 0 || !stop.only_drains());
        let ended = self.conclude(recorder, &fence, &report, early_stop, left, begun);
        drop(heartbeat);
        // The results files of other replicas come after this launch's own.
        if let (Some(aftermath), Some(Sharing { blocks, .. })) = (aftermath, self.sharing) {
            aftermath.write_missing_results(self, blocks);
        }
        // To remove what attempts left in them may take long.
        drop((scratch, publishing));
        ended
    }

    fn work_off(
        &self,
        prepared: &PreparedLaunch<'_>,
        publishing: Option<&Publishing<'_>>,
        report: &LaunchReport<'_>,
        balancer: Option<&Balancer<'_>>,
        begun: Instant,
    ) -> anyhow::Result<()> {
        let PreparedLaunch { recorder, heartbeat, source, tasks, registry, settings, scratch, .. } = prepared;
        let Some(scratch) = scratch else { return Ok(()) };
        let spawner = Spawner::new().context("can't open /dev/null")?;
        let idle_after = match &settings.mode {
            ExecMode::Own => None,
            ExecMode::Workers { kind, .. } => kind.idle_after(self.config.worker_idle),
        };
        let shared = SharedWorkerState::new(idle_after, report);
        let context = SlotContext { settings, spawner: &spawner, stop: self.stop, registry, scratch };
        let slots =
            if balancer.is_some() { prepared.jobs } else { prepared.jobs.min(usize::try_from(*tasks)?) };
        let slots = (1..=slots)
            .map(|slot| -> anyhow::Result<Box<dyn Execute + '_>> {
                Ok(match &settings.mode {
                    ExecMode::Own => Box::new(ProcessSlot::new(context, slot)?),
                    ExecMode::Workers { kind, tasks } => {
                        Box::new(WorkerSlot::new(context, kind, *tasks, &shared, slot)?)
                    }
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let monitor = self.monitor(prepared)?;
        let work = Work {
            queue: source,
            feeder: balancer.map(|balancer| balancer as &dyn Feed),
            tasks: *tasks,
            recorder,
            publishing,
            stop: self.stop,
            registry,
            monitor: monitor.as_ref(),
            retries: self.config.retries,
            max_failures: self.config.max_failures,
            deadline: self.config.deadline.and_then(|deadline| begun.checked_add(deadline)),
            heartbeat,
            watch: report,
            progress: &|running| report.progress(running),
        };
        match &monitor {
            Some(monitor) => monitor
                .watch_over(|| schedule::run(&work, slots))
                .context("can't start the thread that watches memory")?,
            None => schedule::run(&work, slots),
        }
    }

    /// The memory monitor; `None` if there is no limit to watch.
    fn monitor<'p>(&'p self, prepared: &'p PreparedLaunch<'_>) -> anyhow::Result<Option<MemoryMonitor<'p>>> {
        let PreparedLaunch { source, registry, jobs, died_before, .. } = prepared;
        let Some(memory) = &self.config.memory else { return Ok(None) };
        let room = MemoryBudget { limit: memory.limit(), jobs: *jobs, rule: self.config.jobs_rule };
        MemoryMonitor::new(memory, room, *died_before, registry, source)
            .map(Some)
            .context("can't watch memory")
    }

    /// Writes the results, ends the journal and prints the summary. All of it may take long, and heartbeats continue.
    fn conclude(
        &self,
        recorder: Recorder,
        fence: &Fence,
        report: &LaunchReport<'_>,
        early_stop: Option<EarlyStop>,
        left: LeftTasks,
        begun: Instant,
    ) -> LaunchOutcome {
        let launch = recorder.launch();
        let RecorderParts { journal, mut state, claims, tally, figures } = recorder.into_parts();
        let figures = self.figures(figures, begun);
        if early_stop == Some(EarlyStop::Superseded) || fence.is_closed() {
            return self.leave_it(launch, fence);
        }
        let prepared = self.prepare_results(&mut state, &claims);
        // Checked as late as possible: a frozen launch may wake up right here.
        let written = match fence.look_patiently() {
            Err(Fenced::Superseded | Fenced::MovedAway { .. }) => return self.leave_it(launch, fence),
            // The results that are there may be a newer launch's.
            Err(unknown) => Err(unknown.into()),
            Ok(()) => prepared.and_then(PreparedResults::put),
        };
        if fence.is_closed() {
            return self.leave_it(launch, fence);
        }
        let early_stop = match &written {
            Ok(_) => early_stop,
            Err(error) => Some(EarlyStop::CannotWrite(error.into()).or_earlier(early_stop)),
        };
        let standing = state.counts();
        let told = self.told_counts(standing, &tally, left);
        let exit = exit_code(told, left.all(), early_stop.as_ref()).number();
        let ended = end_journal(
            &journal,
            self.stopped(early_stop.as_ref(), exit, &figures),
            written.ok(),
            left.here,
            standing,
        );
        let early_stop = match ended {
            Err(error) => {
                let error = StorageError::new("can't write the journal", &error);
                Some(EarlyStop::CannotWrite(error).or_earlier(early_stop))
            }
            Ok(()) => early_stop,
        };
        let journal = locked(&journal);
        let (failures, doubts) = (report.failures(), report.doubts());
        let launch = LaunchFigures { number: journal.launch(), tally, figures, failures, doubts, left };
        let (standing, launch) = match journal.reached() {
            Some(reached) => as_reached(standing, launch, reached),
            None => (standing, launch),
        };
        self.close(standing, Some(launch), early_stop.as_ref(), begun)
    }

    /// Prepares the results file of what is still this replica's.
    pub(super) fn prepare_results(
        &self,
        state: &mut JournalState,
        held: &BTreeMap<BlockId, ClaimName>,
    ) -> anyhow::Result<PreparedResults> {
        let folder = ClaimsFolder::new(self.layout, self.run_id());
        give_up_lost(&folder, state, held)?;
        loop {
            let prepared = results::prepare(self.layout, self.id(), state);
            // In the meantime, which may have been long, another replica may have taken something over.
            if prepared.is_err() || give_up_lost(&folder, state, held)? == 0 {
                return prepared;
            }
        }
    }

    /// Ends if a newer launch took over, or if the run no longer exists.
    fn leave_it(&self, launch: u32, fence: &Fence) -> LaunchOutcome {
        let why = match fence.look() {
            Err(Fenced::Superseded) => {
                "a newer launch of this replica took over; this one stopped and leaves the results to it"
                    .to_owned()
            }
            _ => format!(
                "the run {} was moved away from {}, or removed, while this launch was running; it stopped and wrote no results. Its finished files are in its journal, wherever that is now",
                self.run_id(),
                self.layout.root().display()
            ),
        };
        self.console.say(Verbosity::Quiet, Tone::Bad, &format!("canfar-run: error: {why}"));
        let by_signal = self.stop.external_signal().map_or(ExitCode::Ok, ExitCode::Signal);
        // The process that acts as this replica handles what it left.
        let by_rest = if self.is_finished_by_another(launch) { ExitCode::Ok } else { ExitCode::Incomplete };
        LaunchOutcome { code: by_signal.or(by_rest), summary: None }
    }

    fn is_finished_by_another(&self, launch: u32) -> bool {
        let successor = self.layout.successor(self.id(), launch);
        self.sharing.is_some() && tail::begun(&successor).ok().flatten().is_some_and(|begun| begun.by_another)
    }

    /// What the attempts of this launch used, with what there was for them.
    fn figures(&self, used: UsageFigures, begun: Instant) -> UsageFigures {
        let wall = begun.elapsed();
        UsageFigures {
            launches: 1,
            begun_at: Some(clock::ago(wall)),
            ended_at: Some(clock::now()),
            wall_s: wall.as_secs_f64(),
            cpu_available_s: wall.as_secs_f64() * self.config.cpus,
            jobs: self.config.jobs,
            memory_limit_bytes: self.memory_limit(),
            ..used
        }
    }

    /// Says the closing summary.
    pub fn close(
        &self,
        standing: TaskCounts,
        launch: Option<LaunchFigures>,
        early_stop: Option<&EarlyStop>,
        begun: Instant,
    ) -> LaunchOutcome {
        let number = launch.as_ref().map(|launch| launch.number);
        let LaunchFigures { tally, mut figures, failures, doubts, left, .. } = launch.unwrap_or_default();
        if let Some(number) = number
            && self.stop.signal().is_none()
            && is_short_of_cpus(&figures, self.config.advice_after)
            && let Some(sharing) = self.cpu_sharing(number, &figures)
        {
            figures.launches_at_once = sharing.launches;
        }
        let standing = self.told_counts(standing, &tally, left);
        let code = exit_code(standing, left.all(), early_stop);
        let told = figures.told();
        let replica = self.config.identity.replica;
        // What failed before and was to run again counts as not run.
        let failed = standing.files.saturating_sub(standing.ok).saturating_sub(left.here);
        let summary = LaunchSummary {
            run: Some(self.run_id().to_owned()),
            replica_id: replica.id(),
            replica_count: replica.count(),
            launch: number,
            counts: TaskCounts { failed, ..standing },
            lost: standing.lost,
            not_run: left.all(),
            done_before: standing.ok - tally.ok.min(standing.ok),
            non_finite: tally.non_finite,
            // What was named to run again needs one more attempt in any case.
            ok_after_retry: if self.selection.is_none() { tally.ok_after_retry } else { 0 },
            kept_before: tally.kept_before,
            wall_s: units::thousandths(begun.elapsed().as_secs_f64()),
            cpu_s: told.cpu_s,
            max_rss_bytes: tally.peak_bytes,
            figures: told,
            failures,
            reason: early_stop.map_or(StopReason::Done, EarlyStop::reason),
            keeps_logs: self.config.keep_logs != KeepLogs::None,
            timeout: self.config.limits.timeout,
            results_dir: units::path(self.layout.root()),
            exit: code.number(),
        };
        let why = early_stop.map(|stop| stop.in_words(self.layout.root()));
        say_summary(self.console, &summary, &figures, &doubts, why.as_deref(), self.config.advice_after);
        LaunchOutcome { code, summary: Some(summary) }
    }

    /// What the closing words are about: all that the replica has or, where tasks were named, how these went.
    fn told_counts(&self, standing: TaskCounts, tally: &Counters, left: LeftTasks) -> TaskCounts {
        match self.selection {
            None => standing,
            Some(_) => TaskCounts {
                files: tally.ok + tally.failed + left.here,
                ok: tally.ok,
                failed: tally.failed,
                ..TaskCounts::default()
            },
        }
    }

    /// How a launch ended, for its journal.
    fn stopped(&self, early_stop: Option<&EarlyStop>, exit: i32, figures: &UsageFigures) -> Stopped {
        Stopped {
            reason: early_stop.map_or(StopReason::Done, EarlyStop::reason),
            signal: early_stop.and_then(EarlyStop::signal),
            exit,
            why: early_stop.map(|stop| stop.in_words(self.layout.root())),
            figures: Some(Box::new(figures.clone())),
            blocks: Vec::new(),
        }
    }
}

/// How a launch publishes what its tasks make, where they were declared to make something.
fn publishing(settings: &ProcessSettings) -> Option<Publishing<'_>> {
    let ProcessSettings { products, checksum, run, replica, launch, .. } = settings;
    (!products.is_empty()).then(|| Publishing::new(products, *checksum, run, replica.id(), *launch))
}

/// Writes the stop record of a journal and syncs it. The blocks that it did not finish are added to `stopped`.
pub(super) fn end_journal(
    journal: &SharedJournalWriter,
    stopped: Stopped,
    written: Option<ResultsWritten>,
    left: u64,
    standing: TaskCounts,
) -> io::Result<()> {
    let mut last = locked(journal);
    let before = last.progress().cloned().unwrap_or_default();
    let blocks = last.unended();
    last.add(&Event::Alive(LaunchProgress {
        counts: standing,
        left,
        running: 0,
        memory_bytes: None,
        ..before
    }));
    if let Some(results) = written {
        last.add(&Event::ResultsWritten(Box::new(results)));
    }
    last.add(&Event::Stop(Box::new(Stopped { blocks, ..stopped })));
    last.commit()?;
    drop(last);
    pulse::sync(journal)
}

/// The counts of a launch when its last records never reached the storage: they count as not run.
fn as_reached(standing: TaskCounts, launch: LaunchFigures, reached: Standing) -> (TaskCounts, LaunchFigures) {
    let lost_ok = standing.ok.saturating_sub(reached.counts.ok);
    let tally = Counters { ok: launch.tally.ok.saturating_sub(lost_ok), ..launch.tally };
    // Also its files, which are fewer by now where another replica took blocks over.
    (reached.counts, LaunchFigures { tally, left: LeftTasks { here: reached.left, ..launch.left }, ..launch })
}

/// Gives up the blocks that another replica has by now; gives how many these are.
fn give_up_lost(
    claims: &ClaimsFolder,
    state: &mut JournalState,
    held: &BTreeMap<BlockId, ClaimName>,
) -> anyhow::Result<usize> {
    let mut lost = 0;
    for claim in
        held.values().filter(|claim| state.tasks.block(claim.block).is_some()).copied().collect::<Vec<_>>()
    {
        let cannot = || format!("can't look for {}", claims.path_of(claim.next()).display());
        if !claims.is_highest(claim).with_context(cannot)? {
            state.tasks.release(claim.block);
            lost += 1;
        }
    }
    Ok(lost)
}

fn exit_code(standing: TaskCounts, left: u64, early_stop: Option<&EarlyStop>) -> ExitCode {
    let by_records = if standing.failed > 0 { ExitCode::TasksFailed } else { ExitCode::Ok };
    let by_rest = if left > 0 { ExitCode::Incomplete } else { ExitCode::Ok };
    let by_stop = early_stop.map_or(ExitCode::Ok, EarlyStop::exit_code);
    by_stop.or(by_rest).or(by_records)
}

/// Prints the closing summary as one JSON object, if it was asked for.
///
/// # Errors
/// When it can't be printed.
pub fn print_json(is_asked_for: bool, summary: &impl Serialize, out: &mut dyn Write) -> anyhow::Result<()> {
    if is_asked_for {
        let mut line = serde_json::to_vec(summary)?;
        line.push(b'\n');
        out.write_all(&line).and_then(|()| out.flush()).context("can't print the summary")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LaunchFigures, as_reached, exit_code};
    use crate::exit_code::ExitCode;
    use crate::journal::event::Standing;
    use crate::model::counts::TaskCounts;
    use crate::run::early_stop::EarlyStop;

    #[test]
    fn what_keeps_tasks_from_starting_here_leaves_them_and_what_would_everywhere_is_wrong() {
        let counts = TaskCounts { files: 3, ..TaskCounts::default() };
        for (stop, code) in [
            (EarlyStop::Short("no more processes".into()), ExitCode::Incomplete),
            (EarlyStop::Deadline, ExitCode::Incomplete),
            (EarlyStop::CannotStart("no such program".into(), ExitCode::Usage), ExitCode::Usage),
            (EarlyStop::CannotStart("its storage fails".into(), ExitCode::Incomplete), ExitCode::Incomplete),
            (EarlyStop::Signal(15), ExitCode::Signal(15)),
        ] {
            assert_eq!(exit_code(counts, 2, Some(&stop)), code, "{stop:?}");
        }
    }

    #[test]
    fn what_did_not_arrive_is_counted_as_it_stood_where_it_did_also_of_blocks_that_were_lost_since() {
        let before = TaskCounts { files: 10, ok: 7, failed: 1, ..TaskCounts::default() };
        let now = TaskCounts { files: 4, ok: 4, ..TaskCounts::default() };
        let reached = Standing { counts: before, left: 2 };
        let (counts, launch) = as_reached(now, LaunchFigures::default(), reached);
        assert_eq!((counts, launch.left.here), (before, 2));
    }
}
