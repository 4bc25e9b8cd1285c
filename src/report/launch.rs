//! The messages of a running launch, and its final summary.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::journal::event::StopReason;
use crate::model::counts::TaskCounts;
use crate::model::failures::{self, FailureGroup, FailureGroups};
use crate::model::outcome::{Cause, Failure, reason, reason_line};
use crate::model::replica::Replica;
use crate::model::usage::{UsageFigures, UsageJson};
use crate::report::doubts::{DoubtNote, Doubts, without_result};
use crate::report::figures::{self, seconds};
use crate::report::groups;
use crate::run::execute::Attempt;
use crate::run::recorder::{EndedAttempt, NextStep, Observer};
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::terminal::progress::{ExpectedTasks, ProgressMode, ProgressState};
use crate::text::base_name;
use crate::threads::locked;
use crate::units;

/// Lines of a failed task's standard error that are shown as it fails.
const SHOWN_LINES: usize = 3;

/// Kinds of failures that the summary shows.
const SHOWN_GROUPS: usize = 10;

/// When the first progress line comes: people want to see that it works.
const FIRST_LINE: Duration = Duration::from_secs(5);

/// Whether to print a progress line, given the time since the beginning and since the last line: in a minute there are hardly any,
/// in a fortnight some hundreds.
fn is_due(elapsed: Duration, said: Option<Duration>) -> bool {
    let pause = (elapsed / 20).clamp(Duration::from_secs(30), Duration::from_hours(1));
    said.map_or(elapsed >= FIRST_LINE, |said| elapsed.saturating_sub(said) >= pause)
}

/// Says how a launch goes.
#[derive(Debug)]
pub struct LaunchReport<'a> {
    console: &'a Console,
    /// How progress is shown.
    progress: ProgressMode,
    replica: Replica,
    begun: Instant,
    board: Arc<ProgressState>,
    state: Mutex<ReportState>,
}

#[derive(Debug)]
struct ReportState {
    /// When progress was last shown, since the beginning.
    said_progress: Option<Duration>,
    failures: FailureGroups,
    /// All failed attempts, including those that were retried.
    failed_attempts: FailureGroups,
    doubts: Doubts,
}

impl<'a> LaunchReport<'a> {
    /// Of a launch that begins now, `jobs` tasks at a time.
    pub fn new(
        console: &'a Console,
        wanted: ProgressMode,
        replica: Replica,
        expected: ExpectedTasks,
        jobs: usize,
    ) -> Self {
        let begun = Instant::now();
        let state = ReportState {
            said_progress: None,
            failures: FailureGroups::default(),
            failed_attempts: FailureGroups::default(),
            doubts: Doubts::default(),
        };
        let lines = || Arc::new(ProgressState::new(expected, 0));
        let (progress, board) = match wanted {
            ProgressMode::Bar => {
                let board = Arc::new(ProgressState::new(expected, jobs));
                if console.show(Arc::clone(&board) as _) {
                    (ProgressMode::Bar, board)
                } else {
                    (ProgressMode::Lines, lines())
                }
            }
            other => (other, lines()),
        };
        Self { console, progress, replica, begun, board, state: Mutex::new(state) }
    }

    /// Shows progress, if it is time to.
    pub fn progress(&self, running: usize) {
        let line = self.board.line(running);
        let mut state = locked(&self.state);
        let elapsed = self.begun.elapsed();
        if self.progress == ProgressMode::Lines && is_due(elapsed, state.said_progress) {
            state.said_progress = Some(elapsed);
            drop(state);
            self.console.say(Verbosity::Normal, Tone::Plain, &format!("{}: {line}", self.replica));
        }
    }

    /// This many more tasks must be run.
    pub fn add_tasks(&self, tasks: u64) {
        self.board.add(tasks);
    }

    /// Nothing of its share is to be had any more.
    pub fn share_is_used_up(&self) {
        self.board.share_is_used_up();
    }

    /// This many tasks no longer have to be run here.
    pub fn take_away(&self, tasks: u64) {
        self.board.take_away(tasks);
    }

    /// Nothing runs any more: from here on there are only lines.
    pub fn over(&self) {
        if self.progress == ProgressMode::Bar {
            self.console.hide();
        }
    }

    /// Failures so far, by cause and last line, most tasks first.
    pub fn failures(&self) -> Vec<FailureGroup> {
        locked(&self.state).failures.sorted()
    }

    /// Warnings about ok tasks.
    pub fn doubts(&self) -> Vec<DoubtNote> {
        locked(&self.state).doubts.notes()
    }

