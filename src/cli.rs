//! What can be typed: clap types and help texts. What it means is worked out in `config`.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::config::is_fixed;
use crate::discover::EntryType;
use crate::model::shares::Strategy;
use crate::record::logs::OutputStream;
use crate::run::recorder::KeepLogs;
use crate::run::result::ResultKind;
use crate::run::schedule::MaxFailures;
use crate::units::{parse_duration, parse_size};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLE: &str = "\
Example, as the command of 100 containers:
  canfar-run -i '/arc/projects/sky/*.fits' -o /arc/projects/sky/results -- python analyze.py {}
Then, each with that directory: status (how far), logs --failed (why), resume (the rest), merge";

const EXAMPLES: &str = "\
Example, as the command of 100 containers:
  canfar-run -i '/arc/projects/sky/*.fits' -o /arc/projects/sky/results -- python analyze.py {}
While they run and afterwards:
  canfar-run status /arc/projects/sky/results          how far it is, and what to type next
  canfar-run logs --failed /arc/projects/sky/results   which files failed, why, and what they printed
  canfar-run resume /arc/projects/sky/results          run what is missing or failed, and only that
  canfar-run merge /arc/projects/sky/results           one file of all results, proven complete
  canfar-run report /arc/projects/sky/results          one HTML page about it";

const MORE_HELP: &str = "\
Options can also be given as CANFAR_RUN_<NAME> (CANFAR_RUN_JOBS=4) or in a TOML job file (jobs = 4);
flags beat the environment, which beats the job file.

Placeholders in COMMAND and --shell:
  {}  path          {/}  base name      {//} directory     {rel}  path below the pattern's fixed part
  {.} path without its last extension   {/.} base name without it
  {:} and {/:} the same without a compression suffix and one extension: a.fits.gz gives a
  {index} place in the list, from 0     {slot} 1..jobs     {replica} replica id
  {{}} is {} as text. Without a placeholder the path is appended.

Exit codes: 0 all ok; 1 some tasks failed; 2 wrong usage, nothing was run; 3 tasks were left or files are missing;
4 results could not be written; 128+signal when stopped.";

/// Runs one command per input file, in a container that is one of N replicas, and loses nothing.
#[derive(Debug, Parser)]
#[command(
    name = "canfar-run",
    version,
    styles = STYLES,
    args_conflicts_with_subcommands = true,
    override_usage = "canfar-run [OPTIONS] --input PATTERN... -- COMMAND [ARG]...\n       canfar-run <plan|merge|status|resume|logs|report|reset|completions|man> ...",
    after_help = EXAMPLE,
    after_long_help = format!("{EXAMPLES}\n\n{MORE_HELP}"),
    max_term_width = 120
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Without a subcommand: run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run this replica's share (the same as no subcommand)
    #[command(
        override_usage = "canfar-run run [OPTIONS] --input PATTERN... -- COMMAND [ARG]...",
        after_help = EXAMPLE,
        after_long_help = format!("{EXAMPLES}\n\n{MORE_HELP}")
    )]
    Run(Box<RunArgs>),
    /// Show who gets what, for every replica; runs and writes nothing
    #[command(
        override_usage = "canfar-run plan [OPTIONS] --input PATTERN... --replica-count N\n       canfar-run plan --results-dir DIR"
    )]
    Plan(PlanArgs),
    /// Combine all replicas' results into one file, with proof of completeness
    Merge(MergeArgs),
    /// Show how far a run and each of its replicas are, and what to type next
    Status(StatusArgs),
    /// Run what is missing or failed of a run, and only that, with any number of containers
    #[command(override_usage = "canfar-run resume [OPTIONS] RESULTS_DIR")]
    Resume(Box<ResumeArgs>),
    /// Print what tasks printed, as far as it was kept
    #[command(
        override_usage = "canfar-run logs [--only STREAM] [RESULTS_DIR] TASK\n       canfar-run logs --failed [RESULTS_DIR]\n       canfar-run logs --replica N [RESULTS_DIR]"
    )]
    Logs(LogsArgs),
    /// Make one HTML page about a run: numbers, timeline, distributions, failures, all tasks
    Report(ReportArgs),
    /// Move a run aside (into `previous/`), so that a new one can begin
    Reset(ResetArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (`canfar-run man | man -l -`)
    Man,
}

/// A switch that an environment variable or job file can also turn off.
fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("write true, false, 1 or 0".into()),
    }
}

