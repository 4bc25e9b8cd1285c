//! Failures by kind (cause and last line), each with a few examples in full.

use std::borrow::Cow;

use crate::model::failures::{FailureGroup, FailureGroups};
use crate::model::outcome::{Cause, LogSpan, reason};
use crate::record::inputs::Header;
use crate::record::logs::{KeptOutput, OutputStream};
use crate::report::html::model::task::{RecordFacts, TaskHistory};
use crate::store::layout::Layout;

/// How many failures of a kind are shown in full.
const EXAMPLES: usize = 5;

/// How many kinds have examples: with more of them, users read the first.
const KINDS_WITH_EXAMPLES: usize = 100;

/// How many of the last bytes of kept standard output are shown.
const LOG_END: u64 = 1024;

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureKind {
    /// What they have in common, and how many there are.
    pub group: FailureGroup,
    /// The first few.
    pub examples: Vec<FailureExample>,
}

/// A failure, in full.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureExample {
    /// The task.
    pub index: u64,
    /// One line for people.
    pub message: String,
    /// The end of its standard error, as its record has it.
    pub stderr_tail: Option<String>,
    /// The end of its standard output, where that was kept.
    pub stdout_end: Option<String>,
    /// The replica with the record of it.
    replica: u32,
    /// Where its output is kept: launch, attempt and place.
    log: Option<(u32, u32, LogSpan)>,
}

/// The failures of a replica, or of a run, with the first few of each group.
#[derive(Debug, Default)]
pub(super) struct FailuresWithExamples {
    groups: FailureGroups,
    /// By the place of their group.
    examples: Vec<Vec<FailureExample>>,
}

impl FailuresWithExamples {
    /// Adds a failure with what its record says of it, if it has one; gives the place of its group.
    pub(super) fn add(&mut self, index: u64, path: &str, meta: Option<RecordFacts<'_>>, replica: u32) -> u32 {
        let cause = meta.as_ref().and_then(|meta| meta.cause).unwrap_or(Cause::Lost);
        let (mut message, mut tail, mut log) = (None, None, None);
        if let Some(meta) = meta {
            (message, tail) = (meta.message, meta.stderr_tail);
            log = meta.log.map(|span| (meta.launch, meta.attempts, span));
        }
        let message = message.map_or_else(|| words(cause), Cow::into_owned);
        let place = self.groups.count(cause, reason(cause, &message, tail.as_deref()), path, Some(index));
        let examples = self.examples_at(place);
        if examples.len() < EXAMPLES {
            let stderr_tail = tail.map(Cow::into_owned);
            examples.push(FailureExample { index, replica, message, stderr_tail, stdout_end: None, log });
        }
        as_kind(place)
    }

    /// Adds those of another replica; gives the place that each of their groups has here.
    pub(super) fn absorb(&mut self, others: Self) -> Vec<u32> {
        let places = self.groups.absorb(others.groups);
        for (place, more) in places.iter().zip(others.examples) {
            self.examples_at(*place).extend(more);
        }
        places.into_iter().map(as_kind).collect()
    }

    fn examples_at(&mut self, place: usize) -> &mut Vec<FailureExample> {
        if self.examples.len() <= place {
            self.examples.resize_with(place + 1, Vec::new);
        }
        &mut self.examples[place]
    }

    /// The kinds of these tasks, the most frequent first, with the ends of logs. Each task, which knew the place of its
    /// group, then knows that of its kind.
    pub(super) fn into_kinds(
        self,
        tasks: &mut [TaskHistory],
        header: &Header,
        layout: &Layout,
    ) -> Vec<FailureKind> {
        let of_group = |group, examples| FailureKind { group: FailureGroup { count: 0, ..group }, examples };
        let kinds = self.groups.into_groups().into_iter().zip(self.examples);
        let mut kinds: Vec<FailureKind> = kinds.map(|(group, examples)| of_group(group, examples)).collect();
        // Of a task that several replicas have run, only one record is shown.
        tasks.iter().filter_map(|task| task.kind).for_each(|kind| kinds[kind as usize].group.count += 1);
        for (place, kind) in (0..).zip(&mut kinds) {
            let is_shown = |example: &FailureExample| {
                let task = header.place_of(example.index).and_then(|place| tasks.get(place));
                task.is_some_and(|task| task.kind == Some(place) && task.replica == example.replica)
            };
            kind.examples.retain(is_shown);
            kind.examples.truncate(EXAMPLES);
        }
        let mut sorted: Vec<(usize, FailureKind)> = kinds.into_iter().enumerate().collect();
        sorted.sort_by(|(_, one), (_, other)| one.group.more_frequent_first(&other.group));
        let mut moved = vec![0; sorted.len()];
        (0..).zip(&sorted).for_each(|(now, (before, _))| moved[*before] = now);
        tasks.iter_mut().filter_map(|task| task.kind.as_mut()).for_each(|kind| *kind = moved[*kind as usize]);
        let kinds = sorted.into_iter().map(|(_, kind)| kind);
        let mut kinds: Vec<FailureKind> = kinds.take_while(|kind| kind.group.count > 0).collect();
        kinds.iter_mut().skip(KINDS_WITH_EXAMPLES).for_each(|kind| kind.examples.clear());
        kinds.iter_mut().flat_map(|kind| &mut kind.examples).for_each(|example| example.read_log(layout));
        kinds
    }
}

/// Groups are few.
fn as_kind(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// What is known of a failure without a message.
fn words(cause: Cause) -> String {
    match cause {
        Cause::Lost => "the container died while this task ran in it alone".to_owned(),
        cause => cause.to_string(),
    }
}

impl FailureExample {
    /// Where the log was removed or damaged, the record has to do.
    fn read_log(&mut self, layout: &Layout) {
        let Some((launch, attempt, span)) = self.log.take() else { return };
        // The log's name in a record is not trusted: only logs of the run are read.
        let path = layout.log(self.replica, launch);
        let end = KeptOutput::open(&path, &span, self.index, attempt)
            .and_then(|mut kept| Ok(kept.end(OutputStream::Stdout, LOG_END)?));
        self.stdout_end =
            end.ok().filter(|end| !end.is_empty()).map(|end| String::from_utf8_lossy(&end).into_owned());
    }
}
