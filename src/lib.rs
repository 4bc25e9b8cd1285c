//! `canfar-run`: the command of a container that is one of N replicas. It finds a run's input files, takes this
//! replica's share, runs a command per file and leaves results that can be merged and trusted to be complete.
//!
//! Data flows one way: `cli` → `config` → `discover`, `listing` → `select` → `run` → `record` → `merge` / `report`.
//! Only `commands` sees them all.

pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod discover;
pub mod environment;
pub mod exit_code;
pub mod host;
pub mod journal;
pub mod json;
pub mod launch;
pub mod listing;
pub mod liveness;
pub mod merge;
pub mod model;
pub mod output;
pub mod process;
pub mod record;
pub mod report;
pub mod run;
pub mod status;
pub mod store;
pub mod template;
pub mod terminal;
pub mod text;
pub mod threads;
pub mod units;

use std::ffi::OsString;
use std::io::Write;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Color, Command, PlanArgs, ResumeArgs, RunArgs};
use crate::config::{Resumed, RunConfig, Verbosity, check, explained, layered};
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::host::storage::StorageTrouble;
use crate::output::{Stdout, StdoutFault};
use crate::process::init::run_as_init;
use crate::process::signals;
use crate::terminal::console::Console;

/// The whole program: does what `argv` (the program's name first) says, prints what was asked for to `out` and what it
/// has to say to standard error, and tells what to exit with.
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

/// With what to do about storage that can't be written. Who may write, and what is not there, is told by who knows whose
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

/// Prints all that there is to print.
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
    check(argv)?;
    let mut matches = Cli::command().try_get_matches_from(argv).map_err(|error| explained(error, argv))?;
    let name = matches.subcommand_name().unwrap_or("run").to_owned();
    if !["run", "resume", "plan"].contains(&name.as_str()) {
        signals::restore_requests();
        return others(Cli::from_arg_matches(&matches)?, environment, out);
    }
    let (begin, typed) = match matches.remove_subcommand() {
        Some((_, typed)) => (2, typed),
        None => (1, matches),
    };
    let layers = |typed, resumed: Option<&Resumed<'_>>| {
        layered(&name, argv.get(begin..).unwrap_or_default(), typed, environment, resumed)
    };
    match name.as_str() {
        // Attended from here on: also a job file may lie on storage that does not answer.
        "run" => run_as_init(|stop, descendants| {
            let mut layers = layers(typed, None)?;
            let args = RunArgs::from_arg_matches_mut(&mut layers.matches)?;
            let console = Console::new(verbosity(&args.messages), args.messages.color);
            layers.warnings.iter().for_each(|warning| console.warn(warning));
            let config = RunConfig::resolve(&args, layers, environment)?;
            config.warnings.iter().for_each(|warning| console.warn(warning));
            commands::run::run(&config, &console, stop, descendants, out)
        }),
        "resume" => run_as_init(|stop, descendants| {
            let (list, dir) = commands::resume::run_of(&typed, environment)?;
            let mut layers = layers(typed, Some(&Resumed { header: list.header(), dir: &dir }))?;
            let args = ResumeArgs::from_arg_matches_mut(&mut layers.matches)?;
            let console = Console::new(verbosity(&args.run.messages), args.run.messages.color);
            layers.warnings.iter().for_each(|warning| console.warn(warning));
            let config = RunConfig::resolve(&args.run, layers, environment)?;
            config.warnings.iter().for_each(|warning| console.warn(warning));
            commands::resume::run(&config, args.shares.as_ref(), &list, &console, stop, descendants, out)
        }),
        _ => {
            signals::restore_requests();
            let mut layers = layers(typed, None)?;
            let args = PlanArgs::from_arg_matches_mut(&mut layers.matches)?;
            let console = Console::new(Verbosity::Normal, Color::Auto);
            layers.warnings.iter().for_each(|warning| console.warn(warning));
            commands::plan::run(&args, &layers.identity, environment, &console, out)
        }
    }
}

fn verbosity(messages: &cli::MessageArgs) -> Verbosity {
    match (messages.quiet.unwrap_or(false), messages.verbose.unwrap_or(false)) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    }
}

fn others(cli: Cli, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match cli.command {
        Some(Command::Merge(args)) => commands::merge::run(&args, environment, out),
        Some(Command::Logs(args)) => commands::logs::run(&args, environment, out),
        Some(Command::Status(args)) => commands::status::run(&args, environment, out),
        Some(Command::Report(args)) => commands::report::run(&args, environment, out),
        Some(Command::Reset(args)) => commands::reset::run(&args, environment),
        Some(Command::Completions { shell }) => {
            // In memory first: what writes it panics where it can't write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "canfar-run", &mut script);
            print(&script, "the completion script", out)
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&page, "the manual page", out)
        }
        Some(Command::Run(_) | Command::Resume(_) | Command::Plan(_)) | None => {
            anyhow::bail!("not a subcommand of its own")
        }
    }
}
