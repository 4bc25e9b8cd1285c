//! `run`: this replica's share, from the list to the results file.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::CannotWrite;
use crate::cli::Rerun;
use crate::config::{Given, RunConfig, Verbosity};
use crate::event::{Event, LaunchBegun, Limits, StopReason, Stopped};
use crate::exit_code::ExitCode;
use crate::listing::{self, Rules};
use crate::outcome::Cause;
use crate::record::command_files;
use crate::record::history::{History, Known, LastLaunch};
use crate::record::inputs::{Entry, InputList, Origin, Source};
use crate::record::item;
use crate::record::journal::Journal;
use crate::record::launch::{self, begin};
use crate::record::layout::Layout;
use crate::record::lease::Process;
use crate::record::logs::PackedLog;
use crate::record::results;
use crate::report::console::{Console, Tone};
use crate::report::imbalance;
use crate::report::launch::{FailureGroup, LaunchReport, Summary, say_summary};
use crate::run::execute::{Execute, ProcessSettings, ProcessSlot};
use crate::run::recorder::{Recorder, Tally};
use crate::run::schedule::{self, Work};
use crate::run::scratch::Scratch;
use crate::run::source::{Halt, Source as TaskSource};
use crate::run::stop::Stop;
use crate::select::Share;
use crate::template::{TaskPlace, shell_quote};
use crate::units;

/// Runs this replica's share, or prints its commands.
///
/// # Errors
/// When nothing could be run, with the reason.
pub fn run(config: RunConfig, console: &Console, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let stop = Stop::on_signals().context("can't take over signals")?;
    let outcome = if config.is_dry { dry_run(&config, console, &stop, out) } else { live(config, console, &stop, out) };
    match (outcome, stop.signal()) {
        // Whatever could not be finished for a signal ended for that.
        (Err(error), Some(signal)) => {
            console.error(&error.context(format!("stopped by {} before any task began", units::signal(signal))));
            Ok(ExitCode::Signal(signal))
        }
        (outcome, _) => outcome,
    }
}

/// Hears what goes on before the first task.
struct Before<'a> {
    console: &'a Console,
    stop: &'a Stop,
}

impl listing::Listener for Before<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for_list(&self, who: &str) {
        self.console.say(Verbosity::Normal, Tone::Plain, &format!("waiting for the list of inputs, which is made on {who}"));
    }

    fn note(&self, note: &str) {
        self.console.warn(note);
    }
}

impl launch::Listener for Before<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for(&self, launch: u32, who: &str) {
        self.console.say(
            Verbosity::Normal,
            Tone::Plain,
            &format!("launch {launch} of this replica ({who}) did not say how it ended: watching its journal for up to 30s"),
        );
    }
}

/// The source a launch was given; `None` for the run's own list.
fn source(config: &RunConfig) -> Option<&Source> {
    match &config.given {
        Given::Source(source) => Some(source),
        Given::OwnList => None,
    }
}

fn rules(config: &RunConfig) -> Rules<'_> {
    Rules {
        allow_empty: config.allow_empty,
        with_sizes: config.strategy.needs_sizes(),
        results_dir: &config.results_dir,
        cwd: &config.cwd,
    }
}

/// Prints the commands of this replica's share. Uses the run's list if there is one, and writes nothing.
fn dry_run(config: &RunConfig, console: &Console, stop: &Stop, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&config.results_dir);
    let list = InputList::open(&layout)?;
    let replica = config.identity.replica;
    let (share, entries) = match (&list, source(config)) {
        (Some(list), source) => {
            listing::agree(list, &layout, source, source.map(|_| config.strategy), replica.count())?;
            let share = list.share_of(replica)?;
            let entries = list.entries(&share)?;
            (share, entries)
        }
        (None, Some(source)) => {
            let listed = listing::list(source, rules(config), &|| stop.signal().is_none())?;
            listed.notes.iter().for_each(|note| console.warn(note));
            let sizes: Vec<u64> = listed.entries.iter().filter_map(|entry| entry.size).collect();
            let share = crate::select::share(config.strategy, listed.entries.len() as u64, &sizes, replica);
            let mine = share.iter().filter_map(|index| listed.entries.get(usize::try_from(index).ok()?).cloned()).collect();
            (share, mine)
        }
        (None, None) => anyhow::bail!(
            "no input: {} has no list yet, so say which files with --input or --files-from",
            layout.root().display()
        ),
    };
    let source = list.as_ref().map(|list| &list.header().source).or(source(config));
    for (position, (index, entry)) in share.iter().zip(&entries).enumerate() {
        let rel = source.map_or(entry.path.as_os_str(), |source| crate::record::rel::rel(source, &entry.path));
        let slot = position % config.jobs + 1;
        let place = TaskPlace { path: &entry.path, rel, index, slot, replica: replica.id() };
        let mut line = shell_quote(&config.template.render(&place));
        line.push(b'\n');
        out.write_all(&line).context("can't print the commands")?;
    }
    out.flush().context("can't print the commands")?;
    console.say(
        Verbosity::Normal,
        Tone::Plain,
        &format!("{replica}: {} would be run; nothing was", units::count(share.len(), "command")),
    );
    Ok(ExitCode::Ok)
}

