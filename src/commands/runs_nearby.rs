//! Results directories near one that was asked for but holds no run: below it, or in the current directory.

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::report::groups;
use crate::store::layout::Layout;
use crate::units;

/// How many are named.
const NAMED: usize = 5;

/// How many entries of a folder are examined: each may take long.
const LOOKED_AT: usize = 1000;

/// The error that `asked` holds no run, with the runs that are near: `do_so` is what to type before the name of one.
pub(super) fn named_in(
    error: anyhow::Error,
    asked: &Path,
    environment: &Environment,
    do_so: &str,
) -> anyhow::Error {
    if holds_run(asked) || ExitCode::of_error(&error) != ExitCode::Usage {
        return error;
    }
    let folder = if asked.is_dir() { asked } else { &environment.cwd };
    let near = runs_in(folder);
    let shown = |run: &PathBuf| {
        let below = run.strip_prefix(&environment.cwd).ok().filter(|below| !below.as_os_str().is_empty());
        groups::quoted(&units::path(below.unwrap_or(if run == &environment.cwd {
            Path::new(".")
        } else {
            run
        })))
    };
    if let Some(last) = previous(asked) {
        let last = shown(&last);
        return anyhow::anyhow!("{error:#}\nThe run that was here is in {last}: {do_so} {last}");
    }
    let lines: Vec<String> =
        near.iter().take(NAMED).map(|run| format!("\n    {do_so} {}", shown(run))).collect();
    if lines.is_empty() {
        return error;
    }
    let more = if near.len() > NAMED { "\n    and others" } else { "" };
    anyhow::anyhow!("{error:#}\nThere are runs here:{}{more}", lines.concat())
}

fn holds_run(folder: &Path) -> bool {
    Layout::new(folder).inputs().exists()
}

/// The last run that `reset` moved away from a results directory.
fn previous(dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(Layout::new(dir).previous()).into_iter().flatten().flatten();
    // They are named by the time.
    entries.take(LOOKED_AT).map(|entry| entry.path()).filter(|run| holds_run(run)).max()
}

/// The folder itself and those in it, as far as they hold runs; one more than are named is enough.
fn runs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(LOOKED_AT);
    let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    below.sort();
    let all = std::iter::once(folder.to_owned()).chain(below);
    all.filter(|folder| holds_run(folder)).take(NAMED + 1).collect()
}
