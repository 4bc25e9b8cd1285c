//! How an attempt ended and what it used: plain data, for records, journals and people.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The command succeeded and its result, if any, is valid.
    Ok,
    /// It did not; [`Cause`] says why.
    Failed,
}

/// Which tasks with a failed record run again on a later launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rerun {
    /// Failed ones, but not those that died with their container (`lost`).
    Failed,
    /// Failed and lost ones.
    All,
    /// Failed ones, and ok ones with a product that has changed since.
    Changed,
    /// None.
    Never,
}

/// Exit codes that are no failure, beside 0 (`--ok-codes`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OkCodes(pub BTreeSet<u8>);

impl OkCodes {
    /// Whether a command that exits so has succeeded.
    pub fn has(&self, code: i32) -> bool {
        code == 0 || u8::try_from(code).is_ok_and(|code| self.0.contains(&code))
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The command exited with another code than 0, or a worker answered with an error.
    Exit,
    /// A signal ended it.
    Signal,
    /// It ran longer than `--timeout`.
    Timeout,
    /// Memory ran out under it.
    Oom,
    /// It could not be started for this file.
    Spawn,
    /// It succeeded, but its result is invalid, too large or missing.
    Result,
    /// It succeeded, but a product of it is missing, empty or of the wrong kind, or could not be published.
    Product,
    /// The container died while it ran in it alone.
    Lost,
    /// A value of a later version; never written.
    #[serde(other)]
    Other,
}

/// Its name in files.
impl std::fmt::Display for Cause {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(out)
    }
}

/// Why an attempt failed, with the system's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub cause: Cause,
    /// One line for people, such as "exit code 3" or "killed after 10s (--timeout)".
    pub message: String,
}

/// How a process ended, according to `wait`. Both are `None` if none was started, and if a worker answered and keeps running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEnd {
    /// Its exit code, if it exited.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// What one attempt used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time, seconds.
    pub duration_s: f64,
    /// User and system CPU time of the process and the children it waited for, seconds; of a worker, since its last task.
    pub cpu_s: f64,
    /// Resident memory of the attempt's largest process, bytes; `None` if it can't be distinguished from the runner's own. For a
    /// worker that keeps running: the most it had so far, as last read.
    pub max_rss_bytes: Option<u64>,
}

impl Usage {
    /// Times with the microseconds that clocks really provide.
    #[must_use]
    pub fn rounded(self) -> Self {
        let micro = |seconds: f64| (seconds * 1e6).round() / 1e6;
        Self { duration_s: micro(self.duration_s), cpu_s: micro(self.cpu_s), ..self }
    }
}

/// The one line that says most about a failure: the last one of its standard error that is no warning, else the message. Of a
/// bad result or product the command knew nothing.
pub fn reason<'a>(cause: Cause, message: &'a str, stderr_tail: Option<&'a str>) -> &'a str {
    last_line_but_warnings(stderr_tail)
        .filter(|_| !matches!(cause, Cause::Result | Cause::Product))
        .unwrap_or(message)
}

/// The last line that is no warning, such as of what is still open at the exit; where there are only such, the last one.
fn last_line_but_warnings(stderr_tail: Option<&str>) -> Option<&str> {
    let is_warning = |line: &str| line.to_ascii_lowercase().contains("warning:");
    let lines: Vec<&str> = stderr_tail?.lines().filter(|line| !line.trim().is_empty()).collect();
    // Python shows the line of the source below a warning.
    let is_source = |place: usize| lines[place].starts_with(' ') && place > 0 && is_warning(lines[place - 1]);
    let told = (0..lines.len()).rev().find(|place| !is_warning(lines[*place]) && !is_source(*place));
    told.map(|place| lines[place].trim()).or_else(|| last_line(stderr_tail))
}

/// The last line of the end of a standard error, if there is one.
pub fn last_line(stderr_tail: Option<&str>) -> Option<&str> {
    stderr_tail?.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

/// How a failure is grouped with others: its last line, with FILE for the names of its own file, so that failures of many
/// files with the same reason are one line.
pub fn reason_line(last_words: &str, path: &str) -> String {
    let base = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    let mut line = crate::units::printable(last_words);
    for name in [path, base] {
        // A short name may be part of any other word.
        if name.len() > 3 {
            line = line.replace(name, "FILE");
        }
    }
    line
}

/// A part of a packed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpan {
    /// Name of the log within the results directory.
    pub file: String,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::{Cause, reason, reason_line};

    #[test]
    fn a_warning_at_the_exit_is_not_the_reason() {
        let said = "Traceback:\n  raise\nValueError: no WCS\n/lib/tracker.py:254: UserWarning: leaked\n  warnings.warn('leaked')\n\n";
        assert_eq!(reason(Cause::Exit, "exit code 1", Some(said)), "ValueError: no WCS");
        assert_eq!(reason(Cause::Exit, "exit code 1", Some("Warning: old\n")), "Warning: old");
        assert_eq!(reason(Cause::Exit, "exit code 1", Some("\n")), "exit code 1");
    }

    #[test]
    fn failures_of_different_files_with_one_reason_are_told_alike() {
        for path in ["/data/n1/a.fits", "/data/other.fits"] {
            let base = path.rsplit('/').next().unwrap();
            assert_eq!(reason_line(&format!("{path}: {base} has no image"), path), "FILE: FILE has no image");
        }
        assert_eq!(reason_line("a bad a", "a"), "a bad a");
    }
}