fn live(config: RunConfig, console: &Console, stop: &Arc<Stop>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let layout = Layout::new(&config.results_dir);
    let me = Process::current(config.session.clone());
    let before = Before { console, stop };
    let command_files = command_files::digests(config.command_words(), &config.cwd);
    let origin = source(&config).map(|source| Origin {
        source: source.clone(),
        strategy: config.strategy,
        replica_count: config.identity.replica.count(),
        command: config.command.clone(),
        command_files: command_files.clone(),
    });
    let Some(list) = listing::adopt_or_publish(&layout, origin, rules(&config), &me, &before)? else {
        return nothing_found(&config, console, out);
    };
    let replica = config.identity.replica;
    check_agreement(&config, &list, &layout, console)?;
    let launcher = Launcher { config: &config, console, layout: &layout, list: &list, stop };
    let share = list.share_of(replica)?;
    launcher.say_imbalance()?;
    if let Some(done) = launcher.already_done(&share)? {
        launcher.say_nothing_to_do(&done);
        return launcher.close(&done, None, None, begun, out);
    }
    if !results::may_be_replaced(&layout, replica.id(), &list.header().run)
        .with_context(|| format!("can't read {}", layout.results(replica.id()).display()))?
    {
        anyhow::bail!(
            "{} is there and is not of this run ({}): it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset {}`",
            layout.results(replica.id()).display(),
            list.header().run,
            layout.root().display()
        );
    }
    let (journal, locked) = begin(&layout, &list.header().run, replica, &me, &before)?;
    let entries = list.entries(&share)?;
    let prepared = launcher.prepare(journal, locked, &me, share, entries, command_files)?;
    launcher.carry_out(prepared, begun, out)
}

/// Patterns may match nothing and did.
fn nothing_found(config: &RunConfig, console: &Console, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let replica = config.identity.replica;
    console.say(Verbosity::Normal, Tone::Plain, &format!("{replica}: no file matches; nothing to do, and no run was begun"));
    let summary = Summary {
        run: None,
        replica_id: replica.id(),
        replica_count: replica.count(),
        launch: None,
        files: 0,
        ok: 0,
        failed: 0,
        not_run: 0,
        done_before: 0,
        without_result: 0,
        non_finite: 0,
        wall_s: 0.0,
        cpu_s: 0.0,
        max_rss_bytes: None,
        failures: Vec::new(),
        reason: StopReason::Done,
        results_dir: units::path(&config.results_dir),
        exit: ExitCode::Ok.number(),
    };
    print_json(config, &summary, out)?;
    Ok(ExitCode::Ok)
}

fn print_json(config: &RunConfig, summary: &Summary, out: &mut dyn Write) -> anyhow::Result<()> {
    if config.json {
        serde_json::to_writer(&mut *out, summary)?;
        out.write_all(b"\n").and_then(|()| out.flush()).context("can't print the summary")?;
    }
    Ok(())
}

