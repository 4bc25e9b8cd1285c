//! Whether a launch may continue the run that a results directory holds.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::bail;

use crate::discover::EntryType;
use crate::model::shares::Strategy;
use crate::record::family::ParentRun;
use crate::record::inputs::{DeclaredProduct, InputList, InputSpec, TaskCommand};
use crate::run::execute::ExecMode;
use crate::run::worker::WorkerKind;
use crate::store::layout::Layout;
use crate::template;
use crate::text::OsText;
use crate::units;

/// Why a launch must not use a list: its input differs from the one that the list was made from.
///
/// # Errors
/// Names the first difference and what to do.
pub fn agree(
    list: &InputList,
    layout: &Layout,
    source: Option<&InputSpec>,
    strategy: Option<Strategy>,
    replica_count: u32,
) -> anyhow::Result<()> {
    let header = list.header();
    let differs = |what: &str, here: &str, there: &str| differs(what, here, there, layout);
    if let Some(source) = source.filter(|source| !are_same(source, &header.source)) {
        let hint = if are_expanded(source) { EXPANDED } else { "" };
        bail!("{}{hint}", differs("the input", &show(source, &header.source), &show(&header.source, source)));
    }
    if let Some(strategy) = strategy.filter(|strategy| *strategy != header.strategy) {
        bail!(differs("the strategy", &strategy.to_string(), &header.strategy.to_string()));
    }
    if replica_count != header.replica_count {
        let [here, there] = [replica_count, header.replica_count].map(|count| count.to_string());
        let what = what_differs("the replica count", &here, &there, layout);
        let root = layout.root().display();
        bail!(
            "{what}\nTo finish this run from here: canfar-run resume {root}\nOr use the same as the run, another --results-dir, or start over after `canfar-run reset {root}`"
        );
    }
    Ok(())
}

/// Why a launch must not go on with a list that continues another run than the one that was given with `--new-since`, or none.
/// A launch without an input does as the run does.
///
/// # Errors
/// Names both and what to do.
pub fn agree_on_parent(
    list: &InputList,
    layout: &Layout,
    parent: Option<&ParentRun>,
    has_input: bool,
) -> anyhow::Result<()> {
    let header = list.header();
    let given = parent.map(|parent| &parent.run);
    if given == header.parent.as_ref() || (given.is_none() && !has_input) {
        return Ok(());
    }
    let shown = |run: Option<&String>, dir: Option<String>| match (run, dir) {
        (Some(run), dir) => {
            format!("--new-since {} (run {})", dir.unwrap_or_default(), units::printable(run))
        }
        (None, _) => "all files, without --new-since".to_owned(),
    };
    let here = shown(given, parent.map(|parent| units::path(&parent.dir)));
    let there = shown(header.parent.as_ref(), header.parent_dir.as_ref().map(|dir| units::path(&dir.0)));
    bail!(differs("what is taken as new", &here, &there, layout))
}

/// Why a launch must not go on with a list if it was `asked` for the other of `--balance` and `--balance=false`. Unasked it does
/// as the run does.
///
/// # Errors
/// Names both and what to do.
pub fn agree_on_balance(list: &InputList, layout: &Layout, asked: Option<bool>) -> anyhow::Result<()> {
    let of_run = list.header().balance;
    let shown = |balance: bool| format!("--balance={balance}");
    match asked.filter(|asked| *asked != of_run) {
        Some(asked) => bail!(differs("--balance", &shown(asked), &shown(of_run), layout)),
        None => Ok(()),
    }
}

/// Why a launch must not use a list if it declares other products than the run.
///
/// # Errors
/// Shows both and what to do.
pub fn agree_on_products(
    list: &InputList,
    layout: &Layout,
    products: &[DeclaredProduct],
) -> anyhow::Result<()> {
    let of_run = &list.header().products;
    if products == of_run.as_slice() {
        return Ok(());
    }
    bail!(differs("what tasks make (--product)", &show_products(products), &show_products(of_run), layout))
}

fn show_products(products: &[DeclaredProduct]) -> String {
    let texts: Vec<_> = products.iter().map(DeclaredProduct::as_text).collect();
    if texts.is_empty() { "none".to_owned() } else { units::printable(&template::quoted(&texts)) }
}

fn differs(what: &str, here: &str, there: &str, layout: &Layout) -> String {
    format!(
        "{}\nUse the same as the run, another --results-dir, or start over after `canfar-run reset {root}`",
        what_differs(what, here, there, layout),
        root = layout.root().display()
    )
}

fn what_differs(what: &str, here: &str, there: &str, layout: &Layout) -> String {
    format!(
        "{what} of this launch differs from that of the run in {root}:\n  this launch: {here}\n  the run:     {there}",
        root = layout.root().display()
    )
}

