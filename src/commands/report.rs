//! `report`: one HTML page about a run.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::cli::ReportArgs;
use crate::commands::{Invocation, runs_nearby};
use crate::config::heartbeat_times;
use crate::exit_code::CannotWrite;
use crate::exit_code::ExitCode;
use crate::record::destination::Destination;
use crate::report::html;
use crate::report::html::model::{self, RunHistory};
use crate::store::layout::{Layout, REPORT};
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::terminal::screen::Color;

/// Writes the page to where it was asked for.
///
/// # Errors
/// When there is no run, it can't be read, or the page can't be written.
pub fn run(args: &ReportArgs, invocation: Invocation<'_>) -> anyhow::Result<ExitCode> {
    let Invocation { environment, out, .. } = invocation;
    let layout = Layout::new(environment.absolute(&args.dir));
    let times = heartbeat_times(environment)?;
    let target = match &args.output {
        Some(output) => Destination::typed(output, environment),
        None => Destination::Path(layout.merged(REPORT)),
    };
    refuse_names(&target, &layout)?;
    let history = model::load(&layout, times)
        .map_err(|error| runs_nearby::named_in(error, layout.root(), environment, "canfar-run report"))?;
    write(&history, &layout, &target, out)
        .with_context(|| format!("can't write the report to {target}"))
        .context(CannotWrite)?;
    if target != Destination::Stdout {
        let console = Console::new(Verbosity::Normal, Color::Auto);
        console.say(Verbosity::Normal, Tone::Plain, &format!("report: {target}"));
    }
    Ok(ExitCode::Ok)
}

/// Refuses to write over what the run keeps, wherever links lead.
fn refuse_names(target: &Destination, layout: &Layout) -> anyhow::Result<()> {
    let Some(place) = target.place("--output")? else { return Ok(()) };
    let name = place.file_name().unwrap_or_default();
    let is_elsewhere = place.parent() != layout.root().canonicalize().ok().as_deref();
    ensure!(
        is_elsewhere || name == REPORT || !Layout::is_of_a_run(name),
        "--output {target}: the run keeps something else under this name: give another name"
    );
    Ok(())
}

fn write(
    history: &RunHistory,
    layout: &Layout,
    target: &Destination,
    stdout: &mut dyn Write,
) -> std::io::Result<()> {
    let mut file = target.open(stdout)?;
    // A page that is printed will most likely be stored beside the results.
    let page = target.path().and_then(Path::parent).unwrap_or(layout.root());
    html::write(history, layout.root(), page, &mut file)?;
    file.finish()?;
    target.remove_leftovers();
    Ok(())
}