fn check_agreement(config: &RunConfig, list: &InputList, layout: &Layout, console: &Console) -> anyhow::Result<()> {
    let source = source(config);
    // Without an input the run's own list is used, and its strategy with it.
    listing::agree(list, layout, source, source.map(|_| config.strategy), config.identity.replica.count())?;
    let header = list.header();
    if header.command != config.command {
        let (here, there) = (show_command(&config.command), show_command(&header.command));
        if !config.accept_changed_command {
            anyhow::bail!(
                "the command of this launch differs from that of the run in {}:\n  this launch: {here}\n  the run:     {there}\nResults of two commands would be mixed. If that is right, give --accept-changed-command; else use another --results-dir, or begin anew after `canfar-run reset {}`",
                layout.root().display(),
                layout.root().display()
            );
        }
        console.warn(&format!("the command differs from the run's, which was: {there}"));
    }
    if !header.unreadable.is_empty() {
        let first = header.unreadable.first().map(|folder| units::path(&folder.0)).unwrap_or_default();
        console.warn(&format!(
            "{} could not be read when the list was made, such as {first}: what lies there is not in the list",
            units::count(header.unreadable.len() as u64, "directory").replace("directorys", "directories")
        ));
    }
    Ok(())
}

fn show_command(command: &crate::record::inputs::Command) -> String {
    use crate::record::inputs::Command;
    match command {
        Command::Argv(words) => {
            let words: Vec<_> = words.iter().map(|word| word.0.clone()).collect();
            units::printable(&String::from_utf8_lossy(&shell_quote(&words)))
        }
        Command::Shell(script) => format!("--shell '{}'", units::path(&script.0)),
    }
}

/// The steps of one launch, with what they all need.
struct Launcher<'a> {
    config: &'a RunConfig,
    console: &'a Console,
    layout: &'a Layout,
    list: &'a InputList,
    stop: &'a Stop,
}

/// A launch that can begin its first task.
struct Prepared {
    recorder: Recorder,
    share: Share,
    entries: Vec<Entry>,
    source: TaskSource,
    tasks: u64,
    settings: ProcessSettings,
    scratch: Option<Scratch>,
}

/// What a launch leaves to be told.
#[derive(Default)]
struct LaunchEnd {
    number: u32,
    tally: Tally,
    failures: Vec<FailureGroup>,
}

/// What is left of a share before a launch.
struct ToDo {
    positions: Vec<u32>,
    suspects: Vec<u32>,
}

