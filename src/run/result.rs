//! Which part of a successful command's output is its result.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use crate::json::{self, JsonKind, MAX_DEPTH};
use crate::process::capture::Capture;
use crate::record::task_record::{RESERVED, TaskResult, uses_reserved_key};
use crate::run::almost_json::{AlmostJson, almost_json, at_end_of, json_lines, shown};
use crate::store::regular;

/// `--result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// The result file if not empty, else all of standard output if it is JSON, else its last line if that is a JSON object or array, else none.
    Auto,
    /// As auto, but having none is a failure.
    Json,
    /// All of standard output, as text.
    Text,
    /// None.
    None,
}

/// How results are read.
#[derive(Debug, Clone, Copy)]
pub struct ResultRule {
    /// What counts as one.
    pub kind: ResultKind,
    /// The largest one, bytes.
    pub max_bytes: u64,
}

/// Why a task failed although its command succeeded: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadResult(pub String);

/// What a command that succeeded gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Its result.
    pub result: Option<TaskResult>,
    /// Why its output looks wrong.
    pub doubt: Option<ResultDoubt>,
}

/// What may be wrong with a task that is ok. Its output is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultDoubt {
    /// It has no result, although one was expected.
    NoResult(NoResult),
    /// Its function returned None; in words.
    ReturnedNone(String),
    /// It printed this many lines of JSON; the last one is its result.
    SeveralLines(u64),
    /// It wrote these beside its products, which were not declared and were removed.
    OtherFiles(Vec<String>),
    /// Its products are published, but not everything beside them could be removed; in words.
    Unremoved(String),
    /// Its worker answered an entry again; the first answer counts.
    AnsweredAgain {
        /// The entry, which may be the one before.
        path: String,
        /// The other answer, shortened.
        line: String,
    },
}

/// What a task printed that has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoResult {
    /// How many lines of it are JSON, all of them before the last.
    pub json_lines: u64,
    /// The last line, shortened; empty where it printed nothing.
    pub last_line: String,
}

impl ResultRule {
    /// The result of a command that exited 0.
    ///
    /// # Errors
    /// When the result is invalid, too large, or missing where there has to be one, and when the output was meant to be
    /// one and can't be taken.
    pub fn extract(&self, file: &Path, stdout: &mut Capture) -> Result<Extracted, BadResult> {
        let sure = |result| Extracted { result: Some(result), doubt: None };
        let extracted = match self.kind {
            ResultKind::None => Extracted::default(),
            ResultKind::Text => sure(self.as_text(stdout)?),
            ResultKind::Auto | ResultKind::Json => match self.in_file(file)? {
                Some(result) => sure(result),
                None => self.in_stdout(stdout)?,
            },
        };
        match (&extracted.result, &extracted.doubt) {
            (None, Some(ResultDoubt::NoResult(why))) if self.kind == ResultKind::Json => {
                Err(BadResult(format!("no result (--result json): {why}")))
            }
            (Some(result), _) if uses_reserved_key(result) => Err(BadResult(format!(
                "the result has the key {RESERVED:?}, which is reserved for canfar-run"
            ))),
            _ => Ok(extracted),
        }
    }

    /// The result in a worker's answer; `None` is a function's None. `gave` names its source
    /// and a verb, as in `analyze returned`.
    ///
    /// # Errors
    /// When it has canfar-run's own key, or is missing where there has to be one.
    pub(super) fn of_answer(&self, answer: Option<TaskResult>, gave: &str) -> Result<Extracted, BadResult> {
        match (answer, self.kind) {
            (Some(answer), _) if uses_reserved_key(&answer) => {
                Err(BadResult(format!("{gave} the key {RESERVED:?}, which is reserved for canfar-run")))
            }
            (_, ResultKind::None) => Ok(Extracted::default()),
            (Some(answer), _) => Ok(Extracted { result: Some(answer), doubt: None }),
            (None, ResultKind::Json) => Err(BadResult(format!("no result (--result json): {gave} None"))),
            (None, _) => {
                let doubt = ResultDoubt::ReturnedNone(format!("{gave} None"));
                Ok(Extracted { result: None, doubt: Some(doubt) })
            }
        }
    }

