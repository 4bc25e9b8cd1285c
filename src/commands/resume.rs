//! `resume`: the unfinished shares of a run, one after the other, in any number of containers.
//!
//! Share s is looked after by container ((s - 1) mod N) + 1 of N, which does not depend on what is unfinished when a
//! container comes to look. Who is through with its own goes on with those of others that nobody is at: never begun, or
//! their container died. That no share is run twice at a time is the rule of one launch at a time, as for any launch.

mod another_try;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};

use self::another_try::AnotherTry;
use crate::cli::{ResumeArgs, Shares, Typed};
use crate::commands::auto_merge::merge_if_last;
use crate::commands::home::{say_missing_files, say_unknown_words};
use crate::commands::{Invocation, dry_run};
use crate::config::{Resumed, RunConfig, layered, refuse_fixed};
use crate::exit_code::ExitCode;
use crate::journal::event::StopReason;
use crate::journal::launches::{ListedLaunches, last_launches};
use crate::journal::tail;
use crate::launch::{
    LaunchOutcome, Launcher, Reach, ShareStatus, Sharing, changed_since, how_run_stands, remarks, told,
};
use crate::liveness::probe::{ended_in_order, probe};
use crate::liveness::takeover::{AlreadyRunning, TakeoverObserver};
use crate::liveness::watch::{Liveness, quiet_ones};
use crate::model::blocks::Blocks;
use crate::model::counts::TaskCounts;
use crate::model::provenance::{NamedFile, Process};
use crate::model::replica::Replica;
use crate::model::selection::TaskSelection;
use crate::model::shares::Share;
use crate::process::descendants::Descendants;
use crate::process::shutdown::Shutdown;
use crate::record::inputs::InputList;
use crate::report::resume::{ResumeSummary, ShareError, say};
use crate::sharing::ledger::BlockLedger;
use crate::store::layout::Layout;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// Finishes what is unfinished.
///
/// # Errors
/// When nothing can be begun, with the reason; what is wrong with one share keeps no other from being run.
pub fn run(
    typed: Typed<ResumeArgs>,
    invocation: Invocation<'_>,
    stop: &Shutdown,
    descendants: &Descendants,
) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let commands = refuse_fixed(&typed)?;
    let only = typed.values("only").pop().map(OsStr::to_owned);
    let dir = &invocation.environment.absolute(&typed.args()?.dir);
    let list = &list_in(dir)?;
    let resumed = Resumed { header: list.header(), dir, commands };
    let (args, layers) = layered(typed, invocation.argv, invocation.environment, Some(&resumed))?;
    let origins = layers.origins.clone();
    let configured = invocation.configure(&args.run, layers).and_then(|(config, console)| {
        Ok((config.for_source(&list.header().source)?.with_program()?, console))
    });
    let (config, console) = &configured.map_err(|error| origins.explain(error))?;
    say_unknown_words(config, console);
    let out = invocation.out;
    let layout = Layout::new(&config.results_dir);
    let count = NonZeroU32::new(list.header().replica_count).context("the list is for no replica")?;
    let is_whole_run = args.shares.is_none();
    let chosen = choose(args.shares.as_ref(), count)?;
    let another = match (&args.only, &only) {
        (Some(only), Some(typed)) => Some(AnotherTry::find(only, typed, list, invocation.environment)?),
        _ => None,
    };
    let blocks = list.has_balance().then(|| list.blocks()).transpose()?;
    let me = Process::current(config.session.clone());
    let ledger_of = |blocks| BlockLedger::new(&layout, &list.header().run, blocks, me.clone());
    let mut resume = Resume {
        config,
        console,
        list,
        stop,
        descendants,
        begun,
        selection: None,
        shares: list.shares()?,
        ledger: blocks.as_ref().map(ledger_of).map(RefCell::new),
        blocks: blocks.as_ref(),
        me: me.clone(),
        command_files: config.command_files(),
        listed: ListedLaunches::list(&layout)?,
        watched: WatchedJournals::default(),
        layout: &layout,
    };
    let mut tally = ResumeProgress::default();
    if let Some(another) = another {
        let chosen = (!is_whole_run).then_some(chosen.as_slice());
        let ended = resume.try_again(another, chosen, &mut tally, out)?;
        return Ok(ended.unwrap_or_else(|| resume.close(tally, out)));
    }
    let container = config.identity.replica;
    let (own, others): (Vec<Replica>, Vec<Replica>) =
        chosen.into_iter().partition(|share| (share.id() - 1) % container.count() == container.id() - 1);
    if config.is_dry {
        let own = own.into_iter().filter_map(|replica| Some((replica, resume.share_of(replica)?)));
        let printed = dry_run::rest_of(own, list, config, console, stop, out);
        return match (printed, stop.signal()) {
            (Err(_), Some(signal)) => Ok(ExitCode::Signal(signal)),
            (printed, _) => printed,
        };
    }
    resume.say_begin(own.len());
    say_missing_files(config, list, console);
    resume.watched = resume.watch(own.iter().chain(&others));
    if resume.blocks.is_some() {
        resume.share_work(&own, others, is_whole_run, &mut tally);
    } else {
        own.iter().for_each(|share| _ = resume.take(*share, Reach::Own, &mut tally));
        // From the end: containers that look after them begin at the front.
        others.iter().rev().for_each(|share| resume.help(*share, &mut tally));
    }
    Ok(resume.close(tally, out))
}

