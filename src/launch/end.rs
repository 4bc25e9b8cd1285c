//! Carrying a launch out, and its end: results file, journal, summary, exit code.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::clock;
use crate::exit_code::ExitCode;
use crate::host::storage::StorageError;
use crate::journal::event::{Event, LaunchProgress, ResultsWritten, StopReason, Stopped};
use crate::journal::writer::SharedJournalWriter;
use crate::launch::{Launcher, PreparedLaunch};
use crate::liveness::takeover::{Fence, Fenced};
use crate::model::counts::TaskCounts;
use crate::model::failures::FailureGroup;
use crate::model::usage::UsageFigures;
use crate::output::WhileRead;
use crate::process::descendants::PATIENCE;
use crate::process::spawn::Spawner;
use crate::record::results;
use crate::report::doubts::DoubtNote;
use crate::report::launch::{LaunchReport, LaunchSummary, say_summary};
use crate::run::execute::{ExecMode, Execute, ProcessSlot};
use crate::run::memory::{MemoryBudget, MemoryMonitor};
use crate::run::queue::Halt;
use crate::run::recorder::{Counters, Recorder};
use crate::run::schedule::{self, Work};
use crate::run::worker::{SharedWorkerState, WorkerSlot};
use crate::store::pulse;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::threads::locked;
use crate::units;

/// How a launch ended.
#[derive(Debug)]
pub struct LaunchOutcome {
    /// What the process is to exit with.
    pub code: ExitCode,
    /// What was said; `None` where a newer launch took over.
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

/// What a launch leaves to be told.
#[derive(Debug, Default)]
pub struct LaunchFigures {
    number: u32,
    tally: Counters,
    figures: UsageFigures,
    failures: Vec<FailureGroup>,
    doubts: Vec<DoubtNote>,
    /// Tasks that were to run and did not end.
    left: u64,
}

impl Launcher<'_> {
    /// Runs all there is to run and ends the launch.
    pub fn carry_out(&self, prepared: PreparedLaunch, begun: Instant) -> LaunchOutcome {
        let PreparedLaunch { share, tasks, jobs, .. } = &prepared;
        let report = LaunchReport::new(self.console, self.config.progress, share.len(), *tasks, *jobs);
        if let Err(error) = self.work_off(&prepared, &report, begun) {
            prepared.source.halt(Halt::CannotStart(format!("{error:#}"), ExitCode::of_error(&error)));
        }
        // What goes on here would go on beside the writing of the results, and in the temporary folders.
        self.descendants.kill_all(PATIENCE);
        report.over();
        let PreparedLaunch { recorder, heartbeat, fence, source, scratch, .. } = prepared;
        if let Some(signal) = self.stop.signal() {
            source.halt(Halt::Signal(signal));
        }
        if let Some(trouble) = heartbeat.trouble() {
            source.halt(Halt::CannotWrite(trouble));
        }
        let left = source.left();
        // What came when all had been started kept nothing from being run.
        let is_in_vain = |halt: &Halt| left == 0 && matches!(halt, Halt::Deadline | Halt::Drained(_));
        let halt = source.halted().filter(|halt| !is_in_vain(halt));
        let ended = self.conclude(recorder, &fence, &report, halt, left, begun);
        drop(heartbeat);
        // To remove what is in it may take long.
        drop(scratch);
        ended
    }

