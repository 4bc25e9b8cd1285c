//! Tasks that are ok although their output should be looked at: counted, and told after the first few.

use crate::run::execute::{Attempt, Executed};
use crate::run::recorder::Ended;
use crate::run::result::{Doubt, NoResult};
use crate::units;

/// Tasks without a result are told as soon as there are so many: it may be in the nature of one or two.
const FEW: u64 = 3;

/// One kind of doubt.
#[derive(Debug, Default)]
struct Counted {
    count: u64,
    first: Option<Example>,
    /// Tasks that printed something that is not kept.
    not_kept: u64,
    is_told: bool,
}

#[derive(Debug)]
struct Example {
    path: String,
    index: u64,
    doubt: Doubt,
    is_kept: bool,
}

/// A note for the end of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtNote {
    /// What was found, and what to do; shorter where that was said before.
    pub text: String,
    /// The index of a task whose output is kept.
    pub kept: Option<u64>,
    /// Where there is one: tasks whose output is not kept, since it would be too much.
    pub not_kept: u64,
    /// Whether it was said before, perhaps of fewer tasks.
    pub is_told: bool,
}

/// How tasks are told that have no result, to go on with how to see one.
pub(super) fn without_result(count: u64) -> String {
    let files = units::plural(
        count,
        "file is ok but printed no JSON result",
        "files are ok but printed no JSON result",
    );
    format!("{files}; to see what one printed")
}

/// All doubts of a launch.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    no_result: Counted,
    several_lines: Counted,
    answered_again: Counted,
}

impl Doubts {
    /// Counts a task; gives what is to be said now.
    pub(super) fn count(&mut self, ended: &Ended<'_>) -> Option<String> {
        let doubt = ended.executed.doubt.as_ref()?;
        let counted = match doubt {
            Doubt::NoResult(_) => &mut self.no_result,
            Doubt::SeveralLines(_) => &mut self.several_lines,
            Doubt::AnsweredAgain { .. } => &mut self.answered_again,
        };
        counted.count += 1;
        let Executed { stdout, stderr, .. } = ended.executed;
        let is_lost = ended.log.is_none() && stdout.total() + stderr.total() > 0;
        counted.not_kept += u64::from(is_lost);
        let Attempt { path, index, .. } = *ended.attempt;
        counted.first.get_or_insert_with(|| Example {
            path: units::path(path),
            index,
            doubt: doubt.clone(),
            is_kept: ended.log.is_some(),
        });
        let few = if matches!(doubt, Doubt::AnsweredAgain { .. }) { 1 } else { FEW };
        if counted.is_told || counted.count < few {
            return None;
        }
        counted.is_told = true;
        counted.text()
    }

    /// What is to be said at the end.
    pub(super) fn notes(&self) -> Vec<DoubtNote> {
        [&self.no_result, &self.several_lines, &self.answered_again]
            .into_iter()
            .filter_map(Counted::note)
            .collect()
    }
}

impl Counted {
    fn note(&self) -> Option<DoubtNote> {
        let kept = self.first.as_ref().filter(|first| first.is_kept).map(|first| first.index);
        let Self { count, not_kept, is_told, .. } = *self;
        let files = || units::count(count, "file");
        let text = match (&self.first.as_ref()?.doubt, is_told) {
            (Doubt::NoResult(_), true) => format!("{} ok without a JSON result", files()),
            (Doubt::SeveralLines(_), true) => format!("{} with several lines of JSON", files()),
            (Doubt::AnsweredAgain { .. }, true) => {
                format!("{} with a worker that answered more than once", files())
            }
            (_, false) => self.text()?,
        };
        Some(DoubtNote { text, kept, not_kept, is_told })
    }

    fn text(&self) -> Option<String> {
        let Example { path, doubt, .. } = self.first.as_ref()?;
        let files = units::count(self.count, "file");
        Some(match doubt {
            Doubt::NoResult(NoResult { json_lines, last_line }) => {
                let last = if *json_lines > 0 { " as their last line" } else { "" };
                let first = match last_line.as_str() {
                    "" => format!("the first, {path}, printed nothing"),
                    line => format!("last line of the first, {path}: {line}"),
                };
                format!(
                    "{files} printed no JSON{last} ({first}); use print(json.dumps(...)), or --result text to keep the output as text, --result none if there is none"
                )
            }
            Doubt::AnsweredAgain { path, line } => format!(
                "a worker answered more than once (the first time at {path}: {line}); only the first answer to a file counts, the others are log"
            ),
            Doubt::SeveralLines(lines) => format!(
                "{files} printed several lines of JSON (the first, {path}, prints {lines} JSON lines; only the last is its result); to keep all, print one list: print(json.dumps([...]))"
            ),
        })
    }
}
