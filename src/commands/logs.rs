//! `logs`: what tasks printed, as far as it was kept, and what canfar-run itself said.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::LogsArgs;
use crate::commands::Invocation;
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
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Status;
use crate::model::shares::Share;
use crate::record::inputs::InputList;
use crate::record::logs::{KeptOutput, OutputStream};
use crate::report::logs::{self as report, ShownAttempt};
use crate::sharing::claimants::BlockClaimants;
use crate::store::layout::Layout;
use crate::store::regular;
use crate::terminal::console::{Console, Verbosity};
use crate::terminal::screen::Color;
use crate::text::base_name;
use crate::units;

/// So many entries of one name are shown.
const EXAMPLES: usize = 5;

/// Prints what was asked for.
///
/// # Errors
/// When there is no such task, or something can't be read or printed.
pub fn run(args: &LogsArgs, invocation: Invocation<'_>) -> anyhow::Result<ExitCode> {
    let Invocation { environment, out, .. } = invocation;
    let asked = LogQuery::of(args, environment)?;
    let times = heartbeat_times(environment)?;
    match asked {
        LogQuery::Replica(layout, replica) => own_words(&layout, replica, out),
        LogQuery::Failed(layout) => LoggedRun::open(&layout, times)?.failed(out),
        LogQuery::Task(layout, task) => {
            LoggedRun::open(&layout, times)?.task(&task, environment, args.only, out)
        }
    }?;
    out.flush().context("can't print the output")?;
    Ok(ExitCode::Ok)
}

/// What is to be shown, of which run.
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
            (Some(_), _) => bail!("--failed and --replica say which output is meant: leave the task out"),
            (None, _) => bail!(
                "which task? Give its index, path or base name after {}; --failed shows all that failed",
                layout.root().display()
            ),
        }
    }
}

/// A run whose tasks are looked for.
struct LoggedRun<'a> {
    layout: &'a Layout,
    list: InputList,
    /// Of all replicas.
    shares: Vec<Share>,
    /// Who had what, where replicas share their work.
    claimants: Option<BlockClaimants>,
    prober: Prober,
}

/// What all journals of a replica say.
struct LoggedReplica {
    id: u32,
    state: JournalState,
    /// Those that are wanted, oldest first.
    attempts: Vec<PastAttempt>,
}

impl LoggedReplica {
    fn standing(&self, index: u64) -> TaskState {
        self.state.tasks.get(index).state
    }

    fn has_failed(&self, index: u64) -> bool {
        self.standing(index).status() == Some(Status::Failed)
    }

    /// Whether a task died alone with a container of this replica, and nobody has written a record of that here.
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
            // One with words of a later version is no attempt that can be shown.
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

    /// The one entry that a word means: by index, by path, or by base name.
    fn find(&self, task: &OsStr, environment: &Environment) -> anyhow::Result<(u64, OsString)> {
        let count = self.list.header().count;
        let by_index = task.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|index| *index < count);
        let absolute = environment.absolute(Path::new(task));
        // A relative entry means the folder where the run was begun.
        let relative = self.list.header().begun_in().and_then(|folder| absolute.strip_prefix(folder).ok());
        let is_meant = |entry: &OsStr| {
            entry == task || entry == absolute.as_os_str() || Some(Path::new(entry)) == relative
        };
        let (mut exact, mut namesakes, mut others) = (None, Vec::new(), 0_u64);
        let mut begin_so = Vec::new();
        let wanted = by_index.map_or(0..count, |index| index..index + 1);
        self.list.read(wanted, |index, entry| {
            if by_index.is_some() || is_meant(entry.path) {
                exact.get_or_insert((index, entry.path.to_owned()));
            } else if base_name(entry.path) == task {
                if namesakes.len() < EXAMPLES {
                    namesakes.push((index, entry.path.to_owned()));
                } else {
                    others += 1;
                }
            } else if begin_so.len() < EXAMPLES && begins_with(entry.path, task) {
                begin_so.push((index, entry.path.to_owned()));
            }
            Ok(())
        })?;
        match (exact, namesakes.len()) {
            (Some(found), _) => Ok(found),
            (None, 1) => Ok(namesakes.remove(0)),
            (None, 0) => bail!("{}", report::nobody(task, self.layout.root(), count, &begin_so)),
            (None, _) => bail!("{}", report::several(task, &namesakes, others)),
        }
    }

    fn failed(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let replicas = last_launches(self.layout)?.into_keys().filter(|id| self.share(*id).is_some());
        let histories = replicas.map(|id| self.history(id, |ended| ended.status == Some(Status::Failed)));
        if self.claimants.is_none() {
            return histories
                .into_iter()
                .try_for_each(|replica| self.show_failures(&replica?, &|_| false, out));
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
            self.show_failures(replica, &is_elsewhere, out)?;
        }
        Ok(())
    }

    /// Shows what failed in a replica, but for what is told of another one.
    fn show_failures(
        &self,
        replica: &LoggedReplica,
        is_elsewhere: &dyn Fn(u64) -> bool,
        out: &mut dyn Write,
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
            own.iter()
                .try_for_each(|attempt| self.show(&ShownAttempt { index, path: entry.path, attempt }, out))?;
            if own.is_empty() || replica.standing(index) == TaskState::Lost {
                report::no_attempt(index, entry.path, *id, TaskState::Lost, out)?;
            }
            Ok(())
        })
    }

    fn output(&self, attempt: &PastAttempt) -> anyhow::Result<Option<KeptOutput>> {
        let Some(span) = &attempt.ended.log else { return Ok(None) };
        // By the name that we give, not by the one that the journal says: that may have been edited.
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

/// Whether a base name begins with a word, as where its extension was left out.
fn begins_with(path: &OsStr, word: &OsStr) -> bool {
    !word.is_empty() && base_name(path).as_encoded_bytes().starts_with(word.as_encoded_bytes())
}

/// Prints what canfar-run said in each launch of a replica.
fn own_words(layout: &Layout, replica: u32, out: &mut dyn Write) -> anyhow::Result<()> {
    let launches = launches_of(layout, replica)?;
    if launches.is_empty() {
        bail!("replica {replica} has not begun in {}: there is no journal of it", layout.root().display());
    }
    for launch in launches {
        let path = layout.own_log(replica, launch);
        match regular::open(&path) {
            Ok(mut file) => {
                report::own_words(replica, launch, out)?;
                io::copy(&mut file, out)?;
            }
            // It had nothing to say, or no room to keep it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }
    Ok(())
}
