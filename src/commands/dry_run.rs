//! `--dry-run`: prints what would be run, and writes nothing.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::commands::family::say_new;
use crate::commands::home::{at_home, or_begin_anew, say_unknown_words};
use crate::config::RunConfig;
use crate::exit_code::ExitCode;
use crate::journal::launches::launches_of;
use crate::journal::state::JournalState;
use crate::launch::{
    DueRule, Pending, agree, agree_on_balance, agree_on_command, agree_on_parent, agree_on_products,
    take_back_what_is_gone,
};
use crate::listing;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::probe::{Prober, probe};
use crate::liveness::watch::Liveness;
use crate::model::entries::Entry;
use crate::model::provenance::Process;
use crate::model::replica::Replica;
use crate::model::shares::Share;
use crate::process::shutdown::Shutdown;
use crate::products::declared::DeclaredProducts;
use crate::record::inputs::{InputList, InputSpec};
use crate::run::entry_names::EntryNames;
use crate::run::execute::ExecMode;
use crate::run::worker::{TaskRequest, WorkerKind};
use crate::store::layout::Layout;
use crate::template::{TaskPlace, shell_quote};
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// How many bytes are printed at a time: standard output would write each line separately.
const PRINTED_AT_ONCE: usize = 64 * 1024;

/// Prints the commands of this replica's share. Uses the run's list if there is one.
///
/// # Errors
/// When there is neither a list nor an input, the two disagree, or what is found can't be listed or printed.
pub(super) fn own_share(
    config: &RunConfig,
    console: &Console,
    stop: &Shutdown,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&config.results_dir);
    let replica = config.identity.replica;
    let (printed, is_balanced) = match (InputList::open(&layout)?, config.input_spec.as_ref()) {
        (Some(list), source) => {
            agree_on_parent(&list, &layout, config.parent.as_ref(), source.is_some())?;
            agree(&list, &layout, source, source.map(|_| config.strategy), replica.count())?;
            agree_on_balance(&list, &layout, config.asked_balance)?;
            agree_on_products(&list, &layout, &config.products)?;
            let RunConfig { command, manner, accept_changed_command, .. } = config;
            agree_on_command(&list, &layout, command, manner, *accept_changed_command)
                .map_err(|error| or_begin_anew(error, &layout, config.heartbeat))?;
            let config = at_home(config, &list, console)?;
            say_unknown_words(&config, console);
            let mut printer = CommandPrinter::begin(&config, names_in(&config, &list)?, out)?;
            list.read(list.share_of(replica)?.iter(), |index, entry| {
                check_shutdown(stop)?;
                printer.print(index, 1, entry)
            })?;
            (printer.end()?, list.has_balance())
        }
        (None, Some(source)) => {
            let config = &config.clone().with_program()?;
            // The commands may be for an image that has it.
            config.missing_script().iter().for_each(|why| console.warn(why));
            let listed = listing::list(source, config.listing_rules(), &|| stop.signal().is_none())?;
            listed.notes.iter().for_each(|note| console.warn(note));
            config.parent.iter().for_each(|parent| say_new(console, &listed, parent));
            let first_index = config.parent.as_ref().map_or(0, |parent| parent.indices.end);
            let sizes: Vec<u64> = listed.entries.iter().filter_map(|entry| entry.size).collect();
            let share =
                crate::model::shares::share(config.strategy, listed.entries.len() as u64, &sizes, replica);
            let config = &config.for_source(&listed.source)?;
            say_unknown_words(config, console);
            let mut printer =
                CommandPrinter::begin(config, TaskNames::of(config, &listed.source, &config.cwd)?, out)?;
            for index in share.iter() {
                let entry = usize::try_from(index).ok().and_then(|place| listed.entries.get(place));
                check_shutdown(stop)?;
                entry.map_or(Ok(()), |entry| printer.print(first_index + index, 1, entry))?;
            }
            (printer.end()?, config.balance && replica.count() > 1)
        }
        (None, None) => bail!(
            "no input: {} has no list yet, so say which files with --input, --files-from, --table, --tasks or --input-from",
            layout.root().display()
        ),
    };
    say(config, replica, printed, console);
    if is_balanced {
        let text = "it would start with these, then continue with files that no replica has begun";
        console.say(Verbosity::Normal, Tone::Plain, text);
    }
    Ok(ExitCode::Ok)
}

