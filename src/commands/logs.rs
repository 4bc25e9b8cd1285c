//! `logs`: the kept output of tasks, and what canfar-run itself printed.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::LogsArgs;
use crate::commands::task_names::{NamedTask, find_tasks, similar_entries};
use crate::commands::{Invocation, runs_nearby};
use crate::config::heartbeat_times;
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::journal::event::AttemptEnded;
use crate::journal::launch_state::PastAttempt;
use crate::journal::launches::{last_launches, launches_of};
use crate::journal::state::JournalState;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::probe::Prober;
use crate::model::counts::TaskState;
use crate::model::failures::FailureGroups;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::{Cause, Status, reason};
use crate::model::shares::Share;
use crate::record::inputs::InputList;
use crate::record::logs::{KeptOutput, OutputStream};
use crate::report::groups;
use crate::report::logs::{self as report, ShownAttempt};
use crate::sharing::claimants::BlockClaimants;
use crate::store::layout::Layout;
use crate::store::regular;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::terminal::only_colors::OnlyColors;
use crate::terminal::screen::Color;
use crate::text::base_name;
use crate::units;

/// How many entries with the same name are shown.
const EXAMPLES: usize = 5;

/// How many of the last bytes of standard error are used to explain why a task failed.
const STDERR_TAIL: u64 = 2048;

/// Prints what was asked for.
///
/// # Errors
/// When there is no such task, or something can't be read or printed.
pub fn run(args: &LogsArgs, invocation: Invocation<'_>) -> anyhow::Result<ExitCode> {
    let Invocation { environment, out, .. } = invocation;
    if args.raw || !io::stdout().is_terminal() {
        print(args, environment, out)?;
    } else {
        print(args, environment, &mut OnlyColors::new(&mut *out))?;
    }
    Ok(ExitCode::Ok)
}

const CANNOT_PRINT: &str = "can't print the output";

fn print(args: &LogsArgs, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<()> {
    let asked = LogQuery::of(args, environment)?;
    let times = heartbeat_times(environment)?;
    let open = |layout| {
        LoggedRun::open(layout, times).map_err(|error| {
            runs_nearby::named_in(error, layout.root(), environment, "canfar-run logs --failed")
        })
    };
    match asked {
        LogQuery::Replica(layout, replica) => own_words(&layout, replica, out),
        LogQuery::Failed(layout) if args.all => {
            let run = open(&layout)?;
            run.failed(&mut |task| run.show_failed(&task, out))
        }
        LogQuery::Failed(layout) => open(&layout)?.failed_by_reason(out),
        LogQuery::Task(layout, task) => open(&layout)?.task(&task, environment, args.stream(), out),
    }?;
    out.flush().context(CANNOT_PRINT)
}

/// What to show, and of which run.
enum LogQuery {
    Task(Layout, OsString),
    Failed(Layout),
    Replica(Layout, u32),
}

impl LogQuery {
    fn of(args: &LogsArgs, environment: &Environment) -> anyhow::Result<Self> {
        let layout = |dir: &OsStr| Layout::new(environment.absolute(Path::new(dir)));
        let default = OsStr::new("results");
        let names_no_task = args.failed || args.replica.is_some();
        let (dir, task) = match args.words.as_slice() {
            [] => (default, None),
            [dir] if names_no_task => (dir.as_os_str(), None),
            [dir] if layout(dir).inputs().exists() => (dir.as_os_str(), None),
            [task] => (default, Some(task)),
            [dir, task, ..] => (dir.as_os_str(), Some(task)),
        };
        let layout = layout(dir);
        match (task, args.replica) {
            (None, Some(replica)) => Ok(Self::Replica(layout, replica)),
            (None, None) if args.failed => Ok(Self::Failed(layout)),
            (Some(task), None) if !args.failed => Ok(Self::Task(layout, task.clone())),
            (Some(_), _) => bail!("--failed and --replica say which output to show: leave the task out"),
            (None, _) => bail!(
                "which task? Give its index, path or base name after {}; --failed shows all that failed",
                layout.root().display()
            ),
        }
    }
}

/// The run in which tasks are looked up.
struct LoggedRun<'a> {
    layout: &'a Layout,
    list: InputList,
    /// Of all replicas.
    shares: Vec<Share>,
    /// Which replica had which blocks, if replicas share their work.
    claimants: Option<BlockClaimants>,
    prober: Prober,
}

/// A task that failed.
struct FailedTask<'a> {
    index: u64,
    path: &'a OsStr,
    replica: u32,
    /// Oldest first.
    attempts: &'a [&'a PastAttempt],
    /// Whether it died with its container, so there is nothing to show.
    is_lost: bool,
}

