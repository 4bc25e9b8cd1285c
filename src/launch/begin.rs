//! The beginning of a launch: its journal, the state its predecessors left, and temporary folders for its tasks.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;

use crate::exit_code::{CannotWrite, ExitCode};
use crate::host::cgroup::MemoryGroup;
use crate::journal::event::{Event, LaunchBegun, Limits, StopReason, Stopped};
use crate::journal::state::JournalState;
use crate::journal::writer::{JournalWriter, SharedJournalWriter};
use crate::launch::balance::ResumedBlocks;
use crate::launch::concurrency_cap::{ConcurrencyCap, after_deaths, died_before};
use crate::launch::share_status::LeftShare;
use crate::launch::{Launcher, Pending, ShareStatus, Sharing};
use crate::liveness::fence::Fence;
use crate::liveness::heartbeat::Heartbeat;
use crate::model::counts::TaskState;
use crate::model::entries::Entries;
use crate::model::outcome::Cause;
use crate::model::provenance::{NamedFile, Process};
use crate::model::shares::Share;
use crate::process::registry::ProcessRegistry;
use crate::products::look::ProductChanges;
use crate::record::logs::PackedLog;
use crate::record::task_record;
use crate::run::execute::ProcessSettings;
use crate::run::queue::{QueuePiece, Supply, TaskQueue};
use crate::run::recorder::Recorder;
use crate::run::scratch::{Owner, Scratch, remove_leftovers_of_dead};
use crate::store::atomic_file::{ABANDONED, remove_leftovers};
use crate::store::pulse;
use crate::terminal::console::{Tone, Verbosity};
use crate::threads::locked;
use crate::units;

/// A launch that can begin its first task.
pub struct PreparedLaunch<'a> {
    pub(super) recorder: Recorder,
    pub(super) heartbeat: Heartbeat<JournalWriter>,
    pub(super) fence: Arc<Fence>,
    pub(super) share: Share,
    pub(super) source: TaskQueue,
    /// What it continues with, if the run shares its work.
    pub(super) resumed: Option<ResumedBlocks<'a>>,
    pub(super) tasks: u64,
    /// Tasks at a time, at most.
    pub(super) jobs: usize,
    pub(super) registry: ProcessRegistry,
    /// Whether a container died around tasks before.
    pub(super) died_before: bool,
    pub(super) settings: ProcessSettings,
    pub(super) scratch: Option<Scratch>,
}

