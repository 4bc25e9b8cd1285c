//! Records attempts while they run: first in the journal, then in the counts, then for the observers.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::journal::event::{
    AttemptBegun, AttemptEnded, BlockProgress, ClaimAnnounced, Event, LaunchProgress, PublishingBegun,
    TaskEnded, TaskNamed, TasksDueAgain,
};
use crate::journal::state::JournalState;
use crate::journal::task_states::{BlockTasks, TaskTable};
use crate::journal::writer::{JournalWriter, SharedJournalWriter};
use crate::liveness::fence::Fence;
use crate::model::blocks::{BlockId, ClaimName};
use crate::model::counts::{TaskCounts, TaskState};
use crate::model::outcome::{Cause, LogSpan, Status};
use crate::model::product::{DirectoryId, MadeProducts};
use crate::model::quarantine::SeenUsage;
use crate::model::replica::Replica;
use crate::model::shares::Share;
use crate::model::usage::{TaskActivity, UsageFigures};
use crate::process::capture::Capture;
use crate::record::logs::{LogHead, PackedLog};
use crate::record::task_record::{self, RecordMeta};
use crate::run::execute::{Attempt, Executed};
use crate::run::result::ResultDoubt;
use crate::store::pulse::{self, Pulse};
use crate::text::PathText;
use crate::threads::locked;

/// How much of a failed task's standard error goes into its record at most.
const STDERR_TAIL: usize = 2048;

/// With `--logs failed`, how many bytes of output are kept of ok tasks with a warning: every task may
/// print the same, and much.
const MOST_DOUBTFUL: u64 = 256 * 1024 * 1024;

/// `--logs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepLogs {
    /// The output of failed attempts is kept, and of ok ones without a result where one was expected.
    Failed,
    /// All output is kept.
    All,
    /// No output is kept.
    None,
}

/// What this launch did so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// Tasks ended ok.
    pub ok: u64,
    /// Tasks ended failed.
    pub failed: u64,
    /// Of these, those that were ok before: that record stays.
    pub kept_before: u64,
    /// The number of tasks that have failed in a row.
    pub failed_in_a_row: u64,
    /// Ok tasks with an earlier failed attempt.
    pub ok_after_retry: u64,
    /// Attempts that ended, retried ones included.
    pub attempts: u64,
    /// NaN and Infinity that became null.
    pub non_finite: u64,
    /// Largest resident memory of any attempt's process, bytes.
    pub peak_bytes: Option<u64>,
}

/// Tasks of a block that have no record yet, or are to run again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlockDue {
    /// Those that the launch is to run.
    pub here: u64,
    /// Those without a record that it leaves to others, so that the block is not ended by it.
    pub left_out: u64,
}

impl BlockDue {
    /// All that is due of a block is to run here.
    pub fn here(tasks: u64) -> Self {
        Self { here: tasks, left_out: 0 }
    }
}

/// How a launch came to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// It made a claim.
    NewClaim,
    /// It has the claim of before.
    OldClaim,
}

/// What comes of a task after one of its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// It has ended: the attempt becomes its record.
    Nothing,
    /// Another attempt, after this pause.
    Retry(Duration),
    /// Another attempt, with the container to itself.
    Alone,
}

/// A task or attempt that ended, for observers.
#[derive(Debug)]
pub struct EndedAttempt<'a> {
    /// Which.
    pub attempt: &'a Attempt<'a>,
    /// What it came to.
    pub executed: &'a Executed,
    /// The end of its standard error, if it failed.
    pub stderr_tail: Option<&'a str>,
    /// Where its output is kept.
    pub log: Option<&'a LogSpan>,
    /// What comes of its task.
    pub next: NextStep,
}

/// Whether the output that was to be kept was.
#[derive(Debug)]
pub enum OutputKept {
    /// It was, or there was none to keep.
    Yes,
    /// The log can't be written; the record is there all the same.
    No(io::Error),
}