    fn in_file(&self, path: &Path) -> Result<Option<TaskResult>, BadResult> {
        let bad = |why: String| BadResult(format!("the result file ($CANFAR_TASK_RESULT) {why}"));
        let file = match regular::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(bad(format!("can't be opened: {error}"))),
        };
        let mut bytes = Vec::new();
        file.take(self.max_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| bad(format!("can't be read: {error}")))?;
        if bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        if bytes.len() as u64 > self.max_bytes {
            return Err(bad(format!("is larger than --max-result ({} bytes)", self.max_bytes)));
        }
        json(&bytes).map(Some).map_err(|error| bad(format!("is not valid: {error}")))
    }

    fn in_stdout(&self, stdout: &mut Capture) -> Result<Extracted, BadResult> {
        if stdout.total() == 0 {
            return judge(b"", false);
        }
        let limit = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
        if stdout.is_whole() && stdout.total() <= self.max_bytes {
            let all = stdout.head(limit).map_err(|error| unreadable(&error))?;
            return match json(&all) {
                Ok(result) => Ok(Extracted { result: Some(result), doubt: None }),
                Err(_) => judge(&all, false),
            };
        }
        // If it is JSON, all of it would be too large a result; that must not count as having none.
        let total = stdout.total();
        let too_large = |what: &str| {
            Err(BadResult(format!(
                "{what} looks like JSON and is larger than --max-result ({} bytes), or than what is kept of long output",
                self.max_bytes
            )))
        };
        let begins_json = |text: &[u8]| matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
        let head = stdout.head(4096).map_err(|error| unreadable(&error))?;
        let tail = stdout.tail(limit.saturating_add(2)).map_err(|error| unreadable(&error))?;
        let ends_json = matches!(tail.trim_ascii_end().last(), Some(b'}' | b']'));
        let is_cut = !tail.trim_ascii_end().contains(&b'\n') && (tail.len() as u64) < total;
        match last_line(&tail).filter(|_| !is_cut) {
            None if is_cut && ends_json => too_large("the last line of standard output"),
            None if begins_json(&head) && ends_json => too_large("standard output"),
            _ => judge(&tail, is_cut),
        }
    }

    fn as_text(&self, stdout: &mut Capture) -> Result<TaskResult, BadResult> {
        if !stdout.is_whole() || stdout.total() > self.max_bytes {
            let total = stdout.total();
            return Err(BadResult(format!(
                "standard output has {total} bytes: more than --max-result ({})",
                self.max_bytes
            )));
        }
        let bytes = stdout.tail(usize::MAX).map_err(|error| unreadable(&error))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut json = Vec::with_capacity(bytes.len() + 2);
        json::write_string(&mut json, text.strip_suffix('\n').unwrap_or(&text));
        Ok(TaskResult { json, is_object: false, non_finite: 0 })
    }
}

fn unreadable(error: &io::Error) -> BadResult {
    BadResult(format!("standard output can't be read back from the temporary folder: {error}"))
}

fn json(document: &[u8]) -> Result<TaskResult, json::JsonError> {
    let normal = json::normalise(document, MAX_DEPTH)?;
    Ok(TaskResult {
        is_object: normal.kind == JsonKind::Object,
        non_finite: normal.non_finite as u64,
        json: normal.text.into_owned(),
    })
}

/// What of an output that is not JSON as a whole is its result, and what may be wrong with it. Where it `is_cut`, its last
/// line is not whole.
fn judge(output: &[u8], is_cut: bool) -> Result<Extracted, BadResult> {
    if let Some(result) = last_line(output).filter(|_| !is_cut) {
        let lines = json_lines(output);
        return Ok(Extracted {
            result: Some(result),
            doubt: (lines > 1).then_some(ResultDoubt::SeveralLines(lines)),
        });
    }
    let last = last_of(output);
    let is_one_line = last.len() == output.trim_ascii().len();
    let meant = |what: &str, almost: AlmostJson| Err(BadResult(format!("{what} {almost}")));
    if let Some(almost) = almost_json(output).filter(|_| !is_cut) {
        return meant("standard output", almost);
    }
    if !is_one_line {
        if let Some(almost) = almost_json(last).filter(|_| !is_cut) {
            return meant("the last line of standard output", almost);
        }
        if let Some(almost) = at_end_of(output) {
            return meant("the end of standard output", almost);
        }
    }
    let doubt = NoResult { json_lines: json_lines(output), last_line: shown(last) };
    Ok(Extracted { result: None, doubt: Some(ResultDoubt::NoResult(doubt)) })
}