/// Options about inputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inputs")]
pub struct InputArgs {
    /// Files, directories or globs (`*` `?` `[...]` `**`), in quotes
    ///
    /// In quotes, so that canfar-run expands them and not the shell. Globs mean what they mean in Python's `glob.glob(..., recursive=True)`. A directory means the non-hidden files
    /// under it; with --type dir, itself. May be repeated and take many values. Every one must match something. [default: the run's own list, if the
    /// results directory has one]
    #[arg(short, long, value_name = "PATTERN", num_args = 1.., action = ArgAction::Append, value_hint = ValueHint::AnyPath)]
    pub input: Vec<OsString>,
    /// Entries of a list, one a line, exactly as they are (`-` is stdin)
    ///
    /// In the order given, repeats once; they need not be files. Blank lines are skipped. A relative entry means the folder
    /// where the run was begun: there its tasks start, in every launch. [default: none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files_from: Option<PathBuf>,
    /// The entries of --files-from end with a NUL byte instead of a line end [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub null: Option<bool>,
    /// Leave out what these globs match (base names, unless with a `/`)
    ///
    /// Without a `/` a glob is about base names, with one about whole paths. A directory that matches is left out with all
    /// below it. [default: none]
    #[arg(long, value_name = "GLOB", num_args = 1.., action = ArgAction::Append, hide_short_help = true)]
    pub exclude: Vec<OsString>,
    /// What to match: Measurement Sets and Zarr stores are directories
    #[arg(long = "type", value_name = "KIND", default_value = "file", hide_short_help = true)]
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
    #[arg(long, value_name = "N")]
    pub replica_id: Option<String>,
    /// How many replicas there are [default: `REPLICA_COUNT`, else 1]
    #[arg(long, value_name = "N")]
    pub replica_count: Option<String>,
    /// How the list is shared out: even, chunk, stripe, size
    ///
    /// even: contiguous, sizes differ by at most one. chunk: as Python's `distributed.chunk`, the rest to the last replica.
    /// stripe: every count-th, as `distributed.stripe`. size: bytes are spread, largest files first.
    #[arg(long, value_name = "NAME", default_value = "even", hide_possible_values = true)]
    pub strategy: Strategy,
}

/// A number of tasks or threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto {
    /// As the container's limits suggest.
    Auto,
    /// Taken literally.
    Number(usize),
}

fn parse_auto(text: &str) -> Result<Auto, String> {
    match text {
        "auto" => Ok(Auto::Auto),
        _ => match text.parse() {
            Ok(0) => Err("0 would never run anything; write a number from 1, or auto".into()),
            Ok(number) if number <= MOST_JOBS => Ok(Auto::Number(number)),
            Ok(_) => Err(format!("more than {MOST_JOBS} at a time are not supported")),
            Err(_) => Err("write a number from 1, or auto".into()),
        },
    }
}

/// Far beyond any container's processes; a mistyped number should not exhaust the machine.
const MOST_JOBS: usize = 4096;

/// `--threads`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// So many.
    Set(Auto),
    /// The thread variables stay as they are.
    Inherit,
}

fn parse_threads(text: &str) -> Result<Threads, String> {
    match text {
        "inherit" => Ok(Threads::Inherit),
        _ => parse_auto(text).map(Threads::Set).map_err(|_| "write a number from 1, auto or inherit".into()),
    }
}

fn parse_count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "write a whole number from 0".to_owned())
}

fn parse_max_failures(text: &str) -> Result<MaxFailures, String> {
    let wrong = || "write auto, none, a number, or a percentage such as 10%".to_owned();
    match (text, text.strip_suffix('%')) {
        ("auto", _) => Ok(MaxFailures::Auto),
        ("none", _) => Ok(MaxFailures::None),
        (_, Some(percent)) => match percent.trim().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxFailures::Percent(percent)),
            _ => Err(wrong()),
        },
        (number, None) => number.parse().map(MaxFailures::Count).map_err(|_| wrong()),
    }
}

/// Largest `--max-result`: places in journals are kept in 32 bits.
const LARGEST_RESULT: u64 = 1 << 30;

fn parse_max_result(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("0 leaves no room for any result; write --result none to have none".into()),
        size if size > LARGEST_RESULT => {
            Err("at most 1G; write large products to files and return their names".into())
        }
        size => Ok(size),
    }
}

/// No process takes less.
const LEAST_MEMORY: u64 = 64 * 1024;

