//! `merge`: results files and journals of many replicas into one file, with proof of completeness.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::MergeArgs;
use crate::commands::waiting::WaitingForLock;
use crate::commands::{Invocation, runs_nearby};
use crate::config::heartbeat_times;
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::host::storage::StorageTrouble;
use crate::launch::told;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::liveness::run_lock::RunLock;
use crate::merge::{
    Format, MergeDirectory, MergeIndex, MergeSummary, MergedDirectory, ProductsWanted, Proof, Targets,
    check_products, joined_before, left_out, partial_name, survey, write, write_missing,
};
use crate::model::provenance::Process;
use crate::output::WhileRead;
use crate::record::destination::Destination;
use crate::record::family::is_nothing_new;
use crate::report;
use crate::report::groups;
use crate::store::layout::{Layout, ResultsName};
use crate::template;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::threads::locked;
use crate::units;

/// How often the progress of a long check of products is shown.
const BETWEEN_REMARKS: Duration = Duration::from_secs(10);

/// Merges one or more results directories.
///
/// # Errors
/// When something can't be read at all, or the merged files can't be written.
pub fn run(args: &MergeArgs, invocation: Invocation<'_>) -> anyhow::Result<ExitCode> {
    let Invocation { environment, out, .. } = invocation;
    let out = &mut WhileRead(out);
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let console = Console::new(verbosity, args.color);
    anyhow::ensure!(
        !args.null || args.missing.is_some() || args.products.is_some(),
        "--null is for the lists that --missing and --products write: give one of them, too"
    );
    let times = heartbeat_times(environment)?;
    refuse_table_as_directory(&args.dirs, environment)?;
    let roots: Vec<_> = args.dirs.iter().map(|dir| environment.absolute(dir)).collect();
    let roots = without_nothing_new(&roots, &console);
    let first = Layout::new(roots.first().context("no results directory")?);
    // A merge that began earlier, and knows less, must not write last.
    let _lock = lock(&first, times, &console)?;
    let open = |root: &PathBuf| {
        MergeDirectory::open(root, times)
            .map_err(|error| runs_nearby::named_in(error, root, environment, "canfar-run merge"))
    };
    let directories = roots.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(output) = &args.output {
        refuse_folder(&environment.absolute(output))?;
    }
    let typed = |path: &PathBuf| Destination::typed(path, environment);
    let mut targets = Targets::within(&first);
    targets.results = args.output.as_ref().map_or(targets.results, typed);
    targets.allow_missing = args.allow_missing;
    let missing = args.missing.as_ref().map(typed);
    let wanted = ProductsWanted {
        list: args.products.as_ref().map(typed),
        null: args.null,
        verify: args.verify_products,
    };
    let lists = [("--missing", missing.as_ref()), ("--products", wanted.list.as_ref())];
    refuse_names(&targets, lists)?;
    refuse_two_on_stdout(&targets, lists, args.json)?;
    if !args.alone {
        refuse_to_take_out(&targets, &directories)?;
    }
    let format = Format::of(&targets.results).context(given_output(&targets.results))?;
    let mut survey = survey(directories, format)?;
    if let Some(missing) = &missing {
        write_missing(&survey, missing, args.null, out)?;
    }
    if !wanted.is_empty() {
        check_products(&mut survey, &wanted, out, &ProductProgress::begin(&console).teller())?;
    }
    let dirs: Vec<String> = roots.iter().map(units::path).collect();
    let (results, code) = write_and_tell(&mut survey, &targets, &dirs, &console, out)?;
    Ok(told(&MergeSummary::of(&survey, &results), code, args.json, &console, out))
}

/// Without directories in which no run was begun since nothing had come since one of the others (`--new-since`).
fn without_nothing_new(roots: &[PathBuf], console: &Console) -> Vec<PathBuf> {
    let since = |root: &PathBuf| {
        let is_parent = |other: &&PathBuf| *other != root && is_nothing_new(&Layout::new(*other), root);
        roots.iter().find(is_parent).filter(|_| !Layout::new(root).inputs().exists())
    };
    let mut kept = Vec::new();
    for root in roots {
        let Some(parent) = since(root) else {
            kept.push(root.clone());
            continue;
        };
        let [root, parent] = [root, parent].map(units::path);
        let text = format!("{root} has no run: no file had come since {parent}");
        console.say(Verbosity::Normal, Tone::Plain, &text);
    }
    kept
}