/// Prints what `resume` would run of these shares, in list order: what failed or has no record.
///
/// # Errors
/// When a journal or the list can't be read, or what would be run can't be printed.
pub(super) fn rest_of(
    shares: impl Iterator<Item = (Replica, Share)>,
    list: &InputList,
    config: &RunConfig,
    console: &Console,
    stop: &Shutdown,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(&config.results_dir);
    let me = Process::current(config.session.clone());
    for (replica, share) in shares {
        if let Some(who) = who_is_at(&layout, replica, &me, config.heartbeat)? {
            let text = format!("{replica} is running ({who}): it would be left alone");
            console.say(Verbosity::Normal, Tone::Plain, &text);
            continue;
        }
        let mut history =
            JournalState::read(&layout, &list.header().run_ref(), replica.id(), share.clone(), false)?;
        let rule = DueRule::Rerun(config.rerun);
        take_back_what_is_gone(config, rule, list, stop, &mut history)?;
        let mut places = Pending::of(&history, rule).places();
        if places.is_empty() {
            continue;
        }
        places.sort_unstable();
        let indices = places.into_iter().filter_map(|place| share.index_at(place.into()));
        let due: Vec<(u64, u32)> =
            indices.map(|index| (index, history.tasks.get(index).attempts.into())).collect();
        tasks_of(replica, &due, list, config, console, stop, out)?;
    }
    Ok(ExitCode::Ok)
}

/// Prints these tasks of a replica, each with how often it was tried before, in list order.
///
/// # Errors
/// When the list can't be read, or they can't be printed.
pub(super) fn tasks_of(
    replica: Replica,
    due: &[(u64, u32)],
    list: &InputList,
    config: &RunConfig,
    console: &Console,
    stop: &Shutdown,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let config = config.on_behalf_of(replica, std::time::Duration::ZERO);
    let mut printer = CommandPrinter::begin(&config, names_in(&config, list)?, out)?;
    let mut attempts = due.iter().map(|(_, before)| before + 1);
    list.read(due.iter().map(|(index, _)| *index), |index, entry| {
        check_shutdown(stop)?;
        printer.print(index, attempts.next().unwrap_or(1), entry)
    })?;
    say(&config, replica, printer.end()?, console);
    Ok(())
}

/// What is called how in the commands.
struct TaskNames {
    entries: EntryNames,
    products: DeclaredProducts,
}

impl TaskNames {
    /// Of a run with entries from `source` that was begun in `folder`.
    fn of(config: &RunConfig, source: &InputSpec, folder: &Path) -> anyhow::Result<Self> {
        let products = config.declared_products(source, folder)?;
        Ok(Self { entries: config.entry_names(source, folder), products })
    }
}

fn names_in(config: &RunConfig, list: &InputList) -> anyhow::Result<TaskNames> {
    let header = list.header();
    TaskNames::of(config, &header.source, header.begun_in().unwrap_or(&config.cwd))
}

/// Which launch is running a share, as far as is known without waiting.
fn who_is_at(
    layout: &Layout,
    replica: Replica,
    me: &Process,
    times: HeartbeatTimes,
) -> anyhow::Result<Option<String>> {
    let Some(last) = launches_of(layout, replica.id())?.pop() else { return Ok(None) };
    let journal = layout.journal(replica.id(), last);
    let probed = probe(&journal, me)?;
    if probed.liveness == Liveness::Dead {
        return Ok(None);
    }
    let who = format!("launch {last} on {}", probed.who());
    Ok(Prober::new(layout, times).is_running(&journal).then_some(who))
}

