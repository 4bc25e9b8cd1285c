//! TOML job files: keys named like the options, `command = [...]`, an `[env]` table for the tasks.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use toml::{Table, Value};

use crate::config::wrong_name::did_you_mean;
use crate::encoding::ForeignEncoding;

/// What a job file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct JobFile {
    /// Option name to its values.
    pub options: BTreeMap<String, Vec<String>>,
    /// The command.
    pub command: Option<Vec<String>>,
    /// Variables for the tasks.
    pub env: BTreeMap<String, String>,
    /// Variables that seem to be meant as options.
    pub odd_variables: Vec<String>,
}

impl JobFile {
    /// Warnings about what is odd in it; `path` is the job file.
    pub(super) fn warnings(&self, path: &Path) -> impl Iterator<Item = String> {
        self.odd_variables.iter().map(move |name| {
            format!(
                "in the job file {}: `{name}` below [env] sets a variable of the tasks, not the option: options belong above the line [env]",
                path.display()
            )
        })
    }
}

/// Reads a job file. Its keys must be among `known`; those among `lists` may have many values.
///
/// # Errors
/// When it can't be read, is not TOML, or has an unknown key or a value of a wrong kind.
pub(super) fn read(path: &Path, known: &[&str], lists: &[&str]) -> anyhow::Result<JobFile> {
    let bytes = std::fs::read(path).with_context(|| {
        let elsewhere = if path.exists() {
            ""
        } else {
            ", which --job-file or CANFAR_RUN_JOB_FILE names. Give its whole path, on storage that the container sees, such as /arc/projects"
        };
        format!("can't read the job file {}{elsewhere}", path.display())
    })?;
    // TOML allows a byte order mark.
    if let Some(encoding @ ForeignEncoding::Utf16(_)) = ForeignEncoding::of(&bytes[..bytes.len().min(64)]) {
        bail!("the job file {} {encoding}", path.display());
    }
    let text = String::from_utf8(bytes)
        .with_context(|| format!("the job file {} is not UTF-8 text", path.display()))?;
    parse(&text, known, lists).with_context(|| format!("in the job file {}", path.display()))
}

fn parse(text: &str, known: &[&str], lists: &[&str]) -> anyhow::Result<JobFile> {
    let table: Table =
        text.parse().map_err(|error: toml::de::Error| anyhow::anyhow!("{}", error.to_string().trim_end()))?;
    let mut job = JobFile::default();
    for (key, value) in table {
        match (key.as_str(), value) {
            ("command", Value::Array(words)) => job.command = Some(texts(&key, &words)?),
            ("command", _) => {
                bail!(
                    "`command` has to be a list of words, such as [\"python\", \"analyze.py\", \"{{}}\"]; for a shell command line use `shell`"
                )
            }
            ("env", Value::Table(variables)) => {
                for (name, value) in variables {
                    let value = text_of(&format!("env.{name}"), &value)?;
                    check_variable(&name, &value)?;
                    refuse_option(&name, known)?;
                    job.env.insert(name, value);
                }
            }
            ("env", _) => bail!("`env` has to be a table: [env], then NAME = \"value\" lines"),
            (name, value) if !known.contains(&name) && is_table(&value) => bail!(
                "[{name}] is not a table of a job file: options go at the top, and `[env]`, the only table, comes last. Remove the line [{name}]"
            ),
            (name, _) if !known.contains(&name) => {
                let every = known.iter().copied().chain(["command", "env"]);
                bail!("unknown key `{name}`{}", did_you_mean(name, every));
            }
            (name, Value::Array(_)) if !lists.contains(&name) => {
                bail!("`{name}` takes one value, not a list")
            }
            (_, Value::Array(values)) => {
                job.options.insert(key.clone(), texts(&key, &values)?);
            }
            (_, value) => {
                job.options.insert(key.clone(), vec![text_of(&key, &value)?]);
            }
        }
    }
    job.odd_variables = odd_variables(&job, known);
    if job.command.is_some() && job.options.contains_key("shell") {
        bail!("`shell` and `command` are two ways to say the same thing: give one of them");
    }
    Ok(job)
}

/// `[name]` or `[[name]]`.
fn is_table(value: &Value) -> bool {
    match value {
        Value::Array(values) => !values.is_empty() && values.iter().all(Value::is_table),
        value => value.is_table(),
    }
}

/// What the system can't have as a variable would fail every task.
fn check_variable(name: &str, value: &str) -> anyhow::Result<()> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        bail!(
            "`env.{}` can't be a variable: a name can't be empty or contain `=`, and neither name nor value can contain a NUL byte",
            name.escape_debug()
        );
    }
    Ok(())
}

