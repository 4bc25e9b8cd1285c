//! Flag beats environment beats job file beats default. The weaker layers are put in front of the typed arguments as if they
//! had been typed, so that one parser, with one set of checks, reads all of them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::cli::{DEFINES_RUN, OptionNames, Typed, refusal_of, subcommand_of};
use crate::config::continued::ContinuedRun;
use crate::config::identity::{SharedIdentity, SharedValue};
use crate::config::job_file::{self, JobFile};
use crate::config::mangled_argv;
use crate::config::option_item::{COMMAND, OptionItem, PREFIX, token};
use crate::config::origins::{self, Origins};
use crate::config::resumed::{LASTING, Resumed};
use crate::config::test_times::is_test_variable;
use crate::config::usage_errors::first_line;
use crate::config::wrong_name::{did_you_mean, meant};
use crate::environment::Environment;
use crate::record::inputs::Settings;
use crate::text::OsText;

const DEFAULT_JOB_FILE: &str = "/etc/canfar-run.toml";

/// An option, and what it makes weaker layers' options pointless: its alternatives and what belongs to those.
const REPLACES: [(&str, &[&str]); 6] = [
    ("files-from", &["input", "exclude", "type", "allow-empty", "input-from", "name", "allow-missing"]),
    ("input", &["files-from", "null", "input-from", "name", "allow-missing"]),
    ("input-from", &["input", "exclude", "type", "allow-empty", "files-from", "null"]),
    ("shell", &[COMMAND, "call", "python"]),
    ("call", &[COMMAND, "shell", "worker"]),
    (COMMAND, &["shell", "call", "python"]),
];

/// Pairs of switches: if one is on, it replaces the other one in a weaker layer; if it is off, it has no effect on it.
const OPPOSITES: [(&str, &str); 2] = [("verbose", "quiet"), ("quiet", "verbose")];

/// Longest list of values that the journal keeps whole.
const MOST_VALUES: usize = 16;

/// Says nothing about a run.
const NOT_LAYERED: [&str; 4] = ["help", "version", "job-file", "only"];

/// What all layers together say beyond the arguments themselves.
#[derive(Debug)]
pub struct Layers {
    /// What is odd but no error.
    pub warnings: Vec<String>,
    /// Options that are not defaults, by name, for the journal.
    pub options: BTreeMap<String, serde_json::Value>,
    /// What weaker layers say about the replica: not a flag, so that it does not beat the container's own variables.
    pub identity: SharedIdentity,
    /// Where options come from that were not typed.
    pub origins: Origins,
    /// The part that the run's list keeps for `resume`.
    pub settings: Settings,
    /// The run that this one continues.
    pub continued: Option<ContinuedRun>,
}

/// Adds environment and job file to what was `typed`, which clap took from `argv`. Where a run is `resumed`, what it was
/// begun with is the weakest layer, and its command the only one.
///
/// # Errors
/// When a layer has an unknown key or a value that its option refuses, or a job file can't be read.
pub fn layered<A: Args>(
    typed: Typed<A>,
    argv: &[OsString],
    environment: &Environment,
    resumed: Option<&Resumed<'_>>,
) -> anyhow::Result<(A, Layers)> {
    let (subcommand, words) = subcommand_of(argv);
    let names = OptionNames::of(subcommand);
    // A job file is written for `run`; other subcommands use the keys that they know.
    let every = names.run.iter().chain(&names.own).map(String::as_str);
    let every: Vec<&str> = every.filter(|name| !NOT_LAYERED.contains(name)).collect();
    let lists: Vec<&str> = names.lists.iter().map(String::as_str).collect();
    let mut warnings = mangled_argv::notes(words);
    let from_environment = environment_items(environment, &every, &mut warnings);
    let job_path = job_file_path(&typed, environment);
    let read = |path: &PathBuf| job_file::read(&environment.absolute(path), &every, &lists);
    let job = job_path.as_ref().map(read).transpose()?.unwrap_or_default();
    let job_path = job_path.unwrap_or_default();
    warnings.extend(job.warnings(&job_path));
    let from_job = job_items(&job, &job_path);
    let from_run = resumed.map(Resumed::items).unwrap_or_default();

    let is_known =
        |name: &&str| !NOT_LAYERED.contains(name) && (resumed.is_none() || !DEFINES_RUN.contains(name));
    let known = names.own.iter().map(String::as_str).filter(is_known).collect();
    let mut line = LayeredLine::begin(subcommand, known, &typed);
    line.taken.extend(resumed.iter().flat_map(|resumed| resumed.commands.clone()));
    for layer in [from_environment, from_job, from_run] {
        line.add(layer)?;
    }
    let continued = line.add_continued(&typed, environment)?;
    if let Some(resumed) = resumed {
        let [options, command] = resumed.fixed();
        line.front.extend(options);
        line.back = command;
    }
    let (identity, origins) = (std::mem::take(&mut line.identity), std::mem::take(&mut line.origins));
    let all = line.parsed(typed, words)?;
    let mut settings = settings_of(&all);
    settings.cwd = Some(OsText(environment.cwd.clone().into_os_string()));
    if let Some(resumed) = resumed {
        settings.cwd = resumed.cwd().or(settings.cwd);
        settings.env.clone_from(&resumed.header.settings.env);
    }
    if let Some(continued) = &continued {
        settings.cwd = continued.folder().or(settings.cwd);
        settings.env.clone_from(continued.env());
    }
    settings.env.extend(job.env);
    let options = options_of(&names.own, &all);
    Ok((all.args()?, Layers { warnings, options, identity, origins, settings, continued }))
}

