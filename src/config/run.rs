//! The settings of `run`, worked out from its arguments and its environment. Past this point nothing is "maybe given".

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::fs::{Access, access};

use crate::cli::{InputArgs, MessageArgs, RunArgs, TaskArgs};
use crate::config::balance::is_balanced;
use crate::config::continued::{ContinuedRun, source_of};
use crate::config::foreign_placeholder;
use crate::config::identity::{ReplicaIdentity, identify};
use crate::config::layers::Layers;
use crate::config::products::{declared_products, vocabulary};
use crate::config::progress::progress_of;
use crate::config::resources::Resources;
use crate::config::script;
use crate::config::shell_words;
use crate::config::test_times::{advice_after, launch_heartbeat_times, worker_idle};
use crate::config::usage_errors::lost_quotes;
use crate::environment::Environment;
use crate::host::cgroup::{Cgroup, MemoryGroup};
use crate::host::limits::JobsRule;
use crate::listing::{Makes, Rules, Since, SizeLookup};
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::call_target::CallTarget;
use crate::model::outcome::{OkCodes, Rerun};
use crate::model::product::Checksum;
use crate::model::provenance::NamedFile;
use crate::model::replica::Replica;
use crate::model::row::Column;
use crate::model::shares::Strategy;
use crate::process::program::{self, ProgramError};
use crate::process::supervisor::AttemptLimits;
use crate::products::declared::DeclaredProducts;
use crate::record::command_files;
use crate::record::family::ParentRun;
use crate::record::inputs::{CallCommand, DeclaredProduct, InputSpec, Settings, TaskCommand};
use crate::run::call::{Offered, PythonCall};
use crate::run::entry_names::EntryNames;
use crate::run::environment::TaskEnvironment;
use crate::run::execute::{ExecMode, WorkFolder};
use crate::run::recorder::KeepLogs;
use crate::run::result::{ResultKind, ResultRule};
use crate::run::retries::Retries;
use crate::run::schedule::MaxFailures;
use crate::run::scratch;
use crate::run::worker::WorkerKind;
use crate::template::{EntryKind, Template, Vocabulary, first_out, quoted};
use crate::terminal::console::Verbosity;
use crate::terminal::progress::ProgressMode;
use crate::text::OsText;
use crate::units;