/// Whether two sources are one. A list or run counts as the same one on whatever way it is reached.
fn are_same(one: &InputSpec, other: &InputSpec) -> bool {
    let leads_to = |file: &OsText| Path::new(&file.0).canonicalize().ok();
    let is_one = |file: &OsText, other| {
        file == other || leads_to(file).is_some_and(|file| leads_to(other) == Some(file))
    };
    match (one, other) {
        (InputSpec::List { file, null }, InputSpec::List { file: other_file, null: other_null }) => {
            null == other_null && is_one(file, other_file)
        }
        (InputSpec::Table { file, .. }, InputSpec::Table { file: other_file, .. }) => {
            is_one(file, other_file)
        }
        // Whatever was found in them when the list was made.
        (
            InputSpec::Products { runs, name, .. },
            InputSpec::Products { runs: others, name: other_name, .. },
        ) => {
            let mut pairs = runs.iter().zip(others);
            name == other_name
                && runs.len() == others.len()
                && pairs.all(|(run, other)| is_one(&run.results_dir, &other.results_dir))
        }
        _ => one == other,
    }
}

/// How many values are shown; of many, only the ends and those that the other launch lacks.
const SHOWN: usize = 8;

/// What to say where a shell has expanded a glob.
const EXPANDED: &str = "\nA shell seems to have expanded a glob here, and it finds other files now. Leave the input out to continue with the files of the run; for a new run, write the glob in quotes";

/// Whether a shell seems to have expanded a glob.
fn are_expanded(source: &InputSpec) -> bool {
    let is_plain = |pattern: &OsText| !pattern.0.as_bytes().iter().any(|byte| b"*?[".contains(byte));
    matches!(source, InputSpec::Patterns { patterns, .. } if patterns.len() > SHOWN && patterns.iter().all(is_plain))
}

/// Values as typed; of many, those that `others` lacks.
fn quoted(texts: &[OsText], others: &[OsText]) -> String {
    let quote = |texts: &[&OsText]| {
        texts.iter().map(|text| format!("'{}'", units::path(&text.0))).collect::<Vec<_>>().join(" ")
    };
    let (first, last) = match texts {
        [first, .., last] if texts.len() > SHOWN => (first, last),
        _ => return quote(&texts.iter().collect::<Vec<_>>()),
    };
    let others: HashSet<&OsText> = others.iter().collect();
    let only_here: Vec<&OsText> = texts.iter().filter(|text| !others.contains(text)).collect();
    let (some, more) = only_here.split_at(only_here.len().min(SHOWN));
    let mut shown =
        format!("'{}' ... '{}' ({} in all", units::path(&first.0), units::path(&last.0), texts.len());
    if !some.is_empty() {
        shown.push_str(&format!(", only here: {}", quote(some)));
    }
    if !more.is_empty() {
        shown.push_str(&format!(" and {} more", more.len()));
    }
    shown + ")"
}

/// A source that is compared with `other`.
fn show(source: &InputSpec, other: &InputSpec) -> String {
    let (other_patterns, other_exclude): (&[OsText], &[OsText]) = match other {
        InputSpec::Patterns { patterns, exclude, .. } => (patterns, exclude),
        InputSpec::List { .. }
        | InputSpec::Numbers { .. }
        | InputSpec::Table { .. }
        | InputSpec::Products { .. } => (&[], &[]),
    };
    match source {
        InputSpec::List { file, null } => {
            format!("--files-from {}{}", units::path(&file.0), if *null { " --null" } else { "" })
        }
        InputSpec::Numbers { count } => format!("--tasks {count}"),
        InputSpec::Table { file, .. } => format!("--table {}", units::path(&file.0)),
        InputSpec::Products { runs, name, .. } => {
            let dirs: Vec<_> = runs.iter().map(|run| units::path(&run.results_dir.0)).collect();
            let name = name.as_ref().map_or_else(String::new, |name| format!(" --name {name}"));
            format!("--input-from {}{name}", dirs.join(" "))
        }
        InputSpec::Patterns { patterns, cwd, exclude, entry_type } => {
            let mut shown = format!("--input {}", quoted(patterns, other_patterns));
            if !exclude.is_empty() {
                shown.push_str(&format!(" --exclude {}", quoted(exclude, other_exclude)));
            }
            if let Some(cwd) = cwd {
                shown.push_str(&format!(" (in {})", units::path(&cwd.0)));
            }
            if *entry_type == EntryType::Dir {
                shown.push_str(" --type dir");
            }
            shown
        }
    }
}

/// Why a launch must not use another command, or workers if there were none: results of two commands would be mixed. With `accept_changed`, the older
/// command is returned instead, for a warning.
///
/// # Errors
/// Shows both commands and what to do.
pub fn agree_on_command(
    list: &InputList,
    layout: &Layout,
    command: &TaskCommand,
    manner: &ExecMode,
    accept_changed: bool,
) -> anyhow::Result<Option<String>> {
    let header = list.header();
    let is_worker = matches!(manner, ExecMode::Workers { kind: WorkerKind::Command, .. });
    let was_worker = header.settings.has_workers().unwrap_or(is_worker);
    if header.command == *command && was_worker == is_worker {
        return Ok(None);
    }
    let before = show_command(&header.command, was_worker);
    if accept_changed {
        return Ok(Some(before));
    }
    bail!(
        "the command of this launch differs from that of the run in {root}:\n  this launch: {}\n  the run:     {}\nResults of two commands would be mixed. If that is intended, give --accept-changed-command; else use another --results-dir, or start over after `canfar-run reset {root}`",
        show_command(command, is_worker),
        before,
        root = layout.root().display(),
    )
}

fn show_command(command: &TaskCommand, is_worker: bool) -> String {
    if is_worker { format!("{command} (--worker)") } else { command.to_string() }
}