impl Launcher<'_> {
    fn id(&self) -> u32 {
        self.config.identity.replica.id()
    }

    fn run_id(&self) -> &str {
        &self.list.header().run
    }

    fn say_imbalance(&self) -> anyhow::Result<()> {
        let header = self.list.header();
        let loads = self.list.loads()?;
        if let Some(line) = imbalance::line(header.strategy, header.count, &loads) {
            self.console.warn(&line);
        }
        Ok(())
    }

    /// The history of a share of which nothing is left to do and whose results file is as it should be.
    fn already_done(&self, share: &Share) -> anyhow::Result<Option<History>> {
        let Some(last) = crate::record::history::launches_of(self.layout, self.id())?.pop() else { return Ok(None) };
        if !launch::ended_in_order(&self.layout.journal(self.id(), last))? {
            return Ok(None);
        }
        let history = History::read(self.layout, self.run_id(), self.id(), share.clone(), LastLaunch::MayLive)?;
        let to_do = self.to_do(&history);
        let current = match history.current_results() {
            Some(promised) => results::is_as_promised(self.layout, self.id(), promised)
                .with_context(|| format!("can't read {}", self.layout.results(self.id()).display()))?,
            None => false,
        };
        Ok((current && to_do.positions.is_empty() && to_do.suspects.is_empty()).then_some(history))
    }

    fn to_do(&self, history: &History) -> ToDo {
        let rerun = self.config.rerun;
        let mut to_do = ToDo { positions: Vec::new(), suspects: Vec::new() };
        for (position, (index, note)) in (0..).zip(history.tasks()) {
            let is_due = match note.known {
                Known::Nothing => true,
                Known::Ok => false,
                Known::Failed => rerun != Rerun::Never || history.suspects.contains_key(&index),
                Known::Lost => rerun == Rerun::All,
            };
            if is_due && (history.suspects.contains_key(&index) || note.known == Known::Lost) {
                to_do.suspects.push(position);
            } else if is_due {
                to_do.positions.push(position);
            }
        }
        to_do
    }

    fn no_share(&self) -> String {
        let header = self.list.header();
        format!("there are {} for {} replicas: none is for this one", units::count(header.count, "file"), header.replica_count)
    }

    fn say_nothing_to_do(&self, history: &History) {
        let header = self.list.header();
        let text = if history.share().is_empty() {
            self.no_share()
        } else {
            format!(
                "nothing to do: the share is done. The list of this run is frozen since {}; to process new files, begin anew after `canfar-run reset {}`",
                header.created_at,
                self.layout.root().display()
            )
        };
        self.console.say(Verbosity::Normal, Tone::Plain, &text);
    }

    fn prepare(
        &self,
        journal: Journal,
        locked: bool,
        me: &Process,
        share: Share,
        entries: Vec<Entry>,
        command_files: Vec<crate::record::inputs::NamedFile>,
    ) -> anyhow::Result<Prepared> {
        let config = self.config;
        let replica = config.identity.replica;
        let launch = journal.launch();
        let history = History::read(self.layout, self.run_id(), self.id(), share.clone(), LastLaunch::Dead)?;
        for problem in &history.problems {
            self.console.warn(&problem.to_string());
        }
        self.say_changed_files(&history, &command_files);
        let mut to_do = self.to_do(&history);
        if self.list.header().strategy.needs_sizes() {
            // Stable: equal sizes keep the list's order.
            to_do.positions.sort_by_key(|position| std::cmp::Reverse(entries.get(*position as usize).and_then(|entry| entry.size)));
        }
        let tasks = (to_do.positions.len() + to_do.suspects.len()) as u64;
        let done_before = history.count(Known::Ok);
        let lost = unwritten_losses(&history);
        let log = PackedLog::new(self.layout, self.id(), launch);
        let recorder = Recorder::new(journal, history, log, config.keep_logs, self.run_id(), replica);
        let begun = LaunchBegun {
            replica_id: replica.id(),
            replica_count: replica.count(),
            process: me.clone(),
            locked,
            options: config.options.clone(),
            limits: Limits { cpus: crate::run::limits::cpus() as f64 },
            jobs: config.jobs,
            command_files,
            share: share.len(),
            done_before,
        };
        recorder.write(&Event::Run(Box::new(begun))).and_then(|()| recorder.sync()).context("can't write the journal").context(CannotWrite)?;
        self.console.keep_copy(&self.layout.own_log(self.id(), launch));
        for (index, attempts) in lost {
            self.write_loss(&recorder, &share, &entries, index, attempts)?;
        }
        self.say_start(launch, &share, tasks, done_before, to_do.suspects.len());
        let scratch = if tasks > 0 { Some(Scratch::create(&config.scratch)?) } else { None };
        let settings = ProcessSettings {
            template: config.template.clone(),
            program: config.program.clone(),
            environment: config.environment.clone(),
            run: self.run_id().to_owned(),
            replica,
            launch,
            work_folder: config.work_folder.clone(),
            limits: config.limits,
            result: config.result,
        };
        let source = TaskSource::new(to_do.positions, to_do.suspects, config.jobs);
        Ok(Prepared { recorder, share, entries, source, tasks, settings, scratch })
    }

    /// Tells of scripts that are not what they were when results were made.
    fn say_changed_files(&self, history: &History, now: &[crate::record::inputs::NamedFile]) {
        let mut results_before: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        for launch in &history.launches {
            let Some(begun) = &launch.begun else { continue };
            for name in command_files::changed(&begun.command_files, now) {
                *results_before.entry(units::path(&name.0)).or_default() += launch.ok;
            }
        }
        for name in command_files::changed(&self.list.header().command_files, now) {
            results_before.entry(units::path(&name.0)).or_default();
        }
        for (name, results) in results_before {
            self.console.warn(&format!("{name} changed since {} of this replica", units::count(results, "result")));
        }
    }

    fn write_loss(&self, recorder: &Recorder, share: &Share, entries: &[Entry], index: u64, attempts: u32) -> anyhow::Result<()> {
        let position = share.position_of(index).and_then(|position| usize::try_from(position).ok());
        let Some(entry) = position.and_then(|position| entries.get(position)) else { return Ok(()) };
        let name = units::path(&entry.path);
        self.console.say(Verbosity::Quiet, Tone::Bad, &format!("lost: {name}: the container died while it ran alone; it is not run again unless asked for (--rerun all)"));
        let record = item::lost(self.run_id(), self.config.identity.replica, recorder.launch(), index, &entry.path, attempts);
        recorder.write_record(index, Cause::Lost, &record).context("can't write the journal").context(CannotWrite)
    }

    fn say_start(&self, launch: u32, share: &Share, tasks: u64, done_before: u64, suspects: usize) {
        let header = self.list.header();
        let mut text = format!(
            "canfar-run {}: {}, run {}, launch {launch}: {} of {}, {} at a time, results in {}",
            env!("CARGO_PKG_VERSION"),
            self.config.identity.replica,
            header.run,
            share.len(),
            units::count(header.count, "file"),
            units::count(self.config.jobs as u64, "task"),
            self.layout.root().display()
        );
        if share.is_empty() {
            text.push_str(&format!("\n{}", self.no_share()));
        }
        if done_before > 0 || tasks != share.len() {
            text.push_str(&format!("\n{done_before} done before, {tasks} to run"));
        }
        if suspects > 0 {
            text.push_str(&format!(
                "\n{} running when the container died; run last, each alone",
                if suspects == 1 { "1 task was".to_owned() } else { format!("{suspects} tasks were") }
            ));
        }
        if !self.config.identity.is_given {
            text.push_str("\nneither --replica-id nor REPLICA_ID is set: this replica takes all files");
        }
        self.console.say(Verbosity::Normal, Tone::Plain, &text);
    }

    fn carry_out(&self, prepared: Prepared, begun: Instant, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let Prepared { recorder, share, entries, source, tasks, settings, scratch } = &prepared;
        let report = LaunchReport::new(self.console, self.config.says_progress, share.len());
        if let Some(scratch) = scratch {
            let slots = (1..=self.config.jobs.min(usize::try_from(*tasks)?))
                .map(|slot| -> anyhow::Result<Box<dyn Execute + '_>> {
                    Ok(Box::new(ProcessSlot::new(settings, self.stop, scratch, slot)?))
                })
                .collect::<anyhow::Result<Vec<_>>>()?;
            let work = Work {
                list: self.list,
                entries,
                share,
                source,
                tasks: *tasks,
                recorder,
                stop: self.stop,
                retries: self.config.retries,
                max_failures: self.config.max_failures,
                deadline: self.config.deadline.map(|deadline| begun + deadline),
                successor: self.layout.journal(self.id(), recorder.launch() + 1),
                watch: &report,
                progress: &|totals| report.progress(totals, &recorder.tally()),
            };
            schedule::run(&work, slots)?;
        }
        let halt = source.halted().or_else(|| self.stop.signal().map(Halt::Signal));
        drop(prepared.scratch);
        self.conclude(prepared.recorder, &report, halt, begun, out)
    }

    /// Writes the results, ends the journal and says how it went.
    fn conclude(
        &self,
        recorder: Recorder,
        report: &LaunchReport<'_>,
        halt: Option<Halt>,
        begun: Instant,
        out: &mut dyn Write,
    ) -> anyhow::Result<ExitCode> {
        if halt == Some(Halt::Superseded) {
            self.console.say(Verbosity::Quiet, Tone::Bad, "canfar-run: error: a newer launch of this replica took over; this one stopped and leaves the results to it");
            return Ok(ExitCode::Incomplete);
        }
        let (mut journal, history, tally) = recorder.into_parts();
        let written = results::write(self.layout, self.id(), &history);
        let halt = match &written {
            Ok(_) => halt,
            Err(error) => Some(Halt::CannotWrite(format!("{error:#}"))),
        };
        if let Ok(results) = written {
            journal.add(&Event::ResultsWritten(results));
        }
        journal.add(&Event::Stop(Stopped {
            reason: reason(halt.as_ref()),
            signal: match &halt {
                Some(Halt::Signal(signal)) => Some(*signal),
                _ => None,
            },
            exit: exit_code(&history, halt.as_ref()).number(),
        }));
        let halt = match journal.commit().and_then(|()| journal.sync()) {
            Err(error) if !matches!(halt, Some(Halt::CannotWrite(_))) => Some(Halt::CannotWrite(format!("can't write the journal: {error}"))),
            _ => halt,
        };
        let launch = LaunchEnd { number: journal.launch(), tally, failures: report.failures() };
        self.close(&history, Some(launch), halt.as_ref(), begun, out)
    }

    /// Says the closing summary and gives the exit code.
    fn close(
        &self,
        history: &History,
        launch: Option<LaunchEnd>,
        halt: Option<&Halt>,
        begun: Instant,
        out: &mut dyn Write,
    ) -> anyhow::Result<ExitCode> {
        let code = exit_code(history, halt);
        let number = launch.as_ref().map(|launch| launch.number);
        let LaunchEnd { tally, failures, .. } = launch.unwrap_or_default();
        let replica = self.config.identity.replica;
        let ok = history.count(Known::Ok);
        let summary = Summary {
            run: Some(self.run_id().to_owned()),
            replica_id: replica.id(),
            replica_count: replica.count(),
            launch: number,
            files: history.share().len(),
            ok,
            failed: history.count(Known::Failed) + history.count(Known::Lost),
            not_run: history.count(Known::Nothing),
            done_before: ok - tally.ok.min(ok),
            without_result: tally.without_result,
            non_finite: tally.non_finite,
            wall_s: round(begun.elapsed()),
            cpu_s: tally.cpu_s,
            max_rss_bytes: tally.peak_bytes,
            failures,
            reason: reason(halt),
            results_dir: units::path(self.layout.root()),
            exit: code.number(),
        };
        say_summary(self.console, &summary, halt.map(|halt| self.say_halt(halt)).as_deref());
        print_json(self.config, &summary, out)?;
        Ok(code)
    }

    fn say_halt(&self, halt: &Halt) -> String {
        match halt {
            Halt::Signal(signal) => units::signal(*signal),
            Halt::Deadline => "the deadline has passed (--deadline)".to_owned(),
            Halt::MaxFailures(why) => format!("{why}. Mend the command first, or allow more"),
            Halt::CannotWrite(why) => {
                format!("results can't be written in {}: {why}. Make room there (quota, disk, permissions)", self.layout.root().display())
            }
            Halt::CannotStart(why) => format!("{why}. No record was made of it: it would fail for every file"),
            Halt::Superseded => "a newer launch of this replica took over".to_owned(),
        }
    }
}