    fn doubt(&self, ended: &EndedAttempt<'_>) {
        let mut state = locked(&self.state);
        let text = state.doubts.count(ended);
        drop(state);
        if let Some(text) = text {
            self.console.say(Verbosity::Quiet, Tone::Warning, &text);
        }
    }

    /// Counts a failed attempt; if it failed like an earlier one, returns a reference to that.
    fn count_failure(&self, ended: &EndedAttempt<'_>, failure: &Failure) -> Option<String> {
        let last = reason(failure.cause, &failure.message, ended.stderr_tail);
        let (path, index) = (ended.attempt.path.to_string_lossy(), Some(ended.attempt.index));
        let mut state = locked(&self.state);
        if ended.next == NextStep::Nothing {
            state.failures.count(failure.cause, last, &path, index);
        }
        let place = state.failed_attempts.count(failure.cause, last, &path, index);
        let group = state.failed_attempts.group(place).filter(|group| group.count > 1)?;
        if failure.cause != Cause::Oom && group.last_line != reason_line(last, &path) {
            return None;
        }
        Some(if group.example_index == index {
            "before".to_owned()
        } else {
            base_name(OsStr::new(&group.example)).to_string_lossy().into_owned()
        })
    }

    fn verbose(&self, text: impl FnOnce() -> String) {
        if self.console.verbosity() >= Verbosity::Verbose {
            self.console.say(Verbosity::Verbose, Tone::Plain, &text());
        }
    }
}

/// The last lines of a standard error. Python's marks below a line of source say nothing without that.
fn push_last_lines(text: &mut String, stderr_tail: &str) {
    let is_marks = |line: &&str| {
        let marks = line.trim();
        !marks.is_empty() && marks.chars().all(|mark| matches!(mark, '^' | '~'))
    };
    let lines: Vec<&str> = stderr_tail.lines().filter(|line| !is_marks(line)).collect();
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        text.push_str("\n    | ");
        text.push_str(&units::printable(line));
    }
}

impl Observer for LaunchReport<'_> {
    fn begun(&self, slot: usize, attempt: &Attempt<'_>) {
        self.board.begun(slot, attempt.path);
    }

    fn left(&self, slot: usize) {
        self.board.left(slot);
    }

    fn ended(&self, ended: &EndedAttempt<'_>) {
        if ended.next == NextStep::Nothing {
            self.board.ended(ended.executed.failure.is_some());
        }
        let name = || units::path(ended.attempt.path);
        let took = || seconds(ended.executed.usage.duration_s);
        if ended.executed.left_processes > 0 {
            let left = units::plural(
                u64::from(ended.executed.left_processes),
                "process that it left behind was",
                "processes that it left behind were",
            );
            self.verbose(|| format!("{}: {left} killed", name()));
        }
        let Some(failure) = &ended.executed.failure else {
            if ended.executed.doubt.is_some() {
                self.doubt(ended);
            }
            return self.verbose(|| format!("ok: {} ({})", name(), took()));
        };
        let same = self.count_failure(ended, failure);
        let kind = match ended.next {
            NextStep::Nothing => "failed",
            NextStep::Retry(_) => "failed, will be tried again",
            NextStep::Alone => "will run again alone at the end",
        };
        let mut text = format!("{kind}: {}: {} ({})", name(), failure.message, took());
        match same.filter(|_| self.console.verbosity() < Verbosity::Verbose) {
            Some(same) => text.push_str(&format!(", same as {same}")),
            None => push_last_lines(&mut text, ended.stderr_tail.unwrap_or_default()),
        }
        let tone = if ended.next == NextStep::Nothing { Tone::Bad } else { Tone::Warning };
        self.console.say(Verbosity::Quiet, tone, &text);
    }

    fn worker_idle(&self, text: &str) {
        self.console.say(Verbosity::Quiet, Tone::Warning, text);
    }

    fn import_failed(&self, printed: &str) {
        let lines: Vec<String> = printed.trim_end().lines().map(units::printable).collect();
        self.console.say(Verbosity::Quiet, Tone::Plain, &lines.join("\n"));
    }

    fn short_of_threads(&self, threads: usize) {
        let tasks = units::count(threads as u64, "task");
        self.console.warn(&format!("the system has no threads left for more than {tasks} at a time (ulimit -u, or other processes of this user)"));
    }

    fn draining(&self, signal: i32, running: usize) {
        let rest = match running {
            0 => String::new(),
            running => {
                format!("; {} may finish", units::plural(running as u64, "task that runs", "tasks that run"))
            }
        };
        self.console.warn(&format!("{}: no more tasks are started{rest}", units::signal(signal)));
    }
}

