//! Options of `run` and `resume`, and of `plan`, which reads them from the same environment and job file.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueHint};

use crate::cli::values::{
    Auto, CHECKSUMS, COLORS, ENTRY_TYPES, KEEP_LOGS, PROGRESS, Progress, RERUNS, RESULT_KINDS, STRATEGIES,
    Shares, Threads, call_target, one_of, only_list, parse_auto, parse_count, parse_max_failures,
    parse_max_result, parse_max_timeout, parse_memory, parse_ok_codes, parse_shares, parse_switch,
    parse_takeover_after, parse_tasks, parse_threads, parse_worker_tasks,
};
use crate::discover::EntryType;
use crate::model::call_target::CallTarget;
use crate::model::outcome::{OkCodes, Rerun};
use crate::model::product::Checksum;
use crate::model::selection::OnlyList;
use crate::model::shares::Strategy;
use crate::run::recorder::KeepLogs;
use crate::run::result::ResultKind;
use crate::run::schedule::MaxFailures;
use crate::terminal::screen::Color;
use crate::units::parse_duration;

/// Options that say what a run is, so that `resume` has none of them.
pub const DEFINES_RUN: [&str; 20] = [
    "input",
    "files-from",
    "null",
    "table",
    "tasks",
    "input-from",
    "new-since",
    "name",
    "allow-missing",
    "exclude",
    "type",
    "allow-empty",
    "strategy",
    "balance",
    "product",
    "shell",
    "call",
    "python",
    "results-dir",
    "accept-changed-command",
];

/// Options about inputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inputs")]
pub struct InputArgs {
    /// Files, directories or globs (`*` `?` `[...]` `**`), in quotes
    ///
    /// In quotes, so that canfar-run expands them and not the shell. Globs work as in Python's `glob.glob(..., recursive=True)`. A directory
    /// means the non-hidden files under it, or with `--type dir` the directory itself. May be repeated and take many values. Every one must
    /// match something. [default: the run's own list, if the results directory has one]
    #[arg(short, long, value_name = "PATTERN", num_args = 1.., action = ArgAction::Append, value_hint = ValueHint::AnyPath)]
    pub input: Vec<OsString>,
    /// Read entries from a file, one per line, taken literally (`-` is stdin)
    ///
    /// Order is kept, repeats are dropped; entries need not be files. Blank lines are skipped. A relative entry is relative to the folder
    /// where the run was begun; its tasks start there in every launch. [default: none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files_from: Option<PathBuf>,
    /// The entries of --files-from end with a NUL byte instead of a line end [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub null: Option<bool>,
    /// One task per row (.csv, .tsv, .ecsv, .jsonl); {column} is its value
    ///
    /// `{seed}` in COMMAND is the cell of the column `seed`; --call functions get it by the name of a parameter. Nothing is
    /// appended to COMMAND. `{}` is the column `file`, `path`, `name` or `id`, else the row's index. `-` is stdin.
    /// [default: none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub table: Option<PathBuf>,
    /// N tasks without a file, each with an `{index}` from 0
    ///
    /// For simulations: `{}` is the index, too, and nothing is appended to COMMAND. [default: none]
    #[arg(long, value_name = "N", value_parser = parse_tasks, allow_negative_numbers = true)]
    pub tasks: Option<u64>,
    /// Take the products of other runs (--product): their results directories
    ///
    /// The products of the tasks that are ok, with the `{rel}` of the file each was made from. Several directories are joined
    /// as `merge` joins them. They must be complete: every file has a record, whatever its outcome. [default: none]
    #[arg(long, value_name = "DIR", num_args = 1.., action = ArgAction::Append, value_hint = ValueHint::DirPath)]
    pub input_from: Vec<PathBuf>,
    /// Only files that came since the run in DIR; needs another -o
    ///
    /// What the inputs match now and is in no list of that run and of those that it continues. Inputs, command and options are
    /// those of that run unless others are given, and indices go on after its last one. `merge DIR DIR2` joins both.
    /// [default: none]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub new_since: Option<PathBuf>,
    /// Which product of --input-from, if tasks have several; `out` is the unnamed one [default: the only one]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub name: Option<String>,
    /// Take what the runs of --input-from have made so far, even if files are missing [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub allow_missing: Option<bool>,
    /// Leave out what these globs match (base names; whole paths if the glob has a `/`)
    ///
    /// A glob without a `/` is matched against base names, one with a `/` against whole paths. A matching directory is left out with everything
    /// below it. The syntax is that of ripgrep and fd, with `{a,b}` and `\`; --input uses Python's, which has neither.
    /// [default: none]
    #[arg(long, value_name = "GLOB", num_args = 1.., action = ArgAction::Append, hide_short_help = true)]
    pub exclude: Vec<OsString>,
    /// What to match: Measurement Sets and Zarr stores are directories
    #[arg(long = "type", value_name = "KIND", default_value = "file", value_parser = one_of(ENTRY_TYPES), hide_short_help = true)]
    pub entry_type: EntryType,
    /// A pattern that matches nothing is not an error [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub allow_empty: Option<bool>,
}

