//! What of a successful command's output is its result.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::json::{self, Kind};
use crate::record::item::{RESERVED, TaskResult, uses_reserved_key};
use crate::run::capture::Capture;

/// Results nested deeper than this are refused: most readers of JSON give up long before.
pub const MAX_DEPTH: usize = 1000;

/// `--result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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

/// Why a command that succeeded has failed nevertheless: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadResult(pub String);

impl ResultRule {
    /// The result of a command that exited 0.
    ///
    /// # Errors
    /// When the result is invalid, too large, or missing where there has to be one.
    pub fn extract(&self, file: &Path, stdout: &mut Capture) -> Result<Option<TaskResult>, BadResult> {
        let result = match self.kind {
            ResultKind::None => None,
            ResultKind::Text => Some(self.as_text(stdout)?),
            ResultKind::Auto | ResultKind::Json => match self.in_file(file)? {
                Some(result) => Some(result),
                None => self.in_stdout(stdout)?,
            },
        };
        match result {
            None if self.kind == ResultKind::Json => Err(BadResult(
                "no result: neither $CANFAR_TASK_RESULT nor standard output holds JSON (--result json)"
                    .into(),
            )),
            Some(result) if uses_reserved_key(&result) => {
                Err(BadResult(format!("the result has the key {RESERVED:?}, which is canfar-run's own")))
            }
            result => Ok(result),
        }
    }

    fn in_file(&self, path: &Path) -> Result<Option<TaskResult>, BadResult> {
        let bad = |why: String| BadResult(format!("the result file ($CANFAR_TASK_RESULT) {why}"));
        // A pipe under that name would be waited for without end.
        let opened =
            OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(bad(format!("can't be opened: {error}"))),
        };
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(bad("is not a regular file".to_owned()));
        }
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

    fn in_stdout(&self, stdout: &mut Capture) -> Result<Option<TaskResult>, BadResult> {
        let limit = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
        if stdout.is_whole() && stdout.total() <= self.max_bytes {
            let all = stdout.head(limit).map_err(|error| unreadable(&error))?;
            return Ok(json(&all).ok().or_else(|| last_line(&all)));
        }
        // All of it, were it JSON, would be too large a result; that must not pass for having none.
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
            Some(result) => Ok(Some(result)),
            None if is_cut && ends_json => too_large("the last line of standard output"),
            None if begins_json(&head) && ends_json => too_large("standard output"),
            None => Ok(None),
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
        is_object: normal.kind == Kind::Object,
        non_finite: normal.non_finite as u64,
        json: normal.text.into_owned(),
    })
}

/// The last line, if it is a JSON object or array.
fn last_line(output: &[u8]) -> Option<TaskResult> {
    let line = output.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
    if !matches!(line.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return None;
    }
    json(line).ok()
}

#[cfg(test)]
mod tests {
    use super::{ResultKind, ResultRule};
    use crate::run::capture::Capture;

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
            .map(|result| result.map(|result| String::from_utf8(result.json).unwrap()))
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
            (ResultKind::Auto, Some("{\"canfar\\u005frun\":1}"), "", "canfar-run's own"),
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