/// Observes events as they happen. Nothing else prints.
pub trait Observer: Sync {
    /// An attempt begins in a slot, 1..=jobs, and is in the journal.
    fn begun(&self, slot: usize, attempt: &Attempt<'_>);
    /// Nothing runs in a slot any more.
    fn left(&self, slot: usize);
    /// An attempt ended and is in the journal.
    fn ended(&self, ended: &EndedAttempt<'_>);
    /// A worker that was asked has been doing nothing for long.
    fn worker_idle(&self, text: &str);
    /// A function can't be imported, and this was printed meanwhile, its traceback last.
    fn import_failed(&self, printed: &str);
    /// Only this many tasks at a time can be supervised.
    fn short_of_threads(&self, threads: usize);
    /// A signal prevents further starts while this many tasks run.
    fn draining(&self, signal: i32, running: usize);
}

/// What a launch's attempts leave behind.
#[derive(Debug)]
pub struct Recorder {
    kept: Mutex<RecorderState>,
    journal: SharedJournalWriter,
    fence: Arc<Fence>,
    log: Mutex<PackedLog>,
    keep_logs: KeepLogs,
    /// Output of tasks that are ok, bytes, that was kept, or was to be.
    doubtful: AtomicU64,
    run: String,
    replica: Replica,
    launch: u32,
    /// As it is typed, where it is not the one that the list keeps.
    command: Option<String>,
}

#[derive(Debug)]
struct RecorderState {
    state: JournalState,
    /// By what the blocks are held.
    claims: BTreeMap<BlockId, ClaimName>,
    /// Of blocks, tasks that are left to others.
    left_out: BTreeMap<BlockId, u64>,
    tally: Counters,
    figures: UsageFigures,
}

/// What a recorder leaves.
#[derive(Debug)]
pub struct RecorderParts {
    /// The journal.
    pub journal: SharedJournalWriter,
    /// The counts of tasks.
    pub state: JournalState,
    /// By what the blocks are held.
    pub claims: BTreeMap<BlockId, ClaimName>,
    /// What this launch did.
    pub tally: Counters,
    /// What that used.
    pub figures: UsageFigures,
}

impl Recorder {
    /// For one launch; `state` is what its predecessors left, `fence` detects a newer launch.
    pub fn new(
        fence: Arc<Fence>,
        journal: SharedJournalWriter,
        state: JournalState,
        log: PackedLog,
        keep_logs: KeepLogs,
        run: &str,
        replica: Replica,
    ) -> Self {
        let launch = locked(&journal).launch();
        let kept = RecorderState {
            state,
            claims: BTreeMap::new(),
            left_out: BTreeMap::new(),
            tally: Counters::default(),
            figures: UsageFigures::default(),
        };
        Self {
            kept: Mutex::new(kept),
            journal,
            fence,
            log: Mutex::new(log),
            keep_logs,
            doubtful: AtomicU64::new(0),
            run: run.to_owned(),
            replica,
            launch,
            command: None,
        }
    }

    /// The same for tasks of another command than the list keeps, as it is typed.
    #[must_use]
    pub fn of_command(self, command: Option<String>) -> Self {
        Self { command, ..self }
    }

    /// Records how many tasks must be run. From here on heartbeats report their counts.
    pub fn expect(&self, tasks: u64) {
        let kept = self.kept();
        locked(&self.journal).change_progress(|progress| {
            progress.counts = kept.state.counts();
            progress.left = tasks;
        });
    }

    /// Records which ok tasks must be run again; what is known about them here must agree with that.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn note_due_again(&self, tasks: TasksDueAgain) -> io::Result<()> {
        let (_kept, mut journal) = self.writable()?;
        tasks.in_lines().for_each(|tasks| journal.add(&Event::DueAgain(Box::new(tasks))));
        journal.commit()
    }

    /// Records the claim that is about to be made, and syncs it: a launch that finds the claim must find this, too, or would assume that
    /// the block was finished. Heartbeats name it from here on, until it is held or [`Self::not_claimed`].
    ///
    /// # Errors
    /// When the journal can't be written or synced: then it must not be claimed.
    pub fn announce_claim(&self, claim: ClaimName) -> io::Result<()> {
        let (kept, mut journal) = self.writable()?;
        journal.add(&Event::Claim(ClaimAnnounced { claim }));
        journal.commit()?;
        journal.change_progress(|progress| progress.name_block(BlockProgress::announced(claim)));
        drop((kept, journal));
        pulse::sync(&self.journal).inspect_err(|_| self.not_claimed(claim))
    }

    /// Notes that an announced claim belongs to another launch: heartbeats no longer name it.
    pub fn not_claimed(&self, claim: ClaimName) {
        let _kept = self.kept();
        locked(&self.journal).change_progress(|progress| {
            if progress.blocks.contains(&BlockProgress::announced(claim)) {
                progress.drop_block(claim.block);
            }
        });
    }

    /// Takes in a block of these indices, of whose tasks those `due` are to be run: it counts from here on, and a sign of life says
    /// so. What is known about its tasks is moved here from `history`.
    ///
    /// # Errors
    /// When the journal can't be written, or the block has more tasks than there can be in memory.
    pub fn hold(
        &self,
        claim: ClaimName,
        indices: Share,
        mut history: Option<&mut JournalState>,
        due: BlockDue,
        by: HeldBy,
    ) -> io::Result<()> {
        let (mut kept, mut journal) = self.writable()?;
        // Once, also where it has more blocks that come here.
        let seen = history.as_mut().map(|history| std::mem::take(&mut history.seen)).unwrap_or_default();
        let tasks = match history.and_then(|history| history.tasks.release(claim.block)) {
            Some(tasks) => tasks,
            None => BlockTasks::new(indices).map_err(io::Error::other)?,
        };
        kept.state.seen.absorb(seen);
        kept.state.tasks.hold(claim.block, tasks);
        kept.claims.insert(claim.block, claim);
        if due.left_out > 0 {
            kept.left_out.insert(claim.block, due.left_out);
        }
        let tasks = &kept.state.tasks;
        journal.change_progress(|progress| {
            progress.counts = tasks.counts();
            progress.left += due.here;
            progress.claims += u64::from(by == HeldBy::NewClaim);
            progress.drop_block(claim.block);
            if let Some(block) = progress_of(tasks, claim, due.here + due.left_out) {
                progress.name_block(block);
            }
        });
        journal.beat()
    }

    /// Notes that a block is another launch's by now: its tasks and their records do not count here any more. What runs of it is
    /// recorded as ever.
    pub fn lose(&self, block: BlockId) {
        let mut kept = self.kept();
        kept.state.tasks.release(block);
        kept.claims.remove(&block);
        let left_out = kept.left_out.remove(&block).unwrap_or(0);
        locked(&self.journal).change_progress(|progress| {
            progress.counts = kept.state.counts();
            let left = progress.drop_block(block).map_or(0, |block| block.left);
            progress.left = progress.left.saturating_sub(left.saturating_sub(left_out));
        });
    }

    /// Whether a block is held.
    pub fn has_block(&self, block: BlockId) -> bool {
        self.kept().claims.contains_key(&block)
    }

    /// Whether a block is held by this claim.
    pub fn has_claim(&self, claim: ClaimName) -> bool {
        self.kept().claims.get(&claim.block) == Some(&claim)
    }

    /// Notes what journals now say about tasks of a held block; this many of them get no record here after all.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn learn(&self, block: BlockId, history: &mut JournalState, recorded: u64) -> io::Result<()> {
        let (mut kept, mut journal) = self.writable()?;
        if let Some(known) = history.tasks.release(block) {
            kept.state.tasks.learn(block, &known);
        }
        let first = kept.state.tasks.block(block).and_then(|tasks| tasks.indices().index_at(0));
        if let Some(index) = first {
            tell_end(&mut journal, &kept.state.tasks, index, recorded);
        }
        Ok(())
    }