/// Options about the share.
#[derive(Debug, Args)]
#[command(next_help_heading = "Share")]
pub struct ShareArgs {
    /// Which replica this is, from 1 [default: `REPLICA_ID`, else 1]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub replica_id: Option<String>,
    /// How many replicas there are [default: `REPLICA_COUNT`, else 1]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub replica_count: Option<String>,
    /// How the list is shared out: even, chunk, stripe, size
    ///
    /// even: contiguous, sizes differ by at most one. chunk: as Python's `distributed.chunk`, the rest to the last replica.
    /// stripe: every count-th, as `distributed.stripe`. size: bytes are spread, largest files first.
    #[arg(long, value_name = "NAME", default_value = "even", value_parser = one_of(STRATEGIES), hide_possible_values = true, hide_short_help = true)]
    pub strategy: Strategy,
    /// Replicas go on with files that others have not begun [default: true; chunk, stripe: false]
    ///
    /// Each replica starts with its own share, then goes on with files that no replica has begun, and finishes what
    /// dead replicas left. false: it keeps to its share; what others leave is for `resume`. Must be the same for all replicas of a
    /// run; with only one replica it has no effect.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub balance: Option<bool>,
    /// With --balance, take over from a replica that sent no heartbeat for this long (at least 1s)
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = parse_takeover_after, allow_negative_numbers = true, hide_short_help = true)]
    pub takeover_after: Duration,
}

/// Options about tasks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tasks")]
pub struct TaskArgs {
    /// Tasks at a time; auto is the container's CPU quota
    ///
    /// auto: the quota divided by --threads if that is a number, at least 1, and no more than memory allows. A number
    /// is used as given, unless --memory-per-task or the limits on open files and processes lower it.
    #[arg(short, long, value_name = "N|auto", default_value = "auto", value_parser = parse_auto, allow_negative_numbers = true)]
    pub jobs: Auto,
    /// Threads each task's libraries may use [auto: quota / jobs, at least 1; inherit: their variables stay as they are]
    #[arg(long, value_name = "N|auto|inherit", default_value = "auto", value_parser = parse_threads, allow_negative_numbers = true, hide_short_help = true)]
    pub threads: Threads,
    /// Limit jobs to what fits in the container's memory at this much each, such as 4G (4 GiB) [default: measured]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, allow_negative_numbers = true, hide_short_help = true)]
    pub memory_per_task: Option<u64>,
    /// Longest time for one attempt, such as 90s or 1h30m [default: none]
    #[arg(long, value_name = "DURATION", value_parser = parse_max_timeout, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Time between SIGTERM and SIGKILL (at most 15s when canfar-run itself is stopped)
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, allow_negative_numbers = true, hide_short_help = true)]
    pub grace: Duration,
    /// Extra attempts for a failed task in this launch
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_count, allow_negative_numbers = true)]
    pub retries: u32,
    /// Pause before the first extra attempt; doubles each time, with jitter
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration, allow_negative_numbers = true, hide_short_help = true)]
    pub retry_delay: Duration,
    /// Start no more tasks after more than this many failures [auto: when the first 20 or all of them, or any 20 in a row, failed]
    #[arg(long, value_name = "auto|none|N|N%", default_value = "auto", value_parser = parse_max_failures, allow_negative_numbers = true, hide_short_help = true)]
    pub max_failures: MaxFailures,
    /// Start no new task after this long; the rest is for the next launch [default: none]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_negative_numbers = true, hide_short_help = true)]
    pub deadline: Option<Duration>,
    /// Which failed tasks a later launch runs again [all: also those that died with their container]
    #[arg(long, value_name = "WHICH", default_value = "failed", value_parser = one_of(RERUNS), hide_short_help = true)]
    pub rerun: Rerun,
    /// A shell command line in place of COMMAND
    ///
    /// Run by /bin/sh. Placeholders become quoted parameters: no file name ever becomes shell text. [default: none]
    #[arg(long, value_name = "STRING")]
    pub shell: Option<OsString>,
    /// A Python function in place of COMMAND, called once per file
    ///
    /// FILE.py:FUNCTION, or PACKAGE.MODULE:FUNCTION for one that can be imported. It gets the path, and what it returns is
    /// the result; an exception fails the task. Its file is looked for where the run was begun, imported once per job slot,
    /// and whatever it prints goes to the log. Parameters without a default named `index` or `tmpdir` receive these. [default: none]
    #[arg(long, value_name = "FILE.py:FUNCTION", value_parser = call_target())]
    pub call: Option<CallTarget>,
    /// The Python for --call [default: python3]
    #[arg(long, value_name = "PROGRAM", value_hint = ValueHint::CommandName, hide_short_help = true)]
    pub python: Option<OsString>,
    /// Keep COMMAND running; send it files as JSON lines [default: false]
    ///
    /// It is started once per job slot. For each task it reads one line from standard input, {"path": ..., "index": ...,
    /// "attempt": ..., "tmpdir": ...}, and answers with one line on standard output: a JSON object, which is the result, or
    /// {"error": "..."}. Other lines are its log. It ends when its input does.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub worker: Option<bool>,
    /// Restart a worker after this many tasks [default: never]
    #[arg(long, value_name = "N", value_parser = parse_worker_tasks, allow_negative_numbers = true, hide_short_help = true)]
    pub worker_tasks: Option<NonZeroU64>,
    /// The tasks' working directory [task: each its own temporary one; default: where canfar-run was started]
    #[arg(long, value_name = "DIR|task", value_hint = ValueHint::DirPath, hide_short_help = true)]
    pub chdir: Option<PathBuf>,
    /// Where tasks' temporary folders go [default: TMPDIR, /scratch, /tmp, results: the first writable, memory-backed ones last]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, hide_short_help = true)]
    pub tmp_dir: Option<PathBuf>,
    /// Program and arguments; {} is the file
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<OsString>,
}