fn parse_memory(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("0 would say nothing about jobs; leave the option out to have memory measured".into()),
        // Who asks the platform for memory gives it a number of GB.
        size @ ..LEAST_MEMORY => Err(format!("that is {size} bytes; give the unit, too, such as 4G")),
        size => Ok(size),
    }
}

fn parse_max_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("0 would stop every task at once; leave the option out for no limit".into()),
        duration => Ok(duration),
    }
}

fn parse_worker_tasks(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| "write a whole number from 1, or leave the option out".to_owned())
}

/// Which tasks with a failed record run again on a later launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rerun {
    /// Failed ones, but not those that died with their container (`lost`).
    Failed,
    /// Failed and lost ones.
    All,
    /// None.
    Never,
}

/// Options about tasks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tasks")]
pub struct TaskArgs {
    /// Tasks at a time; auto is the container's CPU quota
    ///
    /// auto: the quota divided by a number given with --threads, at least 1, and as many of these as memory allows. A number
    /// is taken literally, but for --memory-per-task and for what the limits on open files and processes allow.
    #[arg(short, long, value_name = "N|auto", default_value = "auto", value_parser = parse_auto, allow_negative_numbers = true)]
    pub jobs: Auto,
    /// Threads each task's libraries may use [auto: quota / jobs, at least 1; inherit: their variables stay as they are]
    #[arg(long, value_name = "N|auto|inherit", default_value = "auto", value_parser = parse_threads, allow_negative_numbers = true, hide_short_help = true)]
    pub threads: Threads,
    /// Keep jobs within the container's memory: so much for each, such as 4G (4 GiB) [default: measured]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, allow_negative_numbers = true, hide_short_help = true)]
    pub memory_per_task: Option<u64>,
    /// Longest time for one attempt, such as 90s or 1h30m [default: none]
    #[arg(long, value_name = "DURATION", value_parser = parse_max_timeout, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Time between TERM and KILL (at most 15s when canfar-run itself is stopped)
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, allow_negative_numbers = true, hide_short_help = true)]
    pub grace: Duration,
    /// Extra attempts for a failed task in this launch
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_count, allow_negative_numbers = true)]
    pub retries: u32,
    /// Pause before the first extra attempt; doubles each time, with jitter
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration, allow_negative_numbers = true, hide_short_help = true)]
    pub retry_delay: Duration,
    /// Start no more tasks beyond so many failures [auto: when the first 20 tasks all failed]
    #[arg(long, value_name = "auto|none|N|N%", default_value = "auto", value_parser = parse_max_failures, allow_negative_numbers = true, hide_short_help = true)]
    pub max_failures: MaxFailures,
    /// Start no new task after this long; the rest is for the next launch [default: none]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_negative_numbers = true, hide_short_help = true)]
    pub deadline: Option<Duration>,
    /// On a later launch, which failed tasks run again? [all: also those that died with their container]
    #[arg(long, value_name = "WHICH", default_value = "failed", hide_short_help = true)]
    pub rerun: Rerun,
    /// A shell command line in place of COMMAND
    ///
    /// Run by /bin/sh. Placeholders become quoted parameters: no file name ever becomes shell text. [default: none]
    #[arg(long, value_name = "STRING")]
    pub shell: Option<OsString>,
    /// COMMAND is started once a job and gets files as JSON [default: false]
    ///
    /// It stays. For each task it reads one line from standard input, {"path": ..., "index": ..., "attempt": ..., "tmpdir":
    /// ...}, and answers with one line on standard output: a JSON object, which is the result, or {"error": "..."}. Other
    /// lines are its log. It ends when its input does.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch)]
    pub worker: Option<bool>,
    /// Start a worker afresh after so many tasks [default: never]
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
    /// What of a command's output is its result [auto: `$CANFAR_TASK_RESULT`, else stdout or its last line if JSON]
    #[arg(long, value_name = "KIND", default_value = "auto", hide_short_help = true)]
    pub result: ResultKind,
    /// Largest result
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = parse_max_result, allow_negative_numbers = true, hide_short_help = true)]
    pub max_result: u64,
    /// Which tasks' output is kept
    #[arg(long, value_name = "WHICH", default_value = "failed", hide_short_help = true)]
    pub logs: KeepLogs,
    /// Merge at the end if the whole run is complete, as `canfar-run merge` does [default: false]
    ///
    /// At least the replica that finishes last finds it complete. It exits as both would: 1 if a file of any replica
    /// failed.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub merge: Option<bool>,
    /// Go on in a results directory although the command differs [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_switch, hide_short_help = true)]
    pub accept_changed_command: Option<bool>,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A bar on a terminal, else plain lines.
    Auto,
    /// A bar.
    Bar,
    /// Plain lines.
    Plain,
    /// None.
    None,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
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
    /// What tells how far it is: a bar, or a line now and then [auto: a bar on a terminal]
    #[arg(long, value_name = "HOW", default_value = "auto", hide_short_help = true)]
    pub progress: Progress,
    /// Colours in messages
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
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
    /// Shell-quoted, one a line: those of this replica's share, after `resume` only what would be run again or for the
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
        hide_possible_values = true,
        help_heading = "Share"
    )]
    pub strategy: Strategy,
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