    /// The counts of the tasks of everything that is held.
    pub fn counts(&self) -> TaskCounts {
        self.kept().state.counts()
    }

    /// The observed usage of tasks.
    pub fn seen(&self) -> SeenUsage {
        self.kept().state.seen
    }

    /// Tasks that are still to be run here, those running included.
    pub fn left(&self) -> u64 {
        locked(&self.journal).progress().map_or(0, |progress| progress.left)
    }

    /// The unfinished blocks that are held, and those that were announced and may have been claimed.
    pub fn unended(&self) -> Vec<BlockProgress> {
        locked(&self.journal).unended()
    }

    fn kept(&self) -> MutexGuard<'_, RecorderState> {
        locked(&self.kept)
    }

    /// Whether a look shows a newer launch of the replica, or that the run was moved away. From then on nothing is written.
    pub fn is_superseded(&self) -> bool {
        self.fence.is_closed()
    }

    /// The state to write to, unless the launch was replaced. Both parts change together, so that a heartbeat
    /// has the counts of tasks at exactly its offset in the journal: readers count from there.
    fn writable(&self) -> io::Result<(MutexGuard<'_, RecorderState>, MutexGuard<'_, JournalWriter>)> {
        self.fence.check()?;
        Ok((self.kept(), locked(&self.journal)))
    }

    /// Notes that an attempt begins; gives its number over all launches, from 1.
    ///
    /// # Errors
    /// When the journal can't be written: then it must not begin.
    pub fn begin(&self, index: u64, slot: usize, alone: bool) -> io::Result<u32> {
        let (mut kept, mut journal) = self.writable()?;
        let attempt = kept.state.tasks.begin_attempt(index);
        journal.add(&Event::Start(AttemptBegun { index, attempt, slot, alone }));
        journal.commit()?;
        journal.change_progress(|progress| progress.running += 1);
        Ok(attempt)
    }

    /// Notes that an attempt could not begin after all.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn take_back(&self, index: u64) -> io::Result<()> {
        let (mut kept, mut journal) = self.writable()?;
        kept.state.tasks.take_back_attempt(index);
        journal.change_progress(LaunchProgress::end_attempt);
        journal.add(&Event::NotStarted(TaskNamed { index }));
        journal.commit()
    }

    /// Notes that an attempt was stopped with this process: if that is killed before it writes its stop record, the task
    /// is not a suspect.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn interrupted(&self, index: u64) -> io::Result<()> {
        let (_kept, mut journal) = self.writable()?;
        journal.change_progress(LaunchProgress::end_attempt);
        journal.add(&Event::Interrupted(TaskNamed { index }));
        journal.commit()
    }

    /// Looks, now, whether the launch may still write.
    ///
    /// # Errors
    /// When it was replaced, or that is unknown.
    pub fn look_for_successor(&self) -> io::Result<()> {
        Ok(self.fence.look_patiently()?)
    }

    /// Notes that the command of an attempt has ended, and that its products will be published.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn command_ended(&self, index: u64) -> io::Result<()> {
        let (_kept, mut journal) = self.writable()?;
        journal.add(&Event::Publish(PublishingBegun::new(index, &[])));
        journal.commit()
    }

    /// Notes, so that it lasts, that these directories are about to get the names of a task's products.
    ///
    /// # Errors
    /// When the journal can't be written or synced: then they must not get them.
    pub fn announce_directories(&self, index: u64, directories: &[DirectoryId]) -> io::Result<()> {
        let announced = PublishingBegun::new(index, directories);
        let (mut kept, mut journal) = self.writable()?;
        kept.state.tasks.note_directories(&announced);
        journal.add(&Event::Publish(announced));
        journal.commit()?;
        drop((kept, journal));
        pulse::sync(&self.journal)
    }

    /// Whether an attempt of a task in this run made this directory.
    pub fn has_made(&self, index: u64, directory: DirectoryId) -> bool {
        self.kept().state.tasks.has_made(index, directory)
    }

    /// The claim by which a block is held.
    pub fn claim_to(&self, block: BlockId) -> Option<ClaimName> {
        self.kept().claims.get(&block).copied()
    }

    /// Notes how an attempt ended, and, unless it is tried again, the task's record.
    ///
    /// # Errors
    /// When the journal can't be written: the task then has no record and runs again in the next launch.
    pub fn end(
        &self,
        attempt: &Attempt<'_>,
        mut executed: Executed,
        started_at: String,
        next: NextStep,
        watch: &dyn Observer,
    ) -> io::Result<OutputKept> {
        self.fence.check()?;
        let stderr_tail = executed.failure.is_some().then(|| stderr_tail(&mut executed.stderr));
        // A full disk may have room for a record where it has none for the output.
        let (log, log_error) = match self.keep_output(attempt, &mut executed) {
            Ok(log) => (log, None),
            Err(error) => (None, Some(error)),
        };
        let record = (next == NextStep::Nothing)
            .then(|| self.record(attempt, &executed, started_at, stderr_tail.clone(), log.clone()));
        self.write_end(attempt, &executed, log.clone(), record)?;
        watch.ended(&EndedAttempt {
            attempt,
            executed: &executed,
            stderr_tail: stderr_tail.as_deref(),
            log: log.as_ref(),
            next,
        });
        Ok(log_error.map_or(OutputKept::Yes, OutputKept::No))
    }

    fn write_end(
        &self,
        attempt: &Attempt<'_>,
        executed: &Executed,
        log: Option<LogSpan>,
        record: Option<Vec<u8>>,
    ) -> io::Result<()> {
        let index = attempt.index;
        let status = Some(executed.status());
        let (mut kept, mut journal) = self.writable()?;
        journal.change_progress(LaunchProgress::end_attempt);
        journal.add(&Event::Attempt(AttemptEnded {
            index,
            attempt: attempt.number,
            status,
            cause: executed.failure.as_ref().map(|failure| failure.cause),
            exit_code: executed.end.exit_code,
            signal: executed.end.signal,
            duration_s: executed.usage.duration_s,
            cpu_s: executed.usage.cpu_s,
            max_rss_bytes: executed.usage.max_rss_bytes,
            tree_bytes: executed.tree_bytes,
            log,
            left_processes: executed.left_processes,
        }));
        let ended = TaskEnded {
            index,
            status,
            cause: executed.failure.as_ref().map(|failure| failure.cause),
            replaces: kept.has_failed(index),
            was_ok: kept.is_ok(index),
            no_result: executed.has_no_result(),
            products: MadeProducts::of(&executed.products),
        };
        let span = record.map(|record| journal.add_end(ended, &record));
        journal.commit()?;
        kept.tally.count(attempt, executed, span.is_some());
        let is_kept = ended.was_ok && span.is_some() && status == Some(Status::Failed);
        kept.tally.kept_before += u64::from(is_kept);
        kept.figures.count(index, attempt.path, executed.usage, executed.tree_bytes);
        if let Some(span) = span {
            kept.state.tasks.end(ended, (self.replica.id(), self.launch), span);
            tell_end(&mut journal, &kept.state.tasks, index, 1);
        }
        Ok(())
    }

    fn record(
        &self,
        attempt: &Attempt<'_>,
        executed: &Executed,
        started_at: String,
        stderr_tail: Option<String>,
        log: Option<LogSpan>,
    ) -> Vec<u8> {
        let failure = executed.failure.as_ref();
        let meta = RecordMeta {
            run: self.run.clone(),
            index: attempt.index,
            path: PathText::readable(attempt.path),
            status: executed.status(),
            cause: failure.map(|failure| failure.cause),
            end: executed.end,
            attempts: attempt.number,
            started_at: Some(started_at),
            usage: executed.usage,
            replica_id: self.replica.id(),
            replica_count: self.replica.count(),
            launch: self.launch,
            command: self.command.clone(),
            non_finite: executed.result.as_ref().map_or(0, |result| result.non_finite),
            products: executed.products.clone(),
            message: failure.map(|failure| failure.message.clone()),
            stderr_tail,
            log,
        };
        task_record::build(attempt.entry(), executed.result.as_ref(), &meta)
    }

    fn keep_output(&self, attempt: &Attempt<'_>, executed: &mut Executed) -> io::Result<Option<LogSpan>> {
        let Executed { stdout, stderr, failure, doubt, .. } = executed;
        let has_room = || {
            let bytes = stdout.kept_bytes() + stderr.kept_bytes();
            self.doubtful.fetch_add(bytes, Ordering::Relaxed) + bytes <= MOST_DOUBTFUL
        };
        let keep = match self.keep_logs {
            KeepLogs::All => true,
            KeepLogs::Failed => failure.is_some() || (doubt.is_some() && has_room()),
            KeepLogs::None => false,
        };
        if !keep || stdout.total() + stderr.total() == 0 {
            return Ok(None);
        }
        let head = LogHead {
            index: attempt.index,
            attempt: attempt.number,
            path: PathText::readable(attempt.path),
            stdout: stdout.kept_bytes(),
            stderr: stderr.kept_bytes(),
        };
        let mut log = locked(&self.log);
        log.append(&head, |out| {
            stdout.copy_to(out)?;
            stderr.copy_to(out)
        })
        .map(Some)
    }

    /// Notes the memory in use, for the next heartbeat.
    pub fn note_memory(&self, in_use: Option<u64>) {
        locked(&self.journal).note_memory(in_use);
    }

    /// Notes what the tasks were seen to be at, all in all.
    pub fn note_activity(&self, activity: TaskActivity) {
        self.kept().figures.activity = activity;
    }

    /// Sends an extra heartbeat: what is known now must not be lost.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn give_sign(&self) -> io::Result<()> {
        let (_kept, mut journal) = self.writable()?;
        journal.beat()
    }

    /// What this launch did.
    pub fn tally(&self) -> Counters {
        self.kept().tally.clone()
    }

    /// Writes the record of a failure without an attempt in this launch; the number says how many such tasks had to be run here.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn write_record(&self, index: u64, cause: Cause, record: &[u8], due: u64) -> io::Result<()> {
        let (mut kept, mut journal) = self.writable()?;
        let (replaces, was_ok) = (kept.has_failed(index), kept.is_ok(index));
        let (status, cause) = (Some(Status::Failed), Some(cause));
        let ended = TaskEnded { index, status, cause, replaces, was_ok, no_result: false, products: None };
        let span = journal.add_end(ended, record);
        journal.commit()?;
        kept.state.tasks.end(ended, (self.replica.id(), self.launch), span);
        tell_end(&mut journal, &kept.state.tasks, index, due);
        Ok(())
    }

    /// Which launch of its replica this is.
    pub fn launch(&self) -> u32 {
        self.launch
    }

    /// What is left when nothing runs any more.
    pub fn into_parts(self) -> RecorderParts {
        let RecorderState { state, claims, tally, figures, .. } =
            self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        RecorderParts { journal: self.journal, state, claims, tally, figures }
    }
}