/// An error where a signal says that enough was printed.
fn check_shutdown(stop: &Shutdown) -> anyhow::Result<()> {
    anyhow::ensure!(stop.signal().is_none(), "not all commands were printed");
    Ok(())
}

fn say(config: &RunConfig, replica: Replica, printed: u64, console: &Console) {
    let (what, done) = match &config.manner {
        ExecMode::Own => ("command", "run"),
        ExecMode::Workers { kind: WorkerKind::Command, .. } => ("request", "made"),
        ExecMode::Workers { kind: WorkerKind::Function(_), .. } => ("call", "made"),
    };
    console.say(
        Verbosity::Normal,
        Tone::Plain,
        &format!("{replica}: {} would be {done}; nothing was", units::count(printed, what)),
    );
}

/// Prints tasks as a shell can run them: a command each, or one worker with all requests. Calls are printed as Python has
/// them.
struct CommandPrinter<'a> {
    config: &'a RunConfig,
    names: TaskNames,
    /// What a worker's request says about its temporary folder.
    folder: &'a OsStr,
    out: BufWriter<&'a mut dyn Write>,
    line: Vec<u8>,
    printed: u64,
}

impl<'a> CommandPrinter<'a> {
    fn begin(config: &'a RunConfig, names: TaskNames, out: &'a mut dyn Write) -> anyhow::Result<Self> {
        let out = BufWriter::with_capacity(PRINTED_AT_ONCE, out);
        let folder = config.scratch.iter().find(|folder| folder.is_dir());
        let folder = folder.map_or(Path::new("/tmp"), PathBuf::as_path).as_os_str();
        let mut printer = Self { config, names, folder, out, line: Vec::new(), printed: 0 };
        if printer.is_here_document() {
            printer.line = shell_quote(&config.template.render_for_worker(1, config.identity.replica.id()));
            // No line of JSON ends them early.
            printer.line.extend_from_slice(b" << 'REQUESTS'\n");
            printer.write_line().context(CANNOT)?;
        }
        Ok(printer)
    }

    /// Whether all that is printed is the input of one worker.
    fn is_here_document(&self) -> bool {
        matches!(self.config.manner, ExecMode::Workers { kind: WorkerKind::Command, .. })
    }

    /// Prints a task, for an attempt of this number.
    fn print(&mut self, index: u64, attempt: u32, entry: Entry<'_>) -> anyhow::Result<()> {
        let path = self.names.entries.path(entry.path);
        let outs = self.names.products.paths(entry, index);
        match &self.config.manner {
            ExecMode::Own => {
                let place = TaskPlace {
                    path: &path,
                    rel: self.names.entries.rel(entry.path, entry.rel),
                    index,
                    slot: usize::try_from(self.printed % self.config.jobs as u64).unwrap_or(0) + 1,
                    replica: self.config.identity.replica.id(),
                    outs: &outs,
                    row: entry.row,
                };
                self.line = shell_quote(&self.config.template.render(&place));
                self.line.push(b'\n');
            }
            ExecMode::Workers { kind, .. } => {
                let (products, outs, row) = (&self.names.products, &outs, entry.row);
                let request =
                    TaskRequest { path: &path, index, row, attempt, tmpdir: self.folder, products, outs };
                match kind {
                    WorkerKind::Function(call) => self.line = (call.written(&request) + "\n").into_bytes(),
                    WorkerKind::Command => request.write(&mut self.line),
                }
            }
        }
        self.printed += 1;
        self.write_line().context(CANNOT)
    }

    fn write_line(&mut self) -> io::Result<()> {
        self.out.write_all(&self.line)
    }

    /// How many tasks were printed.
    fn end(mut self) -> anyhow::Result<u64> {
        if self.is_here_document() {
            self.out.write_all(b"REQUESTS\n").context(CANNOT)?;
        }
        self.out.flush().context(CANNOT)?;
        Ok(self.printed)
    }
}

const CANNOT: &str = "can't print the commands";