/// How a launch ended: the final summary, also printed with `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaunchSummary {
    /// Run id; `None` when there was nothing to make a run of.
    pub run: Option<String>,
    /// Which replica, from 1.
    pub replica_id: u32,
    /// Of how many.
    pub replica_count: u32,
    /// Which launch of it; `None` when there was nothing to do, so none began.
    pub launch: Option<u32>,
    /// The counts of the share's tasks.
    #[serde(flatten)]
    pub counts: TaskCounts,
    /// Of the failed ones, those that were lost with their container.
    pub lost: u64,
    /// Tasks of the share that were to run in this launch and did not.
    pub not_run: u64,
    /// Ok tasks of earlier launches.
    pub done_before: u64,
    /// Of the failed ones, those that were ok before and keep that record.
    #[serde(skip_serializing_if = "is_zero")]
    pub kept_before: u64,
    /// NaN and Infinity in this launch's results that became null.
    pub non_finite: u64,
    /// Tasks that became ok in this launch after an attempt that was not.
    pub ok_after_retry: u64,
    /// Wall time of this launch, seconds.
    pub wall_s: f64,
    /// CPU time of this launch's attempts, seconds.
    pub cpu_s: f64,
    /// Largest resident memory of any attempt's process, bytes.
    pub max_rss_bytes: Option<u64>,
    /// What this launch's attempts used.
    pub figures: UsageJson,
    /// Failures of this launch.
    #[serde(serialize_with = "failures::serialize_tasks")]
    pub failures: Vec<FailureGroup>,
    /// Why it ended.
    pub reason: StopReason,
    /// Whether the output of failed tasks is kept.
    #[serde(skip)]
    pub keeps_logs: bool,
    /// How long an attempt may take.
    #[serde(skip)]
    pub timeout: Option<Duration>,
    /// The directory of the run.
    pub results_dir: String,
    /// What the process exits with.
    pub exit: i32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Says the closing summary.
pub fn say_summary(
    console: &Console,
    summary: &LaunchSummary,
    figures: &UsageFigures,
    doubts: &[DoubtNote],
    why: Option<&str>,
    advice_after: Duration,
) {
    let LaunchSummary { counts: TaskCounts { files, ok, failed, .. }, not_run, .. } = summary;
    let tone = if *failed == 0 && *not_run == 0 { Tone::Good } else { Tone::Bad };
    let replica = Replica::of_run(summary.replica_id, summary.replica_count);
    let mut text = format!("{replica}: {ok} of {} ok", units::count(*files, "file"));
    if *failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    if *not_run > 0 {
        text.push_str(&format!(", {not_run} not run"));
    }
    text.push_str(&format!(" (in {}, {})", seconds(summary.wall_s), figures::cpu_time(figures)));
    console.say(if tone == Tone::Good { Verbosity::Normal } else { Verbosity::Quiet }, tone, &text);
    for group in summary.failures.iter().take(SHOWN_GROUPS) {
        console.say(Verbosity::Quiet, Tone::Bad, &groups::line(group, group.example_index));
    }
    if let Some(more) = summary.failures.len().checked_sub(SHOWN_GROUPS).filter(|more| *more > 0) {
        let line =
            format!("  and {} more", units::plural(more as u64, "kind of failure", "kinds of failures"));
        console.say(Verbosity::Quiet, Tone::Bad, &line);
    }
    if !summary.counts.products.is_empty() {
        console.say(Verbosity::Normal, Tone::Plain, &figures::products(summary.counts.products));
    }
    figures::say(console, figures, advice_after);
    say_doubts(console, summary, doubts);
    say_notes(console, summary, why);
    say_what_to_do(console, summary);
}

fn say_doubts(console: &Console, summary: &LaunchSummary, doubts: &[DoubtNote]) {
    for DoubtNote { text, kept, not_kept, is_told } in doubts {
        let level = if *is_told { Verbosity::Normal } else { Verbosity::Quiet };
        let mut text = text.clone();
        if let Some(index) = kept {
            let dir = groups::quoted(&summary.results_dir);
            text.push_str(&format!(". What the first of them printed: canfar-run logs {dir} {index}"));
            if *not_kept > 0 {
                let files = units::count(*not_kept, "file");
                text.push_str(&format!(
                    " (the output of {files} is not kept, to save space; --logs all keeps all)"
                ));
            }
        }
        console.say(level, Tone::Warning, &text);
    }
    if doubts.is_empty() && summary.counts.without_result > 0 {
        let dir = groups::quoted(&summary.results_dir);
        let text = format!("{}: canfar-run logs {dir} FILE", without_result(summary.counts.without_result));
        console.say(Verbosity::Normal, Tone::Plain, &text);
    }
}