/// The last line that is not blank.
fn last_of(output: &[u8]) -> &[u8] {
    let output = output.trim_ascii_end();
    let begin = memchr::memrchr(b'\n', output).map_or(0, |end| end + 1);
    output[begin..].trim_ascii()
}

/// The last line, if it is a JSON object or array.
fn last_line(output: &[u8]) -> Option<TaskResult> {
    let line = last_of(output);
    matches!(line.first(), Some(b'{' | b'[')).then(|| json(line).ok()).flatten()
}

impl fmt::Display for NoResult {
    /// Continues after a colon.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { json_lines, last_line } = self;
        if last_line.is_empty() {
            return out.write_str("neither $CANFAR_TASK_RESULT nor standard output holds anything");
        }
        write!(out, "the last line of standard output is not JSON: `{last_line}`")?;
        match json_lines {
            0 => Ok(()),
            1 => out.write_str(" (a line before it is JSON: print that last)"),
            lines => write!(out, " ({lines} lines before it are JSON: print the result last)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ResultKind, ResultRule};
    use crate::process::capture::Capture;

    fn extract(kind: ResultKind, file: Option<&str>, stdout: &str) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let mut capture = Capture::new(folder.path());
        capture.push(stdout.as_bytes());
        let rule = ResultRule { kind, max_bytes: 100 };
        rule.extract(&path, &mut capture)
            .map(|extracted| extracted.result.map(|result| String::from_utf8(result.json).unwrap()))
            .map_err(|bad| bad.0)
    }

    #[test]
    fn auto_takes_the_file_then_all_output_then_its_last_line() {
        let auto = |file, stdout| extract(ResultKind::Auto, file, stdout).unwrap();
        assert_eq!(auto(Some("{\"a\":1}"), "{\"b\":2}").as_deref(), Some("{\"a\":1}"));
        assert_eq!(auto(Some(" \n"), "{\"b\": 2}\n").as_deref(), Some("{\"b\": 2}"));
        assert_eq!(auto(None, "{\n \"b\": NaN\n}\n").as_deref(), Some("{\"b\":null}"));
        assert_eq!(auto(None, "42\n").as_deref(), Some("42"));
        assert_eq!(auto(None, "working\n{\"b\":2}\n\n").as_deref(), Some("{\"b\":2}"));
        assert_eq!(auto(None, "working\n42\n"), None);
        assert_eq!(auto(None, ""), None);
        assert_eq!(auto(None, "all fine\n"), None);
        assert_eq!(auto(None, &format!("{}\n{{\"b\":2}}\n", "x".repeat(200))).as_deref(), Some("{\"b\":2}"));
    }

    #[test]
    fn a_result_that_is_there_and_wrong_is_a_failure() {
        let long = format!("[{}1]", "1,".repeat(100));
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        for (kind, file, stdout, said) in [
            (ResultKind::Auto, Some("{broken"), "", "is not valid"),
            (ResultKind::Auto, Some(long.as_str()), "", "larger than --max-result"),
            (ResultKind::Auto, None, long.as_str(), "larger than --max-result"),
            (ResultKind::Auto, None, &format!("words before {long}"), "larger than --max-result"),
            (ResultKind::Auto, Some("{\"canfar\\u005frun\":1}"), "", "reserved for canfar-run"),
            (ResultKind::Json, None, "no json", "no result"),
            (ResultKind::Text, None, long.as_str(), "more than --max-result"),
        ] {
            let error = extract(kind, file, stdout).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(extract(ResultKind::Auto, Some(&deep), "").is_ok());
    }

    #[test]
    fn text_keeps_the_output_and_none_drops_it() {
        assert_eq!(extract(ResultKind::Text, None, "a\"b\n").unwrap().as_deref(), Some("\"a\\\"b\""));
        assert_eq!(extract(ResultKind::None, Some("{}"), "{}").unwrap(), None);
    }
}
