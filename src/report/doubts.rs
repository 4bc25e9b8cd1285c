//! Tasks that are ok although their output looks wrong: counted, with a warning after the first few.

use crate::run::execute::{Attempt, Executed};
use crate::run::recorder::EndedAttempt;
use crate::run::result::{NoResult, ResultDoubt};
use crate::units;

/// Tasks without a result cause a warning once there are this many: one or two may be normal.
const FEW: u64 = 3;

/// One kind of doubt.
#[derive(Debug, Default)]
struct CountedDoubts {
    count: u64,
    first: Option<DoubtExample>,
    /// Tasks that printed something that is not kept.
    not_kept: u64,
    is_told: bool,
}

#[derive(Debug)]
struct DoubtExample {
    path: String,
    index: u64,
    doubt: ResultDoubt,
    is_kept: bool,
}

/// A note for the end of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtNote {
    /// What was found, and what to do; shorter if that was said before.
    pub text: String,
    /// The index of a task whose output is kept.
    pub kept: Option<u64>,
    /// If there is one: tasks with output that is not kept, to save space.
    pub not_kept: u64,
    /// Whether it was said before, perhaps of fewer tasks.
    pub is_told: bool,
}

/// The first part of the line about tasks without a result; how to see one follows.
pub(super) fn without_result(count: u64) -> String {
    let files =
        units::plural(count, "file is ok but gave no JSON result", "files are ok but gave no JSON result");
    format!("{files}; to see what one printed")
}

/// All doubts of a launch.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    no_result: CountedDoubts,
    several_lines: CountedDoubts,
    answered_again: CountedDoubts,
    other_files: CountedDoubts,
    unremoved: CountedDoubts,
}

impl Doubts {
    /// Counts a task; returns the warning to print now.
    pub(super) fn count(&mut self, ended: &EndedAttempt<'_>) -> Option<String> {
        let doubt = ended.executed.doubt.as_ref()?;
        let counted = match doubt {
            ResultDoubt::NoResult(_) | ResultDoubt::ReturnedNone(_) => &mut self.no_result,
            ResultDoubt::SeveralLines(_) => &mut self.several_lines,
            ResultDoubt::AnsweredAgain { .. } => &mut self.answered_again,
            ResultDoubt::OtherFiles(_) => &mut self.other_files,
            ResultDoubt::Unremoved(_) => &mut self.unremoved,
        };
        counted.count += 1;
        let Executed { stdout, stderr, .. } = ended.executed;
        let is_lost = ended.log.is_none() && stdout.total() + stderr.total() > 0;
        counted.not_kept += u64::from(is_lost);
        let Attempt { path, index, .. } = *ended.attempt;
        counted.first.get_or_insert_with(|| DoubtExample {
            path: units::path(path),
            index,
            doubt: doubt.clone(),
            is_kept: ended.log.is_some(),
        });
        let is_grave = matches!(
            doubt,
            ResultDoubt::AnsweredAgain { .. } | ResultDoubt::OtherFiles(_) | ResultDoubt::Unremoved(_)
        );
        let few = if is_grave { 1 } else { FEW };
        if counted.is_told || counted.count < few {
            return None;
        }
        counted.is_told = true;
        counted.text()
    }

    /// The warnings to print at the end.
    pub(super) fn notes(&self) -> Vec<DoubtNote> {
        [&self.no_result, &self.several_lines, &self.answered_again, &self.other_files, &self.unremoved]
            .into_iter()
            .filter_map(CountedDoubts::note)
            .collect()
    }
}

impl CountedDoubts {
    fn note(&self) -> Option<DoubtNote> {
        let kept = self.first.as_ref().filter(|first| first.is_kept).map(|first| first.index);
        let Self { count, not_kept, is_told, .. } = *self;
        let files = || units::count(count, "file");
        let text = match (&self.first.as_ref()?.doubt, is_told) {
            (ResultDoubt::NoResult(_) | ResultDoubt::ReturnedNone(_), true) => {
                format!("{} ok without a JSON result", files())
            }
            (ResultDoubt::SeveralLines(_), true) => format!("{} with several lines of JSON", files()),
            (ResultDoubt::AnsweredAgain { .. }, true) => {
                format!("{} with a worker that answered more than once", files())
            }
            (ResultDoubt::OtherFiles(_), true) => {
                format!("{} with other files beside their products", files())
            }
            (ResultDoubt::Unremoved(_), true) => {
                format!("{} with something left over beside their products", files())
            }
            (_, false) => self.text()?,
        };
        Some(DoubtNote { text, kept, not_kept, is_told })
    }

    fn text(&self) -> Option<String> {
        let DoubtExample { path, doubt, .. } = self.first.as_ref()?;
        let files = units::count(self.count, "file");
        Some(match doubt {
            ResultDoubt::NoResult(NoResult { json_lines, last_line }) => {
                let last = if *json_lines > 0 { " as their last line" } else { "" };
                let first = match last_line.as_str() {
                    "" => format!("the first, {path}, printed nothing"),
                    line => format!("last line of the first, {path}: {line}"),
                };
                format!(
                    "{files} printed no JSON{last} ({first}); use print(json.dumps(...)), or --result text to keep the output as text, --result none if there is none"
                )
            }
            ResultDoubt::ReturnedNone(what) => format!(
                "{what} for {files} (the first, {path}); return a dict, or give --result none if there is no result"
            ),
            ResultDoubt::AnsweredAgain { path, line } => format!(
                "a worker answered more than once (the first time at {path}: {line}); only the first answer for a file counts, the others go to the log"
            ),
            ResultDoubt::OtherFiles(names) => format!(
                "{files} wrote other files beside their products (the first, {path}: {}); these were removed. Declare what is to be kept: --product NAME=PATH",
                names.join(", ")
            ),
            ResultDoubt::Unremoved(why) => format!(
                "the products of {files} are published, but not everything beside them could be removed (the first, {path}: {why}); remove it by hand"
            ),
            ResultDoubt::SeveralLines(lines) => format!(
                "{files} printed several lines of JSON (the first, {path}, prints {lines} JSON lines; only the last is its result); to keep all, print one list: print(json.dumps([...]))"
            ),
        })
    }
}