/// Settings of one launch.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a policy of its own")]
pub struct RunConfig {
    /// Where files come from; `None` for the run's own list.
    pub input_spec: Option<InputSpec>,
    /// The run that it continues: its files are left out.
    pub parent: Option<ParentRun>,
    /// Whether patterns may match nothing.
    pub allow_empty: bool,
    /// Whether the runs of `--input-from` may be incomplete.
    pub allow_missing: bool,
    /// The run's directory, absolute.
    pub results_dir: PathBuf,
    /// Which replica this is.
    pub identity: ReplicaIdentity,
    /// Whether this container acts as another one, and finishes what that left.
    pub acts_as_another: bool,
    /// How the list is shared out.
    pub strategy: Strategy,
    /// Whether replicas continue with files that others have not begun, in a run that this launch begins.
    pub balance: bool,
    /// What the user asked for about that; `None`: an existing run keeps its setting.
    pub asked_balance: Option<bool>,
    /// With `balance`, a launch without a heartbeat for this long counts as dead.
    pub takeover_after: Duration,
    /// The command as it is kept.
    pub command: TaskCommand,
    /// The command as it is rendered.
    pub template: Template,
    /// In what processes tasks are done.
    pub manner: ExecMode,
    /// The file of its first word, where that has no placeholder and was looked for.
    pub program: Option<PathBuf>,
    /// CPUs that may be used.
    pub cpus: f64,
    /// Stands for them, as [`cpu_set`](crate::host::limits::cpu_set) tells.
    pub cpu_set: Option<u32>,
    /// The memory group that binds, if one does.
    pub memory: Option<MemoryGroup>,
    /// Tasks at a time; the most, where that is measured.
    pub jobs: usize,
    /// Whether it is.
    pub jobs_rule: JobsRule,
    /// What tasks share of their environment.
    pub environment: TaskEnvironment,
    /// Limits of one attempt.
    pub limits: AttemptLimits,
    /// Extra attempts.
    pub retries: Retries,
    /// When failures end the launch.
    pub max_failures: MaxFailures,
    /// No new task after this long.
    pub deadline: Option<Duration>,
    /// Which failed tasks run again.
    pub rerun: Rerun,
    /// Where tasks run.
    pub work_folder: WorkFolder,
    /// Where temporary folders may go, best first.
    pub scratch: Vec<PathBuf>,
    /// What a result is.
    pub result: ResultRule,
    /// Which tasks' output is kept.
    pub keep_logs: KeepLogs,
    /// What each task makes.
    pub products: Vec<DeclaredProduct>,
    /// Whether products are hashed.
    pub checksum: Checksum,
    /// Exit codes that are no failure.
    pub ok_codes: OkCodes,
    /// Whether another command than the run's is accepted.
    pub accept_changed_command: bool,
    /// Whether a run that is complete at the end is merged.
    pub merge: bool,
    /// Whether commands are printed only.
    pub is_dry: bool,
    /// The verbosity of messages.
    pub verbosity: Verbosity,
    /// The heartbeat interval and timeout.
    pub heartbeat: HeartbeatTimes,
    /// After how long a warning about an idle worker is printed.
    pub worker_idle: Duration,
    /// How long a launch must have lasted for advice on how to start the next.
    pub advice_after: Duration,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// Whether the summary goes to stdout as JSON.
    pub json: bool,
    /// Options that are not defaults, for the journal.
    pub options: BTreeMap<String, serde_json::Value>,
    /// What is odd about it but no error.
    pub warnings: Vec<String>,
    /// What to say of words in braces that are no placeholders, once it is known what can be named.
    pub unknown_words: Option<String>,
    /// The platform's session id.
    pub session: Option<String>,
    /// The part that the run's list keeps.
    pub settings: Settings,
    /// What is relative in the command is so to this folder.
    pub cwd: PathBuf,
    /// Where this process was started.
    pub started_in: PathBuf,
}

impl RunConfig {
    /// Works it out.
    ///
    /// # Errors
    /// When options contradict each other, the command is missing or can't run, or the identity is unclear.
    pub fn resolve(args: &RunArgs, layers: Layers, environment: &Environment) -> anyhow::Result<Self> {
        let continued = layers.continued.as_ref();
        let input_spec = source_of(&args.inputs, continued, environment)?;
        let (id, count) = (args.share.replica_id.as_deref(), args.share.replica_count.as_deref());
        let identity = identify(id, count, &layers.identity, environment)?;
        let source = input_spec.as_ref();
        let products = declared_products(&args.results.product, &vocabulary(source, &[]))?;
        let names = vocabulary(source, &products);
        let command = command_of(&args.tasks, &args.inputs, environment)?;
        refuse_undeclared_out(&command, &products)?;
        let template = template_of(&command, is_worker(&args.tasks), &names)?;
        let results_dir = place("--results-dir", &args.results.results_dir, environment)?;
        continued.map(|continued| continued.refuse_same_place(&results_dir)).transpose()?;
        let resources = Resources::resolve(&args.tasks, &Cgroup::of_this_process())?;
        let env = &layers.settings.env;
        let stays = is_worker(&args.tasks) || args.tasks.call.is_some();
        let tasks = TaskEnvironment::new(&environment.variables, identity.replica, resources.threads, env)
            .with_values(env, &names, stays)?;
        let work_folder = work_folder(args.tasks.chdir.as_deref(), environment)?;
        let (cwd, work_folder) = as_given(&layers.settings, work_folder, environment)?;
        let manner = manner_of(args, &command, &cwd)?;
        let messages = &args.messages;
        let verbosity = verbosity_of(messages)?;
        let (progress, note) = progress_of(messages.progress, verbosity, environment);
        let scratch = scratch_of(args.tasks.tmp_dir.as_deref(), &results_dir, environment)?;
        Ok(Self {
            input_spec,
            parent: layers.continued.as_ref().map(ContinuedRun::parent),
            allow_empty: args.inputs.allow_empty.unwrap_or(false),
            allow_missing: args.inputs.allow_missing.unwrap_or(false),
            balance: is_balanced(args.share.balance, args.share.strategy, identity.replica.count()),
            identity,
            acts_as_another: false,
            asked_balance: args.share.balance,
            takeover_after: args.share.takeover_after,
            strategy: args.share.strategy,
            program: None,
            cpus: resources.cpus,
            cpu_set: resources.cpu_set,
            memory: resources.memory,
            jobs: resources.jobs,
            jobs_rule: resources.rule,
            environment: tasks,
            limits: AttemptLimits { timeout: args.tasks.timeout, grace: args.tasks.grace },
            retries: Retries { extra: args.tasks.retries, delay: args.tasks.retry_delay },
            max_failures: args.tasks.max_failures,
            deadline: args.tasks.deadline,
            rerun: args.tasks.rerun,
            work_folder,
            scratch,
            result: ResultRule { kind: args.results.result, max_bytes: args.results.max_result },
            keep_logs: args.results.logs,
            checksum: args.results.checksum,
            ok_codes: args.results.ok_codes.clone().unwrap_or_default(),
            merge: args.results.merge.unwrap_or(false),
            accept_changed_command: args.results.accept_changed_command.unwrap_or(false),
            is_dry: args.dry_run.unwrap_or(false),
            verbosity,
            heartbeat: launch_heartbeat_times(environment, args.share.takeover_after)?,
            worker_idle: worker_idle(environment)?,
            advice_after: advice_after(environment)?,
            progress,
            json: messages.json.unwrap_or(false),
            warnings: warnings_of(
                &command,
                &template,
                tmpdir_note(args.tasks.tmp_dir.as_deref(), environment)
                    .into_iter()
                    .chain(resources.notes)
                    .chain(note),
            ),
            products,
            unknown_words: None,
            options: layers.options,
            settings: layers.settings,
            session: environment.get(SESSION).map(|session| session.to_string_lossy().into_owned()),
            cwd,
            started_in: environment.cwd.clone(),
            command,
            template,
            manner,
            results_dir,
        })
    }