/// Refuses `merge results stars.csv`: what is called like a table is no results directory.
fn refuse_table_as_directory(dirs: &[PathBuf], environment: &Environment) -> anyhow::Result<()> {
    let is_table = |dir: &PathBuf| {
        let ending = dir.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        ["json", "jsonl", "csv", "tsv"].contains(&ending) && !environment.absolute(dir).is_dir()
    };
    let (tables, runs): (Vec<PathBuf>, Vec<PathBuf>) = dirs.iter().cloned().partition(is_table);
    let Some(table) = tables.first() else { return Ok(()) };
    let words: Vec<_> = runs.into_iter().map(PathBuf::into_os_string).collect();
    let runs = if words.is_empty() { "results".to_owned() } else { template::quoted(&words) };
    bail!(
        "{} is no results directory; to write a table: merge {runs} -o {}",
        units::path(table),
        template::quoted(&[table.into()])
    )
}

/// The lock of the directory that a merge writes to. If it is not writable, no other process can merge there either, and
/// output elsewhere needs no lock.
fn lock(layout: &Layout, times: HeartbeatTimes, console: &Console) -> anyhow::Result<Option<RunLock>> {
    match RunLock::acquire(layout, &Process::current(None), times, &WaitingForLock(console)) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) => match StorageTrouble::in_error(&error) {
            StorageTrouble::Denied | StorageTrouble::ReadOnly | StorageTrouble::Removed => Ok(None),
            _ => Err(error),
        },
    }
}

/// Merges a run as `merge RESULTS_DIR` does, again with the directories that an earlier merge joined to it.
///
/// # Errors
/// As [`run`].
pub(super) fn whole(layout: &Layout, times: HeartbeatTimes, console: &Console) -> anyhow::Result<ExitCode> {
    let targets = Targets::within(layout);
    let mut directories = vec![MergeDirectory::open(layout.root(), times)?];
    let mut dirs = vec![units::path(layout.root())];
    let before = joined_before(&targets);
    for MergedDirectory { results_dir, .. } in left_out(&before, &directories) {
        console.say(Verbosity::Normal, Tone::Plain, &format!("merged again with {results_dir}, as before"));
        dirs.push(results_dir.clone());
    }
    for joined in &dirs[1..] {
        directories.push(MergeDirectory::open(Path::new(joined), times)?);
    }
    let mut survey = survey(directories, Format::Json)?;
    Ok(write_and_tell(&mut survey, &targets, &dirs, console, &mut std::io::sink())?.1)
}

/// Where the results are, and what to exit with.
fn write_and_tell(
    survey: &mut MergeIndex,
    targets: &Targets,
    dirs: &[String],
    console: &Console,
    out: &mut dyn Write,
) -> anyhow::Result<(Destination, ExitCode)> {
    let results = write(survey, targets, out)?;
    let is_final = targets.is_final(&survey.proof);
    report::merge::say(console, &survey.proof, &survey.effort, targets, &results, dirs);
    if results != targets.results && targets.results.path().is_some_and(Path::exists) {
        console.warn(&format!("{} is from an earlier merge and was left unchanged", targets.results));
    }
    Ok((results, exit_code(&survey.proof, is_final)))
}

/// Refuses to replace results by fewer: an earlier merge joined directories that are not given now.
fn refuse_to_take_out(targets: &Targets, directories: &[MergeDirectory]) -> anyhow::Result<()> {
    let before = joined_before(targets);
    let left_out = left_out(&before, directories);
    if left_out.is_empty() {
        return Ok(());
    }
    let quoted = |directory: &MergedDirectory| groups::quoted(&directory.results_dir);
    let now = directories.iter().map(MergedDirectory::of);
    let new = now.filter(|directory| !before.iter().any(|known| known.is_same(directory)));
    let all: Vec<String> = before.iter().cloned().chain(new).map(|directory| quoted(&directory)).collect();
    anyhow::bail!(
        "{} also has the records of {}, which an earlier merge added and this one would drop. To keep them: canfar-run merge {}. To leave them out: give --alone, or another --output",
        targets.results,
        left_out
            .into_iter()
            .map(|directory| directory.results_dir.as_str())
            .collect::<Vec<_>>()
            .join(" and "),
        all.join(" ")
    );
}

