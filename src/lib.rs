//! `canfar-run`: the command of a container that is one of N replicas. It finds a run's input files, takes this
//! replica's share, runs a command per file and leaves results that can be merged and trusted to be complete.
//!
//! Data flows one way: `cli` → `config` → `listing`, `discover` → `launch` → `run` → `journal`, `record` → `merge`, `status`,
//! `report`. Only `commands` sees them all. `docs/architecture.md` describes the modules.

mod cli;
mod clock;
mod commands;
mod config;
mod discover;
mod encoding;
mod environment;
mod exit_code;
mod host;
mod journal;
mod json;
mod launch;
mod listing;
mod liveness;
mod merge;
mod model;
mod output;
mod process;
mod products;
mod record;
mod report;
mod run;
mod sharing;
mod status;
mod store;
mod table;
mod template;
mod terminal;
#[doc(hidden)]
pub mod testing;
mod text;
mod threads;
mod units;

use std::ffi::OsString;
use std::io::Write;

use anyhow::Context;

use crate::cli::Request;
use crate::commands::Invocation;
pub use crate::environment::Environment;
pub use crate::exit_code::ExitCode;
use crate::host::storage::StorageTrouble;
use crate::output::{Stdout, StdoutFault};
use crate::process::init::run_as_init;
use crate::process::signals;
use crate::terminal::console::{Console, Verbosity};
use crate::terminal::screen::Color;

/// The whole program: does what `argv` (the program's name first) says, prints the requested output to `out` and
/// messages to standard error, and returns the exit code.
pub fn run(argv: &[OsString], environment: &Environment, out: &mut (dyn Write + Send)) -> ExitCode {
    signals::block_all();
    let mut out = Stdout::new(out);
    let ended = dispatch(argv, environment, &mut out).or_else(|error| print_if_asked(error, &mut out));
    ended.unwrap_or_else(|error| match (error.downcast::<clap::Error>(), out.fault()) {
        (Ok(wrong), _) => {
            let _ = write!(anstream::stderr(), "canfar-run: {}", wrong.render().ansi());
            ExitCode::Usage
        }
        (Err(_), Some(StdoutFault::ReaderLeft)) => ExitCode::Ok,
        (Err(error), Some(StdoutFault::Failed)) => {
            let error = error.context("standard output can't be written");
            Console::new(Verbosity::Normal, Color::Auto).error(&error);
            ExitCode::CannotWrite
        }
        (Err(error), None) => {
            let code = ExitCode::of_error(&error);
            Console::new(Verbosity::Normal, Color::Auto).error(&advised(error, code));
            code
        }
    })
}

/// Adds what to do about storage that can't be written. Advice about permissions and missing folders comes from the code that knows which
/// folder it is.
fn advised(error: anyhow::Error, code: ExitCode) -> anyhow::Error {
    let trouble = StorageTrouble::in_error(&error);
    let is_told = matches!(trouble, StorageTrouble::Denied | StorageTrouble::Removed | StorageTrouble::Other);
    if code != ExitCode::CannotWrite || is_told {
        return error;
    }
    anyhow::anyhow!("{error:#}. {}", trouble.advice())
}

/// Help and version come from clap as errors.
fn print_if_asked(error: anyhow::Error, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let text = match error.downcast_ref::<clap::Error>() {
        Some(asked) if !asked.use_stderr() => asked.render(),
        _ => return Err(error),
    };
    let is_plain = anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never;
    let text = if is_plain { text.to_string() } else { text.ansi().to_string() };
    print(text.as_bytes(), "what was asked for", out)
}

/// Prints everything.
fn print(text: &[u8], what: &str, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let printed = out.write_all(text).and_then(|()| out.flush());
    printed.with_context(|| format!("can't print {what}"))?;
    Ok(ExitCode::Ok)
}

fn dispatch(
    argv: &[OsString],
    environment: &Environment,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<ExitCode> {
    let request = config::read(argv)?;
    if !matches!(request, Request::Run(_) | Request::Resume(_)) {
        signals::restore_requests();
    }
    let invocation = Invocation { argv, environment, out };
    match request {
        // Supervised from here on: even a job file may lie on storage that does not answer.
        Request::Run(typed) => {
            run_as_init(|stop, descendants| commands::run::run(typed, invocation, stop, descendants))
        }
        Request::Resume(typed) => {
            run_as_init(|stop, descendants| commands::resume::run(typed, invocation, stop, descendants))
        }
        Request::Plan(typed) => commands::plan::run(typed, invocation),
        Request::Merge(args) => commands::merge::run(&args, invocation),
        Request::Status(args) => commands::status::run(&args, invocation),
        Request::Logs(args) => commands::logs::run(&args, invocation),
        Request::Report(args) => commands::report::run(&args, invocation),
        Request::Reset(args) => commands::reset::run(&args, &invocation),
        Request::Completions { shell } => {
            print(&cli::completion_script(shell), "the completion script", invocation.out)
        }
        Request::Man => print(&cli::manual_page()?, "the manual page", invocation.out),
    }
}
