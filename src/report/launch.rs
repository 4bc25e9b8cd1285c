//! What a launch says while it runs, and its closing summary.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::Verbosity;
use crate::event::{StopReason, Totals};
use crate::failures::{Group, Groups};
use crate::outcome::Cause;
use crate::outcome::last_words;
use crate::report::console::{Console, Tone};
use crate::run::recorder::{Ended, Next, Tally, Watch};
use crate::units;

/// Lines of a failed task's standard error that are shown as it fails.
const SHOWN_LINES: usize = 5;

/// Kinds of failures that the summary shows.
const SHOWN_GROUPS: usize = 10;

/// Lines that tell how far it is come this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// Says how a launch goes.
#[derive(Debug)]
pub struct LaunchReport<'a> {
    console: &'a Console,
    says_progress: bool,
    begun: Instant,
    /// Entries of the share.
    share: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    said_progress: Instant,
    failures: Groups,
}

impl<'a> LaunchReport<'a> {
    /// Of a launch that begins now, with a share of so many entries.
    pub fn new(console: &'a Console, says_progress: bool, share: u64) -> Self {
        let begun = Instant::now();
        let state = State { said_progress: begun, failures: Groups::default() };
        Self { console, says_progress, begun, share, state: Mutex::new(state) }
    }

    /// Tells how far it is, if it is time to.
    pub fn progress(&self, totals: Totals, tally: &Tally) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.says_progress || state.said_progress.elapsed() < PROGRESS_EVERY {
            return;
        }
        state.said_progress = Instant::now();
        drop(state);
        let ended = tally.ok + tally.failed;
        let rate = ended as f64 / self.begun.elapsed().as_secs_f64();
        let mut line = format!("{} of {} done", self.share - totals.left.min(self.share), self.share);
        if tally.failed > 0 {
            line.push_str(&format!(", {} failed", tally.failed));
        }
        line.push_str(&format!(", {} running", totals.running));
        if ended > 0 {
            let left = Duration::try_from_secs_f64(totals.left as f64 / rate).unwrap_or(Duration::MAX);
            line.push_str(&format!(", {rate:.2}/s, about {} left", units::duration(left)));
        }
        self.console.say(Verbosity::Normal, Tone::Plain, &line);
    }

    /// Failures so far, by cause and last line, most tasks first.
    pub fn failures(&self) -> Vec<FailureGroup> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |Group { cause, last_line, count, example }| FailureGroup {
            cause,
            last_line,
            tasks: count,
            example,
        };
        state.failures.sorted().into_iter().map(told).collect()
    }
}

impl Watch for LaunchReport<'_> {
    fn ended(&self, ended: &Ended<'_>) {
        let name = units::path(ended.attempt.path);
        let took =
            units::duration(Duration::try_from_secs_f64(ended.executed.usage.duration_s).unwrap_or_default());
        if ended.executed.left_processes > 0 {
            let left = units::plural(
                u64::from(ended.executed.left_processes),
                "process that it left behind was",
                "processes that it left behind were",
            );
            self.console.say(Verbosity::Verbose, Tone::Plain, &format!("{name}: {left} killed"));
        }
        let Some(failure) = &ended.executed.failure else {
            return self.console.say(Verbosity::Verbose, Tone::Plain, &format!("ok: {name} ({took})"));
        };
        let last = last_words(failure, ended.stderr_tail);
        if ended.next == Next::Nothing {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.failures.count(failure.cause, last, &ended.attempt.path.to_string_lossy());
        }
        let kind = match ended.next {
            Next::Nothing => "failed",
            Next::Retry(_) => "failed, will be tried again",
            Next::Alone => "will run again alone at the end",
        };
        let mut text = format!("{kind}: {name}: {} ({took})", failure.message);
        let tail: Vec<&str> = ended.stderr_tail.unwrap_or_default().lines().collect();
        for line in &tail[tail.len().saturating_sub(SHOWN_LINES)..] {
            text.push_str("\n    | ");
            text.push_str(&units::printable(line));
        }
        let tone = if ended.next == Next::Nothing { Tone::Bad } else { Tone::Warning };
        self.console.say(Verbosity::Quiet, tone, &text);
    }

    fn short_of_threads(&self, threads: usize) {
        let tasks = units::count(threads as u64, "task");
        self.console.warn(&format!("the system has no threads for more than {tasks} at a time (ulimit -u, or what others of this user run)"));
    }
}