impl RecorderState {
    /// Whether the task counts as failed so far.
    fn has_failed(&self, index: u64) -> bool {
        self.state.tasks.get(index).state.status() == Some(Status::Failed)
    }

    /// Whether it counts as ok: it was named to run again.
    fn is_ok(&self, index: u64) -> bool {
        self.state.tasks.get(index).state == TaskState::Ok
    }
}

/// How a launch is with a block of which so many tasks are to be run; `None` once it has ended it.
fn progress_of(tasks: &TaskTable, claim: ClaimName, left: u64) -> Option<BlockProgress> {
    let counts = tasks.block(claim.block).filter(|_| left > 0)?.counts();
    Some(BlockProgress { claim, files: counts.files, ok: counts.ok, failed: counts.failed, left })
}

/// Updates what heartbeats report after the record of a task; the number says how many such tasks had to be run.
fn tell_end(journal: &mut JournalWriter, tasks: &TaskTable, index: u64, due: u64) {
    let mut is_news = false;
    journal.change_progress(|progress| is_news = count_end(progress, tasks, index, due));
    if is_news {
        // Where it can't be written, the next line finds out.
        let _ = journal.beat();
    }
}

/// Counts the record of a task; returns whether other launches must see it at once.
fn count_end(progress: &mut LaunchProgress, tasks: &TaskTable, index: u64, due: u64) -> bool {
    if !tasks.is_noted(index) {
        // Its block belongs to another launch by now, and readers count each record until a heartbeat corrects that.
        return true;
    }
    progress.counts = tasks.counts();
    progress.left = progress.left.saturating_sub(due);
    let block = tasks.block_of(index);
    let named = progress.blocks.iter().position(|named| Some(named.claim.block) == block);
    let Some(at) = named else { return false };
    let BlockProgress { claim, left, .. } = progress.blocks[at];
    let now = progress_of(tasks, claim, left.saturating_sub(due));
    match now {
        Some(now) => progress.blocks[at] = now,
        None => _ = progress.blocks.remove(at),
    }
    now.is_none()
}

