//! Failures by kind (cause and last line), each with a few examples told in full.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::model::failures;
use crate::model::outcome::LogSpan;
use crate::model::outcome::{Cause, reason};
use crate::record::logs::{KeptOutput, OutputStream};
use crate::report::html::model::task::RecordFacts;
use crate::store::layout::Layout;

/// So many failures of a kind are told in full.
const EXAMPLES: usize = 5;

/// Beyond so many kinds, failures are one kind.
const MOST_KINDS: usize = 1000;

/// So many kinds have examples: whoever has more of them reads the first.
const KINDS_WITH_EXAMPLES: usize = 100;

/// Of kept standard output, so many bytes of its end are shown.
const LOG_END: u64 = 1024;

/// Failures of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureKind {
    /// Why.
    pub cause: Cause,
    /// The last line of their standard error, or what is known otherwise.
    pub line: String,
    /// How many.
    pub count: u64,
    /// The first few.
    pub examples: Vec<FailureExample>,
}

/// A failure, told in full.
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
    /// Where its output is kept: replica, launch, attempt and place.
    log: Option<(u32, u32, u32, LogSpan)>,
}

/// A failure as a replica's journal has it.
#[derive(Debug)]
pub(super) struct FailedTask {
    pub(super) index: u64,
    cause: Cause,
    line: String,
    /// For the first few of its kind.
    example: Option<Box<FailureExample>>,
}

/// The failures of one replica.
#[derive(Debug, Default)]
pub(super) struct OfReplica {
    pub(super) failures: Vec<FailedTask>,
    seen: HashMap<(Cause, String), usize>,
}

impl OfReplica {
    /// Adds a failure with what its record says of it, if it has one.
    pub(super) fn add(&mut self, index: u64, path: &str, meta: Option<RecordFacts<'_>>, replica: u32) {
        let cause = meta.as_ref().and_then(|meta| meta.cause).unwrap_or(Cause::Lost);
        let (mut message, mut tail, mut log) = (None, None, None);
        if let Some(meta) = meta {
            (message, tail) = (meta.message, meta.stderr_tail);
            log = meta.log.map(|span| (replica, meta.launch, meta.attempts, span));
        }
        let message = message.map_or_else(|| words(cause).to_owned(), Cow::into_owned);
        let line = failures::kind(cause, reason(cause, &message, tail.as_deref()), path);
        let seen = self.seen.entry((cause, line.clone())).or_default();
        *seen += 1;
        let example = (*seen <= EXAMPLES).then(|| {
            let stderr_tail = tail.map(Cow::into_owned);
            Box::new(FailureExample { index, message, stderr_tail, stdout_end: None, log })
        });
        self.failures.push(FailedTask { index, cause, line, example });
    }
}

/// What is known of a failure without a message.
fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::Lost => "the container died while this task ran in it alone",
        cause => cause.name(),
    }
}

/// All kinds of a run.
#[derive(Debug, Default)]
pub(super) struct FailureKinds {
    kinds: Vec<FailureKind>,
    places: HashMap<(Cause, String), usize>,
}

impl FailureKinds {
    /// Counts a failure; gives the place of its kind, until [`Self::sorted`] gives another.
    pub(super) fn add(&mut self, failure: FailedTask) -> u32 {
        let mut key = (failure.cause, failure.line);
        if self.kinds.len() >= MOST_KINDS && !self.places.contains_key(&key) {
            "(many different messages)".clone_into(&mut key.1);
        }
        let place = *self.places.entry(key.clone()).or_insert_with(|| {
            self.kinds.push(FailureKind { cause: key.0, line: key.1, count: 0, examples: Vec::new() });
            self.kinds.len() - 1
        });
        let kind = &mut self.kinds[place];
        kind.count += 1;
        kind.examples.extend(failure.example.filter(|_| kind.examples.len() < EXAMPLES).map(|boxed| *boxed));
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// All of them, the most frequent first, with the ends of logs; and where each place went.
    pub(super) fn sorted(self, layout: &Layout) -> (Vec<FailureKind>, Vec<u32>) {
        let mut order: Vec<usize> = (0..self.kinds.len()).collect();
        order.sort_by_key(|place| std::cmp::Reverse(self.kinds[*place].count));
        let mut moved = vec![0; order.len()];
        (0..).zip(&order).for_each(|(now, before)| moved[*before] = now);
        let mut kinds: Vec<FailureKind> = order.into_iter().map(|place| self.kinds[place].clone()).collect();
        kinds.iter_mut().skip(KINDS_WITH_EXAMPLES).for_each(|kind| kind.examples.clear());
        kinds.iter_mut().flat_map(|kind| &mut kind.examples).for_each(|example| example.read_log(layout));
        (kinds, moved)
    }
}

impl FailureExample {
    /// Where the log was removed or damaged, the record has to do.
    fn read_log(&mut self, layout: &Layout) {
        let Some((replica, launch, attempt, span)) = self.log.take() else { return };
        // The log's name in a record is not trusted: only logs of the run are read.
        let path = layout.log(replica, launch);
        let end = KeptOutput::open(&path, &span, self.index, attempt)
            .and_then(|mut kept| Ok(kept.end(OutputStream::Stdout, LOG_END)?));
        self.stdout_end =
            end.ok().filter(|end| !end.is_empty()).map(|end| String::from_utf8_lossy(&end).into_owned());
    }
}
