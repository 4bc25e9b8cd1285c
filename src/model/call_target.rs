//! What `--call` names: a function in a Python file, or in a module that can be imported.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::text::OsText;
use crate::units;

/// A function, as it was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OsText", into = "OsText")]
pub struct CallTarget {
    /// Where it is defined.
    pub place: CallPlace,
    /// Its name there, dotted where it belongs to a class.
    pub function: String,
}

/// Where a function is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallPlace {
    /// In a file, which is relative to the folder where the run was begun.
    File(PathBuf),
    /// In a module, by its dotted name.
    Module(String),
}

/// How the name of a file ends.
const PYTHON_FILE: &[u8] = b".py";

const EXAMPLE: &str = "as in analysis.py:analyze";

impl CallTarget {
    /// Reads `FILE.py:FUNCTION` or `PACKAGE.MODULE:FUNCTION`.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn parse(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let Some(colon) = bytes.iter().rposition(|byte| *byte == b':') else {
            let shown = units::path(text);
            return Err(if bytes.ends_with(PYTHON_FILE) {
                format!("it names no function: write {shown}:FUNCTION, {EXAMPLE}")
            } else {
                format!("write a file, a colon and a function in it, {EXAMPLE}")
            });
        };
        let (place, function) = (&bytes[..colon], String::from_utf8_lossy(&bytes[colon + 1..]));
        let function = function.into_owned();
        if !is_dotted_name(&function) {
            return Err(match function.split_once('(') {
                Some((name, _)) if is_dotted_name(name) => {
                    format!("write the name of the function alone: {}:{name}", shown(place))
                }
                _ if function.is_empty() => format!("it names no function after the colon, {EXAMPLE}"),
                _ => format!("{:?} is not the name of a function", units::printable(&function)),
            });
        }
        let place = if place.ends_with(PYTHON_FILE) && place.len() > PYTHON_FILE.len() {
            CallPlace::File(OsString::from_vec(place.to_vec()).into())
        } else {
            match std::str::from_utf8(place) {
                Ok("") => return Err(format!("it names no file before the colon, {EXAMPLE}")),
                Ok(name) if is_dotted_name(name) => CallPlace::Module(name.to_owned()),
                _ => {
                    let place = shown(place);
                    return Err(format!(
                        "{place} is neither the name of a file, ending in .py, nor the dotted name of a module: write {}.py:{function}, or PACKAGE.MODULE:{function}",
                        place.trim_end_matches('/')
                    ));
                }
            }
        };
        Ok(Self { place, function })
    }

    /// The file that it names, relative to where the run was begun.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            CallPlace::File(file) => Some(file),
            CallPlace::Module(_) => None,
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    units::path(OsStr::from_bytes(bytes))
}

/// Whether it can be a name in Python, or several with dots between them.
fn is_dotted_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.split('.').all(|part| {
        part.chars().all(is_letter) && part.chars().next().is_some_and(|first| !first.is_numeric())
    })
}

impl From<CallTarget> for OsText {
    fn from(target: CallTarget) -> Self {
        let mut text = match target.place {
            CallPlace::File(file) => file.into_os_string(),
            CallPlace::Module(name) => name.into(),
        };
        text.push(":");
        text.push(target.function);
        Self(text)
    }
}

impl TryFrom<OsText> for CallTarget {
    type Error = String;

    fn try_from(text: OsText) -> Result<Self, String> {
        Self::parse(&text.0)
    }
}

impl fmt::Display for CallPlace {
    /// For people, on one line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => out.write_str(&units::path(file)),
            Self::Module(name) => out.write_str(name),
        }
    }
}

impl fmt::Display for CallTarget {
    /// For people, on one line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.place, self.function)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::{CallPlace, CallTarget};
    use crate::text::OsText;

    #[test]
    fn files_and_modules_are_told_apart_and_kept_byte_for_byte() {
        for (text, place, function) in [
            ("analysis.py:analyze", CallPlace::File("analysis.py".into()), "analyze"),
            ("/a:b/x-1.py:Survey.run", CallPlace::File("/a:b/x-1.py".into()), "Survey.run"),
            ("survey.stars:étoile", CallPlace::Module("survey.stars".into()), "étoile"),
        ] {
            let target = CallTarget::parse(OsStr::new(text)).unwrap();
            assert_eq!((&target.place, target.function.as_str()), (&place, function));
            assert_eq!(target.to_string(), text);
        }
        let text = OsStr::from_bytes(b"a\xff.py:f");
        let target = CallTarget::parse(text).unwrap();
        let json = serde_json::to_string(&target).unwrap();
        assert_eq!(serde_json::from_str::<CallTarget>(&json).unwrap(), target);
        assert_eq!(OsText::from(target).0, text);
    }

    #[test]
    fn what_is_no_function_says_what_to_write() {
        for (text, said) in [
            ("analysis.py", "write analysis.py:FUNCTION"),
            ("analysis", "a colon and a function"),
            ("analysis.py:", "no function after the colon"),
            (":analyze", "no file before the colon"),
            ("analysis.py:analyze()", "alone: analysis.py:analyze"),
            ("analysis.py:2fast", "is not the name of a function"),
            ("scripts/analysis:analyze", "write scripts/analysis.py:analyze"),
            ("scripts/:analyze", "write scripts.py:analyze"),
            (".py:analyze", "is neither the name of a file"),
        ] {
            let error = CallTarget::parse(OsStr::new(text)).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