/// Options about results.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub struct ResultArgs {
    /// The run's directory, created if need be
    #[arg(short = 'o', long, value_name = "DIR", default_value = "results", value_hint = ValueHint::DirPath)]
    pub results_dir: PathBuf,
    /// What each task makes; {out} in COMMAND is where to write it
    ///
    /// A path with placeholders, for a file or a directory. {out} is a temporary name beside it; once the task is ok, whatever is
    /// there is renamed into place in one step. Several products need names: --product cat={/:}.cat img={/:}.fits, which are
    /// {out:cat} and {out:img} in COMMAND. A script finds them in `CANFAR_TASK_OUT` and `CANFAR_TASK_OUT_<NAME>`, a worker and
    /// a function in `out`. Two files with the same product path are an error, before anything runs. [default: none]
    #[arg(long, value_name = "[NAME=]PATH", num_args = 1.., action = ArgAction::Append)]
    pub product: Vec<OsString>,
    /// Whether products are hashed
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = one_of(CHECKSUMS), hide_short_help = true)]
    pub checksum: Checksum,
    /// Exit codes besides 0 that count as success, such as 1,3 [default: none]
    ///
    /// 0 always counts as success. Not for workers and functions, which report the outcome of each task themselves.
    #[arg(long, value_name = "CODES", value_parser = parse_ok_codes, allow_negative_numbers = true, hide_short_help = true)]
    pub ok_codes: Option<OkCodes>,
    /// Which part of a command's output is its result [auto: `$CANFAR_TASK_RESULT`, else stdout or its last line if JSON]
    #[arg(long, value_name = "KIND", default_value = "auto", value_parser = one_of(RESULT_KINDS), hide_short_help = true)]
    pub result: ResultKind,
    /// Largest result
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = parse_max_result, allow_negative_numbers = true, hide_short_help = true)]
    pub max_result: u64,
    /// Which tasks' output is kept
    #[arg(long, value_name = "WHICH", default_value = "failed", value_parser = one_of(KEEP_LOGS), hide_short_help = true)]
    pub logs: KeepLogs,
    /// Merge at the end if the whole run is complete, as `canfar-run merge` does [default: false]
    ///
    /// The replica that finishes last always finds it complete. Its exit code covers the merge, too: 1 if a file of any replica
    /// failed.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub merge: Option<bool>,
    /// Continue a run although the command differs [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub accept_changed_command: Option<bool>,
}