    /// The same with its program, which must be there before anything begins.
    ///
    /// # Errors
    /// When there is no such program, or it can't be executed.
    pub fn with_program(self) -> anyhow::Result<Self> {
        let path = self.environment.get("PATH");
        let program = match (self.template.program(), &self.command) {
            (Some(name), TaskCommand::Call(_)) => Some(
                python_of(name, path, self.command_folder())
                    .with_context(|| format!("--python {}", units::path(name)))?,
            ),
            (_, TaskCommand::Argv(words)) => self.program_of(words)?,
            (Some(name), TaskCommand::Shell(_)) => Some(program::find(name, path, &self.cwd)?),
            (None, TaskCommand::Shell(_) | TaskCommand::Call(_)) => None,
        };
        if let Some(call) = self.call() {
            call.check_file()?;
        }
        Ok(Self { program, ..self })
    }

    /// The same with its program, for tasks none of which has run yet: an interpreter's script must be there, too.
    ///
    /// # Errors
    /// As [`Self::with_program`], and when there is no such script where tasks start.
    pub fn with_program_and_script(self) -> anyhow::Result<Self> {
        let config = self.with_program()?;
        config.missing_script().map_or(Ok(config), |why| Err(anyhow::anyhow!(why)))
    }

    /// What is wrong if the command is an interpreter's, and its script is not where tasks start on this host.
    pub fn missing_script(&self) -> Option<String> {
        match &self.command {
            TaskCommand::Argv(words) => script::missing(&plain(words), self.tasks_folder()),
            TaskCommand::Shell(_) | TaskCommand::Call(_) => None,
        }
    }

    /// The file of a command's first word, where that has no placeholder.
    fn program_of(&self, words: &[OsText]) -> anyhow::Result<Option<PathBuf>> {
        let path = self.environment.get("PATH");
        let found = match (self.template.program(), words.first()) {
            (Some(name), _) => program::find(name, path, &self.cwd).map(Some),
            (None, Some(word)) => program::not_a_whole_line(&word.0, path, &self.cwd).map(|()| None),
            (None, None) => Ok(None),
        };
        match found {
            Ok(Some(file)) => Ok(Some(file)),
            found => match shell_words::no_program(&plain(words)) {
                Some(why) => bail!(why),
                None => Ok(found?),
            },
        }
    }

