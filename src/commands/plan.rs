//! `plan`: which replica gets which files, without a container. Runs and writes nothing.

use std::num::NonZeroU32;
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::{PlanArgs, Typed};
use crate::commands::Invocation;
use crate::commands::family::say_new;
use crate::config::{
    ContinuedRun, Layers, declared_products, heartbeat_times, is_balanced, layered, replica_count, source_of,
    vocabulary,
};
use crate::discover::{self, DiscoverError};
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::listing::{self, Makes, Rules, Since, SizeLookup};
use crate::model::entries::Entries;
use crate::model::shares::Strategy;
use crate::record::inputs::{InputList, InputSpec};
use crate::report::plan::{Plan, advice, table};
use crate::store::layout::Layout;
use crate::template::{EntryKind, Template, Vocabulary};
use crate::terminal::console::{Console, Verbosity};
use crate::terminal::screen::Color;
use crate::text;
use crate::units;

/// A list to plan with.
struct PlannedList {
    entries: Entries,
    sizes: Vec<u64>,
    strategy: Strategy,
    replicas: NonZeroU32,
    balance: bool,
    unreadable: Vec<String>,
}

/// Prints the plan.
///
/// # Errors
/// When a pattern matches nothing, a directory can't be listed, or there is neither an input nor a run.
pub fn run(typed: Typed<PlanArgs>, invocation: Invocation<'_>) -> anyhow::Result<ExitCode> {
    let Invocation { argv, environment, out } = invocation;
    let (args, layers) = &layered(typed, argv, environment, None)?;
    let console = &Console::new(Verbosity::Normal, Color::Auto);
    layers.warnings.iter().for_each(|warning| console.warn(warning));
    let replicas = replica_count(args.replica_count.as_deref(), &layers.identity, environment)?;
    let listed = planned(args, layers, environment, replicas, console)
        .map_err(|error| layers.origins.explain(error))?;
    let plan = Plan::new(&listed.entries, &listed.sizes, listed.strategy, listed.replicas, listed.unreadable);
    let plan = Plan { balance: listed.balance && plan.replica_count > 1, ..plan };
    let text = if args.json.unwrap_or(false) {
        serde_json::to_string(&plan)? + "\n"
    } else {
        table(&plan, &listed.entries)
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("can't print the plan")?;
    if let Some(first) = plan.unreadable.first() {
        console.warn(&format!(
            "{} could not be read, such as {first}: files in there are not in the list",
            units::plural(plan.unreadable.len() as u64, "directory", "directories")
        ));
    }
    if let Some(advice) = advice(&plan) {
        console.warn(&advice);
    }
    Ok(ExitCode::Ok)
}

fn planned(
    args: &PlanArgs,
    layers: &Layers,
    environment: &Environment,
    replicas: Option<NonZeroU32>,
    console: &Console,
) -> anyhow::Result<PlannedList> {
    match source_of(&args.inputs, layers.continued.as_ref(), environment)? {
        Some(source) => from_source(&source, args, layers, environment, replicas, console),
        None => from_run(args, environment, replicas),
    }
}

fn from_source(
    source: &InputSpec,
    args: &PlanArgs,
    layers: &Layers,
    environment: &Environment,
    replicas: Option<NonZeroU32>,
    console: &Console,
) -> anyhow::Result<PlannedList> {
    let folder = layers.settings.cwd.as_ref().map_or(&*environment.cwd, |folder| Path::new(&folder.0));
    let parent = layers.continued.as_ref().map(ContinuedRun::parent);
    let products = declared_products(&args.product, &vocabulary(Some(source), &[]))?;
    let template = template_of(args, &vocabulary(Some(source), &products))?;
    let rules = Rules {
        allow_empty: args.inputs.allow_empty.unwrap_or(false),
        allow_missing: args.inputs.allow_missing.unwrap_or(false),
        sizes: if args.strategy.needs_sizes() { SizeLookup::Needed } else { SizeLookup::None },
        results_dir: &environment.absolute(&args.results_dir),
        heartbeat: heartbeat_times(environment)?,
        makes: Some(Makes { products: &products, template: template.as_ref(), folder }),
        since: parent.as_ref().map(|parent| Since { parent, folder }),
    };
    let listed = listing::list(source, rules, &|| true)?;
    listed.notes.iter().for_each(|note| console.warn(note));
    if let Some(parent) = &parent {
        say_new(console, &listed, parent);
    }
    if replicas.is_none() {
        console.warn("neither --replica-count nor REPLICA_COUNT is set: this is the plan for one replica");
    }
    let sizes = sizes_of(&listed.entries, source, folder)?;
    let unreadable = listed.unreadable.iter().map(units::path).collect();
    let replicas = replicas.unwrap_or(NonZeroU32::MIN);
    let balance = is_balanced(args.balance, args.strategy, replicas.get());
    Ok(PlannedList { entries: listed.entries, sizes, strategy: args.strategy, replicas, balance, unreadable })
}

/// The command that would be run, if one is given.
fn template_of(args: &PlanArgs, names: &Vocabulary) -> anyhow::Result<Option<Template>> {
    Ok(match (&args.shell, args.command.as_slice()) {
        (Some(script), _) => Some(Template::from_shell(script, names).context("in --shell")?),
        (None, []) => None,
        (None, words) => Some(Template::from_argv(words, names)?),
    })
}

/// The plan of a run that has begun is what its list says.
fn from_run(
    args: &PlanArgs,
    environment: &Environment,
    replicas: Option<NonZeroU32>,
) -> anyhow::Result<PlannedList> {
    let layout = Layout::new(environment.absolute(&args.results_dir));
    let Some(list) = InputList::open(&layout)? else {
        bail!(
            "no input: say which files with --input, --files-from, --table, --tasks or --input-from, or give the --results-dir of a run ({} holds none)",
            layout.root().display()
        );
    };
    let header = list.header();
    let replicas = replicas.or(NonZeroU32::new(header.replica_count)).unwrap_or(NonZeroU32::MIN);
    let entries = list.entries(&crate::model::shares::Share::Range(header.indices()))?;
    let sizes = sizes_of(&entries, &header.source, header.begun_in().unwrap_or(&environment.cwd))?;
    let unreadable = header.unreadable.iter().map(|folder| units::path(&folder.0)).collect();
    let (strategy, balance) = (header.strategy, header.balance);
    Ok(PlannedList { entries, sizes, strategy, replicas, balance, unreadable })
}

/// The sizes of all entries, of which relative ones are so to `folder`; none where they are not all files, as in a list of
/// target names.
fn sizes_of(entries: &Entries, source: &InputSpec, folder: &Path) -> anyhow::Result<Vec<u64>> {
    if source.entry_kind() == EntryKind::Labels {
        return Ok(Vec::new());
    }
    if let Some(known) = entries.iter().map(|entry| entry.size).collect::<Option<Vec<u64>>>() {
        return Ok(known);
    }
    let paths: Vec<_> = entries.iter().map(|entry| text::seen_from(folder, entry.path)).collect();
    match discover::sizes(&paths, &|| true) {
        Ok(sizes) => Ok(sizes),
        Err(DiscoverError::Size { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.with_exit_code()),
    }
}
