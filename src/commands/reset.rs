//! `reset`: a run is moved aside, whole, so that a new one can begin in the same results directory.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::CannotWrite;
use crate::cli::{Color, ResetArgs};
use crate::config::Verbosity;
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::provenance::Process;
use crate::record::history::all_launches;
use crate::record::layout::Layout;
use crate::record::lease::now_at_file_server;
use crate::record::succession::is_at_work;
use crate::report::console::{Console, Tone};

/// Moves the run in a results directory to `previous/<time>/`.
///
/// # Errors
/// When a replica of it is at work, or a file can't be moved.
pub fn run(args: &ResetArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    let console = Console::new(Verbosity::Normal, Color::Auto);
    let layout = Layout::new(environment.absolute(&args.dir));
    let files = files_of_the_run(&layout)?;
    if files.is_empty() {
        console.say(
            Verbosity::Normal,
            Tone::Plain,
            &format!("{} holds no run: nothing to move", layout.root().display()),
        );
        return Ok(ExitCode::Ok);
    }
    refuse_if_at_work(&layout)?;
    let target = make_target(&layout)?;
    // The list goes first: without it nobody can begin or go on with this run.
    for file in files {
        let name = file.file_name().unwrap_or_default();
        std::fs::rename(&file, target.join(name))
            .with_context(|| format!("can't move {} to {}", file.display(), target.display()))
            .context(CannotWrite)?;
    }
    console.say(
        Verbosity::Normal,
        Tone::Plain,
        &format!("moved the run to {}; a new one can begin in {}", target.display(), layout.root().display()),
    );
    Ok(ExitCode::Ok)
}

/// Everything a run leaves, its list first.
fn files_of_the_run(layout: &Layout) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("can't read the results directory {}", layout.root().display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(layout.root()).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        if Layout::is_of_a_run(&entry.file_name()) {
            files.push(entry.path());
        }
    }
    files.sort_by_key(|file| (*file != layout.inputs(), file.clone()));
    Ok(files)
}

fn refuse_if_at_work(layout: &Layout) -> anyhow::Result<()> {
    let me = Process::current(None);
    let now = now_at_file_server(layout.root());
    let mut at_work = Vec::new();
    for (id, launches) in all_launches(layout)? {
        let last = launches.last().copied().unwrap_or(0);
        if is_at_work(&layout.journal(id, last), &me, now) {
            at_work.push(id.to_string());
        }
    }
    if !at_work.is_empty() {
        let replicas = if at_work.len() == 1 { "replica" } else { "replicas" };
        bail!(
            "the run in {} is at work ({replicas} {}): stop it first, or wait for its end",
            layout.root().display(),
            at_work.join(", ")
        );
    }
    Ok(())
}

fn make_target(layout: &Layout) -> anyhow::Result<PathBuf> {
    let name = crate::clock::now_as_name();
    let names = std::iter::once(name.clone()).chain((2..1000).map(|number| format!("{name}-{number}")));
    std::fs::create_dir_all(layout.previous())
        .with_context(|| format!("can't create {}", layout.previous().display()))
        .context(CannotWrite)?;
    for name in names {
        let target = layout.previous().join(name);
        match std::fs::create_dir(&target) {
            Ok(()) => return Ok(target),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("can't create {}", target.display()))
                    .context(CannotWrite);
            }
        }
    }
    bail!("{} is full of runs of this very second", layout.previous().display())
}