    fn work_off(
        &self,
        prepared: &PreparedLaunch,
        report: &LaunchReport<'_>,
        begun: Instant,
    ) -> anyhow::Result<()> {
        let PreparedLaunch {
            recorder,
            heartbeat,
            share,
            entries,
            source,
            tasks,
            roster,
            settings,
            scratch,
            ..
        } = prepared;
        let Some(scratch) = scratch else { return Ok(()) };
        let starter = Spawner::new().context("can't open /dev/null")?;
        let crew = SharedWorkerState::new(self.config.worker_idle, report);
        let slots = (1..=prepared.jobs.min(usize::try_from(*tasks)?))
            .map(|slot| -> anyhow::Result<Box<dyn Execute + '_>> {
                let stop = self.stop;
                Ok(match settings.manner {
                    ExecMode::Own => {
                        Box::new(ProcessSlot::new(settings, &starter, stop, roster, scratch, slot)?)
                    }
                    ExecMode::Workers { tasks } => Box::new(WorkerSlot::new(
                        settings, tasks, &crew, &starter, stop, roster, scratch, slot,
                    )?),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let guard = self.guard(prepared)?;
        let work = Work {
            entries,
            share,
            source,
            tasks: *tasks,
            recorder,
            stop: self.stop,
            guard: guard.as_ref(),
            retries: self.config.retries,
            max_failures: self.config.max_failures,
            deadline: self.config.deadline.and_then(|deadline| begun.checked_add(deadline)),
            journal: self.layout.journal(self.id(), recorder.launch()),
            heartbeat,
            watch: report,
            progress: &|running| report.progress(running),
        };
        match &guard {
            Some(guard) => guard
                .watch_over(|| schedule::run(&work, slots))
                .context("can't start the thread that watches memory")?,
            None => schedule::run(&work, slots),
        }
    }

    /// Who watches memory; `None` where there is no limit to watch.
    fn guard<'p>(&'p self, prepared: &'p PreparedLaunch) -> anyhow::Result<Option<MemoryMonitor<'p>>> {
        let PreparedLaunch { source, roster, jobs, died_before, .. } = prepared;
        let Some(memory) = &self.config.memory else { return Ok(None) };
        let room = MemoryBudget { limit: memory.limit(), jobs: *jobs, rule: self.config.jobs_rule };
        MemoryMonitor::new(memory, room, *died_before, roster, source).map(Some).context("can't watch memory")
    }

    /// Writes the results, ends the journal and says how it went. All of it may take long, and signs of life go on.
    fn conclude(
        &self,
        recorder: Recorder,
        fence: &Fence,
        report: &LaunchReport<'_>,
        halt: Option<Halt>,
        left: u64,
        begun: Instant,
    ) -> LaunchOutcome {
        let (journal, state, tally, used) = recorder.into_parts();
        let figures = self.figures(used, begun);
        let is_superseded = || matches!(fence.look(), Err(Fenced::Superseded));
        if halt == Some(Halt::Superseded) || is_superseded() {
            return self.leave_it();
        }
        let prepared = results::prepare(self.layout, self.id(), &state);
        // Looked for as late as can be: a launch that was frozen may wake up right here.
        let written = match fence.look_patiently() {
            Err(Fenced::Superseded) => return self.leave_it(),
            // The results that are there may be a newer launch's.
            Err(unknown) => Err(unknown.into()),
            Ok(()) => prepared.and_then(results::PreparedResults::put),
        };
        if is_superseded() {
            return self.leave_it();
        }
        let halt = match &written {
            Ok(_) => halt,
            Err(error) => Some(graver(halt, Halt::CannotWrite(error.into()))),
        };
        let standing = state.counts();
        let exit = exit_code(standing, left, halt.as_ref()).number();
        let ended = end_journal(&journal, halt.as_ref(), exit, &figures, written.ok(), left, standing);
        let halt = match ended {
            Err(error) => {
                let error = StorageError::new("can't write the journal", &error);
                Some(graver(halt, Halt::CannotWrite(error)))
            }
            Ok(()) => halt,
        };
        let journal = locked(&journal);
        let (failures, doubts) = (report.failures(), report.doubts());
        let launch = LaunchFigures { number: journal.launch(), tally, figures, failures, doubts, left };
        let (standing, launch) = match journal.reached() {
            Some(reached) => as_reached(standing, launch, reached),
            None => (standing, launch),
        };
        self.close(standing, Some(launch), halt.as_ref(), begun)
    }

    /// Ends where a newer launch goes on.
    fn leave_it(&self) -> LaunchOutcome {
        self.console.say(Verbosity::Quiet, Tone::Bad, "canfar-run: error: a newer launch of this replica took over; this one stopped and leaves the results to it");
        let by_signal = self.stop.external_signal().map_or(ExitCode::Ok, ExitCode::Signal);
        LaunchOutcome { code: by_signal.or(ExitCode::Incomplete), summary: None }
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
        halt: Option<&Halt>,
        begun: Instant,
    ) -> LaunchOutcome {
        let number = launch.as_ref().map(|launch| launch.number);
        let LaunchFigures { tally, figures, failures, doubts, left, .. } = launch.unwrap_or_default();
        let code = exit_code(standing, left, halt);
        let told = figures.told();
        let replica = self.config.identity.replica;
        // What failed before and was to run again counts as not run.
        let failed = (standing.files - standing.ok).saturating_sub(left);
        let summary = LaunchSummary {
            run: Some(self.run_id().to_owned()),
            replica_id: replica.id(),
            replica_count: replica.count(),
            launch: number,
            counts: TaskCounts { failed, ..standing },
            not_run: left,
            done_before: standing.ok - tally.ok.min(standing.ok),
            non_finite: tally.non_finite,
            wall_s: round(begun.elapsed()),
            cpu_s: told.cpu_s,
            max_rss_bytes: tally.peak_bytes,
            figures: told,
            failures,
            reason: reason(halt),
            results_dir: units::path(self.layout.root()),
            exit: code.number(),
        };
        let why = halt.map(|halt| self.say_halt(halt));
        say_summary(self.console, &summary, &figures, &doubts, why.as_deref());
        LaunchOutcome { code, summary: Some(summary) }
    }

    fn say_halt(&self, halt: &Halt) -> String {
        match halt {
            Halt::Signal(signal) => units::signal(*signal),
            Halt::Deadline => "the deadline has passed (--deadline)".to_owned(),
            Halt::Drained(signal) => {
                format!("{}: no more tasks were started, and what ran could finish", units::signal(*signal))
            }
            Halt::MaxFailures(why) => format!("{why}. Mend the command first, or allow more"),
            Halt::CannotWrite(why) => {
                format!("results can't be written in {}: {why}", self.layout.root().display())
            }
            Halt::CannotStart(why, _) => {
                format!("{why}. No record was made of it: it would fail for every file")
            }
            Halt::Short(why) => {
                format!(
                    "for a minute nothing could be started: {why}. What a task left behind may fill the limits on processes and open files (ulimit -u, pids.max, ulimit -n)"
                )
            }
            Halt::Superseded => "a newer launch of this replica took over".to_owned(),
        }
    }
}

fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn reason(halt: Option<&Halt>) -> StopReason {
    match halt {
        None => StopReason::Done,
        Some(Halt::Signal(_) | Halt::Drained(_)) => StopReason::Signal,
        Some(Halt::Deadline) => StopReason::Deadline,
        Some(Halt::MaxFailures(_)) => StopReason::MaxFailures,
        Some(Halt::CannotWrite(_)) => StopReason::CannotWrite,
        Some(Halt::CannotStart(..)) => StopReason::CannotStart,
        Some(Halt::Short(_)) => StopReason::Short,
        Some(Halt::Superseded) => StopReason::Superseded,
    }
}

/// Writes the last words of a journal, and makes them last.
fn end_journal(
    journal: &SharedJournalWriter,
    halt: Option<&Halt>,
    exit: i32,
    figures: &UsageFigures,
    written: Option<ResultsWritten>,
    left: u64,
    standing: TaskCounts,
) -> io::Result<()> {
    let mut last = locked(journal);
    last.add(&Event::Alive(LaunchProgress { counts: standing, left, ..LaunchProgress::default() }));
    if let Some(results) = written {
        last.add(&Event::ResultsWritten(Box::new(results)));
    }
    last.add(&Event::Stop(Box::new(Stopped {
        reason: reason(halt),
        signal: match halt {
            Some(Halt::Signal(signal) | Halt::Drained(signal)) => Some(*signal),
            _ => None,
        },
        exit,
        figures: Some(Box::new(figures.clone())),
    })));
    last.commit()?;
    drop(last);
    pulse::sync(journal)
}

/// How a launch stands whose last records never reached the storage: they count as not run.
fn as_reached(
    standing: TaskCounts,
    launch: LaunchFigures,
    reached: LaunchProgress,
) -> (TaskCounts, LaunchFigures) {
    let lost_ok = standing.ok.saturating_sub(reached.counts.ok);
    let tally = Counters { ok: launch.tally.ok.saturating_sub(lost_ok), ..launch.tally };
    let counts = TaskCounts { files: standing.files, ..reached.counts };
    (counts, LaunchFigures { tally, left: reached.left, ..launch })
}

/// Of two reasons the graver one.
fn graver(before: Option<Halt>, now: Halt) -> Halt {
    before.filter(|before| before.gravity() >= now.gravity()).unwrap_or(now)
}

fn exit_code(standing: TaskCounts, left: u64, halt: Option<&Halt>) -> ExitCode {
    let by_records = if standing.failed > 0 { ExitCode::TasksFailed } else { ExitCode::Ok };
    let by_rest = if left > 0 { ExitCode::Incomplete } else { ExitCode::Ok };
    let by_halt = match halt {
        Some(Halt::Signal(signal)) => ExitCode::Signal(*signal),
        Some(Halt::CannotWrite(_)) => ExitCode::CannotWrite,
        // Even if earlier tasks ran: nothing of what was asked for can run as it is.
        Some(Halt::CannotStart(_, code)) => *code,
        Some(Halt::Superseded) => ExitCode::Incomplete,
        Some(Halt::Deadline | Halt::Drained(_) | Halt::MaxFailures(_) | Halt::Short(_)) | None => {
            ExitCode::Ok
        }
    };
    by_halt.or(by_rest).or(by_records)
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
    use super::exit_code;
    use crate::exit_code::ExitCode;
    use crate::model::counts::TaskCounts;
    use crate::run::queue::Halt;

    #[test]
    fn what_keeps_tasks_from_starting_here_leaves_them_and_what_would_everywhere_is_wrong() {
        let counts = TaskCounts { files: 3, ..TaskCounts::default() };
        for (halt, code) in [
            (Halt::Short("no more processes".into()), ExitCode::Incomplete),
            (Halt::Deadline, ExitCode::Incomplete),
            (Halt::CannotStart("no such program".into(), ExitCode::Usage), ExitCode::Usage),
            (Halt::CannotStart("its storage fails".into(), ExitCode::Incomplete), ExitCode::Incomplete),
            (Halt::Signal(15), ExitCode::Signal(15)),
        ] {
            assert_eq!(exit_code(counts, 2, Some(&halt)), code, "{halt:?}");
        }
    }
}
