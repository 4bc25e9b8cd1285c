//! Flag beats environment beats job file beats default. The weaker layers are put in front of what was typed as if they
//! had been typed, so that one parser, with one set of checks, reads all of them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory};

use crate::cli::Cli;
use crate::config::identity::{SharedIdentity, SharedValue};
use crate::config::job_file::{self, JobFile};
use crate::config::mangled_argv;
use crate::config::resumed::{LASTING, Resumed, is_fixed};
use crate::config::test_times::is_test_variable;
use crate::config::usage_errors::first_line;
use crate::config::wrong_name::{did_you_mean, meant};
use crate::environment::Environment;
use crate::record::inputs::Settings;
use crate::text::OsText;

pub(super) const PREFIX: &str = "CANFAR_RUN_";
const DEFAULT_JOB_FILE: &str = "/etc/canfar-run.toml";

/// An option, and what it makes weaker layers' options pointless: its alternatives and what belongs to those.
const REPLACES: [(&str, &[&str]); 4] = [
    ("files-from", &["input", "exclude", "type", "allow-empty"]),
    ("input", &["files-from", "null"]),
    ("shell", &[COMMAND]),
    (COMMAND, &["shell"]),
];

/// Switches of which one that is on replaces a weaker layer's other one; one that is off says nothing about it.
const OPPOSITES: [(&str, &str); 2] = [("verbose", "quiet"), ("quiet", "verbose")];

/// Not an option, but as replaceable as one.
pub(super) const COMMAND: &str = "command";

/// Longest list of values that the journal keeps whole.
const MOST_VALUES: usize = 16;

/// Says nothing about a run.
const NOT_LAYERED: [&str; 3] = ["help", "version", "job-file"];

/// What all layers together say.
#[derive(Debug)]
pub struct Layered {
    /// All of it, as if typed after the subcommand.
    pub matches: ArgMatches,
    /// What is odd but no error.
    pub warnings: Vec<String>,
    /// Options that are not defaults, by name, for the journal.
    pub options: BTreeMap<String, serde_json::Value>,
    /// What weaker layers say about who this is: no flag, so that it does not beat what the container alone is told.
    pub identity: SharedIdentity,
    /// What of it the run's list keeps, for who resumes it.
    pub settings: Settings,
}

/// One value from a weaker layer, and how to speak of it.
pub(super) struct OptionItem {
    pub(super) name: String,
    pub(super) tokens: Vec<OsString>,
    pub(super) origin: String,
}

impl OptionItem {
    /// Of a switch, as the parser reads it.
    fn is_on(&self) -> bool {
        self.tokens
            .iter()
            .any(|token| token.as_bytes().ends_with(b"=true") || token.as_bytes().ends_with(b"=1"))
    }
}