/// How a launch ended: what is said at the end, and printed with `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Run id; `None` when there was nothing to make a run of.
    pub run: Option<String>,
    /// Which replica, from 1.
    pub replica_id: u32,
    /// Of how many.
    pub replica_count: u32,
    /// Which launch of it; `None` when there was nothing to do, so none began.
    pub launch: Option<u32>,
    /// Entries of the share.
    pub files: u64,
    /// Tasks of the share with an ok record.
    pub ok: u64,
    /// Tasks of the share that failed.
    pub failed: u64,
    /// Of those, the ones during which the container died while they ran alone; not run again unless asked for.
    pub lost: u64,
    /// Tasks of the share that were to run in this launch and did not.
    pub not_run: u64,
    /// Ok tasks of earlier launches.
    pub done_before: u64,
    /// Ok tasks of this launch without a result.
    pub without_result: u64,
    /// NaN and Infinity in this launch's results that became null.
    pub non_finite: u64,
    /// Wall time of this launch, seconds.
    pub wall_s: f64,
    /// CPU time of this launch's attempts, seconds.
    pub cpu_s: f64,
    /// Largest resident memory of any attempt's process, bytes.
    pub max_rss_bytes: Option<u64>,
    /// Failures of this launch.
    pub failures: Vec<FailureGroup>,
    /// Why it ended.
    pub reason: StopReason,
    /// The directory of the run.
    pub results_dir: String,
    /// What the process exits with.
    pub exit: i32,
}

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureGroup {
    /// Why.
    pub cause: Cause,
    /// The last line of their standard error, or what is known otherwise.
    pub last_line: String,
    /// How many tasks.
    pub tasks: u64,
    /// One of them.
    pub example: String,
}

/// Says the closing summary.
pub fn say_summary(console: &Console, summary: &Summary, why: Option<&str>) {
    let Summary { files, ok, failed, not_run, .. } = summary;
    let tone = if *failed == 0 && *not_run == 0 { Tone::Good } else { Tone::Bad };
    let mut text = format!(
        "replica {} of {}: {ok} of {} ok",
        summary.replica_id,
        summary.replica_count,
        units::count(*files, "file")
    );
    if *failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    if *not_run > 0 {
        text.push_str(&format!(", {not_run} not run"));
    }
    let wall = Duration::try_from_secs_f64(summary.wall_s).unwrap_or_default();
    let cpu = Duration::try_from_secs_f64(summary.cpu_s).unwrap_or_default();
    text.push_str(&format!(" (in {}, CPU time {}", units::duration(wall), units::duration(cpu)));
    if let Some(peak) = summary.max_rss_bytes {
        text.push_str(&format!(", largest task {} of memory", units::bytes(peak)));
    }
    text.push(')');
    console.say(if tone == Tone::Good { Verbosity::Normal } else { Verbosity::Quiet }, tone, &text);
    for FailureGroup { cause, last_line, tasks, example } in summary.failures.iter().take(SHOWN_GROUPS) {
        let line =
            format!("  {}: {}: {last_line} (such as {example})", units::count(*tasks, "file"), cause.name());
        console.say(Verbosity::Quiet, Tone::Bad, &line);
    }
    if let Some(more) = summary.failures.len().checked_sub(SHOWN_GROUPS).filter(|more| *more > 0) {
        let line =
            format!("  and {} more", units::plural(more as u64, "kind of failure", "kinds of failures"));
        console.say(Verbosity::Quiet, Tone::Bad, &line);
    }
    say_notes(console, summary, why);
}

fn say_notes(console: &Console, summary: &Summary, why: Option<&str>) {
    let say = |text: &str| console.say(Verbosity::Normal, Tone::Plain, text);
    if summary.without_result > 0 {
        say(&format!(
            "{} ok without a JSON result, and what they printed is not kept: --result text takes it as it is, --result json makes having none a failure",
            units::count(summary.without_result, "file")
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
    let say = |text: &str| console.say(Verbosity::Quiet, Tone::Plain, text);
    if matches!(summary.reason, StopReason::CannotStart) {
        return;
    }
    if summary.not_run > 0 {
        say("Launch the same line again to run the rest; what is done is not run again.");
    } else if summary.failed > summary.lost {
        say("Launch the same line again to run the failed ones again.");
    }
    if summary.failures.iter().any(|group| group.cause == Cause::Oom) {
        say("What ran out of memory needs a container with more of it; the same --results-dir is right.");
    }
    if summary.lost > 0 {
        let lost = units::plural(
            summary.lost,
            "file was running alone when its container died and is",
            "files were running alone when their container died and are",
        );
        say(&format!("{lost} not run again, unless with --rerun all (and more memory, if that was why)."));
    }
}
