//! How one attempt of a task is executed. Here, each has a process of its own; other ways implement
//! [`Execute`], too.

use std::ffi::{CString, OsStr, OsString};
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::exit_code::ExitCode;
use crate::model::entries::Entry;
use crate::model::outcome::{Cause, Failure, OkCodes, ProcessEnd, Usage};
use crate::model::product::{Checksum, Product};
use crate::model::replica::Replica;
use crate::process::capture::Capture;
use crate::process::child::{self, Finished, Spec};
use crate::process::descendants::TASK_ID;
use crate::process::registry::{ProcessRegistry, Registration};
use crate::process::shutdown::Shutdown;
use crate::process::spawn::{Program, SpawnError, Spawner, Variables, variable};
use crate::process::supervisor::{AttemptLimits, EndedBy};
use crate::products::declared::DeclaredProducts;
use crate::record::task_record::TaskResult;
use crate::run::entry_names::EntryNames;
use crate::run::environment::TaskEnvironment;
use crate::run::memory::out_of_memory;
use crate::run::result::{Extracted, ResultDoubt, ResultRule};
use crate::run::scratch::{Scratch, SlotScratch};
use crate::run::verdict;
use crate::run::worker::WorkerKind;
use crate::template::{TaskPlace, Template};

/// The variables in the environment that differ for each task.
pub(super) const OWN_VARIABLES: [&str; 9] = [
    TASK_ID,
    "CANFAR_TASK_FILE",
    "CANFAR_TASK_INDEX",
    "CANFAR_TASK_SLOT",
    "CANFAR_TASK_ATTEMPT",
    "CANFAR_TASK_RESULT",
    "CANFAR_TASK_TMPDIR",
    "TMPDIR",
    "CANFAR_TASK_ROW",
];

/// Linux takes no variable that is longer, bytes with its name.
const LONGEST_VARIABLE: usize = 128 * 1024 - 64;

/// One attempt to make.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The list entry, as records have it.
    pub path: &'a OsStr,
    /// The value of `{rel}` for it, if the list has one.
    pub rel: Option<&'a OsStr>,
    /// The row of a table that it stands for.
    pub row: Option<&'a [u8]>,
    /// Its index in the list.
    pub index: u64,
    /// Which attempt of the task, over all launches, from 1.
    pub number: u32,
    /// Whether nothing else runs at the same time.
    pub alone: bool,
    /// The paths to write its products to, in the order of their declaration: temporary names.
    pub outs: &'a [PathBuf],
}

impl<'a> Attempt<'a> {
    /// Of an entry whose products have no places yet.
    pub fn of(entry: Entry<'a>, index: u64, number: u32, alone: bool) -> Self {
        let Entry { path, rel, row, .. } = entry;
        Self { path, rel, row, index, number, alone, outs: &[] }
    }

    /// The entry as the list has it, but for its size.
    pub fn entry(&self) -> Entry<'a> {
        Entry { path: self.path, size: None, rel: self.rel, row: self.row }
    }
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Executed {
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// How its process ended.
    pub end: ProcessEnd,
    /// What it used.
    pub usage: Usage,
    /// The most memory that all its processes together were seen to have, bytes; `None` if it was not measured often enough.
    pub tree_bytes: Option<u64>,
    /// Its result.
    pub result: Option<TaskResult>,
    /// What it made, of the products that were declared; published. Of a failed one none.
    pub products: Vec<Product>,
    /// What may be wrong although it is ok.
    pub doubt: Option<ResultDoubt>,
    /// What it printed.
    pub stdout: Capture,
    /// What it printed to standard error.
    pub stderr: Capture,
    /// Processes that it left behind and that were killed.
    pub left_processes: u32,
}

impl Executed {
    /// For an attempt that failed before anything was started for it.
    pub(super) fn not_begun(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            end: ProcessEnd::default(),
            usage: Usage::default(),
            tree_bytes: None,
            result: None,
            products: Vec::new(),
            doubt: None,
            stdout: Capture::nothing(),
            stderr: Capture::nothing(),
            left_processes: 0,
        }
    }
}

/// What may come of executing.
#[derive(Debug)]
pub enum Execution {
    /// The attempt was made.
    Completed(Box<Executed>),
    /// It was stopped with this process: neither a success nor a failure.
    Stopped,
    /// The system is short of something: to be tried again later.
    Short(std::io::Error),
    /// The command can't be started for any file.
    CannotStart(String, ExitCode),
}

impl Execution {
    /// For want of what every task needs.
    pub(super) fn cannot_start(error: &anyhow::Error) -> Self {
        Self::CannotStart(format!("{error:#}"), ExitCode::of_error(error))
    }
}

