//! Options of the commands that read a run, and of `reset`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::cli::values::{COLORS, OUTPUT_STREAMS, one_of};
use crate::record::logs::OutputStream;
use crate::terminal::screen::Color;

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
    /// Merge only these directories, even if the results being replaced have records of others
    #[arg(long)]
    pub alone: bool,
    /// Accept the results as final although files are missing
    #[arg(long)]
    pub allow_missing: bool,
    /// Write the paths without an ok record to this file, for --files-from
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub missing: Option<PathBuf>,
    /// Write the paths of all products to this file, for `sha256sum -c` if they were hashed; `-` prints them
    ///
    /// Only of results that count and are ok. A directory that was hashed gets a line for each file in it, if all of them are still
    /// as recorded.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub products: Option<PathBuf>,
    /// Compare all products with their records: exits 3 if one is gone or changed
    ///
    /// By SHA-256, which reads every byte, if they were hashed (--checksum sha256), else by size and time.
    #[arg(long)]
    pub verify_products: bool,
    /// End the paths of --missing and --products with a NUL byte instead of a line end
    #[arg(long)]
    pub null: bool,
    /// The summary as one JSON object on stdout
    #[arg(long)]
    pub json: bool,
    /// Problems and errors only
    #[arg(short, long)]
    pub quiet: bool,
    /// Colours in messages
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = one_of(COLORS))]
    pub color: Color,
}

/// Options of `status`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches, as typed")]
pub struct StatusArgs {
    /// The run's results directory
    #[arg(value_name = "RESULTS_DIR", default_value = "results", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// A row for every replica [without it, above 20 replicas: those that need attention, and the slowest]
    #[arg(short, long)]
    pub all: bool,
    /// Keep showing it until the run is complete
    ///
    /// On a terminal it is redrawn in place, elsewhere printed again when something has changed. Ctrl-C ends it.
    #[arg(short, long)]
    pub watch: bool,
    /// Wait silently until no replica is running: exits 0 if the run is complete, 1 if some files failed, 3 if files are left
    #[arg(long)]
    pub wait: bool,
    /// As one JSON object (with --watch one per line)
    #[arg(long)]
    pub json: bool,
    /// Colours
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = one_of(COLORS))]
    pub color: Color,
}

/// Options of `logs`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches, as typed")]
pub struct LogsArgs {
    /// The run's directory (`results` if left out), and the task: its index in the list, its path or its base name
    #[arg(value_name = "[RESULTS_DIR] TASK", num_args = 0..=2)]
    pub words: Vec<OsString>,
    /// Why tasks failed: for each reason one task with its output, and the names of the others
    #[arg(long)]
    pub failed: bool,
    /// With --failed: every failed task, with the output of each attempt
    #[arg(long, requires = "failed")]
    pub all: bool,
    /// Only the standard output of a task, without headings, from its newest attempt with kept output
    #[arg(long, conflicts_with_all = ["failed", "only", "stderr"])]
    pub stdout: bool,
    /// The same for standard error
    #[arg(long, conflicts_with_all = ["failed", "only"])]
    pub stderr: bool,
    /// The old form of --stdout and --stderr
    #[arg(long, value_name = "STREAM", value_parser = one_of(OUTPUT_STREAMS), conflicts_with = "failed", hide = true)]
    pub only: Option<OutputStream>,
    /// What canfar-run itself printed in the launches of a replica
    #[arg(long, value_name = "N", conflicts_with_all = ["failed", "only", "stdout", "stderr"], value_parser = clap::value_parser!(u32).range(1..))]
    pub replica: Option<u32>,
    /// Print output unfiltered; by default a terminal gets text and colours only
    #[arg(long)]
    pub raw: bool,
}

impl LogsArgs {
    /// The one stream that is asked for.
    pub fn stream(&self) -> Option<OutputStream> {
        match (self.stdout, self.stderr) {
            (true, _) => Some(OutputStream::Stdout),
            (_, true) => Some(OutputStream::Stderr),
            (false, false) => self.only,
        }
    }
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
