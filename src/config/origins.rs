//! Where options that were not typed come from, so that an error about one says where to change it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use toml::Value;

use crate::discover::DiscoverError;

/// Longest value that is shown whole, in characters.
const LONGEST: usize = 60;

/// Options that come from variables, a job file or the run's list, by name: `CANFAR_RUN_JOBS=4`.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeMap<String, String>);

impl Origins {
    /// Notes where an option comes from.
    pub(super) fn note(&mut self, name: &str, origin: String) {
        self.0.insert(name.to_owned(), origin);
    }

    /// The error, led by where the options stand that it is about, as far as they were not typed. It is about those that
    /// it names before its first colon; what it advises comes after that.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let text = format!("{error:#}");
        let head = text.split(": ").next().unwrap_or(&text);
        let mut about: Vec<&str> = head.split_whitespace().filter_map(option_in).collect();
        if matches!(error.downcast_ref(), Some(DiscoverError::NoMatch(_))) {
            about.push("input");
        }
        let origins: Vec<&str> =
            about.iter().filter_map(|name| self.0.get(*name)).map(String::as_str).collect();
        if origins.is_empty() { error } else { error.context(origins.join(" and ")) }
    }
}

/// The name in a word such as `(--files-from)`.
fn option_in(word: &str) -> Option<&str> {
    let name = word.trim_start_matches('(').strip_prefix("--")?;
    name.split(|letter: char| letter != '-' && !letter.is_ascii_alphanumeric()).next()
}

/// A variable with its value.
pub(super) fn variable(name: &str, value: &OsStr) -> String {
    format!("{name}={}", shortened(&value.to_string_lossy()))
}

/// A line of a job file, or of what is written like one.
pub(super) fn setting<T: AsRef<str>>(name: &str, values: &[T], file: &Path) -> String {
    let shown: Vec<String> = values.iter().map(|value| toml_of(value.as_ref())).collect();
    let value = match shown.as_slice() {
        [value] => value.clone(),
        values => format!("[{}]", values.join(", ")),
    };
    format!("`{name} = {}` in {}", shortened(&value), file.display())
}

/// A number or a truth value as it is, other text in quotes.
fn toml_of(text: &str) -> String {
    let is_plain = text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok();
    if is_plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::anyhow;

    use super::{Origins, setting, variable};

    #[test]
    fn an_error_is_led_by_where_the_options_stand_that_it_is_about() {
        let mut origins = Origins::default();
        origins.note("chdir", setting("chdir", &["nope"], Path::new("job.toml")));
        origins.note("files-from", variable("CANFAR_RUN_FILES_FROM", "l".as_ref()));
        for (error, explained) in [
            (
                "--chdir /x/nope: there is none",
                "`chdir = \"nope\"` in job.toml: --chdir /x/nope: there is none",
            ),
            (
                "can't open l (--files-from): gone",
                "CANFAR_RUN_FILES_FROM=l: can't open l (--files-from): gone",
            ),
            (
                "--chdir, --files-from: no",
                "`chdir = \"nope\"` in job.toml and CANFAR_RUN_FILES_FROM=l: --chdir, --files-from: no",
            ),
            ("no such folder: give --chdir", "no such folder: give --chdir"),
            ("--chdirs is no option", "--chdirs is no option"),
            ("--jobs 0: none", "--jobs 0: none"),
        ] {
            assert_eq!(format!("{:#}", origins.explain(anyhow!(error))), explained);
        }
    }

    #[test]
    fn settings_are_shown_as_they_are_written() {
        let job = Path::new("job.toml");
        assert_eq!(setting("replica-count", &["8"], job), "`replica-count = 8` in job.toml");
        assert_eq!(setting("merge", &["true"], job), "`merge = true` in job.toml");
        assert_eq!(setting("input", &["a", "b"], job), "`input = [\"a\", \"b\"]` in job.toml");
        assert!(setting("input", &vec!["a"; 5000], job).len() < 100);
    }
}