impl<'l> Launcher<'l> {
    /// Writes the first lines of the journal and gets ready for the first task.
    ///
    /// # Errors
    /// When older journals can't be read, or the journal or the temporary folders can't be written.
    pub fn prepare(
        &self,
        journal: JournalWriter,
        begun: &LaunchBegun,
        share: Share,
        entries: Entries,
        before: ShareStatus,
    ) -> anyhow::Result<PreparedLaunch<'l>> {
        let launch = journal.launch();
        let (journal, fence, heartbeat) = self.begin_journal(journal, begun)?;
        self.clear_up_before(launch);
        let ready = self.get_ready(&share, &entries, before.until(launch), &self.owner(begun, launch));
        let (LeftShare { history, products }, due, scratch) =
            ready.map_err(|error| cannot_start(&journal, error))?;
        self.say_changed_files(&history, &begun.command_files);
        let caution = after_deaths(&history, launch, self.memory_limit(), self.config.jobs);
        let jobs = caution.as_ref().map_or(self.config.jobs, |caution| caution.jobs);
        self.say_start(launch, &share, &due, history.counts().ok, caution.as_ref());
        self.say_changes(&products);
        // What was not named is left as it is.
        let losses = if self.selection.is_none() { unwritten_losses(&history) } else { Vec::new() };
        let settings = self.settings(launch)?;
        let registry = ProcessRegistry::new(self.config.memory.clone(), history.seen);
        let died_before = died_before(&history, launch);
        let tasks = due.len();
        let recorder = self.recorder(&journal, &fence, history);
        self.note_due_again(&recorder, &products)?;
        recorder.expect(tasks);
        for (index, attempts) in losses {
            self.write_loss(&recorder, index, attempts, 0)?;
        }
        let source = TaskQueue::new(jobs);
        source.add(QueuePiece { block: None, indices: share.clone(), entries, at_most: None }, due.tasks);
        source.set_supply(Supply::Ended);
        // Where it can't be written, the first task finds out.
        let _ = recorder.give_sign();
        Ok(PreparedLaunch {
            recorder,
            heartbeat,
            fence,
            share,
            source,
            resumed: None,
            tasks,
            jobs,
            registry,
            died_before,
            settings,
            scratch,
        })
    }

    /// The same where the run shares its work: the launch begins with what its replica has, and takes more later.
    ///
    /// # Errors
    /// As [`Self::prepare`], and when claims can't be read or made.
    pub(super) fn prepare_shared(
        &self,
        journal: JournalWriter,
        begun: &LaunchBegun,
        share: Share,
        before: ShareStatus,
        sharing: Sharing<'l>,
        me: &Process,
    ) -> anyhow::Result<PreparedLaunch<'l>> {
        let launch = journal.launch();
        let (journal, fence, heartbeat) = self.begin_journal(journal, begun)?;
        self.clear_up_before(launch);
        let result = self.go_on(&journal, &fence, begun, before.products_until(launch), sharing, me);
        let (recorder, resumed, scratch, caution, died_before) =
            result.map_err(|error| cannot_start(&journal, error))?;
        let jobs = caution.as_ref().map_or(self.config.jobs, |caution| caution.jobs);
        self.say_start_shared(launch, &share, &resumed, recorder.counts(), caution.as_ref());
        let registry = ProcessRegistry::new(self.config.memory.clone(), recorder.seen());
        let source = TaskQueue::new(jobs);
        // Where it can't be written, the first task finds out.
        let _ = recorder.give_sign();
        Ok(PreparedLaunch {
            recorder,
            heartbeat,
            fence,
            tasks: self.tasks_of_a_share(&share),
            share,
            source,
            resumed: Some(resumed),
            jobs,
            registry,
            died_before,
            settings: self.settings(launch)?,
            scratch: Some(scratch),
        })
    }

    /// The number that `--max-failures N%` refers to; a replica without a share uses that of the others.
    fn tasks_of_a_share(&self, share: &Share) -> u64 {
        let header = self.list.header();
        share.len().max(header.count / u64::from(header.replica_count.max(1)))
    }

    fn go_on(
        &self,
        journal: &SharedJournalWriter,
        fence: &Arc<Fence>,
        begun: &LaunchBegun,
        products: Option<ProductChanges>,
        Sharing { blocks, reach }: Sharing<'l>,
        me: &Process,
    ) -> anyhow::Result<(Recorder, ResumedBlocks<'l>, Scratch, Option<ConcurrencyCap>, bool)> {
        let launch = locked(journal).launch();
        let run = self.list.header().run_ref();
        let keep_going = || self.stop.signal().is_none();
        let history =
            JournalState::of_replica_without_tasks(self.layout, &run, self.id(), false, &keep_going)?;
        history.problems.iter().for_each(|problem| self.console.warn(&problem.to_string()));
        self.say_changed_files(&history, &begun.command_files);
        let caution = after_deaths(&history, launch, self.memory_limit(), self.config.jobs);
        let has_died = died_before(&history, launch);
        let owner = self.owner(begun, launch);
        let scratch = Scratch::create(&self.config.scratch, &owner)?;
        if let Some(folder) = scratch.home().or(self.config.scratch.first().map(PathBuf::as_path)) {
            self.clear_leftovers(folder, &owner);
        }
        let recorder = self.recorder(journal, fence, history);
        recorder.expect(0);
        let resumed = self.resume_blocks(blocks, &recorder, me, reach, products)?;
        Ok((recorder, resumed, scratch, caution, has_died))
    }

    /// Removes what earlier launches left unfinished, and keeps what this one says.
    fn clear_up_before(&self, launch: u32) {
        if launch > 1 {
            remove_leftovers(&self.layout.results(self.id()), Duration::ZERO);
            remove_leftovers(&self.layout.inputs(), ABANDONED);
            remove_leftovers(&self.layout.listing(), ABANDONED);
        }
        self.console.keep_copy(&self.layout.own_log(self.id(), launch));
    }

    /// Shows other launches at once, and from here on, that this launch is running.
    pub(super) fn begin_journal(
        &self,
        mut journal: JournalWriter,
        begun: &LaunchBegun,
    ) -> anyhow::Result<(SharedJournalWriter, Arc<Fence>, Heartbeat<JournalWriter>)> {
        journal.add(&Event::Run(Box::new(begun.clone())));
        let path = journal.path().to_owned();
        let cannot_write = || format!("can't write the journal {}", path.display());
        if let Err(error) = journal.commit() {
            journal.withdraw();
            return Err(error).with_context(cannot_write).context(CannotWrite);
        }
        let successor = self.layout.successor(self.id(), journal.launch());
        let fence = Fence::new(&journal, &begun.process, successor, self.config.heartbeat);
        let fence = Arc::new(fence.with_context(cannot_write).context(CannotWrite)?);
        let journal = Arc::new(Mutex::new(journal));
        let heartbeat =
            self.start_heartbeat(&journal, &fence).map_err(|error| cannot_start(&journal, error))?;
        if let Err(error) = pulse::sync(&journal) {
            drop(heartbeat);
            locked(&journal).withdraw();
            return Err(error).with_context(cannot_write).context(CannotWrite);
        }
        Ok((journal, fence, heartbeat))
    }

    /// Lets the journal grow from here on, unless a newer launch began while this process was frozen.
    fn start_heartbeat(
        &self,
        journal: &SharedJournalWriter,
        fence: &Arc<Fence>,
    ) -> anyhow::Result<Heartbeat<JournalWriter>> {
        let fence = Arc::clone(fence);
        let goes_on = Box::new(move || !fence.is_closed());
        Heartbeat::start(Arc::clone(journal), self.config.heartbeat, goes_on).context(
            "can't start the heartbeat threads; the limit on processes (ulimit -u, pids.max) must leave room for at least ten",
        )
    }

    /// What earlier launches left, what must be run, and temporary folders for it.
    fn get_ready(
        &self,
        share: &Share,
        entries: &Entries,
        before: Option<LeftShare>,
        owner: &Owner,
    ) -> anyhow::Result<(LeftShare, Pending, Option<Scratch>)> {
        let left = before.map_or_else(|| self.read_left(share, &self.launches()?, false), Ok)?;
        left.history.problems.iter().for_each(|problem| self.console.warn(&problem.to_string()));
        let due = self.due(&left.history, entries);
        self.check_places(due.in_share(share), |index| left.history.tasks.get(index).attempts == 0)?;
        let create = || Scratch::create(&self.config.scratch, owner);
        let scratch = (!due.is_empty()).then(create).transpose()?;
        let home = scratch.as_ref().and_then(Scratch::home);
        if let Some(folder) = home.or(self.config.scratch.first().map(PathBuf::as_path)) {
            self.clear_leftovers(folder, owner);
        }
        Ok((left, due, scratch))
    }

    fn owner(&self, begun: &LaunchBegun, launch: u32) -> Owner {
        let (run, process) = (self.run_id().to_owned(), begun.process.clone());
        Owner { run, replica_id: self.id(), launch, process }
    }

    /// Makes room: what launches that were killed left may be much.
    fn clear_leftovers(&self, folder: &Path, owner: &Owner) {
        let gone = remove_leftovers_of_dead(folder, owner).len() as u64;
        if gone > 0 {
            let folders = units::plural(gone, "temporary folder", "temporary folders");
            let text =
                format!("removed {folders} that killed launches of this run left in {}", units::path(folder));
            self.console.say(Verbosity::Normal, Tone::Plain, &text);
        }
    }

    /// Which process begins a launch, and with which settings.
    pub fn introduction(
        &self,
        me: &Process,
        locked: bool,
        command_files: Vec<NamedFile>,
        share: &Share,
    ) -> LaunchBegun {
        let replica = self.config.identity.replica;
        LaunchBegun {
            replica_id: replica.id(),
            replica_count: replica.count(),
            process: me.clone(),
            locked,
            options: self.config.options.clone(),
            limits: Limits {
                cpus: self.config.cpus,
                memory_bytes: self.memory_limit(),
                cpu_set: self.config.cpu_set,
            },
            jobs: self.config.jobs,
            command_files,
            share: share.len(),
            takeover_after_s: self.sharing.map(|_| self.config.takeover_after.as_secs_f64()),
            command: self.other_command(),
            by_another: self.config.acts_as_another,
        }
    }

    /// The tasks to run, in the order in which they start.
    fn due(&self, history: &JournalState, entries: &Entries) -> Pending {
        let mut due = Pending::of(history, self.due_rule());
        if self.list.header().strategy.needs_sizes() {
            // Largest first; stable, so that equal sizes keep the list's order.
            let size = |position: &u32| entries.get(*position as usize).and_then(|entry| entry.size);
            due.tasks.ordinary.sort_by_key(|position| Reverse(size(position)));
        }
        due
    }

    pub(super) fn recorder(
        &self,
        journal: &SharedJournalWriter,
        fence: &Arc<Fence>,
        history: JournalState,
    ) -> Recorder {
        let log = PackedLog::new(self.layout, self.id(), locked(journal).launch());
        Recorder::new(
            Arc::clone(fence),
            Arc::clone(journal),
            history,
            log,
            self.config.keep_logs,
            self.run_id(),
            self.config.identity.replica,
        )
        .of_command(self.other_command())
    }

    /// The command as it is typed, where it is not the one that the list keeps.
    fn other_command(&self) -> Option<String> {
        let command = &self.config.command;
        (*command != self.list.header().command).then(|| command.to_string())
    }

    fn settings(&self, launch: u32) -> anyhow::Result<ProcessSettings> {
        let (config, header) = (self.config, self.list.header());
        let folder = header.begun_in().unwrap_or(&config.cwd);
        Ok(ProcessSettings {
            products: self.declared_products()?,
            checksum: config.checksum,
            ok_codes: config.ok_codes.clone(),
            template: config.template.clone(),
            names: config.entry_names(&header.source, folder),
            mode: config.manner.clone(),
            program: config.program.clone(),
            environment: config.environment.clone(),
            run: self.run_id().to_owned(),
            replica: config.identity.replica,
            launch,
            work_folder: config.work_folder.clone(),
            limits: config.limits,
            result: config.result,
        })
    }

    /// Writes the record of a task that died alone with its container; the number says how many of these had to be run.
    pub(super) fn write_loss(
        &self,
        recorder: &Recorder,
        index: u64,
        attempts: u32,
        due: u64,
    ) -> anyhow::Result<()> {
        let mut record = None;
        self.list.read(std::iter::once(index), |index, entry| {
            self.say_loss(entry.path);
            let replica = self.config.identity.replica;
            let launch = recorder.launch();
            record = Some(task_record::lost(self.run_id(), replica, launch, index, entry, attempts));
            Ok(())
        })?;
        let Some(record) = record else { return Ok(()) };
        recorder
            .write_record(index, Cause::Lost, &record, due)
            .context("can't write the journal")
            .context(CannotWrite)
    }

    fn say_loss(&self, path: &OsStr) {
        let name = units::path(path);
        self.console.say(Verbosity::Quiet, Tone::Bad, &format!("lost: {name}: the container died while it ran alone; it is not run again unless asked for (--rerun all)"));
    }

    pub(super) fn memory_limit(&self) -> Option<u64> {
        self.config.memory.as_ref().map(MemoryGroup::limit)
    }
}

/// Ends the journal of a launch that can't begin a task after all, and returns the error.
pub(super) fn cannot_start(journal: &SharedJournalWriter, error: anyhow::Error) -> anyhow::Error {
    let exit = ExitCode::of_error(&error).number();
    let mut journal = locked(journal);
    let blocks = journal.unended();
    journal.add(&Event::Stop(Box::new(Stopped {
        reason: StopReason::CannotStart,
        signal: None,
        exit,
        why: Some(format!("{error:#}")),
        figures: None,
        blocks,
    })));
    // Report the original error.
    let _ = journal.commit();
    error
}

/// Tasks that died alone with their container and have no record of it yet, with the attempts begun.
fn unwritten_losses(history: &JournalState) -> Vec<(u64, u32)> {
    let losses =
        history.tasks.of_share().filter(|(_, note)| note.state == TaskState::Lost && !note.has_record());
    losses.map(|(index, note)| (index, u32::from(note.attempts))).collect()
}