    /// The same for a run with entries from `source`, which says what its command can name.
    ///
    /// # Errors
    /// When the command, or a variable of the tasks, names what there is not.
    pub fn for_source(&self, source: &InputSpec) -> anyhow::Result<Self> {
        let names = vocabulary(Some(source), &self.products);
        let is_worker = matches!(self.manner, ExecMode::Workers { kind: WorkerKind::Command, .. });
        let (environment, mut manner) = (self.environment.clone(), self.manner.clone());
        if let ExecMode::Workers { kind: WorkerKind::Function(call), .. } = &mut manner {
            let names = |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect();
            let mut columns = source.columns().unwrap_or_default().iter();
            if let Some(column) = columns.find(|column| Offered::has(&column.name)) {
                bail!(
                    "--call {}: the column `{}` is called like a parameter that means something else (row: the whole row, tmpdir: a folder): give it another name",
                    call.target,
                    column.name
                );
            }
            call.offered.path = source.entry_kind() == EntryKind::Files;
            call.offered.columns = source.columns().map(names);
        }
        Ok(Self {
            template: template_of(&self.command, is_worker, &names)?,
            unknown_words: self.unknown_words_with(source),
            manner,
            environment: environment.with_values(&self.settings.env, &names, self.manner != ExecMode::Own)?,
            ..self.clone()
        })
    }

    /// What to say of words in braces that are no placeholders in a run with entries from `source`.
    fn unknown_words_with(&self, source: &InputSpec) -> Option<String> {
        let of_command: Vec<&OsText> = match &self.command {
            TaskCommand::Argv(words) => words.iter().collect(),
            TaskCommand::Shell(script) => vec![script],
            TaskCommand::Call(_) => Vec::new(),
        };
        let of_products = self.products.iter().map(|product| &product.path);
        let words = of_command.into_iter().chain(of_products).map(|word| word.0.to_string_lossy());
        let words: Vec<_> = words.chain(self.settings.env.values().map(Into::into)).collect();
        let columns = source.columns().unwrap_or_default();
        foreign_placeholder::note(words.iter().map(|word| &**word), columns)
    }

    /// The same with tasks that start in `folder`, which also what is relative in the command then means.
    #[must_use]
    pub fn at_home_in(&self, folder: &Path) -> Self {
        Self { cwd: folder.to_owned(), work_folder: WorkFolder::Fixed(folder.to_owned()), ..self.clone() }
    }

    /// What tasks of a run with entries from `source` make that was begun in `folder`.
    ///
    /// # Errors
    /// When a path can't be used.
    pub fn declared_products(&self, source: &InputSpec, folder: &Path) -> anyhow::Result<DeclaredProducts> {
        Ok(DeclaredProducts::new(&self.products, source, folder)?)
    }

    /// What entries of a run that was begun in `folder` are called in tasks, or in commands that are printed here.
    pub fn entry_names(&self, source: &InputSpec, folder: &Path) -> EntryNames {
        let names = EntryNames::new(&self.template, source);
        let runs_there = match &self.work_folder {
            WorkFolder::Inherited => self.started_in == folder,
            WorkFolder::Fixed(fixed) => fixed == folder,
            WorkFolder::Task => false,
        };
        let is_read_there = !self.is_dry || self.started_in == folder;
        match source {
            InputSpec::List { .. } if !(runs_there && is_read_there) => names.seen_from_elsewhere(folder),
            InputSpec::List { .. }
            | InputSpec::Patterns { .. }
            | InputSpec::Numbers { .. }
            | InputSpec::Table { .. }
            | InputSpec::Products { .. } => names,
        }
    }

    /// The same for the replica that this process acts as, `elapsed` after it began.
    #[must_use]
    pub fn on_behalf_of(&self, replica: Replica, elapsed: Duration) -> Self {
        let config = self.clone();
        Self {
            identity: ReplicaIdentity { replica, unknown_in: None },
            acts_as_another: true,
            environment: config.environment.of_replica(replica, &config.settings.env),
            deadline: config.deadline.map(|deadline| deadline.saturating_sub(elapsed)),
            ..config
        }
    }