/// Tasks that died alone with their container and have no record of it yet, with the attempts begun.
fn unwritten_losses(history: &History) -> Vec<(u64, u32)> {
    let losses = history.tasks().filter(|(_, note)| note.known == Known::Lost && !note.has_record());
    losses.map(|(index, note)| (index, u32::from(note.attempts))).collect()
}

fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn reason(halt: Option<&Halt>) -> StopReason {
    match halt {
        None => StopReason::Done,
        Some(Halt::Signal(_)) => StopReason::Signal,
        Some(Halt::Deadline) => StopReason::Deadline,
        Some(Halt::MaxFailures(_)) => StopReason::MaxFailures,
        Some(Halt::CannotWrite(_)) => StopReason::CannotWrite,
        Some(Halt::CannotStart(_)) => StopReason::CannotStart,
        Some(Halt::Superseded) => StopReason::Superseded,
    }
}

fn exit_code(history: &History, halt: Option<&Halt>) -> ExitCode {
    let failed = history.count(Known::Failed) + history.count(Known::Lost) > 0;
    let left = history.count(Known::Nothing) > 0;
    let by_records = if failed { ExitCode::TasksFailed } else { ExitCode::Ok };
    let by_rest = if left { ExitCode::Incomplete } else { ExitCode::Ok };
    let by_halt = match halt {
        Some(Halt::Signal(signal)) => ExitCode::Signal(*signal),
        Some(Halt::CannotWrite(_)) => ExitCode::CannotWrite,
        // Even if earlier tasks ran: nothing of what was asked for can run as it is.
        Some(Halt::CannotStart(_)) => ExitCode::Usage,
        Some(Halt::Superseded) => ExitCode::Incomplete,
        Some(Halt::Deadline | Halt::MaxFailures(_)) | None => ExitCode::Ok,
    };
    by_halt.or(by_rest).or(by_records)
}
