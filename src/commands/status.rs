//! `status`: the progress of every replica, once, repeatedly, or when no replica is running any more. It only reads.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cli::StatusArgs;
use crate::commands::{Invocation, runs_nearby};
use crate::config::heartbeat_times;
use crate::exit_code::ExitCode;
use crate::output::WhileRead;
use crate::process::shutdown::Shutdown;
use crate::process::signals::shutdown_on_requests;
use crate::report::status::{StatusForm, text};
use crate::status::{MonitoredRun, ReplicaState, RunMonitor, RunStatus};
use crate::terminal::fullscreen::Fullscreen;
use crate::terminal::screen::Color;
use crate::terminal::size::TerminalSize;

/// Between two looks, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// The largest part of the time that polling may take: it polls less often the longer a poll takes.
const SHARE: u32 = 20;

/// Without a screen to redraw, mere progress is printed no more often than this.
const SELDOM: Duration = Duration::from_secs(10);

/// After this many polls in a row a journal that can't be read is assumed to stay unreadable.
const UNREADABLE: u32 = 5;

/// Columns of text that goes nowhere in particular.
const WIDTH: usize = 120;

/// Shows how far a run is.
///
/// # Errors
/// When there is no run, or its list can't be read, or standard output can't be written.
pub fn run(args: &StatusArgs, invocation: Invocation<'_>) -> anyhow::Result<ExitCode> {
    let Invocation { environment, out, .. } = invocation;
    let root = environment.absolute(&args.dir);
    let times = heartbeat_times(environment)?;
    let shown = ShownStatus { args, root: &root };
    let open = || {
        MonitoredRun::open(&root)
            .map_err(|error| runs_nearby::named_in(error, &root, environment, "canfar-run status"))
    };
    if !args.watch && !args.wait {
        shown.print(&open()?.monitor(times).look()?, out)?;
        return Ok(ExitCode::Ok);
    }
    // Before the watcher has threads, which would have the signals as they were.
    let stop = shutdown_on_requests().context("can't take over signals")?;
    let run = open()?;
    let mut watcher = run.monitor(times);
    let watched = if args.watch && !args.json && TerminalSize::of_stdout().is_some() {
        let mut screen = Fullscreen::begin(out).context(CANNOT)?;
        watch(args, &mut watcher, &stop, &mut |figures, _| {
            screen.show(&shown.fitting(figures)).context(CANNOT)
        })
    } else {
        let mut said: Option<(RunStatus, Instant)> = None;
        watch(args, &mut watcher, &stop, &mut |figures, is_last| {
            let is_due = args.watch && said.as_ref().is_none_or(|(before, at)| is_news(figures, before, *at));
            // What comes at last is printed below.
            if is_due && !is_last {
                shown.print(figures, out)?;
                said = Some((figures.clone(), Instant::now()));
            }
            Ok(())
        })
    };
    let figures = watched?;
    shown.print(&figures, &mut WhileRead(out))?;
    Ok(match stop.signal() {
        Some(signal) => ExitCode::Signal(signal),
        None if args.wait => code(&figures),
        None => ExitCode::Ok,
    })
}

const CANNOT: &str = "can't print the status";

/// What is done with the result of each poll; the argument says whether it is the last one.
type Show<'s> = &'s mut dyn FnMut(&RunStatus, bool) -> anyhow::Result<()>;

/// Looks until it is over or a signal comes; gives the last look.
fn watch(
    args: &StatusArgs,
    watcher: &mut RunMonitor<'_>,
    stop: &Shutdown,
    show: Show<'_>,
) -> anyhow::Result<RunStatus> {
    let mut unreadable = 0;
    loop {
        let begun = Instant::now();
        let figures = watcher.look()?;
        unreadable = if figures.count(ReplicaState::Unreadable) > 0 { unreadable + 1 } else { 0 };
        // Don't wait for containers that may never start, but don't give up after one storage error either.
        let is_over = if args.wait {
            !figures.is_at_work() && (unreadable == 0 || unreadable >= UNREADABLE)
        } else {
            figures.complete && !figures.is_at_work()
        };
        show(&figures, is_over)?;
        if is_over || stop.begins_within(PAUSE.max(begun.elapsed() * SHARE)) {
            return Ok(figures);
        }
    }
}

/// Whether a look is worth printing where lines stay: a replica in another state at once, progress now and then.
fn is_news(figures: &RunStatus, before: &RunStatus, at: Instant) -> bool {
    figures.totals.states != before.totals.states
        || (figures.has_moved_since(before) && at.elapsed() >= SELDOM)
}

fn code(figures: &RunStatus) -> ExitCode {
    match (figures.complete, figures.totals.counts.failed) {
        (false, _) => ExitCode::Incomplete,
        (true, 0) => ExitCode::Ok,
        (true, _) => ExitCode::TasksFailed,
    }
}

/// How looks are shown.
struct ShownStatus<'a> {
    args: &'a StatusArgs,
    root: &'a Path,
}

impl ShownStatus<'_> {
    fn form(&self, size: Option<TerminalSize>) -> StatusForm {
        let color = match self.args.color {
            Color::Auto => anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never,
            Color::Always => true,
            Color::Never => false,
        };
        StatusForm { all: self.args.all, color, width: size.map_or(WIDTH, |size| size.columns), most: None }
    }

    fn print(&self, figures: &RunStatus, out: &mut dyn Write) -> anyhow::Result<()> {
        let text = if self.args.json {
            serde_json::to_string(figures)? + "\n"
        } else {
            text(figures, self.root, self.form(TerminalSize::of_stdout()))
        };
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context(CANNOT)
    }

    /// As much as the terminal has room for: a table that is too long loses its last rows first.
    fn fitting(&self, figures: &RunStatus) -> String {
        let size = TerminalSize::of_stdout();
        let mut form = self.form(size);
        let Some(size) = size else { return text(figures, self.root, form) };
        for most in (0..=size.rows).rev() {
            form.most = Some(most);
            let text = text(figures, self.root, form);
            if size.rows_of(&text) <= size.rows {
                return text;
            }
        }
        let text = text(figures, self.root, form);
        text.lines().take(size.rows).collect::<Vec<_>>().join("\n")
    }
}