/// All that stands below a table's name belongs to it. No shell can read a variable with a `-` in its name, so an option is
/// meant.
fn refuse_option(name: &str, known: &[&str]) -> anyhow::Result<()> {
    if name.contains('-') && known.contains(&name) {
        bail!(
            "`{name}` is an option, but it is below [env], where every key is a variable of the tasks: move it above the line [env]"
        );
    }
    Ok(())
}

/// Variables with an option's name, which may still be meant for tasks. No warning if the option is set, too.
fn odd_variables(job: &JobFile, known: &[&str]) -> Vec<String> {
    let is_odd = |name: &&String| match name.replace('_', "-").as_str() {
        "command" => job.command.is_none(),
        option => known.contains(&option) && !job.options.contains_key(option),
    };
    job.env.keys().filter(is_odd).cloned().collect()
}

fn texts(key: &str, values: &[Value]) -> anyhow::Result<Vec<String>> {
    values.iter().map(|value| text_of(key, value)).collect()
}

fn text_of(key: &str, value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        other => bail!("`{key}` can't be of type {}; write a string in quotes", other.type_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::{JobFile, parse, read};

    #[test]
    fn a_job_file_has_options_a_command_and_variables() {
        let job = parse(
            "jobs = 4\ninput = ['a', 'b']\nnull = true\ncommand = ['python', 'x.py']\n[env]\nA = 'b=c $'\nN = 1",
            &["jobs", "input", "null"],
            &["input"],
        )
        .unwrap();
        let expected = JobFile {
            options: [("jobs", vec!["4"]), ("input", vec!["a", "b"]), ("null", vec!["true"])]
                .map(|(key, values)| (key.to_owned(), values.into_iter().map(str::to_owned).collect()))
                .into(),
            command: Some(vec!["python".into(), "x.py".into()]),
            env: [("A".to_owned(), "b=c $".to_owned()), ("N".to_owned(), "1".to_owned())].into(),
            odd_variables: Vec::new(),
        };
        assert_eq!(job, expected);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_utf_16_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\u{feff}jobs = 1").unwrap();
        assert_eq!(read(file.path(), &["jobs"], &[]).unwrap().options["jobs"], ["1"]);
        let text: Vec<u8> = "\u{feff}jobs = 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(file.path(), text).unwrap();
        let error = read(file.path(), &["jobs"], &[]).unwrap_err().to_string();
        assert!(error.contains("is UTF-16 text: save it as UTF-8"), "{error}");
    }

    #[test]
    fn a_variable_with_the_name_of_an_option_is_told_of_unless_the_option_is_set_too() {
        let known = ["jobs", "name", "max-failures"];
        let job = parse(
            "jobs = 2\n[env]\njobs = 1\nname = 'M31'\nmax_failures = 1\ncommand = 'x'\nJOBS = 3",
            &known,
            &[],
        );
        let job = job.unwrap();
        assert_eq!((job.env.len(), job.env["name"].as_str()), (5, "M31"));
        assert_eq!(job.odd_variables, ["command", "max_failures", "name"]);
        let said: Vec<String> = job.warnings("j.toml".as_ref()).collect();
        assert!(said[2].starts_with("in the job file j.toml: `name` below [env]"), "{said:?}");
    }

    #[test]
    fn what_is_wrong_in_it_is_named() {
        for (text, said) in [
            ("max_failures = 1", "unknown key `max_failures`; the nearest one is `max-failures`"),
            ("commnd = ['x']", "the nearest one is `command`"),
            ("[run]\njobs = 2", "[run] is not a table of a job file: options go at the top"),
            ("[[run]]\njobs = 2", "[run] is not a table of a job file"),
            ("[canfar-run.tasks]\njobs = 2", "[canfar-run] is not a table of a job file"),
            ("replicas = 10", "; `canfar-run run --help` lists"),
            ("cmd = ['x']", "the nearest one is `command`"),
            ("parallel = 4", "the nearest one is `jobs`"),
            ("max_failures = 1", "the nearest one is `max-failures`"),
            ("command = 'x y'", "list of words"),
            ("jobs = 1979-05-27", "`jobs` can't be of type datetime"),
            ("jobs = ", "TOML parse error"),
            ("env = 1", "has to be a table"),
            ("[env]\n'A=B' = 1", "`env.A=B` can't be a variable"),
            ("[env]\nA = \"\\u0000\"", "`env.A` can't be a variable"),
            ("[env]\nA = 'b'\nmax-failures = 1", "`max-failures` is an option, but it is below [env]"),
            ("shell = 'x'\ncommand = ['x']", "two ways to say the same"),
        ] {
            let known = ["max-failures", "jobs", "shell"];
            let error = format!("{:#}", parse(text, &known, &[]).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
