//! What journals of every kind come to.

use super::{JournalState, Problem, RunRef};
use crate::journal::event::{
    AttemptBegun, AttemptEnded, Event, LaunchBegun, LaunchProgress, Limits, TaskEnded,
};
use crate::journal::record_reader::Records;
use crate::journal::writer::{self, JournalWriter};
use crate::model::counts::TaskState;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::{Cause, Status};
use crate::model::provenance::Process;
use crate::model::quarantine::{SeenUsage, Suspect};
use crate::model::shares::Share;
use crate::store::layout::Layout;

const SHARE: Share = Share::Range(10..20);
pub(super) const RUN: RunRef<'_> = RunRef { id: "run", indices: 0..30 };

fn journal(layout: &Layout, launch: u32) -> JournalWriter {
    journal_of(layout, LaunchId { replica: 1, launch })
}

pub(super) fn journal_of(layout: &Layout, LaunchId { replica, launch }: LaunchId) -> JournalWriter {
    std::fs::create_dir_all(layout.journals()).unwrap();
    JournalWriter::create(&layout.journal(replica, launch), "run", launch).unwrap()
}

pub(super) fn start(journal: &mut JournalWriter, index: u64, alone: bool) {
    journal.add(&Event::Start(AttemptBegun { index, attempt: 1, slot: 1, alone }));
}

pub(super) fn end(journal: &mut JournalWriter, index: u64, status: Status, record: &str) {
    let cause = (status == Status::Failed).then_some(Cause::Exit);
    journal
        .add_end(TaskEnded { index, status: Some(status), cause, ..TaskEnded::default() }, record.as_bytes());
}

/// A line with the checksum that one with a record needs.
fn checked(line: &str) -> String {
    let Some((head, record)) = line.split_once(",\"record\":") else { return line.to_owned() };
    let check = writer::check_of(head.as_bytes(), record.trim_end().strip_suffix('}').unwrap().as_bytes());
    format!("{head},\"check\":\"{check}\",\"record\":{record}")
}

fn read(layout: &Layout, lives: bool) -> JournalState {
    JournalState::read(layout, &RUN, 1, SHARE, lives).unwrap()
}

#[test]
fn a_journal_cut_at_any_byte_gives_exactly_the_records_whole_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let mut written = journal(&layout, 1);
    let mut ends = Vec::new();
    for index in 10..14 {
        start(&mut written, index, false);
        end(&mut written, index, Status::Ok, &format!("{{\"n\":{index},\"s\":\"\\ud800\"}}"));
        written.commit().unwrap();
        ends.push((index, std::fs::metadata(written.path()).unwrap().len() - 1));
    }
    let whole = std::fs::read(written.path()).unwrap();
    for cut in 0..=whole.len() {
        std::fs::write(written.path(), &whole[..cut]).unwrap();
        let state = read(&layout, false);
        let mut records = Records::new(layout.clone());
        for &(index, end) in &ends {
            let note = state.tasks.get(index);
            let record = records.read(note).unwrap();
            let expected = format!("{{\"n\":{index},\"s\":\"\\ud800\"}}");
            let is_there = end <= cut as u64;
            assert_eq!(record, is_there.then_some(expected.as_bytes()), "task {index}, cut at {cut}");
        }
    }
}

#[test]
fn ok_beats_failed_and_newer_beats_older_over_all_launches() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    for (launch, tasks) in [
        (1, vec![(10, Status::Ok, "1"), (11, Status::Failed, "2"), (12, Status::Failed, "3")]),
        (2, vec![(10, Status::Failed, "4"), (11, Status::Ok, "5"), (12, Status::Failed, "6")]),
        (10, vec![(10, Status::Ok, "7")]),
    ] {
        let mut journal = journal(&layout, launch);
        tasks.into_iter().for_each(|(index, status, record)| end(&mut journal, index, status, record));
        journal.commit().unwrap();
    }
    let state = read(&layout, false);
    let mut records = Records::new(layout);
    for (index, known, record) in
        [(10, TaskState::Ok, "7"), (11, TaskState::Ok, "5"), (12, TaskState::Failed, "6")]
    {
        let note = state.tasks.get(index);
        assert_eq!(note.state, known);
        assert_eq!(records.read(note).unwrap(), Some(record.as_bytes()), "task {index}");
    }
    assert_eq!(state.tasks.get(13).state, TaskState::Unfinished);
}

#[test]
fn what_ran_when_a_container_died_is_a_suspect_and_what_ran_alone_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let mut first = journal(&layout, 1);
    start(&mut first, 10, false);
    start(&mut first, 11, false);
    end(&mut first, 11, Status::Ok, "{}");
    first.commit().unwrap();
    assert!(read(&layout, true).tasks.suspects.is_empty());
    let state = read(&layout, false);
    assert_eq!(state.tasks.suspects, [(10, Suspect { deaths: 1, ..Suspect::default() })].into());
    assert_eq!(state.launches[0].died_with, Some(1));
    let mut second = journal(&layout, 2);
    start(&mut second, 10, true);
    second.commit().unwrap();
    assert_eq!(read(&layout, true).tasks.get(10).state, TaskState::Unfinished);
    let state = read(&layout, false);
    assert_eq!(state.tasks.get(10).state, TaskState::Lost);
    assert!(state.tasks.suspects.is_empty() && !state.tasks.get(10).has_record());
    assert_eq!(state.tasks.get(10).attempts, 2);
}

