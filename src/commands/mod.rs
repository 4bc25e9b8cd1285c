//! One file per subcommand: each only connects the steps; the work is done elsewhere.

mod auto_merge;
mod dry_run;
mod family;
mod home;
pub mod logs;
pub mod merge;
pub mod plan;
pub mod report;
pub mod reset;
pub mod resume;
pub mod run;
mod runs_nearby;
pub mod status;
mod task_names;
mod waiting;

use std::ffi::OsString;
use std::io::Write;

use crate::cli::RunArgs;
use crate::config::{Layers, RunConfig, verbosity_of};
use crate::environment::Environment;
use crate::terminal::console::Console;

/// What every subcommand works with.
pub struct Invocation<'a> {
    /// What was typed, the program's name first.
    pub argv: &'a [OsString],
    /// Variables and working directory.
    pub environment: &'a Environment,
    /// Standard output.
    pub out: &'a mut (dyn Write + Send),
}

impl Invocation<'_> {
    /// The settings of a launch, and the console for its messages; first, warnings about the settings.
    fn configure(&self, args: &RunArgs, layers: Layers) -> anyhow::Result<(RunConfig, Console)> {
        let console = Console::new(verbosity_of(&args.messages)?, args.messages.color);
        layers.warnings.iter().for_each(|warning| console.warn(warning));
        let config = RunConfig::resolve(args, layers, self.environment)?;
        config.warnings.iter().for_each(|warning| console.warn(warning));
        Ok((config, console))
    }
}
