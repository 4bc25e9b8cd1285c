//! `report`: one HTML page about a run.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::CannotWrite;
use crate::chronicle::{self, Chronicle};
use crate::cli::{Color, ReportArgs};
use crate::config::{Verbosity, heartbeat_times};
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::record::atomic_file::{ABANDONED, AtomicFile, remove_leftovers};
use crate::record::layout::{Layout, REPORT};
use crate::report::console::{Console, Tone};
use crate::report::html;
use crate::units;

/// Writes the page to where it was asked for.
///
/// # Errors
/// When there is no run, it can't be read, or the page can't be written.
pub fn run(args: &ReportArgs, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(environment.absolute(&args.dir));
    let times = heartbeat_times(environment)?;
    if args.output.as_deref() == Some(Path::new("-")) {
        let chronicle = chronicle::gather(&layout, times)?;
        html::write(&chronicle, layout.root(), out)
            .and_then(|()| out.flush())
            .context("can't print the report")?;
        return Ok(ExitCode::Ok);
    }
    let target = match &args.output {
        Some(output) => environment.absolute(output),
        None => layout.merged(REPORT),
    };
    let name = target.file_name().unwrap_or_default();
    let is_elsewhere = target.parent() != Some(layout.root());
    ensure!(
        is_elsewhere || name == REPORT || !Layout::is_of_a_run(name),
        "--output {}: the run keeps something else under this name: give another one",
        target.display()
    );
    let chronicle = chronicle::gather(&layout, times)?;
    write(&chronicle, &layout, &target)
        .with_context(|| format!("can't write the report {}", target.display()))
        .context(CannotWrite)?;
    let console = Console::new(Verbosity::Normal, Color::Auto);
    console.say(Verbosity::Normal, Tone::Plain, &format!("report: {}", units::path(&target)));
    Ok(ExitCode::Ok)
}

fn write(chronicle: &Chronicle, layout: &Layout, target: &Path) -> std::io::Result<()> {
    let mut file = AtomicFile::create(target)?;
    html::write(chronicle, layout.root(), &mut file)?;
    file.replace()?;
    remove_leftovers(target, ABANDONED);
    Ok(())
}