/// One slot's way of executing attempts, one after the other.
pub trait Execute: Send {
    /// Makes one attempt and stays until it ended.
    fn execute(&mut self, attempt: &Attempt<'_>) -> Execution;

    /// Removes what the attempt left in its temporary folder, once that is recorded: it may be much, on slow storage.
    fn clear_up(&mut self) {}

    /// Lets go of what it keeps from attempt to attempt, processes above all; gone when this returns.
    fn let_go(&mut self) {}
}

/// `--chdir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkFolder {
    /// Where canfar-run was started.
    Inherited,
    /// One for all.
    Fixed(PathBuf),
    /// Each task its own temporary one.
    Task,
}

impl WorkFolder {
    /// The one for all, if there is one.
    pub fn fixed(&self) -> Option<&Path> {
        match self {
            Self::Fixed(folder) => Some(folder),
            Self::Inherited | Self::Task => None,
        }
    }
}

/// In what processes attempts are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecMode {
    /// One for each.
    Own,
    /// Long-lived workers.
    Workers {
        /// What they are.
        kind: WorkerKind,
        /// Restarted after this many tasks (`--worker-tasks`).
        tasks: Option<NonZeroU64>,
    },
}

fn own_names(out_variables: &[(String, usize)]) -> Vec<&str> {
    OWN_VARIABLES.into_iter().chain(out_variables.iter().map(|(name, _)| name.as_str())).collect()
}

/// What all processes of a launch have in common.
#[derive(Debug)]
pub struct ProcessSettings {
    /// The command.
    pub template: Template,
    /// What entries are called in it.
    pub names: EntryNames,
    /// In what processes.
    pub mode: ExecMode,
    /// The file of its first word, where that has no placeholder.
    pub program: Option<PathBuf>,
    /// What the tasks share of their environment.
    pub environment: TaskEnvironment,
    /// The run id.
    pub run: String,
    /// The identity of this replica.
    pub replica: Replica,
    /// Which launch this is.
    pub launch: u32,
    /// Where tasks run.
    pub work_folder: WorkFolder,
    /// How long an attempt may take.
    pub limits: AttemptLimits,
    /// What of its output is the result.
    pub result: ResultRule,
    /// What each task makes.
    pub products: DeclaredProducts,
    /// Whether that is hashed.
    pub checksum: Checksum,
    /// Exit codes that are no failure.
    pub ok_codes: OkCodes,
}

/// What all slots of a launch share.
#[derive(Debug, Clone, Copy)]
pub struct SlotContext<'a> {
    /// How tasks are run.
    pub settings: &'a ProcessSettings,
    /// Starts their processes.
    pub spawner: &'a Spawner,
    /// Ends them early.
    pub stop: &'a Shutdown,
    /// Where their processes are known by.
    pub registry: &'a ProcessRegistry,
    /// Where their temporary folders are made.
    pub scratch: &'a Scratch,
}

/// Starts a process for each attempt.
#[derive(Debug)]
pub struct ProcessSlot<'a> {
    context: SlotContext<'a>,
    slot: usize,
    registration: Registration<'a>,
    scratch: SlotScratch,
    /// What all its tasks have in their environment.
    common: Vec<CString>,
    /// The variables with product paths, each with the position of its product.
    out_variables: Vec<(String, usize)>,
    /// Whether the temporary folder is empty again. What is wrong with it is no fault of the attempt before.
    ready: anyhow::Result<()>,
}

impl<'a> ProcessSlot<'a> {
    /// For slot 1..=jobs.
    ///
    /// # Errors
    /// When its temporary folder can't be made.
    pub fn new(context: SlotContext<'a>, slot: usize) -> anyhow::Result<Self> {
        let out_variables = context.settings.products.variables();
        let own = own_names(&out_variables);
        Ok(Self {
            context,
            slot,
            registration: context.registry.register(slot),
            scratch: context.scratch.slot()?,
            common: context.settings.environment.lines(&own),
            out_variables,
            ready: Ok(()),
        })
    }

    /// The names of the variables that it sets itself.
    fn own_names(&self) -> Vec<&str> {
        own_names(&self.out_variables)
    }

    fn task_id(&self, attempt: &Attempt<'_>) -> OsString {
        let ProcessSettings { run, launch, replica, .. } = self.context.settings;
        let Attempt { index, number, .. } = attempt;
        self.context
            .settings
            .environment
            .task_id(&format!("{run}.{index}.{}.{launch}.{number}", replica.id()))
    }

    /// The values of [`OWN_VARIABLES`], and where to write products.
    fn variables(
        &self,
        attempt: &Attempt<'_>,
        place: &TaskPlace<'_>,
        task_id: &OsStr,
        result_file: &Path,
    ) -> std::io::Result<Vec<CString>> {
        let (tmp, path) = (self.scratch.tmp().as_os_str(), place.path);
        let [index, slot, number] =
            [attempt.index.to_string(), self.slot.to_string(), attempt.number.to_string()]
                .map(OsString::from);
        let row = attempt.row.filter(|row| row.len() <= LONGEST_VARIABLE).map(OsStr::from_bytes);
        let values = [task_id, path, &index, &slot, &number, result_file.as_os_str(), tmp, tmp];
        let values = values.into_iter().chain(row);
        let outs = self
            .out_variables
            .iter()
            .filter_map(|(name, place)| Some((name.as_str(), attempt.outs.get(*place)?.as_os_str())));
        let lines =
            OWN_VARIABLES.into_iter().zip(values).chain(outs).map(|(name, value)| variable(name, value));
        let mut lines: Vec<CString> = lines.collect::<std::io::Result<_>>()?;
        lines.extend(self.context.settings.environment.own_lines(&self.own_names(), place)?);
        Ok(lines)
    }

