//! `run`: this replica's share, from the list to the results file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::cli::{RunArgs, Typed};
use crate::commands::auto_merge::merge_if_last;
use crate::commands::family::{make_known, say_nothing_new, say_siblings};
use crate::commands::home::{at_home, or_begin_anew, say_missing_files, say_other_files, say_unknown_words};
use crate::commands::{Invocation, dry_run};
use crate::config::{RunConfig, layered};
use crate::exit_code::ExitCode;
use crate::journal::event::StopReason;
use crate::launch::{
    Launcher, Reach, ShareStatus, Sharing, agree, agree_on_balance, agree_on_command, agree_on_parent,
    agree_on_products, print_json,
};
use crate::listing::{self, FoundList, ListingObserver};
use crate::liveness::run_lock::LockObserver;
use crate::liveness::takeover::{AlreadyRunning, TakeoverObserver};
use crate::model::counts::TaskCounts;
use crate::model::provenance::Process;
use crate::model::usage::UsageJson;
use crate::process::descendants::Descendants;
use crate::process::shutdown::Shutdown;
use crate::record::inputs::{InputList, InputSpec, Origin};
use crate::report::launch::LaunchSummary;
use crate::run::call::Preflight;
use crate::store::layout::Layout;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// Runs this replica's share, or prints its commands.
///
/// # Errors
/// When nothing could be run, with the reason.
pub fn run(
    typed: Typed<RunArgs>,
    invocation: Invocation<'_>,
    stop: &Shutdown,
    descendants: &Descendants,
) -> anyhow::Result<ExitCode> {
    let (args, layers) = layered(typed, invocation.argv, invocation.environment, None)?;
    let origins = layers.origins.clone();
    let (config, console) = &invocation.configure(&args, layers).map_err(|error| origins.explain(error))?;
    let out = invocation.out;
    let outcome = if config.is_dry {
        dry_run::own_share(config, console, stop, out)
    } else {
        live(config, console, stop, descendants, out)
    };
    match (outcome.map_err(|error| origins.explain(error)), stop.signal()) {
        // Whatever could not be finished for a signal ended for that.
        (Err(error), Some(signal)) => {
            console
                .error(&error.context(format!("stopped by {} before any task began", units::signal(signal))));
            Ok(ExitCode::Signal(signal))
        }
        (outcome, _) => outcome,
    }
}

/// Observes what happens before the first task.
struct Hearing<'a> {
    config: &'a RunConfig,
    console: &'a Console,
    stop: &'a Shutdown,
    timeout: Duration,
}

impl LockObserver for Hearing<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for_lock(&self, who: &str) {
        self.console.say(
            Verbosity::Normal,
            Tone::Plain,
            &format!("waiting for {who}, which is making the list of inputs"),
        );
    }
}

impl ListingObserver for Hearing<'_> {
    fn note(&self, note: &str) {
        self.console.warn(note);
    }

    fn check(&self, source: &InputSpec) -> anyhow::Result<()> {
        match &self.config.input_spec {
            Some(asked) if asked.is_to_tell_columns() => {
                check_call(&self.config.for_source(source)?.with_program()?, self.stop)
            }
            _ => Ok(()),
        }
    }
}

impl TakeoverObserver for Hearing<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for(&self, launch: u32, who: &str) {
        self.console.say(
            Verbosity::Normal,
            Tone::Plain,
            &format!("launch {launch} of this replica ({who}) left no stop record; watching its journal for up to {} to see whether it is still running", units::duration(self.timeout)),
        );
    }
}

/// What a list would be made of; `None` without an input.
fn origin(config: &RunConfig) -> Option<Origin> {
    config.input_spec.as_ref().map(|spec| Origin {
        parent: config.parent.clone(),
        source: spec.clone(),
        strategy: config.strategy,
        replica_count: config.identity.replica.count(),
        balance: config.balance,
        command: config.command.clone(),
        command_files: config.command_files(),
        products: config.products.clone(),
        settings: config.settings.clone(),
    })
}