/// The list of the run in a results directory.
fn list_in(dir: &Path) -> anyhow::Result<InputList> {
    InputList::open(&Layout::new(dir))?.with_context(|| {
        format!(
            "{} holds no run (no inputs.jsonl), so there is nothing to resume: is it the directory given with --results-dir?",
            dir.display()
        )
    })
}

/// The shares to look after, in the order of their ids.
fn choose(chosen: Option<&Shares>, count: NonZeroU32) -> anyhow::Result<Vec<Replica>> {
    let Some(Shares(ranges)) = chosen else { return Ok(Replica::all(count).collect()) };
    if let Some(range) = ranges.iter().find(|range| *range.end() > count.get()) {
        bail!("--shares: the run has {count} shares, numbered from 1, so there is no share {}", range.end());
    }
    let is_chosen = |share: &Replica| ranges.iter().any(|range| range.contains(&share.id()));
    Ok(Replica::all(count).filter(is_chosen).collect())
}

/// What watching the journals of launches elsewhere showed.
#[derive(Debug, Default)]
struct WatchedJournals {
    /// Journals that did not grow, with their lengths.
    quiet: BTreeMap<PathBuf, u64>,
    /// Shares whose did, with who writes them.
    at_work: BTreeMap<u32, String>,
}

/// What all shares have in common.
struct Resume<'a> {
    config: &'a RunConfig,
    console: &'a Console,
    layout: &'a Layout,
    list: &'a InputList,
    stop: &'a Shutdown,
    descendants: &'a Descendants,
    begun: Instant,
    /// What is run again and nothing else, where that was named.
    selection: Option<TaskSelection>,
    /// Of all replicas, in order.
    shares: Vec<Share>,
    /// How they are cut, where the run shares its work.
    blocks: Option<&'a Blocks>,
    /// Who has which of them, as far as is known.
    ledger: Option<RefCell<BlockLedger<'a>>>,
    me: Process,
    command_files: Vec<NamedFile>,
    /// The launches of all shares when this began.
    listed: ListedLaunches,
    watched: WatchedJournals,
}

/// What came of an attempt to act as a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TakeOutcome {
    /// This container did, or there was nothing to do.
    Yes,
    /// Another process brought it to an end meanwhile.
    Settled,
    /// It is at work.
    ByAnother,
    /// Something is wrong.
    No,
}

/// How the shares went.
#[derive(Debug, Default)]
struct ResumeProgress {
    ended: Vec<LaunchOutcome>,
    done: u64,
    /// How those of them stand that were done before.
    standings: Vec<(u32, TaskCounts)>,
    at_work: Vec<u32>,
    not_begun: Vec<u32>,
    errors: Vec<ShareError>,
    /// Of what could not be resumed.
    code: Option<ExitCode>,
}

/// Hears whether an earlier launch of a share lives.
struct ResumeObserver<'r, 'a> {
    resume: &'r Resume<'a>,
    share: Replica,
}

impl TakeoverObserver for ResumeObserver<'_, '_> {
    fn keep_going(&self) -> bool {
        self.resume.stop.external_signal().is_none()
    }

    fn waiting_for(&self, launch: u32, who: &str) {
        self.resume.say(&format!(
            "{}: launch {launch} ({who}) left no stop record; watching its journal for up to {} to see whether it is still running",
            self.share,
            units::duration(self.resume.config.heartbeat.timeout)
        ));
    }

