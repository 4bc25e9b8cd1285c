//! The kinds of workers: how one is started, what its answers mean, and what messages call it.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::json::MAX_DEPTH;
use crate::model::outcome::last_line;
use crate::record::task_record::TaskResult;
use crate::run::call::{self, PythonCall};
use crate::run::worker::answers::AnswerLimits;
use crate::run::worker::live::Said;
use crate::run::worker::protocol::{TaskAnswer, error_of};
use crate::units;

/// What a process that stays is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerKind {
    /// COMMAND, which reads and answers requests itself (`--worker`).
    Command,
    /// A Python that calls a function (`--call`).
    Function(PythonCall),
}

impl WorkerKind {
    /// The argument list of one, `words` being those of the command, of which the first is its program unless that was
    /// looked for.
    pub(super) fn argv(
        &self,
        words: Vec<OsString>,
        program: Option<&Path>,
        max_result: u64,
    ) -> Vec<OsString> {
        match (self, program, words.first()) {
            (Self::Function(call), Some(program), _) => call.argv(program.as_os_str(), max_result),
            (Self::Function(call), None, Some(word)) => call.argv(word, max_result),
            _ => words,
        }
    }

    /// How large its answers may be.
    pub(super) fn limits(&self, max_result: u64) -> AnswerLimits {
        match self {
            Self::Command => AnswerLimits { bytes: max_result, depth: MAX_DEPTH },
            Self::Function(_) => call::answer_limits(max_result),
        }
    }

    /// What an answer means.
    pub(super) fn read(&self, answer: TaskResult) -> TaskAnswer {
        match self {
            Self::Command => match error_of(&answer) {
                Some(error) => TaskAnswer::Raised(error),
                None => TaskAnswer::Returned(Some(answer)),
            },
            Self::Function(PythonCall { target, .. }) => match call::read_answer(&answer) {
                Some(TaskAnswer::Refused { why, is_broken }) => {
                    TaskAnswer::Refused { why: format!("--call {target}: {why}"), is_broken }
                }
                Some(answer) => answer,
                None => {
                    TaskAnswer::Unfit(format!("unexpected output in place of an answer from {}", self.name()))
                }
            },
        }
    }

    /// After how long without any activity a warning is printed, if that is `after` for workers that may answer wrongly. A
    /// function can't, and may legitimately wait for long.
    pub fn idle_after(&self, after: Duration) -> Option<Duration> {
        match self {
            Self::Command => Some(after),
            Self::Function(_) => None,
        }
    }

    /// Ends the log of a task that failed for this reason, which whatever a function printed last is not.
    pub(super) fn end_log(&self, said: &mut Said, reason: &str) {
        if let Self::Function(_) = self {
            said.change_end(call::without_own_frames);
            said.end_with(reason);
        }
    }

    /// What returned a result, preceded by a verb.
    pub(super) fn gave(&self) -> String {
        match self {
            Self::Command => "the answer has".to_owned(),
            Self::Function(call) => format!("{} returned", call.target.function),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Command => "the worker",
            Self::Function(_) => "the Python of --call",
        }
    }

    /// The message that it reported a failure itself; its text is shown elsewhere.
    pub(super) fn raised(&self) -> String {
        match self {
            Self::Command => "the worker answered with an error".to_owned(),
            Self::Function(call) => format!("{} raised an exception", call.target.function),
        }
    }

    /// That it exited at a task; `code` says so of the code, if that is not 0.
    pub(super) fn exited(&self, code: Option<String>) -> String {
        match (self, code) {
            (Self::Command, Some(code)) => code,
            (Self::Command, None) => "the worker exited with code 0 and gave no answer".to_owned(),
            (Self::Function(call), code) => format!(
                "{}: {} ended its process instead of returning",
                code.as_deref().unwrap_or("exit code 0"),
                call.target.function
            ),
        }
    }

    /// What it does before it reads its first request, as something that was not done.
    pub(super) fn was_not_ready(&self) -> String {
        match self {
            Self::Command => "the worker had not read the request".to_owned(),
            Self::Function(call) => format!("{} was not imported", call.target.place),
        }
    }

    /// Why nothing can be asked, `how` being how it ended and `printed` the end of what it printed.
    pub(super) fn never_ready(&self, how: &str, printed: &str) -> String {
        match self {
            Self::Command => match last_line(Some(printed)) {
                Some(line) => {
                    format!("the worker {how} before it read its first request: {}", units::printable(line))
                }
                None => format!(
                    "the worker {how} before it read its first request, a line of JSON on its standard input, and printed nothing"
                ),
            },
            Self::Function(PythonCall { target, .. }) => {
                format!("--call {target}: its Python {how} before it had imported {}", target.place)
            }
        }
    }
}
