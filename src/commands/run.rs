//! `run`: this replica's share, from the list to the results file.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;

use crate::commands::last::merge_if_last;
use crate::config::{Given, RunConfig, Verbosity};
use crate::entries::{Entries, Entry};
use crate::event::StopReason;
use crate::exit_code::ExitCode;
use crate::figures::Told;
use crate::launch::{Before, Launcher, agree, agree_on_command, print_json};
use crate::listing::{self, Rules};
use crate::provenance::Process;
use crate::record::command_files;
use crate::record::inputs::{InputList, Origin, Source};
use crate::record::layout::Layout;
use crate::record::succession;
use crate::report::console::{Console, Tone};
use crate::report::launch::Summary;
use crate::run::descendants::Descendants;
use crate::run::execute::Manner;
use crate::run::stop::Stop;
use crate::run::worker::write_request;
use crate::template::{TaskPlace, shell_quote};
use crate::units;

/// Runs this replica's share, or prints its commands.
///
/// # Errors
/// When nothing could be run, with the reason.
pub fn run(
    config: &RunConfig,
    console: &Console,
    stop: &Stop,
    descendants: &Descendants,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let outcome = if config.is_dry {
        dry_run(config, console, stop, out)
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
    stop: &'a Stop,
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

impl succession::Listener for Hearing<'_> {
    fn keep_going(&self) -> bool {
        self.stop.signal().is_none()
    }

    fn waiting_for(&self, launch: u32, who: &str) {
        self.console.say(
            Verbosity::Normal,
            Tone::Plain,
            &format!("launch {launch} of this replica ({who}) did not say how it ended: watching its journal for up to 30s"),
        );
    }
}

/// The source a launch was given; `None` for the run's own list.
fn source(config: &RunConfig) -> Option<&Source> {
    match &config.given {
        Given::Source(source) => Some(source),
        Given::OwnList => None,
    }
}

fn rules(config: &RunConfig) -> Rules<'_> {
    Rules {
        allow_empty: config.allow_empty,
        with_sizes: config.strategy.needs_sizes(),
        results_dir: &config.results_dir,
    }
}

/// So much of a dry run is printed at a time, bytes.
const PRINTED_AT_ONCE: usize = 64 * 1024;

/// Prints the commands of this replica's share. Uses the run's list if there is one, and writes nothing.
fn dry_run(
    config: &RunConfig,
    console: &Console,
    stop: &Stop,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    // Standard output writes each line on its own.
    let mut out = BufWriter::with_capacity(PRINTED_AT_ONCE, out);
    let layout = Layout::new(&config.results_dir);
    let list = InputList::open(&layout)?;
    let replica = config.identity.replica;
    let (share, entries) = match (&list, source(config)) {
        (Some(list), source) => {
            agree(list, &layout, source, source.map(|_| config.strategy), replica.count())?;
            agree_on_command(list, &layout, &config.command, config.accept_changed_command)?;
            let share = list.share_of(replica)?;
            let entries = list.entries(&share)?;
            (share, entries)
        }
        (None, Some(source)) => {
            let listed = listing::list(source, rules(config), &|| stop.signal().is_none())?;
            listed.notes.iter().for_each(|note| console.warn(note));
            let sizes: Vec<u64> = listed.entries.iter().filter_map(|entry| entry.size).collect();
            let share = crate::select::share(config.strategy, listed.entries.len() as u64, &sizes, replica);
            let mine = share.iter().filter_map(|index| listed.entries.get(usize::try_from(index).ok()?));
            let mine = Entries::of(mine)?;
            (share, mine)
        }
        (None, None) => anyhow::bail!(
            "no input: {} has no list yet, so say which files with --input or --files-from",
            layout.root().display()
        ),
    };
    let source = list.as_ref().map(|list| &list.header().source).or(source(config));
    let rel = |path: &OsStr| {
        source.map_or(path.to_owned(), |source| crate::record::rel::rel(source, path).to_owned())
    };
    let tasks = share.iter().zip(entries.iter());
    let what = if config.manner == Manner::Own { "command" } else { "request" };
    match config.manner {
        Manner::Own => print_commands(config, tasks, rel, &mut out),
        Manner::Workers { .. } => print_requests(config, tasks, &mut out),
    }
    .context("can't print the commands")?;
    out.flush().context("can't print the commands")?;
    console.say(
        Verbosity::Normal,
        Tone::Plain,
        &format!("{replica}: {} would be run; nothing was", units::count(share.len(), what)),
    );
    Ok(ExitCode::Ok)
}

fn print_commands<'a>(
    config: &RunConfig,
    tasks: impl Iterator<Item = (u64, Entry<'a>)>,
    rel: impl Fn(&OsStr) -> OsString,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (position, (index, entry)) in tasks.enumerate() {
        let rel = rel(entry.path);
        let slot = position % config.jobs + 1;
        let replica = config.identity.replica.id();
        let place = TaskPlace { path: entry.path, rel: &rel, index, slot, replica };
        let mut line = shell_quote(&config.template.render(&place));
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

/// What a shell can run as it stands: one worker with all requests. No line of JSON ends them early.
fn print_requests<'a>(
    config: &RunConfig,
    tasks: impl Iterator<Item = (u64, Entry<'a>)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut line = shell_quote(&config.template.render_for_worker(1, config.identity.replica.id()));
    line.extend_from_slice(b" << 'REQUESTS'\n");
    out.write_all(&line)?;
    let folder =
        config.scratch.iter().find(|folder| folder.is_dir()).map_or(Path::new("/tmp"), PathBuf::as_path);
    for (index, entry) in tasks {
        write_request(&mut line, entry.path, index, 1, folder.as_os_str());
        out.write_all(&line)?;
    }
    out.write_all(b"REQUESTS\n")
}

fn live(
    config: &RunConfig,
    console: &Console,
    stop: &Stop,
    descendants: &Descendants,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(stop.signal().is_none(), "nothing was done yet");
    let begun = Instant::now();
    let layout = Layout::new(&config.results_dir);
    let me = Process::current(config.session.clone());
    let listener = Hearing { console, stop };
    let command_files = command_files::digests(config.command_words(), &config.cwd);
    let origin = source(config).map(|source| Origin {
        source: source.clone(),
        strategy: config.strategy,
        replica_count: config.identity.replica.count(),
        command: config.command.clone(),
        command_files: command_files.clone(),
        settings: config.settings.clone(),
    });
    let Some(list) = listing::adopt_or_publish(&layout, origin.as_ref(), rules(config), &me, &listener)?
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
        ended.then(merge_if_last(&layout, &me, console, stop));
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