impl Executed {
    /// Ok or failed.
    pub fn status(&self) -> Status {
        if self.failure.is_none() { Status::Ok } else { Status::Failed }
    }

    /// Whether it is ok and has no result, although one was expected.
    pub fn has_no_result(&self) -> bool {
        self.failure.is_none() && matches!(self.doubt, Some(ResultDoubt::NoResult(_)))
    }
}

impl Counters {
    fn count(&mut self, attempt: &Attempt<'_>, executed: &Executed, is_last: bool) {
        self.attempts += 1;
        self.peak_bytes = self.peak_bytes.max(executed.usage.max_rss_bytes);
        if !is_last {
            return;
        }
        match executed.status() {
            Status::Ok => {
                self.ok += 1;
                self.failed_in_a_row = 0;
                self.ok_after_retry += u64::from(attempt.number > 1);
                self.non_finite += executed.result.as_ref().map_or(0, |result| result.non_finite);
            }
            Status::Failed => {
                self.failed += 1;
                self.failed_in_a_row += 1;
            }
        }
    }
}

/// The end of standard error as valid text: at most [`STDERR_TAIL`] bytes, from the start of a character.
fn stderr_tail(stderr: &mut Capture) -> String {
    let bytes = stderr.tail(STDERR_TAIL).unwrap_or_default();
    // Cut in the middle of a character, the tail begins with the rest of it.
    let rest = bytes.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
    let text = String::from_utf8_lossy(&bytes[rest..]);
    let start = (text.len().saturating_sub(STDERR_TAIL)..=text.len()).find(|at| text.is_char_boundary(*at));
    text[start.unwrap_or(0)..].trim_end().to_owned()
}

#[cfg(test)]
mod tests;