/// Shows the progress of a check of products now and then.
struct ProductProgress<'a> {
    console: &'a Console,
    said: Mutex<Instant>,
}

impl<'a> ProductProgress<'a> {
    fn begin(console: &'a Console) -> Self {
        Self { console, said: Mutex::new(Instant::now()) }
    }

    fn teller(self) -> impl Fn(u64, u64) + Sync {
        move |looked_at, bytes| {
            let mut said = locked(&self.said);
            if said.elapsed() < BETWEEN_REMARKS {
                return;
            }
            *said = Instant::now();
            let text = format!("{} looked at ({})", units::count(looked_at, "product"), units::bytes(bytes));
            self.console.say(Verbosity::Normal, Tone::Plain, &text);
        }
    }
}

/// Refuses a folder as the name of the merged file, with a hint at what may have been meant.
fn refuse_folder(output: &Path) -> anyhow::Result<()> {
    if !output.is_dir() {
        return Ok(());
    }
    let shown = groups::quoted(&units::path(output));
    anyhow::ensure!(
        !Layout::new(output).inputs().exists(),
        "--output {shown}: this is a results directory, and --output is the file that a merge writes. To merge the run in it: canfar-run merge {shown}"
    );
    anyhow::bail!(
        "--output {shown}: this is a directory: give the name of a file, such as {}",
        groups::quoted(&units::path(output.join("final_results.json")))
    );
}

fn given_output(results: &Destination) -> String {
    format!("--output {results}")
}

/// Refuses to write over what a merge reads, or two things under one name, wherever links lead.
fn refuse_names(targets: &Targets, lists: [(&str, Option<&Destination>); 2]) -> anyhow::Result<()> {
    let of_ours = [&targets.failed, &targets.summary].into_iter();
    let mut taken: Vec<PathBuf> = of_ours.filter_map(|ours| ours.replaced().ok().flatten()).collect();
    for (option, destination) in [("--output", Some(&targets.results))].into_iter().chain(lists) {
        let Some(destination) = destination else { continue };
        let Some(place) = destination.place(option)? else { continue };
        let name = place.file_name().unwrap_or_default();
        let is_read = name == "inputs.jsonl" || ResultsName::parse(name).is_some();
        anyhow::ensure!(
            !is_read && !taken.contains(&place),
            "{option} {destination}: a merge reads or writes something else under this name: give another name"
        );
        taken.extend([partial_name(&place), place]);
    }
    Ok(())
}

/// Standard output has one thing that was asked for.
fn refuse_two_on_stdout(
    targets: &Targets,
    lists: [(&str, Option<&Destination>); 2],
    json: bool,
) -> anyhow::Result<()> {
    let printed = |(option, destination): (&str, Option<&Destination>)| {
        (destination == Some(&Destination::Stdout)).then(|| format!("{option} -"))
    };
    let destinations = [("--output", Some(&targets.results))].into_iter().chain(lists);
    let mut asked: Vec<String> = destinations.filter_map(printed).collect();
    asked.extend(json.then(|| "--json".to_owned()));
    anyhow::ensure!(
        asked.len() < 2,
        "{} would all go to standard output: give all but one a file name",
        asked.join(" and ")
    );
    Ok(())
}

fn exit_code(proof: &Proof, is_final: bool) -> ExitCode {
    let by_rest = if is_final { ExitCode::Ok } else { ExitCode::Incomplete };
    let by_products = match &proof.product_check {
        Some(check) if !check.faults.is_empty() => ExitCode::Incomplete,
        Some(_) | None => ExitCode::Ok,
    };
    let by_records = if proof.counts.failed > 0 { ExitCode::TasksFailed } else { ExitCode::Ok };
    by_rest.or(by_products).or(by_records)
}