    fn was_quiet(&self, journal: &Path) -> bool {
        let length = std::fs::metadata(journal).ok().map(|metadata| metadata.len());
        length.is_some() && self.resume.watched.quiet.get(journal).copied() == length
    }
}

impl Resume<'_> {
    fn say(&self, text: &str) {
        self.console.say(Verbosity::Normal, Tone::Plain, text);
    }

    fn say_begin(&self, own: usize) {
        let header = self.list.header();
        self.say(&format!(
            "canfar-run {}: resume run {} in {}, container {} of {}: looks after {} of {}",
            env!("CARGO_PKG_VERSION"),
            header.run,
            self.layout.root().display(),
            self.config.identity.replica.id(),
            self.config.identity.replica.count(),
            own,
            units::count(self.shares.len() as u64, "share")
        ));
    }

    fn share_of(&self, replica: Replica) -> Option<Share> {
        self.shares.get(usize::try_from(replica.id()).ok()?.checked_sub(1)?).cloned()
    }

    /// Learns which launches elsewhere live, of all shares side by side: each alone would take as long.
    fn watch<'s>(&self, shares: impl Iterator<Item = &'s Replica>) -> WatchedJournals {
        let mut unclear = BTreeMap::new();
        for share in shares {
            let Some(launch) = self.listed.last_listed(share.id()) else { continue };
            let journal = self.layout.journal(share.id(), launch);
            // What is wrong with it is told when it is the share's turn.
            if let Ok(probed) = probe(&journal, &self.me)
                && probed.liveness == Liveness::Unknown
            {
                unclear.insert(journal, (share.id(), format!("launch {launch} on {}", probed.who())));
            }
        }
        if unclear.is_empty() {
            return WatchedJournals::default();
        }
        let launches = units::plural(unclear.len() as u64, "launch", "launches");
        self.say(&format!(
            "{launches} on other hosts left no stop record; watching their journals for {} to see whether they are still running",
            units::duration(self.config.heartbeat.timeout)
        ));
        let keep_going = || self.stop.external_signal().is_none();
        let quiet = quiet_ones(unclear.keys().cloned().collect(), self.config.heartbeat.timeout, &keep_going);
        let grew = unclear.into_iter().filter(|(journal, _)| !quiet.contains_key(journal));
        // One that ended meanwhile said so.
        let at_work = grew.filter(|(journal, _)| !ended_in_order(journal).unwrap_or(false));
        WatchedJournals { at_work: at_work.map(|(_, share)| share).collect(), quiet }
    }

    /// Acts as one replica after the other of those that are not at work and, as the last of them, takes whatever is free or
    /// was left by the dead. Where this container has none of its own it acts as any that is not at work, or as one that is
    /// added to the run.
    fn share_work(
        &self,
        own: &[Replica],
        mut others: Vec<Replica>,
        is_whole_run: bool,
        tally: &mut ResumeProgress,
    ) {
        let (at_work, free): (Vec<Replica>, Vec<Replica>) =
            own.iter().copied().partition(|replica| self.is_at_work(*replica));
        at_work.into_iter().for_each(|replica| _ = self.take(replica, Reach::Own, tally));
        if let (true, Some((last, before))) = (is_whole_run, free.split_last()) {
            before.iter().for_each(|replica| _ = self.take(*replica, Reach::Own, tally));
            if self.take(*last, Reach::Leftovers, tally) == TakeOutcome::Yes {
                return;
            }
        } else {
            free.iter().for_each(|replica| _ = self.take(*replica, Reach::Own, tally));
        }
        if !is_whole_run {
            return;
        }
        // Containers that are added at one time are not to try the same one.
        fastrand::shuffle(&mut others);
        let count = self.list.header().replica_count;
        let newest = last_launches(self.layout).unwrap_or_default();
        let highest = newest.into_keys().max().unwrap_or(0).max(count);
        let added = (highest.saturating_add(1)..).map(|id| Replica::of_run(id, count));
        let idle = others.into_iter().filter(|replica| !self.is_at_work(*replica));
        for replica in idle.chain(added) {
            if tally.is_over() || self.stop.external_signal().is_some() || self.is_late() {
                return;
            }
            if matches!(self.take(replica, Reach::Leftovers, tally), TakeOutcome::Yes | TakeOutcome::No) {
                return;
            }
        }
    }

    fn is_at_work(&self, replica: Replica) -> bool {
        let last = || self.listed.last_listed(replica.id());
        let lives = |launch: u32| {
            let probed = probe(&self.layout.journal(replica.id(), launch), &self.me);
            probed.is_ok_and(|probed| probed.liveness == Liveness::Alive)
        };
        self.watched.at_work.contains_key(&replica.id()) || last().is_some_and(lives)
    }

    /// Takes the share of a replica that this container looks after.
    fn take(&self, replica: Replica, reach: Reach, tally: &mut ResumeProgress) -> TakeOutcome {
        if self.stop.external_signal().is_some() {
            return TakeOutcome::No;
        }
        if let Some(who) = self.watched.at_work.get(&replica.id()) {
            self.skip(replica, who, tally);
            return TakeOutcome::ByAnother;
        }
        match self.take_if_due(replica, reach, tally) {
            Ok(taken) => taken,
            Err(error) => {
                if let Some(running) = error.downcast_ref::<AlreadyRunning>() {
                    self.skip(replica, &format!("launch {} on {}", running.launch, running.who), tally);
                    return TakeOutcome::ByAnother;
                }
                self.note_error(replica, error, tally);
                TakeOutcome::No
            }
        }
    }

    fn skip(&self, replica: Replica, who: &str, tally: &mut ResumeProgress) {
        self.say(&format!("{replica} is at work ({who}): left alone"));
        tally.at_work.push(replica.id());
    }

    fn note_error(&self, replica: Replica, error: anyhow::Error, tally: &mut ResumeProgress) {
        if self.stop.external_signal().is_some() {
            return;
        }
        let code = ExitCode::of_error(&error);
        tally.code = Some(tally.code.map_or(code, |before| before.or(code)));
        tally.errors.push(ShareError { replica_id: replica.id(), error: format!("{error:#}") });
        self.console.error(&error.context(format!("{replica} can't be resumed")));
    }

    fn launcher<'l>(&'l self, config: &'l RunConfig, reach: Reach) -> Launcher<'l> {
        Launcher {
            config,
            console: self.console,
            layout: self.layout,
            list: self.list,
            stop: self.stop,
            descendants: self.descendants,
            listed: Some(&self.listed),
            selection: self.selection.as_ref(),
            sharing: self.blocks.map(|blocks| Sharing { blocks, reach }),
        }
    }

    /// Takes a share that another container looks after, if nobody is at it.
    fn help(&self, replica: Replica, tally: &mut ResumeProgress) {
        let is_known_to_live = self.watched.at_work.contains_key(&replica.id());
        if is_known_to_live || self.stop.external_signal().is_some() || tally.is_over() || self.is_late() {
            return;
        }
        if self.is_abandoned(replica).unwrap_or(false) {
            // Whoever looks after it tells what is wrong with it.
            let _ = self.take_if_due(replica, Reach::Own, tally);
        }
    }

    /// Whether a share was never begun, or its last launch did not end in order.
    fn is_abandoned(&self, replica: Replica) -> anyhow::Result<bool> {
        Ok(match self.listed.of(self.layout, replica.id())?.pop() {
            Some(last) => !ended_in_order(&self.layout.journal(replica.id(), last))?,
            None => true,
        })
    }

    /// Whether another process brought it to an end since this one began: failures are not for each to try again. Who only
    /// wrote its results tried nothing.
    fn is_settled(&self, replica: Replica) -> anyhow::Result<bool> {
        let last = self.listed.of(self.layout, replica.id())?.pop();
        let Some(last) = last.filter(|_| last != self.listed.last_listed(replica.id())) else {
            return Ok(false);
        };
        // Another launch than one of the same try has not run what was named.
        let only = self.config.options.get("only");
        let begun = tail::begun(&self.layout.journal(replica.id(), last))?;
        if only.is_some() && begun.is_none_or(|begun| begun.options.get("only") != only) {
            return Ok(false);
        }
        let last_words = tail::last_words(&self.layout.journal(replica.id(), last))?;
        Ok(last_words.is_some_and(|words| words.stop.figures.is_none_or(|figures| figures.launches > 0)))
    }

    fn take_if_due(
        &self,
        replica: Replica,
        reach: Reach,
        tally: &mut ResumeProgress,
    ) -> anyhow::Result<TakeOutcome> {
        let share = self.share_of(replica).unwrap_or(Share::Range(0..0));
        if share.is_empty() && self.blocks.is_none() {
            tally.done += 1;
            return Ok(TakeOutcome::Yes);
        }
        let config = self.config.on_behalf_of(replica, self.begun.elapsed());
        let launcher = self.launcher(&config, reach);
        let before = match (&self.ledger, launcher.sharing) {
            // What is left of what was named was looked for.
            _ if self.selection.is_some() => ShareStatus::Unread,
            (Some(ledger), Some(sharing)) => launcher.look_by(&mut ledger.borrow_mut(), sharing)?,
            _ => launcher.look(&share, &self.me)?,
        };
        if let ShareStatus::Done(standing) = before {
            tally.done += 1;
            tally.standings.push((replica.id(), standing));
        } else if self.is_settled(replica)? {
            tally.done += 1;
            return Ok(TakeOutcome::Settled);
        } else if tally.is_over() || self.is_late() {
            tally.not_begun.push(replica.id());
        } else {
            let listener = ResumeObserver { resume: self, share: replica };
            self.console.end_copy();
            let files = self.command_files.clone();
            tally.ended.push(launcher.launch(share, before, &self.me, files, &listener, Instant::now())?);
        }
        Ok(TakeOutcome::Yes)
    }

    fn is_late(&self) -> bool {
        self.stop.drain_signal().is_some()
            || self.config.deadline.is_some_and(|deadline| self.begun.elapsed() >= deadline)
    }

    /// Says how it went and gives the exit code.
    fn close(&self, tally: ResumeProgress, out: &mut dyn Write) -> ExitCode {
        self.console.end_copy();
        let mut code = self.code(&tally);
        if self.config.merge {
            code =
                code.or(merge_if_last(self.layout, &self.me, self.config.heartbeat, self.console, self.stop));
        }
        let container = self.config.identity.replica;
        let records: Vec<(u32, u64)> =
            tally.standings.iter().map(|(id, standing)| (*id, standing.ok)).collect();
        let summary = ResumeSummary {
            run: self.list.header().run.clone(),
            results_dir: units::path(self.layout.root()),
            only: self
                .selection
                .as_ref()
                .map(|_| self.config.options.get("only").cloned().unwrap_or_default()),
            whole_run: self.whole_run(),
            container_id: container.id(),
            container_count: container.count(),
            shares: tally.ended.into_iter().filter_map(|ended| ended.summary).collect(),
            done: tally.done,
            at_work: tally.at_work,
            not_begun: tally.not_begun,
            errors: tally.errors,
            wall_s: units::thousandths(self.begun.elapsed().as_secs_f64()),
            exit: code.number(),
        };
        if let (Some(signal), true) = (self.stop.external_signal(), summary.shares.is_empty()) {
            self.console.warn(&format!("stopped by {} before any share began", units::signal(signal)));
        }
        say(self.console, &summary);
        if summary.has_nothing_to_do() && self.config.verbosity >= Verbosity::Normal {
            let changed = changed_since(self.layout, &self.command_files, records);
            let remarks = remarks(self.list, self.layout, self.stop, &changed);
            self.say(&remarks.join("\n"));
        }
        told(&summary, code, self.config.json, self.console, out)
    }

    /// How the run stands, where others have a part in that.
    fn whole_run(&self) -> Option<TaskCounts> {
        let has_part = self.blocks.is_some() || self.selection.is_some();
        let is_asked = has_part && self.stop.external_signal().is_none();
        is_asked.then(|| how_run_stands(self.layout, self.config.heartbeat)).flatten()
    }

    fn code(&self, tally: &ResumeProgress) -> ExitCode {
        let by_signal = self.stop.external_signal().map(ExitCode::Signal);
        // What was named is to be run, whoever is at it.
        let is_left = !tally.not_begun.is_empty() || (self.selection.is_some() && !tally.at_work.is_empty());
        let by_rest = is_left.then_some(ExitCode::Incomplete);
        let has_failures = tally.standings.iter().any(|(_, standing)| standing.failed > 0);
        let by_done = has_failures.then_some(ExitCode::TasksFailed);
        let by_shares = tally.ended.iter().map(|ended| ended.code);
        let all = [by_signal, by_rest, by_done, tally.code].into_iter().flatten().chain(by_shares);
        all.fold(ExitCode::Ok, ExitCode::or)
    }
}

impl ResumeProgress {
    /// Whether the last share ended for what no other share can escape.
    fn is_over(&self) -> bool {
        // Where another launch took over, it is one share that is settled.
        self.ended.last().and_then(|ended| ended.summary.as_ref()).is_some_and(|summary| {
            matches!(
                summary.reason,
                StopReason::Signal | StopReason::Deadline | StopReason::CannotWrite | StopReason::CannotStart
            )
        })
    }
}