    /// How its list is made.
    pub fn listing_rules(&self) -> Rules<'_> {
        let replicas = self.identity.replica.count();
        let sizes = match self.strategy {
            Strategy::Size => SizeLookup::Needed,
            _ if self.balance && replicas > 1 && !self.is_dry => SizeLookup::ForBlocks { replicas },
            _ => SizeLookup::None,
        };
        Rules {
            allow_empty: self.allow_empty,
            allow_missing: self.allow_missing,
            sizes,
            results_dir: &self.results_dir,
            heartbeat: self.heartbeat,
            makes: Some(Makes {
                products: &self.products,
                template: Some(&self.template),
                folder: &self.cwd,
            }),
            since: self.parent.as_ref().map(|parent| Since { parent, folder: &self.cwd }),
        }
    }

    /// The function that is called.
    pub fn call(&self) -> Option<&PythonCall> {
        match &self.manner {
            ExecMode::Workers { kind: WorkerKind::Function(call), .. } => Some(call),
            ExecMode::Own | ExecMode::Workers { .. } => None,
        }
    }

    /// The same with a function whose file is looked for in `folder`, where the run was begun, if that is to be seen here.
    #[must_use]
    pub fn calling_from(&self, folder: Option<&Path>) -> Self {
        let mut config = self.clone();
        if let (ExecMode::Workers { kind: WorkerKind::Function(call), .. }, Some(folder)) =
            (&mut config.manner, folder.filter(|folder| folder.is_dir()))
        {
            folder.clone_into(&mut call.home);
        }
        config
    }

    /// Whether a task is told where to write its products otherwise than by its variables: `{out}` in the command or a variable
    /// of the user's, or the request of a worker.
    pub fn has_out(&self) -> bool {
        let in_command = match &self.command {
            TaskCommand::Argv(words) => words.iter().any(|word| first_out(&word.0).is_some()),
            TaskCommand::Shell(script) => first_out(&script.0).is_some(),
            TaskCommand::Call(_) => true,
        };
        let in_variables =
            || self.settings.env.iter().any(|(_, value)| first_out(OsStr::new(value)).is_some());
        self.manner != ExecMode::Own || in_command || in_variables()
    }

    /// The folder that relative names of files in the command are relative to.
    pub fn command_folder(&self) -> &Path {
        self.call().map_or(&self.cwd, |call| &call.home)
    }

    /// The scripts and settings files named in the command that don't exist where its tasks start.
    pub fn missing_files(&self) -> Vec<&OsString> {
        // A program is found elsewhere, and a function's file is looked for by itself.
        let words = if self.call().is_some() { &[] } else { self.template.words() };
        let words = if words.first().map(OsString::as_os_str) == self.template.program() {
            words.get(1..).unwrap_or_default()
        } else {
            words
        };
        command_files::missing(words, self.tasks_folder())
    }

    /// Where tasks start, if that is one folder.
    fn tasks_folder(&self) -> Option<&Path> {
        match &self.work_folder {
            WorkFolder::Inherited => Some(&*self.started_in),
            WorkFolder::Fixed(folder) => Some(&**folder),
            WorkFolder::Task => None,
        }
    }

    /// The small files that the command names, with their digests.
    pub fn command_files(&self) -> Vec<NamedFile> {
        let of_call = self.call().map(|call| Vec::from_iter(call.source_file()));
        let words = of_call.as_deref().unwrap_or(self.template.words());
        command_files::digests(words, self.command_folder())
    }
}

/// The verbosity.
///
/// # Errors
/// When options contradict each other.
pub fn verbosity_of(messages: &MessageArgs) -> anyhow::Result<Verbosity> {
    match (messages.verbose.unwrap_or(false), messages.quiet.unwrap_or(false)) {
        (true, true) => bail!("--verbose and --quiet contradict each other: give one of them"),
        (true, false) => Ok(Verbosity::Verbose),
        (false, true) => Ok(Verbosity::Quiet),
        (false, false) => Ok(Verbosity::Normal),
    }
}