    fn folder(&self) -> Option<&Path> {
        match &self.context.settings.work_folder {
            WorkFolder::Inherited => None,
            WorkFolder::Fixed(folder) => Some(folder),
            WorkFolder::Task => Some(self.scratch.tmp()),
        }
    }

    fn judge(
        &self,
        finished: &Finished,
        result_file: &Path,
        stdout: &mut Capture,
    ) -> Result<Extracted, Failure> {
        let settings = self.context.settings;
        if let Some(failure) = verdict::failure(finished, settings) {
            return Err(failure);
        }
        settings
            .result
            .extract(result_file, stdout)
            .map_err(|bad| Failure { cause: Cause::Result, message: bad.0 })
    }

    fn spawn_failed(
        &self,
        error: &std::io::Error,
        argv: &[OsString],
        stdout: Capture,
        stderr: Capture,
    ) -> Execution {
        let program = argv.first().cloned().unwrap_or_default();
        let message = format!("can't start {}: {error}", program.display());
        // Too long an argument list is this file's fault; a program that can't be executed fails for every file.
        let of_this_file = error.raw_os_error() == Some(rustix::io::Errno::TOOBIG.raw_os_error());
        if self.context.settings.program.is_some() && !of_this_file {
            return Execution::CannotStart(message, ExitCode::of_io_error(error));
        }
        let failure = Failure { cause: Cause::Spawn, message };
        Execution::Completed(Box::new(Executed { stdout, stderr, ..Executed::not_begun(failure) }))
    }
}

impl Execute for ProcessSlot<'_> {
    fn execute(&mut self, attempt: &Attempt<'_>) -> Execution {
        let settings = self.context.settings;
        if let Err(error) = std::mem::replace(&mut self.ready, Ok(())) {
            return Execution::cannot_start(&error);
        }
        let replica = settings.replica.id();
        let path = settings.names.path(attempt.path);
        let place = TaskPlace {
            path: &path,
            rel: settings.names.rel(attempt.path, attempt.rel),
            index: attempt.index,
            slot: self.slot,
            replica,
            outs: attempt.outs,
            row: attempt.row,
        };
        let argv = settings.template.render(&place);
        let result_file = self.scratch.result_file(attempt.index, attempt.number);
        let task_id = self.task_id(attempt);
        let program = settings
            .program
            .as_ref()
            .map(|program| program.as_os_str())
            .or(argv.first().map(OsString::as_os_str));
        let mut stdout = Capture::new(self.scratch.root());
        let mut stderr = Capture::new(self.scratch.root());
        let run = |own: Vec<CString>| {
            let spec = Spec {
                spawner: self.context.spawner,
                program: Program {
                    file: program.unwrap_or_default(),
                    argv: &argv,
                    environment: Variables { common: &self.common, own: &own },
                    folder: self.folder(),
                    input: None,
                },
                limits: settings.limits,
                registration: self.registration,
                task_id: &task_id,
            };
            child::run(&spec, self.context.stop, &mut stdout, &mut stderr)
        };
        let own = self.variables(attempt, &place, &task_id, &result_file);
        let finished = match own.map_err(SpawnError::from).and_then(run) {
            Ok(finished) => finished,
            Err(SpawnError::Short(error)) => return Execution::Short(error),
            Err(SpawnError::Impossible(error)) => return self.spawn_failed(&error, &argv, stdout, stderr),
        };
        let judged = self.judge(&finished, &result_file, &mut stdout);
        let _ = std::fs::remove_file(&result_file);
        if finished.ended_by == Some(EndedBy::Stop) || verdict::was_told_with_us(&finished, self.context.stop)
        {
            return Execution::Stopped;
        }
        let (Extracted { result, doubt }, failure) = match judged {
            Ok(extracted) => (extracted, None),
            Err(failure) => (
                Extracted::default(),
                Some(
                    out_of_memory(&finished, self.registration.registry(), attempt.alone).unwrap_or(failure),
                ),
            ),
        };
        if failure.as_ref().is_none_or(|failure| failure.cause != Cause::Oom) {
            self.registration.registry().ended(finished.held.tree_bytes.or(finished.usage.max_rss_bytes));
        }
        Execution::Completed(Box::new(Executed {
            failure,
            end: finished.end,
            usage: finished.usage,
            tree_bytes: finished.held.tree_bytes,
            result,
            products: Vec::new(),
            doubt,
            stdout,
            stderr,
            left_processes: finished.left_processes,
        }))
    }

    fn clear_up(&mut self) {
        self.ready = self.scratch.renew();
    }
}