fn begin(journal: &mut JournalWriter, limit: Option<u64>) {
    let process = Process::current(None);
    journal.add(&Event::Run(Box::new(LaunchBegun {
        replica_id: 1,
        replica_count: 1,
        process,
        locked: true,
        options: std::collections::BTreeMap::new(),
        limits: Limits { cpus: 1.0, memory_bytes: limit, cpu_set: None },
        jobs: 2,
        command_files: Vec::new(),
        share: 10,
        takeover_after_s: None,
        command: None,
        by_another: false,
    })));
}

#[test]
fn a_suspect_may_have_company_after_one_death_that_showed_room_in_memory() {
    let sign = |memory_bytes| Some(LaunchProgress { memory_bytes, ..LaunchProgress::default() });
    for (limit, sign, may) in [
        (Some(1000), sign(Some(799)), true),
        (Some(1000), sign(Some(800)), false),
        (Some(1000), sign(None), false),
        (Some(1000), None, false),
        (None, sign(Some(10)), false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        for (launch, may) in [(1, may), (2, false)] {
            let mut journal = journal(&layout, launch);
            begin(&mut journal, limit);
            start(&mut journal, 10, false);
            sign.iter().for_each(|sign| journal.add(&Event::Alive(sign.clone())));
            journal.commit().unwrap();
            let suspect = read(&layout, false).tasks.suspects[&10];
            assert_eq!((suspect.deaths, suspect.may_have_company()), (launch, may), "{limit:?} {sign:?}");
        }
    }
}

#[test]
fn what_ran_out_of_memory_is_to_run_alone_and_its_use_is_not_what_others_are_judged_by() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let mut written = journal(&layout, 1);
    let mut attempt = |index, cause, max_rss_bytes, tree_bytes| {
        start(&mut written, index, false);
        written.add(&Event::Attempt(AttemptEnded {
            index,
            attempt: 1,
            status: Some(Status::Failed),
            cause: Some(cause),
            max_rss_bytes,
            tree_bytes,
            ..AttemptEnded::default()
        }));
    };
    attempt(10, Cause::Oom, Some(9000), Some(9000));
    attempt(11, Cause::Exit, Some(50), Some(70));
    attempt(12, Cause::Exit, Some(60), None);
    attempt(13, Cause::Exit, None, None);
    written.commit().unwrap();
    let state = read(&layout, false);
    assert_eq!(state.tasks.suspects, [(10, Suspect { is_hungry: true, ..Suspect::default() })].into());
    assert_eq!(state.seen, SeenUsage { attempts: 3, largest: 70 });
}

#[test]
fn lines_that_are_torn_foreign_or_unknown_are_passed_over_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let mut written = journal(&layout, 1);
    end(&mut written, 10, Status::Ok, "{}");
    end(&mut written, 99, Status::Ok, "{}");
    written.commit().unwrap();
    let mut text = std::fs::read_to_string(written.path()).unwrap();
    text.push_str("{\"v\":1,\"run\":\"run\",\"event\":\"end\",\"ind\n");
    text.push_str("{\"v\":1,\"run\":\"run\",\"event\":\"news\",\"what\":[1]}\n");
    text.push_str(&checked(
        "{\"v\":1,\"run\":\"other\",\"event\":\"end\",\"index\":11,\"status\":\"ok\",\"record\":{}}\n",
    ));
    std::fs::write(written.path(), &text).unwrap();
    let state = read(&layout, false);
    assert_eq!(state.counts().ok, 1);
    assert!(matches!(
        state.problems.as_slice(),
        [Problem::Line(..), Problem::OtherRun(_, other), Problem::UnknownTasks(_, 1)] if other == "other"
    ));
    std::fs::write(written.path(), text.replace("\"v\":1", "\"v\":3")).unwrap();
    let refused = JournalState::read(&layout, &RUN, 1, SHARE, false).unwrap_err();
    assert!(refused.to_string().contains("format version 3"), "{refused}");
}

#[test]
fn words_of_a_later_version_do_not_make_lines_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let path = journal(&layout, 1).path().to_owned();
    let line = |rest: &str| format!("{{\"v\":1,\"run\":\"run\",\"launch\":1,\"seq\":1,\"t\":\"\",{rest}}}\n");
    let lines = [
        r#""event":"start","index":10,"attempt":1,"slot":1,"alone":false"#,
        r#""event":"attempt","index":10,"attempt":1,"status":"skipped","cause":null"#,
        r#""event":"end","index":11,"status":"failed","cause":"preempted","record":{}"#,
        r#""event":"end","index":12,"status":"skipped","cause":null,"record":{}"#,
        r#""event":"stop","reason":"preempted","signal":null,"exit":3"#,
    ];
    std::fs::write(path, lines.map(|rest| checked(&line(rest))).concat()).unwrap();
    let state = read(&layout, false);
    assert_eq!(state.problems, []);
    assert_eq!(state.tasks.get(11).state, TaskState::Failed);
    assert_eq!(state.tasks.get(12).state, TaskState::Unfinished);
    assert!(state.tasks.suspects.is_empty());
    assert_eq!(state.launches[0].stop.as_ref().unwrap().exit, 3);
}
