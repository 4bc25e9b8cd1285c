//! Flag beats environment beats job file beats default. The weaker layers are put in front of what was typed as if they
//! had been typed, so that one parser, with one set of checks, reads all of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};

use crate::cli::Cli;
use crate::config::job_file::{self, JobFile, did_you_mean};
use crate::environment::Environment;

const PREFIX: &str = "CANFAR_RUN_";
const DEFAULT_JOB_FILE: &str = "/etc/canfar-run.toml";

/// Options of which a stronger layer's replaces all of a weaker layer's.
const ALTERNATIVES: [&[&str]; 3] = [&["input", "files-from"], &["shell", COMMAND], &["verbose", "quiet"]];

/// Options of a weaker layer that mean nothing beside one of a stronger layer.
const POINTLESS_BESIDE: [(&str, &str); 2] = [("exclude", "files-from"), ("null", "input")];

/// Not an option, but as replaceable as one.
const COMMAND: &str = "command";

/// Says nothing about a run.
const NOT_LAYERED: [&str; 3] = ["help", "version", "job-file"];

/// What all layers together say.
#[derive(Debug)]
pub struct Layered {
    /// All of it, as if typed.
    pub argv: Vec<OsString>,
    /// The job file's `[env]`.
    pub env: BTreeMap<String, String>,
    /// What is odd but no error.
    pub warnings: Vec<String>,
    /// Options that are not defaults, by name, for the journal.
    pub options: BTreeMap<String, serde_json::Value>,
}

/// One value from a weaker layer, and how to speak of it.
struct Item {
    name: String,
    tokens: Vec<OsString>,
    origin: String,
}

/// Adds environment and job file to what was typed for `subcommand` (`matches` is clap's view of that alone; `rest` what
/// followed the subcommand's name).
///
/// # Errors
/// When a layer has an unknown key or a value that its option refuses, or a job file can't be read.
pub fn layered(
    subcommand: &str,
    rest: &[OsString],
    matches: &ArgMatches,
    environment: &Environment,
) -> anyhow::Result<Layered> {
    let root = Cli::command();
    let names = |subcommand: &str| -> Vec<String> {
        let command = root.find_subcommand(subcommand).unwrap_or(&root);
        command
            .get_arguments()
            .filter_map(Arg::get_long)
            .map(str::to_owned)
            .filter(|name| !NOT_LAYERED.contains(&name.as_str()))
            .collect()
    };
    // A job file is written for `run`; `plan` takes of it what it knows.
    let (known, every) = (names(subcommand), names("run"));
    let every: Vec<&str> = every.iter().map(String::as_str).collect();

    let mut warnings = Vec::new();
    let from_environment = environment_items(environment, &every, &mut warnings);
    let job_path = job_file_path(matches, environment);
    let job = match &job_path {
        Some(path) => job_file::read(path, &every)?,
        None => JobFile::default(),
    };
    let from_job = job_items(&job, &job_path.unwrap_or_default());

    let mut taken: Vec<String> = known.iter().filter(|name| is_typed(matches, name)).cloned().collect();
    if matches.try_get_many::<OsString>(COMMAND).is_ok_and(|words| words.is_some()) {
        taken.push(COMMAND.to_owned());
    }
    let (mut front, mut back) = (Vec::new(), Vec::new());
    for layer in [from_environment, from_job] {
        let fitting: Vec<Item> = layer
            .into_iter()
            .filter(|item| item.name == COMMAND || known.contains(&item.name))
            .filter(|item| !is_replaced(&item.name, &taken))
            .collect();
        for item in fitting {
            let tokens = if item.name == COMMAND { &mut back } else { &mut front };
            if item.name != COMMAND {
                check(subcommand, &item)?;
            } else if !known.iter().any(|name| name == "shell") {
                continue;
            }
            tokens.extend(item.tokens.iter().cloned());
            taken.push(item.name);
        }
    }
    let start = [OsString::from("canfar-run"), OsString::from(subcommand)];
    // Two `--` would make the second one a word of the command.
    let rest =
        if back.is_empty() { rest } else { rest.strip_suffix(&[OsString::from("--")]).unwrap_or(rest) };
    let argv: Vec<OsString> =
        start.into_iter().chain(front).chain(rest.iter().cloned()).chain(back).collect();
    Ok(Layered { options: options_of(subcommand, &argv), argv, env: job.env, warnings })
}