/// The command line with what weaker layers add to it, from the strongest to the weakest.
struct LayeredLine<'a> {
    subcommand: &'a str,
    known: Vec<&'a str>,
    /// What stronger layers have set.
    taken: Vec<String>,
    /// Options that come before what was typed.
    front: Vec<OsString>,
    /// `--` and the command, where none was typed.
    back: Vec<OsString>,
    added: Vec<OptionItem>,
    identity: SharedIdentity,
    origins: Origins,
}

impl<'a> LayeredLine<'a> {
    fn begin<A: Args>(subcommand: &'a str, known: Vec<&'a str>, typed: &Typed<A>) -> Self {
        let said = known.iter().chain(&[COMMAND]).filter(|name| typed.is_typed(name)).copied();
        let opposites = OPPOSITES.iter().filter(|(switch, _)| typed.is_on(switch)).map(|(_, other)| *other);
        Self {
            taken: said.chain(opposites).map(str::to_owned).collect(),
            subcommand,
            known,
            front: Vec::new(),
            back: Vec::new(),
            added: Vec::new(),
            identity: SharedIdentity::default(),
            origins: Origins::default(),
        }
    }

    /// Adds the settings of a layer that no stronger one has set.
    fn add(&mut self, mut layer: Vec<OptionItem>) -> anyhow::Result<()> {
        layer.retain(|item| {
            (item.name == COMMAND || self.known.contains(&item.name.as_str()))
                && !is_replaced(&item.name, &self.taken)
        });
        for item in layer {
            self.taken.push(item.name.clone());
            if let Some(shared) = self.identity.member(&item.name) {
                check(self.subcommand, &item)?;
                let value = item.tokens.last().and_then(|token| Some(token.to_str()?.split_once('=')?.1));
                *shared = value.map(|value| SharedValue { value: value.to_owned(), origin: item.origin });
                continue;
            }
            self.origins.note(&item.name, item.origin.clone());
            let opposite = OPPOSITES.iter().find(|(switch, _)| *switch == item.name && item.is_on());
            self.taken.extend(opposite.map(|(_, other)| (*other).to_owned()));
            if item.name != COMMAND {
                self.front.extend(item.tokens.iter().cloned());
                self.added.push(item);
            } else if self.known.contains(&"shell") {
                self.back.extend(item.tokens);
            }
        }
        Ok(())
    }

    /// Adds what the run of `--new-since` says, if that was given.
    fn add_continued<A: Args>(
        &mut self,
        typed: &Typed<A>,
        environment: &Environment,
    ) -> anyhow::Result<Option<ContinuedRun>> {
        const NAME: &str = "new-since";
        let added = self.added.iter().find(|item| item.name == NAME).and_then(|item| item.tokens.last());
        let added = added.and_then(|token| token.as_bytes().splitn(2, |byte| *byte == b'=').nth(1));
        let Some(dir) = typed.values(NAME).pop().or(added.map(OsStr::from_bytes)) else { return Ok(None) };
        let given = self.taken.clone();
        let is_given = |name: &str| given.iter().any(|given| given == name);
        let continued = ContinuedRun::open(Path::new(dir), environment, is_given)?;
        self.add(continued.items(is_given))?;
        Ok(Some(continued))
    }

    /// All of it as if typed; `words` were, after the subcommand.
    fn parsed<A: Args>(self, typed: Typed<A>, words: &[OsString]) -> anyhow::Result<Typed<A>> {
        let Self { subcommand, front, back, added, .. } = self;
        if front.is_empty() && back.is_empty() {
            return Ok(typed);
        }
        // Two `--` would make the second one a word of the command.
        let end = if back.is_empty() { None } else { words.strip_suffix(&[OsString::from("--")]) };
        let start = ["canfar-run".into(), subcommand.into()];
        let line = start.into_iter().chain(front).chain(end.unwrap_or(words).iter().cloned()).chain(back);
        Typed::parse(line).or_else(|error| {
            added.iter().try_for_each(|item| check(subcommand, item))?;
            Err(error.into())
        })
    }
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
                format!("; write it {PREFIX}{exact}")
            } else if meant(&name, std::iter::once(COMMAND)).is_some() {
                format!("; a command goes after `--`, into {PREFIX}SHELL, or in a job file")
            } else {
                did_you_mean(&name, every.iter().copied())
            };
            warnings.push(format!("the variable {PREFIX}{suffix} is not an option and was ignored{hint}"));
            continue;
        }
        items.push(OptionItem {
            tokens: vec![token(&name, value)],
            name,
            origin: origins::variable(&format!("{PREFIX}{suffix}"), value),
        });
    }
    items
}