/// In which processes tasks run. The function of `--call` is looked up in `home` if its path is relative.
fn manner_of(args: &RunArgs, command: &TaskCommand, home: &Path) -> anyhow::Result<ExecMode> {
    let tasks = args.tasks.worker_tasks;
    let kind = match command {
        TaskCommand::Call(call) => {
            let products = !args.results.product.is_empty();
            let offered = Offered { products, columns: None, path: true };
            WorkerKind::Function(PythonCall { target: call.target.clone(), home: home.to_owned(), offered })
        }
        _ if is_worker(&args.tasks) => WorkerKind::Command,
        _ if tasks.is_some() => {
            bail!("--worker-tasks is for workers: give --worker, too, or leave it out")
        }
        _ => return Ok(ExecMode::Own),
    };
    if args.results.ok_codes.is_some() {
        bail!(
            "--ok-codes has no effect with {}: {} reports success or failure itself, not by an exit code. Leave it out",
            match kind {
                WorkerKind::Command => "--worker",
                WorkerKind::Function(_) => "--call",
            },
            match kind {
                WorkerKind::Command => "a task of a worker",
                WorkerKind::Function(_) => "a function",
            }
        );
    }
    let in_its_folder = args.tasks.chdir.as_deref().is_some_and(|folder| folder.as_os_str() == "task");
    match (&kind, args.results.result) {
        (WorkerKind::Command, ResultKind::Text) => bail!(
            "--result text can't be used with --worker: a worker's answer is one line of JSON, and its other output goes to the log. Leave it out"
        ),
        (WorkerKind::Function(_), ResultKind::Text) => bail!(
            "--result text can't be used with --call: the result is what the function returns, and what it prints goes to the log. Leave it out"
        ),
        (WorkerKind::Command, _) if in_its_folder => bail!(
            "--chdir task can't be used with --worker, which stays in the directory where it was started: each request names a temporary folder for its task (`tmpdir`), and the worker can change to it"
        ),
        (WorkerKind::Function(call), _) if in_its_folder => bail!(
            "--chdir task can't be used with --call: its Python stays in the directory where it was started. A function with a parameter `tmpdir`, as in {}(path, tmpdir), gets a temporary folder for its task",
            call.target.function
        ),
        _ => Ok(ExecMode::Workers { kind, tasks }),
    }
}

fn is_worker(tasks: &TaskArgs) -> bool {
    tasks.worker.unwrap_or(false)
}

fn command_of(
    tasks: &TaskArgs,
    inputs: &InputArgs,
    environment: &Environment,
) -> anyhow::Result<TaskCommand> {
    if let Some(target) = &tasks.call {
        return call_of(target, tasks);
    }
    if tasks.python.is_some() {
        bail!("--python is for --call, which is not given: a COMMAND names its program itself");
    }
    match (&tasks.shell, tasks.command.as_slice()) {
        (Some(script), []) => Ok(TaskCommand::Shell(OsText(script.clone()))),
        (Some(script), words) => bail!("{}", lost_quotes(script, words)),
        (None, []) => bail!("{}", no_command(inputs, environment)),
        (None, words) => Ok(TaskCommand::Argv(words.iter().map(|word| OsText(word.clone())).collect())),
    }
}

/// The command as it is rendered, where this can be named. Of a function's Python only the program is a word that may be
/// written in many ways.
fn template_of(command: &TaskCommand, is_worker: bool, names: &Vocabulary) -> anyhow::Result<Template> {
    let template = match command {
        TaskCommand::Argv(words) if is_worker => Template::of_worker(&plain(words), names)?,
        TaskCommand::Argv(words) => Template::from_argv(&plain(words), names)?,
        TaskCommand::Shell(OsText(script)) if is_worker => {
            Template::of_worker_in_shell(script, names).context("in --shell")?
        }
        TaskCommand::Shell(OsText(script)) => Template::from_shell(script, names).context("in --shell")?,
        TaskCommand::Call(CallCommand { python: OsText(python), .. }) => {
            let python = std::slice::from_ref(python);
            Template::of_worker(python, &Vocabulary::default()).context("in --python")?
        }
    };
    if let (TaskCommand::Call(call), None) = (command, template.program()) {
        bail!("--python takes one program; {} has a placeholder in it", units::path(&call.python.0));
    }
    Ok(template)
}