fn live(
    config: &RunConfig,
    console: &Console,
    stop: &Shutdown,
    descendants: &Descendants,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(stop.signal().is_none(), "nothing was done yet");
    let begun = Instant::now();
    let layout = Layout::new(&config.results_dir);
    let me = Process::current(config.session.clone());
    let listener = Hearing { config, console, stop, timeout: config.heartbeat.timeout };
    let list = if let Some(list) = InputList::open(&layout)? {
        list
    } else {
        // No run is begun of what can't be run.
        let config = match &config.input_spec {
            Some(source) => config.for_source(source)?.with_program_and_script()?,
            None => config.clone().with_program_and_script()?,
        };
        if !config.input_spec.as_ref().is_some_and(InputSpec::is_to_tell_columns) {
            check_call(&config, stop)?;
        }
        say_siblings(&config, console);
        let (origin, rules) = (origin(&config), config.listing_rules());
        let made =
            listing::adopt_or_publish(&layout, origin.as_ref(), rules, &me, config.heartbeat, &listener)?;
        match made {
            FoundList::List(list) => *list,
            FoundList::Nothing { known } => return nothing_found(&config, known, console, out),
        }
    };
    let replica = config.identity.replica;
    check_agreement(config, &list, &layout)?;
    check_command(config, &list, &layout, console)?;
    make_known(&list, config, console);
    let config = at_home(config, &list, console)?;
    say_unknown_words(&config, console);
    let command_files = config.command_files();
    say_other_files(&config, &list, &command_files, console);
    let blocks = list.has_balance().then(|| list.blocks()).transpose()?;
    let sharing = blocks.as_ref().map(|blocks| Sharing { blocks, reach: Reach::All });
    let launcher = Launcher {
        config: &config,
        console,
        layout: &layout,
        list: &list,
        stop,
        descendants,
        listed: None,
        selection: None,
        sharing,
    };
    let share = list.share_of(replica)?;
    launcher.say_imbalance();
    let status = launcher.look(&share, &me)?;
    if !matches!(status, ShareStatus::Done(_)) {
        say_missing_files(&config, &list, console);
    }
    let mut ended = match status {
        ShareStatus::Done(standing) => {
            launcher.say_nothing_to_do(&share, &standing, &command_files);
            launcher.close(standing, None, None, begun)
        }
        left => match launcher.launch(share, left, &me, command_files, &listener, begun) {
            Err(error) => match error.downcast_ref::<AlreadyRunning>() {
                Some(running) if running.by_another && sharing.is_some() => {
                    launcher.say_finished_by_another(running);
                    return Ok(ExitCode::Ok);
                }
                _ => return Err(error),
            },
            Ok(launched) => launched,
        },
    };
    // What a newer launch took over is that one's to finish.
    if config.merge && ended.summary.is_some() {
        ended.then(merge_if_last(&layout, &me, config.heartbeat, console, stop));
    }
    Ok(ended.told(config.json, console, out))
}

/// Refuses a function that can't be called.
fn check_call(config: &RunConfig, stop: &Shutdown) -> anyhow::Result<()> {
    let (Some(call), Some(program)) = (config.call(), &config.program) else { return Ok(()) };
    let preflight = Preflight {
        program,
        environment: &config.environment,
        folder: config.work_folder.fixed(),
        tmp: config.scratch.first().map_or(Path::new("/tmp"), PathBuf::as_path),
    };
    let refusal = preflight.refusal(call, stop);
    anyhow::ensure!(stop.signal().is_none(), "nothing was done yet");
    refusal.map_or(Ok(()), |why| bail!(why))
}

/// Patterns may match nothing and did, or nothing that is new.
fn nothing_found(
    config: &RunConfig,
    known: u64,
    console: &Console,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let replica = config.identity.replica;
    if let Some(parent) = &config.parent {
        say_nothing_new(parent, known, config, console);
    } else {
        let text = format!("{replica}: no file matches; nothing to do, so no run was begun");
        console.say(Verbosity::Normal, Tone::Plain, &text);
    }
    let summary = LaunchSummary {
        run: None,
        replica_id: replica.id(),
        replica_count: replica.count(),
        launch: None,
        counts: TaskCounts::default(),
        lost: 0,
        not_run: 0,
        done_before: 0,
        non_finite: 0,
        ok_after_retry: 0,
        kept_before: 0,
        wall_s: 0.0,
        cpu_s: 0.0,
        max_rss_bytes: None,
        figures: UsageJson::default(),
        failures: Vec::new(),
        reason: StopReason::Done,
        keeps_logs: true,
        timeout: None,
        results_dir: units::path(&config.results_dir),
        exit: ExitCode::Ok.number(),
    };
    print_json(config.json, &summary, out)?;
    Ok(ExitCode::Ok)
}

fn check_agreement(config: &RunConfig, list: &InputList, layout: &Layout) -> anyhow::Result<()> {
    let source = config.input_spec.as_ref();
    agree_on_parent(list, layout, config.parent.as_ref(), source.is_some())?;
    // Without an input the run's own list is used, and its strategy with it.
    agree(list, layout, source, source.map(|_| config.strategy), config.identity.replica.count())?;
    agree_on_balance(list, layout, config.asked_balance)?;
    agree_on_products(list, layout, &config.products)
}

fn check_command(
    config: &RunConfig,
    list: &InputList,
    layout: &Layout,
    console: &Console,
) -> anyhow::Result<()> {
    let RunConfig { command, manner, accept_changed_command, .. } = config;
    let before = agree_on_command(list, layout, command, manner, *accept_changed_command)
        .map_err(|error| or_begin_anew(error, layout, config.heartbeat))?;
    if let Some(before) = before {
        console.warn(&format!("the command differs from the run's, which was: {before}"));
    }
    if let Some(first) = list.header().unreadable.first() {
        console.warn(&format!(
            "{} could not be read when the list was made, such as {}: files in there are not in the list",
            units::plural(list.header().unreadable.len() as u64, "directory", "directories"),
            units::path(&first.0)
        ));
    }
    Ok(())
}