fn job_items(job: &JobFile, path: &Path) -> Vec<OptionItem> {
    let options = job.options.iter().map(|(name, values)| OptionItem {
        name: name.clone(),
        tokens: values.iter().map(|value| token(name, value.as_ref())).collect(),
        origin: origins::setting(name, values, path),
    });
    let command = job.command.iter().map(|words| OptionItem {
        name: COMMAND.to_owned(),
        tokens: std::iter::once("--".into()).chain(words.iter().map(OsString::from)).collect(),
        origin: origins::setting(COMMAND, words, path),
    });
    options.chain(command).collect()
}

/// As it was named.
fn job_file_path<A: Args>(typed: &Typed<A>, environment: &Environment) -> Option<PathBuf> {
    let named = typed.values("job-file").pop().or_else(|| environment.get("CANFAR_RUN_JOB_FILE"));
    match named {
        Some(path) => Some(PathBuf::from(path)),
        None => Some(PathBuf::from(DEFAULT_JOB_FILE)).filter(|path| path.try_exists().unwrap_or(true)),
    }
}

/// Lets the option itself judge a value of a weaker layer, so that the error can name where it comes from.
fn check(subcommand: &str, item: &OptionItem) -> anyhow::Result<()> {
    match refusal_of(subcommand, &item.tokens) {
        Some(error) => bail!("{}: {}", item.origin, first_line(&error)),
        None => Ok(()),
    }
}

/// What the run's list keeps of the options.
fn settings_of<A: Args>(all: &Typed<A>) -> Settings {
    let lasting = LASTING.into_iter().filter(|name| all.is_typed(name));
    let value = |name| all.values(name).pop().map(|value| OsText(value.to_owned()));
    let options = lasting.filter_map(|name| Some((name.to_owned(), value(name)?))).collect();
    Settings { options, ..Settings::default() }
}

/// The options that are not defaults, by name. Of a long list, such as a shell's expansion of a glob, only how long it is
/// and its ends: the list of inputs has it all.
fn options_of<A: Args>(names: &[String], all: &Typed<A>) -> BTreeMap<String, serde_json::Value> {
    let text = |value: &OsStr| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let value = |name| match all.values(name).as_slice() {
        [value] => text(value).into(),
        values @ [first, .., last] if values.len() > MOST_VALUES => {
            serde_json::json!({"count": values.len(), "first": text(first), "last": text(last)})
        }
        values => values.iter().map(|value| text(value)).collect(),
    };
    let said = names.iter().filter(|name| all.is_typed(name));
    said.map(|name| (name.clone(), value(name))).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use serde_json::json;

    use super::{Layers, layered};
    use crate::cli::{RunArgs, Typed};
    use crate::environment::Environment;

    /// What `run` is given by what was typed, the environment and a job file.
    fn of(typed: &[&str], variables: &[(&str, &str)], job: &str) -> anyhow::Result<Layers> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("job.toml");
        std::fs::write(&path, job)?;
        let job_file = format!("--job-file={}", path.display());
        let argv = ["canfar-run", "run", &job_file].into_iter().chain(typed.iter().copied());
        let argv: Vec<OsString> = argv.map(OsString::from).collect();
        let environment = Environment {
            variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: folder.path().to_owned(),
        };
        let typed = Typed::<RunArgs>::parse(argv.clone())?;
        Ok(layered(typed, &argv, &environment, None)?.1)
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
        assert_eq!(names(&["--input-from=r"], &[], patterns), ["input-from", "jobs"]);
        assert_eq!(names(&["--input=a"], &[], "files-from = 'l'\nnull = true"), ["input"]);
        let products = "input-from = 'r'\nname = 'cat'\nallow-missing = true";
        assert_eq!(names(&["--input=a"], &[], products), ["input"]);
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
            ("CANFAR_RUN_jobs", "write it CANFAR_RUN_JOBS"),
            ("CANFAR_RUN_RETRY-DELAY", "write it CANFAR_RUN_RETRY_DELAY"),
            ("CANFAR_RUN_Job_File", "write it CANFAR_RUN_JOB_FILE"),
            ("CANFAR_RUN_COMMAND", "into CANFAR_RUN_SHELL"),
            ("CANFAR_RUN_JBOS", "the nearest one is `jobs`"),
        ] {
            let layers = of(&[], &[(variable, "4")], "").unwrap();
            assert!(layers.warnings.concat().contains(said), "{:?}", layers.warnings);
            assert_eq!(layers.options.len(), 1, "{:?}", layers.options);
        }
    }

    #[test]
    fn a_variable_of_a_job_file_with_the_name_of_an_option_is_told_of() {
        let layers = of(&[], &[], "[env]\nname = 'M31'").unwrap();
        assert_eq!(layers.settings.env["name"], "M31");
        let warnings = layers.warnings.concat();
        assert!(warnings.contains("`name` below [env] sets a variable of the tasks"), "{warnings}");
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
