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
use crate::model::outcome::Status;
use crate::model::shares::Share;
use crate::record::inputs::InputList;
use crate::record::logs::{KeptOutput, OutputStream};
use crate::report::logs::{self as report, ShownAttempt};
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
    prober: Prober,
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
        let prober = Prober::new(layout, times);
        Ok(Self { layout, list, shares, prober })
    }

    /// What all journals of a replica say, with those attempts, oldest first, that are `wanted`.
    fn history(
        &self,
        replica: u32,
        share: &Share,
        wanted: impl Fn(&AttemptEnded) -> bool,
    ) -> anyhow::Result<(JournalState, Vec<PastAttempt>)> {
        let last = launches_of(self.layout, replica)?.pop();
        let journal = last.map(|last| self.layout.journal(replica, last));
        let lives = journal.is_some_and(|journal| self.prober.is_running(&journal));
        let mut attempts = Vec::new();
        let run = self.list.header().run_ref();
        let state = JournalState::read_with(
            self.layout,
            &run,
            replica,
            share.clone(),
            lives,
            &mut |launch, _, over| {
                // One with words of a later version is no attempt that can be shown.
                let ended = over.ended.filter(|ended| ended.status.is_some() && wanted(ended));
                attempts
                    .extend(ended.map(|ended| PastAttempt { launch: launch.number, ended: ended.clone() }));
            },
        )?;
        Ok((state, attempts))
    }

    fn task(
        &self,
        task: &OsStr,
        environment: &Environment,
        only: Option<OutputStream>,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let (index, path) = self.find(task, environment)?;
        let shares = (1..).zip(&self.shares);
        let (replica, share) = shares
            .into_iter()
            .find(|(_, share)| share.position_of(index).is_some())
            .with_context(|| format!("no replica has task {index}"))?;
        let (state, attempts) = self.history(replica, share, |ended| ended.index == index)?;
        if let Some(stream) = only {
            return self.newest(replica, &attempts, stream, &path, out);
        }
        let told = |attempt| ShownAttempt { index, path: &path, replica, attempt };
        for attempt in &attempts {
            self.show(&told(attempt), out)?;
        }
        let known = state.tasks.get(index).state;
        if attempts.is_empty() || known == TaskState::Lost {
            report::no_attempt(index, &path, replica, known, out)?;
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
        for replica in last_launches(self.layout)?.into_keys() {
            let Some(share) = (replica as usize).checked_sub(1).and_then(|at| self.shares.get(at)) else {
                continue;
            };
            let (state, mut attempts) =
                self.history(replica, share, |ended| ended.status == Some(Status::Failed))?;
            let has_failed = |index: u64| state.tasks.get(index).state.status() == Some(Status::Failed);
            attempts.retain(|attempt| has_failed(attempt.ended.index));
            attempts.sort_by_key(|attempt| attempt.ended.index);
            let failed = state.tasks.all().map(|(index, _)| index).filter(|index| has_failed(*index));
            let mut rest = attempts.as_slice();
            self.list.read(failed, |index, entry| {
                let own = rest.iter().take_while(|attempt| attempt.ended.index == index).count();
                let (own, others) = rest.split_at(own);
                rest = others;
                own.iter().try_for_each(|attempt| {
                    self.show(&ShownAttempt { index, path: entry.path, replica, attempt }, out)
                })?;
                let is_lost = state.tasks.get(index).state == TaskState::Lost;
                if own.is_empty() || is_lost {
                    report::no_attempt(index, entry.path, replica, TaskState::Lost, out)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn output(&self, replica: u32, attempt: &PastAttempt) -> anyhow::Result<Option<KeptOutput>> {
        let Some(span) = &attempt.ended.log else { return Ok(None) };
        // By the name that we give, not by the one that the journal says: that may have been edited.
        let path = self.layout.log(replica, attempt.launch);
        KeptOutput::open(&path, span, attempt.ended.index, attempt.ended.attempt).map(Some)
    }

    fn show(&self, told: &ShownAttempt<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
        report::attempt(told, self.output(told.replica, told.attempt)?, out)
    }

    fn newest(
        &self,
        replica: u32,
        attempts: &[PastAttempt],
        stream: OutputStream,
        path: &OsStr,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let kept = attempts.iter().rposition(|attempt| attempt.ended.log.is_some());
        let newest = kept.map(|place| &attempts[place]);
        let output = newest.map(|attempt| self.output(replica, attempt)).transpose()?.flatten();
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
