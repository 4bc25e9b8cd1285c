//! Damaged journals: no record is invented, changed or given to another task, and none that is whole is lost.

use std::collections::BTreeMap;

use canfar_run::testing::{
    AttemptBegun, Cause, Event, JournalState, JournalWriter, LaunchProgress, Layout, Records, ResultsWritten,
    RunRef, Share, Status, StopReason, Stopped, TaskEnded, TaskState, begun, last_words,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::damage::{Damage, damage};
use super::hunt;

const TASKS: u64 = 6;

#[derive(Debug, Clone)]
enum Step {
    Start(u64, bool),
    End(u64, bool),
    Alive,
    ResultsWritten,
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..TASKS, prop::bool::weighted(0.1)).prop_map(|(index, alone)| Step::Start(index, alone)),
        // Index 6 is of another share: its records count as well.
        6 => (0..=TASKS, prop::bool::weighted(0.7)).prop_map(|(index, ok)| Step::End(index, ok)),
        1 => Just(Step::Alive),
        1 => Just(Step::ResultsWritten),
        1 => Just(Step::Stop),
    ]
}

/// Launches, and what befell their journals.
type Case = (Vec<Vec<Step>>, Vec<(Index, Damage)>);

fn case() -> impl Strategy<Value = Case> {
    (vec(vec(step(), 0..10), 1..4), vec((any::<Index>(), damage()), 0..5))
}

/// A record that was written.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    index: u64,
    status: Status,
    record: Vec<u8>,
}

fn write(layout: &Layout, launches: &[Vec<Step>]) -> BTreeMap<Vec<u8>, Written> {
    let (mut lines, mut number) = (BTreeMap::new(), 0);
    for (launch, steps) in (1..).zip(launches) {
        let mut journal = JournalWriter::create(&layout.journal(1, launch), "run", launch).unwrap();
        for step in steps {
            match *step {
                Step::Start(index, alone) => {
                    journal.add(&Event::Start(AttemptBegun { index, attempt: 1, slot: 1, alone }));
                }
                Step::End(index, is_ok) => {
                    number += 1;
                    let record =
                        format!("{{\"n\": {number}.{number}, \"s\": \"\\ud800\u{e9}\"}}").into_bytes();
                    let (status, cause) =
                        if is_ok { (Status::Ok, None) } else { (Status::Failed, Some(Cause::Exit)) };
                    journal.commit().unwrap();
                    let begin = std::fs::read(journal.path()).unwrap().len();
                    journal.add_end(
                        TaskEnded { index, status: Some(status), cause, ..TaskEnded::default() },
                        &record,
                    );
                    journal.commit().unwrap();
                    let line = std::fs::read(journal.path()).unwrap()[begin..].trim_ascii().to_vec();
                    lines.insert(line, Written { index, status, record });
                }
                Step::Alive => journal.add(&Event::Alive(LaunchProgress::default())),
                Step::ResultsWritten => {
                    let blake3 = "0".repeat(64);
                    journal.add(&Event::ResultsWritten(Box::new(ResultsWritten {
                        records: 1,
                        without_result: 0,
                        bytes: 1,
                        blake3,
                        tasks: None,
                    })));
                }
                Step::Stop => {
                    journal.add(&Event::Stop(Box::new(Stopped {
                        reason: StopReason::Done,
                        signal: None,
                        exit: 0,
                        why: None,
                        figures: None,
                        blocks: Vec::new(),
                    })));
                }
            }
        }
        journal.commit().unwrap();
    }
    lines
}

fn check((launches, damages): Case) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    std::fs::create_dir_all(layout.journals()).unwrap();
    let written = write(&layout, &launches);
    let mut texts: Vec<Vec<u8>> =
        (1..).zip(&launches).map(|(launch, _)| std::fs::read(layout.journal(1, launch)).unwrap()).collect();
    for (which, damage) in &damages {
        damage.apply(which.get_mut(&mut texts));
    }
    for (launch, text) in (1..).zip(&texts) {
        let path = layout.journal(1, launch);
        std::fs::write(&path, text).unwrap();
        let is_other_version = |error: &anyhow::Error| error.to_string().contains("format version");
        prop_assert!(begun(&path).as_ref().err().is_none_or(is_other_version));
        last_words(&path).unwrap();
    }
    let state = match JournalState::read(
        &layout,
        &RunRef { id: "run", indices: 0..TASKS + 1 },
        1,
        Share::Range(0..TASKS),
        false,
    ) {
        Ok(state) => state,
        Err(error) => {
            let told = error.to_string();
            prop_assert!(!damages.is_empty() && told.contains("format version"), "{}", told);
            return Ok(());
        }
    };
    let lines = texts.iter().flat_map(|text| text.split(|byte| *byte == b'\n'));
    let whole: Vec<&Written> = lines.filter_map(|line| written.get(line.trim_ascii())).collect();
    let mut records = Records::new(layout);
    for (index, note) in state.tasks.all() {
        let mut whole = whole.iter().filter(|written| written.index == index).peekable();
        let is_known = whole.peek().is_some();
        let is_ok = whole.any(|written| written.status == Status::Ok);
        prop_assert!(is_ok == (note.state == TaskState::Ok), "task {}: {:?}", index, note);
        prop_assert!(!is_known || note.state != TaskState::Unfinished, "task {}: {:?}", index, note);
        if let Some(record) = records.read(note).unwrap() {
            let is_written = written.values().any(|written| {
                (written.index, written.status) == (index, note.state.status().unwrap_or(Status::Failed))
                    && written.record == record
            });
            prop_assert!(is_written, "task {}: {}", index, record.escape_ascii());
        }
    }
    Ok(())
}

#[test]
fn damaged_journals_give_only_records_that_were_written_and_all_that_are_whole() {
    hunt("journals", 400, &case(), check);
}