/// A function in place of a command.
fn call_of(target: &CallTarget, tasks: &TaskArgs) -> anyhow::Result<TaskCommand> {
    let other = match (tasks.command.first(), &tasks.shell) {
        (Some(word), _) => Some(format!("a command ({} ...)", units::path(word))),
        (None, Some(_)) => Some("--shell".to_owned()),
        (None, None) => is_worker(tasks).then(|| "--worker".to_owned()),
    };
    if let Some(other) = other {
        bail!("--call {target} can't be combined with {other}: give one of them");
    }
    let python = tasks.python.clone().unwrap_or(CallCommand::PYTHON.into());
    Ok(TaskCommand::Call(CallCommand { target: target.clone(), python: OsText(python) }))
}

/// The file of a function's Python, which is looked for in `folder` if it is relative.
fn python_of(name: &OsStr, path: Option<&OsStr>, folder: &Path) -> anyhow::Result<PathBuf> {
    match program::find(name, path, folder) {
        Err(ProgramError::WholeLine(..)) => bail!("give one program, without options"),
        found => Ok(found?),
    }
}

/// The platform's variable for the session's id.
const SESSION: &str = "skaha_sessionid";

fn plain(words: &[OsText]) -> Vec<OsString> {
    words.iter().map(|word| word.0.clone()).collect()
}

/// With `notes` at the end.
fn warnings_of(
    command: &TaskCommand,
    template: &Template,
    notes: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if template.puts_names_into_shell_code() {
        warnings.push("the command starts a shell with a placeholder inside its script: a file name would become shell code. Write --shell '...', or sh -c '... \"$1\"' sh {}".to_owned());
    }
    if let TaskCommand::Argv(words) = command {
        let words = plain(words);
        warnings.extend(shell_words::operator_note(&words));
        warnings.extend(words.iter().find_map(|word| unreplaced(word)));
    }
    warnings.extend(notes);
    warnings
}

/// Refuses `{out}` in a command whose products are not declared: all tasks would write the one file of that name.
fn refuse_undeclared_out(command: &TaskCommand, products: &[DeclaredProduct]) -> anyhow::Result<()> {
    let token = match command {
        _ if !products.is_empty() => None,
        TaskCommand::Argv(words) => words.iter().find_map(|word| first_out(&word.0)),
        TaskCommand::Shell(script) => first_out(&script.0),
        TaskCommand::Call(_) => None,
    };
    let Some(token) = token else { return Ok(()) };
    let name = token.strip_prefix("{out:").and_then(|name| name.strip_suffix('}'));
    let name = name.map_or_else(String::new, |name| format!("{name}="));
    bail!(
        "{token} is in the command, but no --product says what it stands for: add --product '{name}out/{{/}}' (or write {{{token}}} for the text itself)"
    )
}

/// The warning about a word that names a variable in the syntax of other tools' job files.
fn unreplaced(word: &OsStr) -> Option<String> {
    let word = word.to_string_lossy();
    let (_, rest) = word.split_once("$(")?;
    let (name, _) = rest.split_once(')')?;
    let is_variable = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_variable.then(|| {
        format!(
            "$({name}) is passed to the command as it is, since no shell runs in between; {{replica}} is this replica's number, and the task finds variables in its environment"
        )
    })
}

fn no_command(inputs: &InputArgs, environment: &Environment) -> String {
    if let Some(line) = command_among(&inputs.input, environment) {
        return format!(
            "all words after --input are patterns until the next option: put `--` before the command: `{line}`"
        );
    }
    let mut said = "no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --call or --shell".to_owned();
    if inputs.input.len() > 1 {
        said += "\nAll words after --input are patterns until the next option: put `--` before the command.";
    }
    if environment.get(SESSION).is_some() {
        said += "\nIf it was in --env CANFAR_RUN_SHELL=...: a value with a `=` in it does not arrive at all; put it into a job file (shell = '...').";
    }
    said
}

/// Patterns of which one is a program, and what stands before it, as they should be typed.
fn command_among(patterns: &[OsString], environment: &Environment) -> Option<String> {
    const MOST: usize = 3;
    let is_program = |word: &OsString| {
        !environment.absolute(Path::new(word)).exists()
            && program::find(word, environment.get("PATH"), &environment.cwd).is_ok()
    };
    let start = 1 + patterns.iter().skip(1).position(is_program)?;
    let (inputs, command) = patterns.split_at(start);
    let more = if start > MOST { " ..." } else { "" };
    let (inputs, command) = (quoted(&inputs[..start.min(MOST)]), shell_words::shown(command));
    Some(format!("-i {inputs}{more} -- {command}"))
}

