//! Where files come from, by the options about inputs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::bail;

use crate::cli::InputArgs;
use crate::config::run::place;
use crate::environment::Environment;
use crate::record::inputs::{InputSpec, SourceRun};
use crate::table::TableFormat;
use crate::text::OsText;

/// Where files come from, with relative patterns, lists and results directories as seen from the working directory; `None`
/// for the run's own list.
///
/// # Errors
/// When options contradict each other.
pub fn input_spec_of(inputs: &InputArgs, environment: &Environment) -> anyhow::Result<Option<InputSpec>> {
    refuse_two_sources(inputs)?;
    refuse_strays(inputs)?;
    if let Some(file) = &inputs.files_from {
        return list_of(file, inputs.null.unwrap_or(false), environment).map(Some);
    }
    if let Some(file) = &inputs.table {
        return table_of(file, environment).map(Some);
    }
    if let Some(count) = inputs.tasks {
        return Ok(Some(InputSpec::Numbers { count }));
    }
    if !inputs.input_from.is_empty() {
        return products_of(inputs, environment).map(Some);
    }
    if inputs.input.is_empty() { Ok(None) } else { patterns_of(inputs, environment).map(Some) }
}

fn refuse_two_sources(inputs: &InputArgs) -> anyhow::Result<()> {
    let sources = [
        ("--input", !inputs.input.is_empty()),
        ("--files-from", inputs.files_from.is_some()),
        ("--table", inputs.table.is_some()),
        ("--tasks", inputs.tasks.is_some()),
        ("--input-from", !inputs.input_from.is_empty()),
    ];
    let given: Vec<&str> = sources.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| *name).collect();
    match given.as_slice() {
        [one, other, ..] => {
            bail!("{one} and {other} each say what the tasks are: give one of them")
        }
        [] | [_] => Ok(()),
    }
}

/// Refuses what is about a source that was not given.
fn refuse_strays(inputs: &InputArgs) -> anyhow::Result<()> {
    if inputs.null.unwrap_or(false) && inputs.files_from.is_none() {
        bail!("--null is for the list of --files-from, which is not given");
    }
    if inputs.name.is_some() && inputs.input_from.is_empty() {
        bail!("--name chooses a product of --input-from, which is not given");
    }
    if inputs.allow_missing.unwrap_or(false) && inputs.input_from.is_empty() {
        bail!("--allow-missing is for the runs of --input-from, which is not given");
    }
    if inputs.exclude.is_empty() || !inputs.input.is_empty() {
        return Ok(());
    }
    if inputs.files_from.is_some() {
        bail!("--exclude applies to patterns; with --files-from, leave the entries out of the list");
    }
    bail!("--exclude needs --input: it leaves out some of what that finds")
}

fn list_of(file: &Path, null: bool, environment: &Environment) -> anyhow::Result<InputSpec> {
    let file =
        if file.as_os_str() == "-" { file.to_owned() } else { place("--files-from", file, environment)? };
    Ok(InputSpec::List { file: OsText(file.into_os_string()), null })
}

fn table_of(file: &Path, environment: &Environment) -> anyhow::Result<InputSpec> {
    let is_stdin = file.as_os_str() == "-";
    if !is_stdin && TableFormat::of(file).is_none() {
        bail!(
            "--table {}: the extension says how a table is written, and this one is none of .csv, .tsv, .ecsv and .jsonl: rename the file, or read it from standard input (--table - < {})",
            file.display(),
            file.display()
        );
    }
    let file = if is_stdin { file.to_owned() } else { place("--table", file, environment)? };
    Ok(InputSpec::Table { file: OsText(file.into_os_string()), columns: Vec::new() })
}

fn products_of(inputs: &InputArgs, environment: &Environment) -> anyhow::Result<InputSpec> {
    let mut runs = Vec::new();
    for dir in &inputs.input_from {
        if dir.as_os_str().is_empty() {
            bail!("--input-from has an empty value: remove it, or set the variable it came from");
        }
        let results_dir = OsText(place("--input-from", dir, environment)?.into_os_string());
        if runs.iter().any(|run: &SourceRun| run.results_dir == results_dir) {
            bail!("--input-from names {} twice: give each run once", dir.display());
        }
        runs.push(SourceRun { results_dir, found: None });
    }
    Ok(InputSpec::Products { runs, name: inputs.name.clone(), columns: Vec::new() })
}

fn patterns_of(inputs: &InputArgs, environment: &Environment) -> anyhow::Result<InputSpec> {
    if let Some(place) = inputs.input.iter().position(|pattern| pattern.is_empty()) {
        bail!(
            "--input has an empty value (number {}): remove it, or set the variable it came from",
            place + 1
        );
    }
    let as_given = |texts: &[OsString]| texts.iter().cloned().map(OsText).collect();
    Ok(InputSpec::Patterns {
        patterns: as_given(&inputs.input),
        cwd: has_relative(inputs).then(|| OsText(environment.cwd.clone().into_os_string())),
        exclude: as_given(&inputs.exclude),
        entry_type: inputs.entry_type,
    })
}

/// Whether what is found depends on the working directory. A glob without a slash is about names anywhere.
fn has_relative(inputs: &InputArgs) -> bool {
    let is_relative = |pattern: &OsString| !pattern.as_bytes().starts_with(b"/");
    let excludes = inputs.exclude.iter().filter(|glob| glob.as_bytes().contains(&b'/'));
    inputs.input.iter().chain(excludes).any(is_relative)
}