/// Options about what is said.
#[derive(Debug, Args)]
#[command(next_help_heading = "Messages")]
pub struct MessageArgs {
    /// A line for every task [default: false]
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub verbose: Option<bool>,
    /// Failures and errors only [default: false]
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub quiet: Option<bool>,
    /// How progress is shown: a bar, or a line now and then [auto: a bar on a terminal]
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = one_of(PROGRESS), hide_short_help = true)]
    pub progress: Progress,
    /// Colours in messages
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = one_of(COLORS), hide_short_help = true)]
    pub color: Color,
    /// The closing summary as one JSON object on stdout [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub json: Option<bool>,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Inputs.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Share.
    #[command(flatten)]
    pub share: ShareArgs,
    /// Tasks.
    #[command(flatten)]
    pub tasks: TaskArgs,
    /// Results.
    #[command(flatten)]
    pub results: ResultArgs,
    /// Messages.
    #[command(flatten)]
    pub messages: MessageArgs,
    /// Print the commands and stop; writes nothing
    ///
    /// Shell-quoted, one per line, for this replica's share; with `resume`, only those that would run, again or for the
    /// first time. [default: false]
    #[arg(short = 'n', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, help_heading = "Messages")]
    pub dry_run: Option<bool>,
    /// A TOML file with options, a command, and an `[env]` for the tasks
    ///
    /// Keys are named like the options; `command = [...]`; an `[env]` table for the tasks. [default: /etc/canfar-run.toml,
    /// if it exists]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Inputs")]
    pub job_file: Option<PathBuf>,
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Inputs.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// How many replicas there are [default: `REPLICA_COUNT`, else 1]
    #[arg(long, value_name = "N", help_heading = "Share")]
    pub replica_count: Option<String>,
    /// How the list is shared out: even, chunk, stripe, size
    #[arg(
        long,
        value_name = "NAME",
        default_value = "even",
        value_parser = one_of(STRATEGIES),
        hide_possible_values = true,
        help_heading = "Share"
    )]
    pub strategy: Strategy,
    /// Replicas go on with files that others have not begun [default: true; chunk, stripe: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, help_heading = "Share")]
    pub balance: Option<bool>,
    /// What each task makes, as for `run`: two files with the same product are an error
    #[arg(long, value_name = "[NAME=]PATH", num_args = 1.., action = ArgAction::Append, help_heading = "Results")]
    pub product: Vec<OsString>,
    /// A shell command line, as for `run`: warns about names in it that several files share
    #[arg(long, value_name = "STRING", help_heading = "Tasks")]
    pub shell: Option<OsString>,
    /// Program and arguments, as for `run`: warns about names in it that several files share
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<OsString>,
    /// The run's directory: its list is shown if it has one and no input is given
    #[arg(short = 'o', long, value_name = "DIR", default_value = "results", value_hint = ValueHint::DirPath)]
    pub results_dir: PathBuf,
    /// The plan as one JSON object [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch)]
    pub json: Option<bool>,
    /// A TOML file with options [default: /etc/canfar-run.toml, if it exists]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub job_file: Option<PathBuf>,
}

/// Options of `resume`: those of `run` that do not say what the run is.
#[derive(Debug, Args)]
#[command(mut_args(|arg| if arg.get_long().is_some_and(|name| DEFINES_RUN.contains(&name)) || arg.get_id() == "command" {
    arg.hide(true)
} else {
    arg
}))]
pub struct ResumeArgs {
    /// The run's results directory
    #[arg(value_name = "RESULTS_DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Only these replicas' shares, such as 3,17,40-42 [default: all with missing or failed files]
    #[arg(long, value_name = "LIST", value_parser = parse_shares, help_heading = "Share")]
    pub shares: Option<Shares>,
    /// Run these again, and nothing else: failed, lost, missing, a cause such as timeout, files
    ///
    /// A comma list of: failed, lost (died with its container), missing (no record); a cause of failure (timeout, oom, exit,
    /// signal, spawn, result, product); indices; paths or base names (./failed is a file). What is named by index, path or name
    /// runs again even if it is ok; if that fails, its earlier record and products stay. Options given with it are for this
    /// try; `-- COMMAND`, --shell or --call replaces the command for it. [default: all that is missing or failed]
    #[arg(long, value_name = "WHAT", value_parser = only_list(), help_heading = "Share")]
    pub only: Option<OnlyList>,
    /// All of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}