/// Options of `merge`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches, as typed")]
pub struct MergeArgs {
    /// Results directories; records of a later one complete those of an earlier one
    #[arg(value_name = "RESULTS_DIR", default_value = "results", value_hint = ValueHint::DirPath)]
    pub dirs: Vec<PathBuf>,
    /// Where the merged results go, as .json, .jsonl, .csv or .tsv; `-` prints them (JSON) [default: `final_results.json` in the first directory]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Merge only these directories, although results that are replaced have records of more
    #[arg(long)]
    pub alone: bool,
    /// Call the result final although files are missing
    #[arg(long)]
    pub allow_missing: bool,
    /// Write the paths without an ok record to this file, to be given to --files-from
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub missing: Option<PathBuf>,
    /// End the paths of --missing with a NUL byte instead of a line end
    #[arg(long)]
    pub null: bool,
    /// The summary as one JSON object on stdout
    #[arg(long)]
    pub json: bool,
    /// Problems and errors only
    #[arg(short, long)]
    pub quiet: bool,
    /// Colours in messages
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// Options of `status`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches, as typed")]
pub struct StatusArgs {
    /// The run's results directory
    #[arg(value_name = "RESULTS_DIR", default_value = "results", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// A row for every replica [without it, beyond 20 replicas: those that need attention, and the slowest]
    #[arg(short, long)]
    pub all: bool,
    /// Show it again and again, until the run is complete
    ///
    /// On a terminal it is redrawn in place, elsewhere printed again when something changed. Ctrl-C ends it.
    #[arg(short, long)]
    pub watch: bool,
    /// Wait until nobody is at work: exits 0 if the run is complete, 1 if some files failed, 3 if files are left
    #[arg(long)]
    pub wait: bool,
    /// As one JSON object (with --watch one a line)
    #[arg(long)]
    pub json: bool,
    /// Colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// `--shares`: ids of replicas and ranges of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares(pub Vec<RangeInclusive<u32>>);

fn parse_shares(text: &str) -> Result<Shares, String> {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number > 0);
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = number(first)?..=number(last)?;
        (!range.is_empty()).then_some(range)
    };
    text.split(',')
        .map(|part| {
            range(part).ok_or_else(|| {
                format!("{part:?} is neither a replica's id nor a range of them; write such as 3,17,40-42")
            })
        })
        .collect::<Result<_, _>>()
        .map(Shares)
}

/// Options of `resume`: those of `run` that do not say what the run is.
#[derive(Debug, Args)]
#[command(mut_args(|arg| if arg.get_long().is_some_and(is_fixed) || arg.get_id() == "command" {
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
    /// All of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Options of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The run's directory (`results` if left out), and the task: its index in the list, its path or its base name
    #[arg(value_name = "[RESULTS_DIR] TASK", num_args = 0..=2)]
    pub words: Vec<OsString>,
    /// Of all tasks that failed: which, why, and what each attempt printed
    #[arg(long)]
    pub failed: bool,
    /// Just the bytes of one stream of a task's newest attempt whose output is kept, without headings
    #[arg(long, value_name = "STREAM", conflicts_with = "failed")]
    pub only: Option<OutputStream>,
    /// What canfar-run itself said in the launches of a replica
    #[arg(long, value_name = "N", conflicts_with_all = ["failed", "only"], value_parser = clap::value_parser!(u32).range(1..))]
    pub replica: Option<u32>,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The results directory
    #[arg(value_name = "RESULTS_DIR", default_value = "results", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Where the page goes; `-` prints it [default: `report.html` in the results directory]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// Options of `reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// The results directory
    #[arg(value_name = "RESULTS_DIR", default_value = "results", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        super::Cli::command().debug_assert();
    }
}