/// Adds environment and job file to what was typed for `subcommand` (`typed` is clap's view of that alone; `rest` what
/// followed the subcommand's name). Where a run is `resumed`, what it was begun with is the weakest layer, and its command
/// the only one.
///
/// # Errors
/// When a layer has an unknown key or a value that its option refuses, or a job file can't be read.
pub fn layered(
    subcommand: &str,
    rest: &[OsString],
    typed: ArgMatches,
    environment: &Environment,
    resumed: Option<&Resumed<'_>>,
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
    // A job file is written for `run`; others take of it what they know.
    let (mut known, of_run) = (names(subcommand), names("run"));
    known.retain(|name| resumed.is_none() || !is_fixed(name));
    let every: Vec<&str> = of_run.iter().chain(&known).map(String::as_str).collect();
    let lists = root.get_arguments().filter(|option| matches!(option.get_action(), ArgAction::Append));
    let lists: Vec<&str> = lists.filter_map(Arg::get_long).collect();

    let mut warnings = mangled_argv::notes(rest);
    let from_environment = environment_items(environment, &every, &mut warnings);
    let job_path = job_file_path(&typed, environment);
    let job = match &job_path {
        Some(path) => job_file::read(path, &every, &lists)?,
        None => JobFile::default(),
    };
    let from_job = job_items(&job, &job_path.unwrap_or_default());

    let mut taken: Vec<String> = known.iter().filter(|name| is_typed(&typed, name)).cloned().collect();
    if typed.try_get_many::<OsString>(COMMAND).is_ok_and(|words| words.is_some()) {
        taken.push(COMMAND.to_owned());
    }
    for (switch, other) in OPPOSITES {
        if typed.try_get_one::<bool>(switch).is_ok_and(|on| on == Some(&true)) {
            taken.push(other.to_owned());
        }
    }
    let (mut front, mut back) = (Vec::new(), Vec::new());
    let mut added: Vec<OptionItem> = Vec::new();
    let mut identity = SharedIdentity::default();
    let from_run = resumed.map(Resumed::items).unwrap_or_default();
    for layer in [from_environment, from_job, from_run] {
        let fitting: Vec<OptionItem> = layer
            .into_iter()
            .filter(|item| item.name == COMMAND || known.contains(&item.name))
            .filter(|item| !is_replaced(&item.name, &taken))
            .collect();
        for item in fitting {
            if let Some(shared) = identity.member(&item.name) {
                check(subcommand, &item)?;
                let value = item.tokens.last().and_then(|token| Some(token.to_str()?.split_once('=')?.1));
                *shared = value.map(|value| SharedValue { value: value.to_owned(), origin: item.origin });
                taken.push(item.name);
                continue;
            }
            let opposite = OPPOSITES.iter().find(|(switch, _)| *switch == item.name && item.is_on());
            taken.extend(opposite.map(|(_, other)| (*other).to_owned()));
            taken.push(item.name.clone());
            if item.name != COMMAND {
                front.extend(item.tokens.iter().cloned());
                added.push(item);
            } else if known.iter().any(|name| name == "shell") {
                back.extend(item.tokens);
            }
        }
    }
    if let Some(resumed) = resumed {
        let [options, command] = resumed.fixed();
        front.extend(options);
        back = command;
    }
    let is_all_typed = front.is_empty() && back.is_empty();
    let matches = if is_all_typed { typed } else { parsed(subcommand, front, rest, back, &added)? };
    let mut settings = settings_of(&matches);
    settings.cwd = Some(OsText(environment.cwd.clone().into_os_string()));
    if let Some(resumed) = resumed {
        settings.cwd = resumed.cwd().or(settings.cwd);
        settings.env.clone_from(&resumed.header.settings.env);
    }
    settings.env.extend(job.env);
    let options = options_of(root.find_subcommand(subcommand).unwrap_or(&root), &matches);
    Ok(Layered { matches, warnings, options, identity, settings })
}

/// What was typed as `rest` with the options in `front` of it, of which some were `added` by weaker layers, and the command
/// at its `back`.
fn parsed(
    subcommand: &str,
    front: Vec<OsString>,
    rest: &[OsString],
    back: Vec<OsString>,
    added: &[OptionItem],
) -> anyhow::Result<ArgMatches> {
    let start = [OsString::from("canfar-run"), OsString::from(subcommand)];
    // Two `--` would make the second one a word of the command.
    let rest =
        if back.is_empty() { rest } else { rest.strip_suffix(&[OsString::from("--")]).unwrap_or(rest) };
    let argv = start.into_iter().chain(front).chain(rest.iter().cloned()).chain(back);
    let mut matches = Cli::command().try_get_matches_from(argv).or_else(|error| {
        added.iter().try_for_each(|item| check(subcommand, item))?;
        Err(anyhow::Error::from(error))
    })?;
    matches.remove_subcommand().map(|(_, matches)| matches).context("the subcommand is gone")
}

pub(super) fn is_typed(matches: &ArgMatches, name: &str) -> bool {
    let id = id_of(name);
    matches.try_contains_id(&id).unwrap_or(false)
        && matches.value_source(&id) == Some(ValueSource::CommandLine)
}

/// clap's id of an option: its field's name.
fn id_of(name: &str) -> String {
    if name == "type" { "entry_type".to_owned() } else { name.replace('-', "_") }
}

/// Whether a stronger layer has this option, or another one that replaces it.
fn is_replaced(name: &str, taken: &[String]) -> bool {
    let has = |name: &str| taken.iter().any(|taken| taken == name);
    has(name) || REPLACES.iter().any(|(strong, weak)| weak.contains(&name) && has(strong))
}

