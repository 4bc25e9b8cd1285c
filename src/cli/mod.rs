//! The command line: clap types and help texts. `config` works out what they mean.

mod readers;
mod run;
mod typed;
mod values;

use std::ffi::OsString;
use std::io;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, Parser, Subcommand};

pub use readers::{LogsArgs, MergeArgs, ReportArgs, ResetArgs, StatusArgs};
pub use run::{DEFINES_RUN, InputArgs, MessageArgs, PlanArgs, ResumeArgs, RunArgs, TaskArgs};
pub use typed::{OptionNames, Typed, refusal_of, subcommand_of};
pub use values::{Auto, Progress, Shares, Threads};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLE: &str = "\
Example, as the command of 100 containers:
  canfar-run -i '/arc/projects/sky/*.fits' -o /arc/projects/sky/results -- python analyze.py {}
Then, with the same directory: status (progress), logs --failed (why), resume (the rest), merge";

const EXAMPLES: &str = "\
Examples, the second as the command of 100 containers:
  canfar-run -i 'data/*.fits' --call analysis.py:analyze
  canfar-run -i '/arc/projects/sky/*.fits' -o /arc/projects/sky/results -- python analyze.py {}
While they run and afterwards:
  canfar-run status /arc/projects/sky/results          progress, and what to type next
  canfar-run logs --failed /arc/projects/sky/results   which files failed, why, and what they printed
  canfar-run resume /arc/projects/sky/results          run what is missing or failed, and only that
  canfar-run merge /arc/projects/sky/results           all results in one file, checked for completeness
  canfar-run report /arc/projects/sky/results          one HTML page about the run";

const MORE_HELP: &str = "\
Options can also be given as CANFAR_RUN_<NAME> (CANFAR_RUN_JOBS=4) or in a TOML job file (jobs = 4);
flags beat the environment, which beats the job file.

Placeholders in COMMAND and --shell:
  {}  path          {/}  base name      {//} directory     {rel}  path below the pattern's fixed part
  {.} path without its last extension   {/.} base name without it
  {:} and {/:} the same without a compression suffix and one extension: a.fits.gz gives a
  {index} place in the list, from 0     {slot} 1..jobs     {replica} replica id
  {{}} is {} as text. Without a placeholder the path is appended.

Exit codes: 0 all ok; 1 some tasks failed; 2 wrong usage, nothing was run; 3 some tasks were not run, or files are missing;
4 results could not be written; 128+signal when stopped.";

/// Runs your script once per file, on one machine or in a hundred containers, and merges the results.
#[derive(Debug, Parser)]
#[command(
    name = "canfar-run",
    version,
    styles = STYLES,
    args_conflicts_with_subcommands = true,
    override_usage = "canfar-run [OPTIONS] --input PATTERN... --call FILE.py:FUNCTION\n       canfar-run [OPTIONS] --input PATTERN... -- COMMAND [ARG]...",
    after_help = EXAMPLE,
    after_long_help = format!("{EXAMPLES}\n\n{MORE_HELP}"),
    max_term_width = 120
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub request: Option<Request>,
    /// Without a subcommand: run.
    #[command(flatten)]
    pub run: Typed<RunArgs>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Request {
    /// Run this replica's share (the same as no subcommand)
    #[command(
        override_usage = "canfar-run run [OPTIONS] --input PATTERN... --call FILE.py:FUNCTION\n       canfar-run run [OPTIONS] --input PATTERN... -- COMMAND [ARG]...",
        after_help = EXAMPLE,
        after_long_help = format!("{EXAMPLES}\n\n{MORE_HELP}")
    )]
    Run(Typed<RunArgs>),
    /// Show which replica gets which files; runs and writes nothing
    #[command(
        override_usage = "canfar-run plan [OPTIONS] --input PATTERN... --replica-count N\n       canfar-run plan --results-dir DIR"
    )]
    Plan(Typed<PlanArgs>),
    /// Combine all replicas' results into one file, and check that none is missing
    Merge(MergeArgs),
    /// Show the progress of a run and of each replica, and what to type next
    Status(StatusArgs),
    /// Run only the missing and failed files of a run, in any number of containers
    #[command(
        override_usage = "canfar-run resume [OPTIONS] RESULTS_DIR\n       canfar-run resume [OPTIONS] RESULTS_DIR --only WHAT [-- COMMAND [ARG]...]"
    )]
    Resume(Typed<ResumeArgs>),
    /// Print the output of tasks, if it was kept
    #[command(
        override_usage = "canfar-run logs [--stdout|--stderr] [RESULTS_DIR] TASK\n       canfar-run logs --failed [--all] [RESULTS_DIR]\n       canfar-run logs --replica N [RESULTS_DIR]"
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

impl Request {
    /// Reads a command line (the program's name first).
    ///
    /// # Errors
    /// When it is wrong, and where help or the version was asked for.
    pub fn parse(argv: &[OsString]) -> Result<Self, clap::Error> {
        let cli = Cli::try_parse_from(argv)?;
        Ok(cli.request.unwrap_or(Self::Run(cli.run)))
    }
}

/// A completion script for a shell.
pub fn completion_script(shell: clap_complete::Shell) -> Vec<u8> {
    // In memory first: what writes it panics where it can't write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "canfar-run", &mut script);
    script
}

/// The manual page.
///
/// # Errors
/// None that memory does not have.
pub fn manual_page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        super::Cli::command().debug_assert();
    }
}
