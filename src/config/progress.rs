//! How a launch shows its progress: a bar where one can be drawn, else lines.

use std::io::IsTerminal;

use crate::cli;
use crate::environment::Environment;
use crate::terminal::console::Verbosity;
use crate::terminal::progress::ProgressMode;

/// What was asked for, as far as it can be had, and what to say where it can't.
pub(super) fn progress_of(
    asked: cli::Progress,
    verbosity: Verbosity,
    environment: &Environment,
) -> (ProgressMode, Option<String>) {
    let can_draw = || {
        let is_dumb = environment.get("TERM").is_none_or(|terminal| terminal == "dumb");
        std::io::stderr().is_terminal() && !is_dumb
    };
    match asked {
        cli::Progress::None => (ProgressMode::Nothing, None),
        _ if verbosity == Verbosity::Quiet => (ProgressMode::Nothing, None),
        cli::Progress::Auto | cli::Progress::Bar if can_draw() => (ProgressMode::Bar, None),
        cli::Progress::Auto | cli::Progress::Plain => (ProgressMode::Lines, None),
        cli::Progress::Bar => {
            let note = "--progress bar: standard error is not a terminal that can show a bar; progress is printed as lines";
            (ProgressMode::Lines, Some(note.to_owned()))
        }
    }
}