fn say_notes(console: &Console, summary: &LaunchSummary, why: Option<&str>) {
    let say = |text: &str| console.say(Verbosity::Normal, Tone::Plain, text);
    if summary.ok_after_retry > 0 {
        say(&format!("{} needed a second attempt (ok now)", units::count(summary.ok_after_retry, "file")));
    }
    if summary.kept_before > 0 {
        say(&units::plural(
            summary.kept_before,
            "file that failed was ok before: its earlier record and products stay",
            "files that failed were ok before: their earlier records and products stay",
        ));
    }
    if summary.non_finite > 0 {
        say(&format!(
            "{} (NaN or Infinity) in results became null",
            units::count(summary.non_finite, "value")
        ));
    }
    if let Some(why) = why {
        console.say(Verbosity::Quiet, Tone::Warning, &format!("stopped early: {why}"));
    }
}

/// What to type next; it comes last, where people look.
fn say_what_to_do(console: &Console, summary: &LaunchSummary) {
    let say = |text: &str| console.say(Verbosity::Quiet, Tone::Plain, text);
    if matches!(summary.reason, StopReason::CannotStart) {
        return;
    }
    if summary.failures.iter().any(|group| group.cause == Cause::Oom) {
        say(groups::MORE_MEMORY);
    }
    let timed_out = summary.failures.iter().any(|group| group.cause == Cause::Timeout);
    if let Some(timeout) = summary.timeout.filter(|_| timed_out) {
        let line = resume_line(summary);
        say(&format!(
            "To give what ran out of time twice as much: {line} --timeout {}s",
            2.0 * timeout.as_secs_f64()
        ));
    }
    if summary.lost > 0 {
        say(&groups::lost_again(summary.lost, std::slice::from_ref(&summary.results_dir)));
    }
    if !summary.failures.is_empty() && summary.keeps_logs {
        let example = summary.failures.first().and_then(|group| group.example_index);
        let is_failed = summary.counts.failed > summary.kept_before;
        say(&match example.filter(|_| !is_failed) {
            // No reader takes these for failed.
            Some(index) => {
                format!("What it printed: canfar-run logs {} {index}", groups::quoted(&summary.results_dir))
            }
            None => groups::how_to_see(&summary.results_dir),
        });
    }
    if summary.reason == StopReason::MaxFailures && summary.counts.ok == 0 {
        say(groups::CORRECT_COMMAND);
    } else if summary.not_run > 0 {
        say(&format!(
            "Rerun the same command to finish the rest (finished files are skipped), or run: {}",
            resume_line(summary)
        ));
    } else if summary.counts.failed > summary.lost {
        say(&format!(
            "Rerun the same command to try just the failed files again, or run: {}",
            resume_line(summary)
        ));
    }
}

/// What runs the rest of this share, and none of those that others may begin yet.
fn resume_line(summary: &LaunchSummary) -> String {
    let mut line = format!("canfar-run resume {}", groups::quoted(&summary.results_dir));
    if summary.replica_count > 1 {
        line.push_str(&format!(" --shares {}", summary.replica_id));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{is_due, push_last_lines};

    #[test]
    fn lines_of_marks_take_no_room_among_the_last_ones() {
        let mut text = String::new();
        push_last_lines(
            &mut text,
            "  File \"x.py\"\n    f(x)\n    ^^^^\n  File \"y.py\"\n    a + b\n    ~~^~~\nKeyError: 'x'",
        );
        assert_eq!(text, "\n    |   File \"y.py\"\n    |     a + b\n    | KeyError: 'x'");
    }

    #[test]
    fn lines_of_progress_are_few_in_a_minute_and_in_a_fortnight() {
        for (seconds, least, most) in
            [(4, 0, 0), (10, 1, 1), (60, 2, 3), (600, 5, 21), (14 * 86_400, 50, 450)]
        {
            let mut said = None;
            let mut lines = 0;
            for now in (1..=seconds).step_by(5).map(Duration::from_secs) {
                if is_due(now, said) {
                    (said, lines) = (Some(now), lines + 1);
                }
            }
            assert!((least..=most).contains(&lines), "{lines} in {seconds}s");
        }
    }
}