/// A path as seen from the working directory. Unexpanded shell syntax would become a folder of that name, where nobody
/// would look.
pub(super) fn place(option: &str, path: &Path, environment: &Environment) -> anyhow::Result<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'(' | b'{');
    let is_home = bytes == b"~" || bytes.starts_with(b"~/");
    let is_variable = bytes.windows(2).any(|pair| pair[0] == b'$' && is_name(&pair[1]));
    let absolute = environment.absolute(path);
    if (is_home || is_variable) && !absolute.try_exists().unwrap_or(true) {
        bail!(
            "{option} {}: only a shell expands `~` and variables, and none has seen this: write the full path, such as /arc/projects/... (the platform replaces $(NAME) on a launch line, but only where the container has a variable of that name)",
            path.display()
        );
    }
    Ok(absolute)
}

/// Where temporary folders may go. A requested one is checked now: nothing should begin without it.
fn scratch_of(
    asked: Option<&Path>,
    results_dir: &Path,
    environment: &Environment,
) -> anyhow::Result<Vec<PathBuf>> {
    let Some(folder) = asked else { return Ok(scratch::candidates(environment.get("TMPDIR"), results_dir)) };
    let folder = place("--tmp-dir", folder, environment)?;
    if !folder.is_dir() {
        bail!(
            "--tmp-dir {}: there is no such directory. Make it first, or leave the option out",
            folder.display()
        );
    }
    access(&folder, Access::WRITE_OK | Access::EXEC_OK)
        .with_context(|| format!("--tmp-dir {}: this user can't write there", folder.display()))?;
    Ok(vec![folder])
}

/// The warning about a `TMPDIR` too long for sockets.
fn tmpdir_note(asked: Option<&Path>, environment: &Environment) -> Option<String> {
    let tmpdir = asked.is_none().then(|| environment.get("TMPDIR")).flatten().map(Path::new)?;
    scratch::is_too_long_for_sockets(tmpdir).then(|| {
        format!(
            "TMPDIR has {} characters, which leaves too few for the sockets of programs such as Python's multiprocessing: the tasks' temporary folders are in /scratch or /tmp, if those can be written to (--tmp-dir \"$TMPDIR\" uses it anyway)",
            tmpdir.as_os_str().len()
        )
    })
}

/// Where the command was given, and where tasks run: the same folder by default.
fn as_given(
    settings: &Settings,
    work_folder: WorkFolder,
    environment: &Environment,
) -> anyhow::Result<(PathBuf, WorkFolder)> {
    let cwd = settings.cwd.as_ref().map_or(&*environment.cwd, |cwd| Path::new(&cwd.0));
    let is_elsewhere = cwd != environment.cwd;
    match work_folder {
        WorkFolder::Inherited if is_elsewhere && !cwd.is_dir() => bail!(
            "the run was begun in {}, where its tasks ran, and there is no such directory here: give --chdir, with the directory (or `task`) where they should run",
            cwd.display()
        ),
        WorkFolder::Inherited if is_elsewhere => Ok((cwd.to_owned(), WorkFolder::Fixed(cwd.to_owned()))),
        folder if cwd.is_dir() => Ok((cwd.to_owned(), folder)),
        folder => Ok((environment.cwd.clone(), folder)),
    }
}

fn work_folder(chdir: Option<&Path>, environment: &Environment) -> anyhow::Result<WorkFolder> {
    match chdir {
        None => Ok(WorkFolder::Inherited),
        Some(folder) if folder.as_os_str() == "task" => Ok(WorkFolder::Task),
        Some(folder) => {
            let folder = place("--chdir", folder, environment)?;
            if !folder.is_dir() {
                bail!(
                    "--chdir {}: there is no such directory. Make it first, or give `task` for a temporary one each",
                    folder.display()
                );
            }
            Ok(WorkFolder::Fixed(folder))
        }
    }
}