fn environment_items(
    environment: &Environment,
    every: &[&str],
    warnings: &mut Vec<String>,
) -> Vec<OptionItem> {
    let mut items = Vec::new();
    for (variable, value) in &environment.variables {
        let Some(suffix) = variable.to_str().and_then(|variable| variable.strip_prefix(PREFIX)) else {
            continue;
        };
        if suffix == "JOB_FILE" || value.is_empty() || is_test_variable(suffix) {
            continue;
        }
        let name = suffix.to_lowercase().replace('_', "-");
        let exact = name.to_uppercase().replace('-', "_");
        let is_option = every.contains(&name.as_str()) || name == "job-file";
        if !is_option || exact != suffix {
            let hint = if is_option {
                format!("; it is written {PREFIX}{exact}")
            } else if meant(&name, std::iter::once(COMMAND)).is_some() {
                format!("; a command stands after `--`, in {PREFIX}SHELL, or in a job file")
            } else {
                did_you_mean(&name, every.iter().copied())
            };
            warnings.push(format!("the variable {PREFIX}{suffix} is not an option and was ignored{hint}"));
            continue;
        }
        items.push(OptionItem {
            tokens: vec![token(&name, value)],
            name,
            origin: format!("{PREFIX}{suffix}"),
        });
    }
    items
}

fn job_items(job: &JobFile, path: &Path) -> Vec<OptionItem> {
    let options = job.options.iter().map(|(name, values)| OptionItem {
        name: name.clone(),
        tokens: values.iter().map(|value| token(name, value.as_ref())).collect(),
        origin: format!("`{name}` in the job file {}", path.display()),
    });
    let command = job.command.iter().map(|words| OptionItem {
        name: COMMAND.to_owned(),
        tokens: std::iter::once("--".into()).chain(words.iter().map(OsString::from)).collect(),
        origin: format!("`command` in the job file {}", path.display()),
    });
    options.chain(command).collect()
}

/// `--name=value`, which no value can escape from.
pub(super) fn token(name: &str, value: &OsStr) -> OsString {
    let mut token = OsString::from(format!("--{name}="));
    token.push(value);
    token
}

fn job_file_path(matches: &ArgMatches, environment: &Environment) -> Option<PathBuf> {
    let typed = matches.try_get_one::<PathBuf>("job_file").ok().flatten().cloned();
    let given = typed.or_else(|| environment.get("CANFAR_RUN_JOB_FILE").map(PathBuf::from));
    match given {
        Some(path) => Some(environment.absolute(&path)),
        None => Some(PathBuf::from(DEFAULT_JOB_FILE)).filter(|path| path.try_exists().unwrap_or(true)),
    }
}

/// Lets the option itself judge a value of a weaker layer, so that the error can name where it comes from.
fn check(subcommand: &str, item: &OptionItem) -> anyhow::Result<()> {
    let argv = ["canfar-run".into(), subcommand.into()].into_iter().chain(item.tokens.iter().cloned());
    if let Err(error) = Cli::command().try_get_matches_from(argv)
        // It is not the whole line.
        && error.kind() != ErrorKind::MissingRequiredArgument
    {
        bail!("{}: {}", item.origin, first_line(&error));
    }
    Ok(())
}

/// What the run's list keeps of the options.
fn settings_of(matches: &ArgMatches) -> Settings {
    let lasting = LASTING.into_iter().filter(|name| is_typed(matches, name));
    let value = |name: &str| matches.get_raw(&id_of(name))?.next_back().map(|value| OsText(value.to_owned()));
    let options = lasting.filter_map(|name| Some((name.to_owned(), value(name)?))).collect();
    Settings { options, ..Settings::default() }
}