/// Called for each of them.
type OnFailed<'f> = &'f mut dyn FnMut(FailedTask<'_>) -> anyhow::Result<()>;

/// The first task that failed for a reason, and a few more.
struct ReasonExamples {
    index: u64,
    path: OsString,
    replica: u32,
    attempts: Vec<PastAttempt>,
    others: Vec<(u64, OsString)>,
}

impl ReasonExamples {
    fn of(task: &FailedTask<'_>) -> Self {
        Self {
            index: task.index,
            path: task.path.to_owned(),
            replica: task.replica,
            attempts: task.attempts.iter().map(|attempt| (*attempt).clone()).collect(),
            others: Vec::new(),
        }
    }
}

/// What all journals of a replica say.
struct LoggedReplica {
    id: u32,
    state: JournalState,
    /// The wanted attempts, oldest first.
    attempts: Vec<PastAttempt>,
}

impl LoggedReplica {
    fn standing(&self, index: u64) -> TaskState {
        self.state.tasks.get(index).state
    }

    fn has_failed(&self, index: u64) -> bool {
        self.standing(index).status() == Some(Status::Failed)
    }

    /// Whether a task died alone with a container of this replica, and no record of that exists here.
    fn has_lost(&self, index: u64) -> bool {
        let note = self.state.tasks.get(index);
        note.state == TaskState::Lost && !note.has_record()
    }
}

impl<'a> LoggedRun<'a> {
    fn open(layout: &'a Layout, times: HeartbeatTimes) -> anyhow::Result<Self> {
        let Some(list) = InputList::open(layout)? else {
            bail!(
                "{} holds no run (inputs.jsonl): give the directory of --results-dir before the task",
                layout.root().display()
            );
        };
        let shares = list.shares()?;
        let claimants = BlockClaimants::read(layout, &list)?;
        let prober = Prober::new(layout, times);
        Ok(Self { layout, list, shares, claimants, prober })
    }

    /// The share of a replica; nothing for one that was added to a run that shares its work.
    fn share(&self, replica: u32) -> Option<Share> {
        let own = (replica as usize).checked_sub(1).and_then(|at| self.shares.get(at)).cloned();
        own.or_else(|| self.claimants.as_ref().map(|_| Share::Range(0..0)))
    }

    /// The replicas that may have run a task, in the order in which they had it.
    fn replicas_of(&self, index: u64) -> anyhow::Result<Vec<u32>> {
        let owner = (1..).zip(&self.shares).find(|(_, share)| share.position_of(index).is_some());
        let (owner, _) = owner.with_context(|| format!("no replica has task {index}"))?;
        let Some(claimants) = &self.claimants else { return Ok(vec![owner]) };
        let all = || last_launches(self.layout).map(|launches| launches.into_keys().collect());
        let replicas: Vec<u32> = claimants.replicas_of(index).map_or_else(all, Ok)?;
        Ok(if replicas.is_empty() { vec![owner] } else { replicas })
    }

    /// What all journals of a replica say, with those attempts that are `wanted`.
    fn history(&self, id: u32, wanted: impl Fn(&AttemptEnded) -> bool) -> anyhow::Result<LoggedReplica> {
        let last = launches_of(self.layout, id)?.pop();
        let journal = last.map(|last| self.layout.journal(id, last));
        let lives = journal.is_some_and(|journal| self.prober.is_running(&journal));
        let share = self.share(id).with_context(|| format!("replica {id} has no share"))?;
        let mut attempts = Vec::new();
        let run = self.list.header().run_ref();
        let state = JournalState::read_with(self.layout, &run, id, share, lives, &mut |launch, _, over| {
            // An attempt with values of a later version can't be shown.
            let ended = over.ended.filter(|ended| ended.status.is_some() && wanted(ended));
            let by = LaunchId { replica: id, launch: launch.number };
            attempts.extend(ended.map(|ended| PastAttempt { by, ended: ended.clone() }));
        })?;
        Ok(LoggedReplica { id, state, attempts })
    }

    fn task(
        &self,
        task: &OsStr,
        environment: &Environment,
        only: Option<OutputStream>,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let (index, path) = self.find(task, environment)?;
        if base_name(&path) != task
            && let Some((other, named)) = self.named(task)?
        {
            let console = Console::new(Verbosity::Normal, Color::Auto);
            console.warn(&report::is_named_so(task, &path, other, &named));
        }
        let histories = self.replicas_of(index)?.into_iter();
        let histories = histories.map(|replica| self.history(replica, |ended| ended.index == index));
        let replicas = histories.collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(stream) = only {
            let attempts: Vec<_> = replicas.into_iter().flat_map(|replica| replica.attempts).collect();
            return self.newest(&attempts, stream, &path, out);
        }
        // Who writes the record of a loss need not be the one that died.
        let is_told = replicas.iter().any(|replica| replica.has_lost(index));
        let is_lost = |replica: &LoggedReplica| {
            replica.has_lost(index) || (!is_told && replica.standing(index) == TaskState::Lost)
        };
        for replica in &replicas {
            for attempt in &replica.attempts {
                self.show(&ShownAttempt { index, path: &path, attempt }, out)?;
            }
            if is_lost(replica) {
                report::no_attempt(index, &path, replica.id, TaskState::Lost, out)?;
            }
        }
        let is_shown = |replica: &LoggedReplica| !replica.attempts.is_empty() || is_lost(replica);
        if let Some(last) = replicas.last().filter(|_| !replicas.iter().any(is_shown)) {
            report::no_attempt(index, &path, last.id, last.standing(index), out)?;
        }
        Ok(())
    }

    /// The one entry that a word refers to: by index, by path, or by base name.
    fn find(&self, task: &OsStr, environment: &Environment) -> anyhow::Result<(u64, OsString)> {
        let all = self.list.header().indices();
        match find_tasks(&[task.to_owned()], &self.list, environment)?.pop() {
            Some(NamedTask::One(index, path)) => Ok((index, path)),
            Some(NamedTask::Several(namesakes, others)) => {
                bail!("{}", report::several(task, &namesakes, others))
            }
            Some(NamedTask::None) | None => {
                let similar = similar_entries(task, &self.list)?;
                bail!("{}", report::nobody(task, self.layout.root(), &all, &similar))
            }
        }
    }

    /// Shows for each reason one task that failed for it, and names some of the others. What failed alone for its reason is
    /// shown with all its attempts.
    fn failed_by_reason(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut groups = FailureGroups::default();
        let mut examples: Vec<ReasonExamples> = Vec::new();
        self.failed(&mut |task| {
            let (cause, words) = self.reason_of(&task)?;
            let place = groups.count(cause, &words, &task.path.to_string_lossy(), Some(task.index));
            match examples.get_mut(place) {
                Some(known) if known.others.len() < EXAMPLES => {
                    known.others.push((task.index, task.path.to_owned()));
                }
                Some(_) => {}
                None => examples.push(ReasonExamples::of(&task)),
            }
            Ok(())
        })?;
        let mut all: Vec<_> = groups.into_groups().into_iter().zip(examples).collect();
        all.sort_by(|(one, _), (other, _)| one.more_frequent_first(other));
        for (group, ReasonExamples { index, path, replica, attempts, others }) in &all {
            let shown = if group.count > 1 { attempts.len().saturating_sub(1) } else { 0 };
            let attempts: Vec<&PastAttempt> = attempts.iter().skip(shown).collect();
            let task = FailedTask {
                index: *index,
                path,
                replica: *replica,
                attempts: &attempts,
                is_lost: group.cause == Cause::Lost,
            };
            if group.count > 1 {
                report::reason(group, out)?;
            }
            self.show_failed(&task, out)?;
            if group.count > 1 {
                report::others(group.count, others, out)?;
            }
        }
        if all.iter().any(|(group, _)| group.count > 1) {
            let dir = groups::quoted(&units::path(self.layout.root()));
            let console = Console::new(Verbosity::Normal, Color::Auto);
            let text = format!("every task, with all its attempts: canfar-run logs {dir} --failed --all");
            console.say(Verbosity::Normal, Tone::Plain, &text);
        }
        Ok(())
    }

    /// Why a task failed, and the last line of its output about that.
    fn reason_of(&self, task: &FailedTask<'_>) -> anyhow::Result<(Cause, String)> {
        let Some(newest) = task.attempts.last().filter(|_| !task.is_lost) else {
            return Ok((Cause::Lost, "its container died while it ran alone".to_owned()));
        };
        let cause = newest.ended.cause.unwrap_or(Cause::Exit);
        let printed = match self.output(newest)? {
            Some(mut output) => {
                let end = output.end(OutputStream::Stderr, STDERR_TAIL)?;
                String::from_utf8_lossy(&end).into_owned()
            }
            None => String::new(),
        };
        let how = report::how(&newest.ended);
        Ok((cause, reason(cause, &how, Some(&printed)).to_owned()))
    }

    /// Shows every attempt of a task that failed.
    fn show_failed(&self, task: &FailedTask<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
        let FailedTask { index, path, replica, attempts, is_lost } = *task;
        attempts.iter().try_for_each(|attempt| self.show(&ShownAttempt { index, path, attempt }, out))?;
        if is_lost {
            report::no_attempt(index, path, replica, TaskState::Lost, out)?;
        }
        Ok(())
    }

    /// Calls `each` for the tasks that failed.
    fn failed(&self, each: OnFailed<'_>) -> anyhow::Result<()> {
        let replicas = last_launches(self.layout)?.into_keys().filter(|id| self.share(*id).is_some());
        let histories = replicas.map(|id| self.history(id, |ended| ended.status == Some(Status::Failed)));
        if self.claimants.is_none() {
            return histories
                .into_iter()
                .try_for_each(|replica| self.failures_of(&replica?, &|_| false, each));
        }
        let replicas = histories.collect::<anyhow::Result<Vec<_>>>()?;
        let is_ok = |index| replicas.iter().any(|replica| replica.standing(index) == TaskState::Ok);
        let is_lost = |index| replicas.iter().any(|replica| replica.has_lost(index));
        for replica in &replicas {
            // Who writes the record of a loss need not be the one that died.
            let is_elsewhere = |index| {
                let is_record = replica.standing(index) == TaskState::Lost && !replica.has_lost(index);
                is_ok(index) || (is_record && is_lost(index))
            };
            self.failures_of(replica, &is_elsewhere, each)?;
        }
        Ok(())
    }

    /// Calls `each` for every failure in a replica, except those that are shown for another one.
    fn failures_of(
        &self,
        replica: &LoggedReplica,
        is_elsewhere: &dyn Fn(u64) -> bool,
        each: OnFailed<'_>,
    ) -> anyhow::Result<()> {
        let LoggedReplica { id, state, attempts } = replica;
        let is_shown = |index: u64| replica.has_failed(index) && !is_elsewhere(index);
        let mut attempts: Vec<&PastAttempt> =
            attempts.iter().filter(|attempt| is_shown(attempt.ended.index)).collect();
        attempts.sort_by_key(|attempt| attempt.ended.index);
        let failed = state.tasks.all().map(|(index, _)| index).filter(|index| is_shown(*index));
        let mut rest = attempts.as_slice();
        self.list.read(failed, |index, entry| {
            let own = rest.iter().take_while(|attempt| attempt.ended.index == index).count();
            let (own, others) = rest.split_at(own);
            rest = others;
            let is_lost = own.is_empty() || replica.standing(index) == TaskState::Lost;
            each(FailedTask { index, path: entry.path, replica: *id, attempts: own, is_lost })
        })
    }

    /// The entry that is called like an index.
    fn named(&self, task: &OsStr) -> anyhow::Result<Option<(u64, OsString)>> {
        let mut named = None;
        let is_index = task.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if is_index {
            self.list.read(self.list.header().indices(), |index, entry| {
                if named.is_none() && base_name(entry.path) == task {
                    named = Some((index, entry.path.to_owned()));
                }
                Ok(())
            })?;
        }
        Ok(named)
    }

    fn output(&self, attempt: &PastAttempt) -> anyhow::Result<Option<KeptOutput>> {
        let Some(span) = &attempt.ended.log else { return Ok(None) };
        // Use the name that canfar-run gives, not the one in the journal: that may have been edited.
        let path = self.layout.log(attempt.by.replica, attempt.by.launch);
        KeptOutput::open(&path, span, attempt.ended.index, attempt.ended.attempt).map(Some)
    }

    fn show(&self, told: &ShownAttempt<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
        report::attempt(told, self.output(told.attempt)?, out)
    }

    fn newest(
        &self,
        attempts: &[PastAttempt],
        stream: OutputStream,
        path: &OsStr,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let kept = attempts.iter().rposition(|attempt| attempt.ended.log.is_some());
        let newest = kept.map(|place| &attempts[place]);
        let output = newest.map(|attempt| self.output(attempt)).transpose()?.flatten();
        let (Some(newest), Some(mut output)) = (newest, output) else {
            let why =
                attempts.last().map_or("it has not ended yet", |last| report::not_kept(last.ended.status));
            bail!("no output of {} is kept: {why}", units::path(path));
        };
        if let Some(last) = attempts.last().filter(|last| *last != newest) {
            let console = Console::new(Verbosity::Normal, Color::Auto);
            console.warn(&report::is_older(newest, last));
        }
        io::copy(&mut output.read(stream)?, out)?;
        Ok(())
    }
}

/// Prints what canfar-run said in each launch of a replica.
fn own_words(layout: &Layout, replica: u32, out: &mut dyn Write) -> anyhow::Result<()> {
    let launches = launches_of(layout, replica)?;
    if launches.is_empty() {
        bail!("replica {replica} has not started in {}: it has no journal", layout.root().display());
    }
    for launch in launches {
        let path = layout.own_log(replica, launch);
        match regular::open(&path) {
            Ok(mut file) => {
                report::own_words(replica, launch, out)?;
                io::copy(&mut file, out)?;
            }
            // It printed nothing, or there was no room to keep it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }
    Ok(())
}