fn is_typed(matches: &ArgMatches, name: &str) -> bool {
    let id = id_of(name);
    matches.try_contains_id(&id).unwrap_or(false)
        && matches.value_source(&id) == Some(ValueSource::CommandLine)
}

/// clap's id of an option: its field's name.
fn id_of(name: &str) -> String {
    if name == "type" { "entry_type".to_owned() } else { name.replace('-', "_") }
}

/// Whether a stronger layer has this option, or another one in place of it or that makes it pointless.
fn is_replaced(name: &str, taken: &[String]) -> bool {
    let has = |name: &str| taken.iter().any(|taken| taken == name);
    has(name)
        || ALTERNATIVES.iter().any(|group| group.contains(&name) && group.iter().any(|other| has(other)))
        || POINTLESS_BESIDE.iter().any(|(weak, strong)| *weak == name && has(strong))
}

fn environment_items(environment: &Environment, every: &[&str], warnings: &mut Vec<String>) -> Vec<Item> {
    let mut items = Vec::new();
    for (variable, value) in &environment.variables {
        let Some(suffix) = variable.to_str().and_then(|variable| variable.strip_prefix(PREFIX)) else {
            continue;
        };
        let name = suffix.to_lowercase().replace('_', "-");
        if name == "job-file" || value.is_empty() {
            continue;
        }
        if !every.contains(&name.as_str()) {
            let hint = did_you_mean(&name, every.iter().copied());
            warnings.push(format!("the variable {PREFIX}{suffix} is not an option and was ignored{hint}"));
            continue;
        }
        items.push(Item { tokens: vec![token(&name, value)], name, origin: format!("{PREFIX}{suffix}") });
    }
    items
}

fn job_items(job: &JobFile, path: &Path) -> Vec<Item> {
    let options = job.options.iter().map(|(name, values)| Item {
        name: name.clone(),
        tokens: values.iter().map(|value| token(name, value.as_ref())).collect(),
        origin: format!("`{name}` in the job file {}", path.display()),
    });
    let command = job.command.iter().map(|words| Item {
        name: COMMAND.to_owned(),
        tokens: std::iter::once("--".into()).chain(words.iter().map(OsString::from)).collect(),
        origin: format!("`command` in the job file {}", path.display()),
    });
    options.chain(command).collect()
}

/// `--name=value`, which no value can escape from.
fn token(name: &str, value: &std::ffi::OsStr) -> OsString {
    let mut token = OsString::from(format!("--{name}="));
    token.push(value);
    token
}

fn job_file_path(matches: &ArgMatches, environment: &Environment) -> Option<PathBuf> {
    let typed = matches.try_get_one::<PathBuf>("job_file").ok().flatten().cloned();
    let given = typed.or_else(|| environment.get("CANFAR_RUN_JOB_FILE").map(PathBuf::from));
    match given {
        Some(path) => Some(environment.absolute(&path)),
        None => Some(PathBuf::from(DEFAULT_JOB_FILE)).filter(|path| path.exists()),
    }
}

/// Lets the option itself judge a value of a weaker layer, so that the error can name where it comes from.
fn check(subcommand: &str, item: &Item) -> anyhow::Result<()> {
    let argv = ["canfar-run".into(), subcommand.into()].into_iter().chain(item.tokens.iter().cloned());
    if let Err(error) = Cli::command().try_get_matches_from(argv) {
        let text = error.to_string();
        let why = text.split("\n\n").next().unwrap_or(&text);
        bail!("{}: {}", item.origin, why.strip_prefix("error: ").unwrap_or(why));
    }
    Ok(())
}

/// The options that are not defaults, by name.
fn options_of(subcommand: &str, argv: &[OsString]) -> BTreeMap<String, serde_json::Value> {
    let root = Cli::command();
    let Ok(matches) = root.clone().try_get_matches_from(argv) else { return BTreeMap::new() };
    let (Some(matches), Some(command)) =
        (matches.subcommand_matches(subcommand), root.find_subcommand(subcommand))
    else {
        return BTreeMap::new();
    };
    let names = command.get_arguments().filter_map(Arg::get_long).filter(|name| is_typed(matches, name));
    names
        .map(|name| {
            let values = matches.get_raw(&id_of(name)).into_iter().flatten();
            let mut values: Vec<String> =
                values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
            let value = if values.len() == 1 { values.remove(0).into() } else { values.into() };
            (name.to_owned(), value)
        })
        .collect()
}
