//! `run`: this replica's share, from the list to the results file.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::commands::dry_run;
use crate::commands::last::merge_if_last;
use crate::config::{Given, RunConfig, Verbosity};
use crate::event::StopReason;
use crate::exit_code::ExitCode;
use crate::figures::Told;
use crate::launch::{Before, Launcher, agree, agree_on_command, print_json};
use crate::listing::{self, Rules};
use crate::liveness::takeover;
use crate::provenance::Process;
use crate::record::command_files;
use crate::record::inputs::{InputList, Origin, Source};
use crate::record::layout::Layout;
use crate::report::console::{Console, Tone};
use crate::report::launch::Summary;
use crate::run::descendants::Descendants;
use crate::run::shutdown::Shutdown;
use crate::units;

/// Runs this replica's share, or prints its commands.
///
/// # Errors
/// When nothing could be run, with the reason.
pub fn run(
    config: &RunConfig,
    console: &Console,
    stop: &Shutdown,
    descendants: &Descendants,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let outcome = if config.is_dry {
        dry_run::own_share(config, console, stop, out)
    } else {
        live(config, console, stop, descendants, out)
    };
    match (outcome, stop.signal()) {
        // Whatever could not be finished for a signal ended for that.
        (Err(error), Some(signal)) => {
            console
                .error(&error.context(format!("stopped by {} before any task began", units::signal(signal))));
            Ok(ExitCode::Signal(signal))
        }
        (outcome, _) => outcome,
    }
}

/// Hears what goes on before the first task.
struct Hearing<'a> {
    console: &'a Console,
    stop: &'a Shutdown,
    timeout: Duration,
}

impl listing::Listener for Hearing<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for_list(&self, who: &str) {
        self.console.say(
            Verbosity::Normal,
            Tone::Plain,
            &format!("waiting for the list of inputs, which is being made by {who}"),
        );
    }

    fn note(&self, note: &str) {
        self.console.warn(note);
    }
}

impl takeover::Listener for Hearing<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for(&self, launch: u32, who: &str) {
        self.console.say(
            Verbosity::Normal,
            Tone::Plain,
            &format!("launch {launch} of this replica ({who}) did not say how it ended: watching its journal for up to {}", units::duration(self.timeout)),
        );
    }
}

/// The source a launch was given; `None` for the run's own list.
pub(super) fn source(config: &RunConfig) -> Option<&Source> {
    match &config.given {
        Given::Source(source) => Some(source),
        Given::OwnList => None,
    }
}

pub(super) fn rules(config: &RunConfig) -> Rules<'_> {
    Rules {
        allow_empty: config.allow_empty,
        with_sizes: config.strategy.needs_sizes(),
        results_dir: &config.results_dir,
    }
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
    let listener = Hearing { console, stop, timeout: config.heartbeat.timeout };
    let command_files = command_files::digests(config.command_words(), &config.cwd);
    let origin = source(config).map(|source| Origin {
        source: source.clone(),
        strategy: config.strategy,
        replica_count: config.identity.replica.count(),
        command: config.command.clone(),
        command_files: command_files.clone(),
        settings: config.settings.clone(),
    });
    let Some(list) =
        listing::adopt_or_publish(&layout, origin.as_ref(), rules(config), &me, config.heartbeat, &listener)?
    else {
        return nothing_found(config, console, out);
    };
    let replica = config.identity.replica;
    check_agreement(config, &list, &layout, console)?;
    let launcher = Launcher { config, console, layout: &layout, list: &list, stop, descendants };
    let share = list.share_of(replica)?;
    launcher.say_imbalance();
    let mut ended = match launcher.look(&share)? {
        Before::Done(standing) => {
            launcher.say_nothing_to_do(&share);
            launcher.close(standing, None, None, begun)
        }
        left => launcher.launch(share, left, &me, command_files, &listener, begun)?,
    };
    // What a newer launch took over is that one's to finish.
    if config.merge && ended.summary.is_some() {
        ended.then(merge_if_last(&layout, &me, config.heartbeat, console, stop));
    }
    Ok(ended.told(config.json, console, out))
}

/// Patterns may match nothing and did.
fn nothing_found(config: &RunConfig, console: &Console, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let replica = config.identity.replica;
    console.say(
        Verbosity::Normal,
        Tone::Plain,
        &format!("{replica}: no file matches; nothing to do, and no run was begun"),
    );
    let summary = Summary {
        run: None,
        replica_id: replica.id(),
        replica_count: replica.count(),
        launch: None,
        files: 0,
        ok: 0,
        failed: 0,
        lost: 0,
        not_run: 0,
        done_before: 0,
        without_result: 0,
        non_finite: 0,
        wall_s: 0.0,
        cpu_s: 0.0,
        max_rss_bytes: None,
        figures: Told::default(),
        failures: Vec::new(),
        reason: StopReason::Done,
        results_dir: units::path(&config.results_dir),
        exit: ExitCode::Ok.number(),
    };
    print_json(config.json, &summary, out)?;
    Ok(ExitCode::Ok)
}

fn check_agreement(
    config: &RunConfig,
    list: &InputList,
    layout: &Layout,
    console: &Console,
) -> anyhow::Result<()> {
    let source = source(config);
    // Without an input the run's own list is used, and its strategy with it.
    agree(list, layout, source, source.map(|_| config.strategy), config.identity.replica.count())?;
    if let Some(before) = agree_on_command(list, layout, &config.command, config.accept_changed_command)? {
        console.warn(&format!("the command differs from the run's, which was: {before}"));
    }
    if let Some(first) = list.header().unreadable.first() {
        console.warn(&format!(
            "{} could not be read when the list was made, such as {}: what lies there is not in the list",
            units::plural(list.header().unreadable.len() as u64, "directory", "directories"),
            units::path(&first.0)
        ));
    }
    Ok(())
}