/// The options that are not defaults, by name. Of a long list, such as a shell's expansion of a glob, only how long it is
/// and its ends: the list of inputs has it all.
fn options_of(command: &clap::Command, matches: &ArgMatches) -> BTreeMap<String, serde_json::Value> {
    let text = |value: &OsStr| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let names = command.get_arguments().filter_map(Arg::get_long).filter(|name| is_typed(matches, name));
    names
        .map(|name| {
            let values: Vec<&OsStr> = matches.get_raw(&id_of(name)).into_iter().flatten().collect();
            let value = match values.as_slice() {
                [value] => text(value).into(),
                [first, .., last] if values.len() > MOST_VALUES => {
                    serde_json::json!({"count": values.len(), "first": text(first), "last": text(last)})
                }
                values => values.iter().map(|value| text(value)).collect(),
            };
            (name.to_owned(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;
    use serde_json::json;

    use super::{Layered, layered};
    use crate::cli::Cli;
    use crate::environment::Environment;

    /// What `run` is given by what was typed, the environment and a job file.
    fn of(typed: &[&str], variables: &[(&str, &str)], job: &str) -> anyhow::Result<Layered> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("job.toml");
        std::fs::write(&path, job)?;
        let rest: Vec<OsString> = std::iter::once(OsString::from(format!("--job-file={}", path.display())))
            .chain(typed.iter().map(OsString::from))
            .collect();
        let argv = ["canfar-run", "run"].map(OsString::from).into_iter().chain(rest.iter().cloned());
        let matches = Cli::command().try_get_matches_from(argv)?;
        let environment = Environment {
            variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: folder.path().to_owned(),
        };
        layered("run", &rest, matches.subcommand_matches("run").unwrap().clone(), &environment, None)
    }

    /// Names of the options that are left, but for the job file.
    fn names(typed: &[&str], variables: &[(&str, &str)], job: &str) -> Vec<String> {
        let options = of(typed, variables, job).unwrap().options;
        options.into_keys().filter(|name| name != "job-file").collect()
    }

    #[test]
    fn a_stronger_input_takes_the_place_of_all_that_belongs_to_a_weaker_one() {
        let patterns = "input = 'a'\nexclude = 'b'\ntype = 'dir'\nallow-empty = true\njobs = 2";
        assert_eq!(names(&["--files-from=l"], &[], patterns), ["files-from", "jobs"]);
        assert_eq!(names(&[], &[("CANFAR_RUN_FILES_FROM", "l")], patterns), ["files-from", "jobs"]);
        assert_eq!(names(&["--input=a"], &[], "files-from = 'l'\nnull = true"), ["input"]);
        assert_eq!(names(&["--input=a"], &[], "input = 'b'\nexclude = 'c'"), ["exclude", "input"]);
    }

    #[test]
    fn verbose_and_quiet_replace_each_other_only_where_the_stronger_one_is_on() {
        assert_eq!(names(&["-q"], &[], "verbose = true"), ["quiet"]);
        assert_eq!(names(&["--quiet=false"], &[], "verbose = true"), ["quiet", "verbose"]);
        assert_eq!(names(&[], &[("CANFAR_RUN_VERBOSE", "1")], "quiet = true"), ["verbose"]);
        assert_eq!(names(&[], &[("CANFAR_RUN_VERBOSE", "0")], "quiet = true"), ["quiet", "verbose"]);
        assert_eq!(names(&[], &[], "quiet = true\nverbose = true"), ["quiet", "verbose"]);
    }

    #[test]
    fn variables_in_another_case_are_told_of_and_do_nothing() {
        for (variable, said) in [
            ("CANFAR_RUN_jobs", "it is written CANFAR_RUN_JOBS"),
            ("CANFAR_RUN_RETRY-DELAY", "it is written CANFAR_RUN_RETRY_DELAY"),
            ("CANFAR_RUN_Job_File", "it is written CANFAR_RUN_JOB_FILE"),
            ("CANFAR_RUN_COMMAND", "in CANFAR_RUN_SHELL"),
            ("CANFAR_RUN_JBOS", "the nearest one is `jobs`"),
        ] {
            let layers = of(&[], &[(variable, "4")], "").unwrap();
            assert!(layers.warnings.concat().contains(said), "{:?}", layers.warnings);
            assert_eq!(layers.options.len(), 1, "{:?}", layers.options);
        }
    }

    #[test]
    fn of_a_long_list_its_length_and_ends_are_kept() {
        let typed: Vec<String> = (0..3000).map(|number| format!("--input=/data/{number}")).collect();
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let kept = |many| of(&typed[..many], &[], "").unwrap().options["input"].clone();
        assert_eq!(kept(3000), json!({"count": 3000, "first": "/data/0", "last": "/data/2999"}));
        assert_eq!(kept(2), json!(["/data/0", "/data/1"]));
        assert_eq!(kept(1), json!("/data/0"));
    }

    #[test]
    fn a_list_in_a_job_file_for_an_option_of_one_value_is_an_error() {
        for job in ["jobs = [1, 2]", "jobs = [1]", "jobs = []"] {
            let error = format!("{:#}", of(&[], &[], job).unwrap_err());
            assert!(error.contains("`jobs` takes one value, not a list"), "{error}");
        }
        assert_eq!(names(&[], &[], "input = ['a', 'b']"), ["input"]);
    }
}
