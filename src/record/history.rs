//! What is known of one replica from its journals: which tasks have a record and where it lies, which were running when
//! a container died, how its launches ended. Resuming, merging and every report are derived from this.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::event::{LaunchBegun, ResultsWritten, Stopped, TaskEnded, Totals};
use crate::outcome::{Cause, Status};
use crate::record::journal::{self, BadLine, ReadLine, Span};
use crate::record::layout::{Layout, parse_journal_name};
use crate::record::suspicion::{Seen, Suspect, share_of_memory};
use crate::select::Share;

/// What is known of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It has not ended.
    Nothing,
    /// It has an ok record.
    Ok,
    /// It has the record of a failure.
    Failed,
    /// The container died while it ran alone. A later launch writes the record of that.
    Lost,
}

impl Known {
    /// What a record of it says; `None` where there is nothing to record.
    pub fn status(self) -> Option<Status> {
        match self {
            Self::Nothing => None,
            Self::Ok => Some(Status::Ok),
            Self::Failed | Self::Lost => Some(Status::Failed),
        }
    }
}

/// One task's note: 24 bytes, since a share may have a million.
#[derive(Debug, Clone, Copy)]
pub struct TaskNote {
    offset: u64,
    bytes: u32,
    launch: u32,
    /// Attempts begun over all launches.
    pub attempts: u16,
    /// What is known.
    pub known: Known,
}

impl TaskNote {
    /// Whether a journal holds its record.
    pub fn has_record(&self) -> bool {
        self.bytes > 0
    }
}

const UNTOUCHED: TaskNote = TaskNote { offset: 0, bytes: 0, launch: 0, attempts: 0, known: Known::Nothing };

/// One launch of a replica.
#[derive(Debug, Clone)]
pub struct Launch {
    /// From 1.
    pub number: u32,
    /// Its journal.
    pub path: PathBuf,
    /// How it began; `None` for a journal that was cut before its first line was whole.
    pub begun: Option<LaunchBegun>,
    /// The results file that its last word vouches for.
    pub results: Option<ResultsWritten>,
    /// How it ended in order.
    pub stop: Option<Stopped>,
    /// Ok records it made.
    pub ok: u64,
    /// Its last sign of life.
    pub sign: Option<Totals>,
    /// How many tasks were running side by side when it died; `None` where it ended in order, or may live.
    pub died_with: Option<usize>,
}

impl Launch {
    /// Whether its last sign of life showed memory with room in it. Memory that can't be told has none.
    pub fn had_room(&self) -> bool {
        let limit = self.begun.as_ref().and_then(|begun| begun.limits.memory_bytes);
        let in_use = self.sign.and_then(|sign| sign.memory_bytes);
        matches!((in_use, limit), (Some(in_use), Some(limit)) if in_use < share_of_memory(limit))
    }
}

/// Something in a journal that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A line that does not parse.
    Line(PathBuf, BadLine),
    /// A journal of another run.
    OtherRun(PathBuf, String),
    /// Lines about tasks that are not of the share.
    Stranger(PathBuf, u64),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(path, bad) => {
                write!(
                    out,
                    "{}: the line at byte {} can't be read and was skipped: {}",
                    path.display(),
                    bad.offset,
                    bad.why
                )
            }
            Self::OtherRun(path, run) => {
                write!(out, "{}: is of another run ({run}) and was left out", path.display())
            }
            Self::Stranger(path, lines) => {
                write!(out, "{}: {lines} lines are about tasks that are not of this share", path.display())
            }
        }
    }
}

/// Whether the last launch can still be at work, when its journal has no `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastLaunch {
    /// It is known to be dead.
    Dead,
    /// It may live.
    MayLive,
}

/// Everything the journals of one replica tell.
#[derive(Debug)]
pub struct History {
    share: Share,
    tasks: Vec<TaskNote>,
    /// All launches, oldest first.
    pub launches: Vec<Launch>,
    /// By index, tasks that were running when a container died and have not ended since, or that ran out of memory.
    pub suspects: BTreeMap<u64, Suspect>,
    /// What tasks were seen to use.
    pub seen: Seen,
    /// What was passed over.
    pub problems: Vec<Problem>,
}

/// The launches that a replica has journals of, oldest first.
///
/// # Errors
/// When the folder can't be read.
pub fn launches_of(layout: &Layout, replica_id: u32) -> anyhow::Result<Vec<u32>> {
    Ok(all_launches(layout)?.remove(&replica_id).unwrap_or_default())
}

/// The launches of every replica that has journals.
///
/// # Errors
/// When the folder can't be read.
fn all_launches(layout: &Layout) -> anyhow::Result<BTreeMap<u32, Vec<u32>>> {
    let folder = layout.journals();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("can't read the folder {}", folder.display()));
        }
    };
    let mut launches: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("can't read the folder {}", folder.display()))?;
        if let Some((id, launch)) = parse_journal_name(&entry.file_name()) {
            launches.entry(id).or_default().push(launch);
        }
    }
    launches.values_mut().for_each(|of_one| of_one.sort_unstable());
    Ok(launches)
}

/// The newest launch of every replica that has journals.
///
/// # Errors
/// When the folder can't be read.
pub fn last_launches(layout: &Layout) -> anyhow::Result<BTreeMap<u32, u32>> {
    let newest = |(id, launches): (u32, Vec<u32>)| Some((id, *launches.last()?));
    Ok(all_launches(layout)?.into_iter().filter_map(newest).collect())
}

impl History {
    /// Reads all journals of a replica whose part of the list is `share`.
    ///
    /// # Errors
    /// When a journal can't be read or is of another version.
    pub fn read(
        layout: &Layout,
        run: &str,
        replica_id: u32,
        share: Share,
        last: LastLaunch,
    ) -> anyhow::Result<Self> {
        let mut history = Self::empty(share)?;
        let numbers = launches_of(layout, replica_id)?;
        for &number in &numbers {
            let dead = last == LastLaunch::Dead || Some(&number) != numbers.last();
            history.read_launch(&layout.journal(replica_id, number), number, run, dead)?;
        }
        Ok(history)
    }

    fn empty(share: Share) -> anyhow::Result<Self> {
        let tasks = vec![UNTOUCHED; usize::try_from(share.len())?];
        Ok(Self {
            share,
            tasks,
            launches: Vec::new(),
            suspects: BTreeMap::new(),
            seen: Seen::default(),
            problems: Vec::new(),
        })
    }

    fn read_launch(&mut self, path: &Path, number: u32, run: &str, dead: bool) -> anyhow::Result<()> {
        let mut launch = Launch {
            number,
            path: path.to_owned(),
            begun: None,
            results: None,
            stop: None,
            ok: 0,
            sign: None,
            died_with: None,
        };
        let mut running: BTreeMap<u64, bool> = BTreeMap::new();
        let (mut other_run, mut strangers) = (None, 0);
        let bad = journal::read(path, |line, text, offset| {
            if line.run != run {
                other_run.get_or_insert_with(|| line.run.clone().into_owned());
            } else if !self.take(&mut launch, &mut running, line, text, offset) {
                strangers += 1;
            }
            Ok(())
        })?;
        self.problems.extend(bad.into_iter().map(|bad| Problem::Line(path.to_owned(), bad)));
        if let Some(other) = other_run {
            self.problems.push(Problem::OtherRun(path.to_owned(), other));
        }
        if strangers > 0 {
            self.problems.push(Problem::Stranger(path.to_owned(), strangers));
        }
        if launch.stop.is_none() && dead {
            launch.died_with = Some(running.values().filter(|alone| !**alone).count());
            self.note_death(&running, launch.had_room());
        }
        self.launches.push(launch);
        Ok(())
    }

    /// Takes in one line; `false` for one about a task that is not of the share.
    fn take(
        &mut self,
        launch: &mut Launch,
        running: &mut BTreeMap<u64, bool>,
        line: &ReadLine<'_>,
        text: &str,
        offset: u64,
    ) -> bool {
        let position = line.index.and_then(|index| Some((index, self.position(index)?)));
        match (line.event.as_ref(), position) {
            ("start", Some((index, position))) => {
                let attempts = &mut self.tasks[position].attempts;
                *attempts = attempts.saturating_add(1);
                running.insert(index, line.alone.unwrap_or(false));
                launch.results = None;
            }
            ("not_started", Some((index, position))) => {
                running.remove(&index);
                self.tasks[position].attempts = self.tasks[position].attempts.saturating_sub(1);
            }
            ("interrupted", Some((index, _))) => _ = running.remove(&index),
            ("attempt", Some((index, _))) => {
                running.remove(&index);
                self.note_attempt(index, line);
            }
            ("end", Some((index, position))) => {
                running.remove(&index);
                launch.results = None;
                if let (Some(status), Some(record)) = (line.status, line.record) {
                    let within = journal::start_within(record.get(), text);
                    let bytes = u32::try_from(record.get().len()).unwrap_or(u32::MAX);
                    launch.ok += u64::from(status == Status::Ok);
                    let ended = TaskEnded { index, status, cause: line.cause };
                    self.note(position, ended, launch.number, Span { offset: offset + within as u64, bytes });
                }
            }
            ("start" | "not_started" | "interrupted" | "attempt" | "end", None) => return false,
            ("run", _) => launch.begun = serde_json::from_str(text).ok(),
            ("alive", _) => launch.sign = serde_json::from_str(text).ok(),
            ("results_written", _) => launch.results = serde_json::from_str(text).ok(),
            ("stop", _) => launch.stop = serde_json::from_str(text).ok(),
            _ => {}
        }
        true
    }

    fn note_attempt(&mut self, index: u64, line: &ReadLine<'_>) {
        self.note_cause(index, line.cause);
        if line.cause != Some(Cause::Oom) {
            self.seen.add(line.tree_bytes.or(line.max_rss_bytes));
        }
    }

    fn note_cause(&mut self, index: u64, cause: Option<Cause>) {
        if cause == Some(Cause::Oom) {
            self.suspects.insert(index, Suspect { is_hungry: true, ..Suspect::default() });
        } else {
            self.suspects.remove(&index);
        }
    }

    /// Ok before failed, then the newest.
    fn note(&mut self, position: usize, ended: TaskEnded, launch: u32, span: Span) {
        self.note_cause(ended.index, ended.cause);
        let note = &mut self.tasks[position];
        let known = match (ended.status, ended.cause) {
            (Status::Ok, _) => Known::Ok,
            (Status::Failed, Some(Cause::Lost)) => Known::Lost,
            (Status::Failed, _) => Known::Failed,
        };
        if known == Known::Ok || note.known != Known::Ok {
            *note = TaskNote { offset: span.offset, bytes: span.bytes, launch, known, ..*note };
        }
    }

    fn note_death(&mut self, running: &BTreeMap<u64, bool>, had_room: bool) {
        for (&index, &alone) in running {
            let Some(position) = self.position(index) else { continue };
            if self.tasks[position].known == Known::Ok {
                continue;
            }
            if alone {
                // The record of an earlier failure is not the record of this.
                self.tasks[position] = TaskNote { known: Known::Lost, bytes: 0, ..self.tasks[position] };
                self.suspects.remove(&index);
            } else {
                let suspect = self.suspects.entry(index).or_default();
                suspect.deaths += 1;
                suspect.had_room = had_room;
            }
        }
    }

    /// Notes a record that this process has just written as the newest launch.
    pub fn note_own(&mut self, ended: TaskEnded, launch: u32, span: Span) {
        if let Some(position) = self.position(ended.index) {
            self.note(position, ended, launch, span);
        }
    }

    /// Notes an attempt that this process begins; gives its number over all launches, from 1.
    pub fn begin_attempt(&mut self, index: u64) -> u32 {
        let Some(position) = self.position(index) else { return 1 };
        let attempts = &mut self.tasks[position].attempts;
        *attempts = attempts.saturating_add(1);
        u32::from(*attempts)
    }

    /// Takes back that an attempt began.
    pub fn take_back_attempt(&mut self, index: u64) {
        if let Some(position) = self.position(index) {
            self.tasks[position].attempts = self.tasks[position].attempts.saturating_sub(1);
        }
    }

    fn position(&self, index: u64) -> Option<usize> {
        self.share.position_of(index).and_then(|position| usize::try_from(position).ok())
    }

    /// The part of the list it is about.
    pub fn share(&self) -> &Share {
        &self.share
    }

    /// The note of the task at an index; `None` for one that is not of the share.
    pub fn task(&self, index: u64) -> Option<TaskNote> {
        self.position(index).map(|position| self.tasks[position])
    }

    /// All tasks: index and note, in list order.
    pub fn tasks(&self) -> impl Iterator<Item = (u64, TaskNote)> + '_ {
        self.share.iter().zip(self.tasks.iter().copied())
    }

    /// How many tasks are as `known` says.
    pub fn count(&self, known: Known) -> u64 {
        self.tasks.iter().filter(|task| task.known == known).count() as u64
    }

    /// The results file that the last word of the last launch vouches for.
    pub fn current_results(&self) -> Option<&ResultsWritten> {
        self.launches.last()?.results.as_ref()
    }
}

/// Reads records at the places that a [`History`] noted.
#[derive(Debug)]
pub struct Records {
    layout: Layout,
    replica_id: u32,
    open: BTreeMap<u32, File>,
}

impl Records {
    /// Of one replica.
    pub fn new(layout: Layout, replica_id: u32) -> Self {
        Self { layout, replica_id, open: BTreeMap::new() }
    }

    /// Puts the record of a task into `buffer`; `false` where it has none.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn read(&mut self, note: TaskNote, buffer: &mut Vec<u8>) -> anyhow::Result<bool> {
        buffer.clear();
        if !note.has_record() {
            return Ok(false);
        }
        let path = self.layout.journal(self.replica_id, note.launch);
        let failed = || format!("can't read a record in the journal {}", path.display());
        let file = match self.open.entry(note.launch) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(File::open(&path).with_context(failed)?)
            }
        };
        buffer.resize(note.bytes as usize, 0);
        file.read_exact_at(buffer, note.offset).with_context(failed)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::{History, Known, LastLaunch, Problem, Records};
    use crate::event::{AttemptBegun, AttemptEnded, Event, LaunchBegun, Limits, TaskEnded, Totals};
    use crate::outcome::{Cause, ProcessEnd, Status, Usage};
    use crate::provenance::Process;
    use crate::record::journal::{self, Journal};
    use crate::record::layout::Layout;
    use crate::record::suspicion::{Seen, Suspect};
    use crate::select::Share;

    const SHARE: Share = Share::Range(10..20);

    fn journal(layout: &Layout, launch: u32) -> Journal {
        std::fs::create_dir_all(layout.journals()).unwrap();
        Journal::create(&layout.journal(1, launch), "run", launch).unwrap()
    }

    fn start(journal: &mut Journal, index: u64, alone: bool) {
        journal.add(&Event::Start(AttemptBegun { index, attempt: 1, slot: 1, alone }));
    }

    fn end(journal: &mut Journal, index: u64, status: Status, record: &str) {
        let cause = (status == Status::Failed).then_some(Cause::Exit);
        journal.add_end(TaskEnded { index, status, cause }, record.as_bytes());
    }

    /// A line with the checksum that one with a record needs.
    fn checked(line: &str) -> String {
        let Some((head, record)) = line.split_once(",\"record\":") else { return line.to_owned() };
        let check =
            journal::check_of(head.as_bytes(), record.trim_end().strip_suffix('}').unwrap().as_bytes());
        format!("{head},\"check\":\"{check}\",\"record\":{record}")
    }

    fn read(layout: &Layout, last: LastLaunch) -> History {
        History::read(layout, "run", 1, SHARE, last).unwrap()
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
            let history = read(&layout, LastLaunch::Dead);
            let mut records = Records::new(layout.clone(), 1);
            for &(index, end) in &ends {
                let note = history.task(index).unwrap();
                let mut record = Vec::new();
                let is_there = records.read(note, &mut record).unwrap();
                assert_eq!(is_there, end <= cut as u64, "task {index}, cut at {cut}");
                if is_there {
                    assert_eq!(record, format!("{{\"n\":{index},\"s\":\"\\ud800\"}}").into_bytes());
                }
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
        let history = read(&layout, LastLaunch::Dead);
        let mut records = Records::new(layout, 1);
        let mut buffer = Vec::new();
        for (index, known, record) in [(10, Known::Ok, "7"), (11, Known::Ok, "5"), (12, Known::Failed, "6")] {
            let note = history.task(index).unwrap();
            assert_eq!(note.known, known);
            assert!(records.read(note, &mut buffer).unwrap());
            assert_eq!(buffer, record.as_bytes(), "task {index}");
        }
        assert_eq!(history.task(13).unwrap().known, Known::Nothing);
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
        assert!(read(&layout, LastLaunch::MayLive).suspects.is_empty());
        let history = read(&layout, LastLaunch::Dead);
        assert_eq!(history.suspects, [(10, Suspect { deaths: 1, ..Suspect::default() })].into());
        assert_eq!(history.launches[0].died_with, Some(1));
        let mut second = journal(&layout, 2);
        start(&mut second, 10, true);
        second.commit().unwrap();
        assert_eq!(read(&layout, LastLaunch::MayLive).task(10).unwrap().known, Known::Nothing);
        let history = read(&layout, LastLaunch::Dead);
        assert_eq!(history.task(10).unwrap().known, Known::Lost);
        assert!(history.suspects.is_empty() && !history.task(10).unwrap().has_record());
        assert_eq!(history.task(10).unwrap().attempts, 2);
    }

    fn begin(journal: &mut Journal, limit: Option<u64>) {
        let process = Process::current(None);
        journal.add(&Event::Run(Box::new(LaunchBegun {
            replica_id: 1,
            replica_count: 1,
            process,
            locked: true,
            options: std::collections::BTreeMap::new(),
            limits: Limits { cpus: 1.0, memory_bytes: limit },
            jobs: 2,
            command_files: Vec::new(),
            share: 10,
        })));
    }

    #[test]
    fn a_suspect_may_have_company_after_one_death_that_showed_room_in_memory() {
        let sign = |memory_bytes| Some(Totals { memory_bytes, ..Totals::default() });
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
                sign.iter().for_each(|sign| journal.add(&Event::Alive(*sign)));
                journal.commit().unwrap();
                let suspect = read(&layout, LastLaunch::Dead).suspects[&10];
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
                status: Status::Failed,
                cause: Some(cause),
                end: ProcessEnd::default(),
                usage: Usage { max_rss_bytes, ..Usage::default() },
                tree_bytes,
                log: None,
                left_processes: 0,
            }));
        };
        attempt(10, Cause::Oom, Some(9000), Some(9000));
        attempt(11, Cause::Exit, Some(50), Some(70));
        attempt(12, Cause::Exit, Some(60), None);
        attempt(13, Cause::Exit, None, None);
        written.commit().unwrap();
        let history = read(&layout, LastLaunch::Dead);
        assert_eq!(history.suspects, [(10, Suspect { is_hungry: true, ..Suspect::default() })].into());
        assert_eq!(history.seen, Seen { attempts: 3, largest: 70 });
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
        let history = read(&layout, LastLaunch::Dead);
        assert_eq!(history.count(Known::Ok), 1);
        assert!(matches!(
            history.problems.as_slice(),
            [Problem::Line(..), Problem::OtherRun(_, other), Problem::Stranger(_, 1)] if other == "other"
        ));
        std::fs::write(written.path(), text.replace("\"v\":1", "\"v\":2")).unwrap();
        let refused = History::read(&layout, "run", 1, SHARE, LastLaunch::Dead).unwrap_err();
        assert!(refused.to_string().contains("format version 2"), "{refused}");
    }

    #[test]
    fn words_of_a_later_version_do_not_make_lines_unreadable() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let path = journal(&layout, 1).path().to_owned();
        let line =
            |rest: &str| format!("{{\"v\":1,\"run\":\"run\",\"launch\":1,\"seq\":1,\"t\":\"\",{rest}}}\n");
        let lines = [
            r#""event":"start","index":10,"alone":false"#,
            r#""event":"attempt","index":10,"status":"skipped","cause":null"#,
            r#""event":"end","index":11,"status":"failed","cause":"preempted","record":{}"#,
            r#""event":"end","index":12,"status":"skipped","cause":null,"record":{}"#,
            r#""event":"stop","reason":"preempted","signal":null,"exit":3"#,
        ];
        std::fs::write(path, lines.map(|rest| checked(&line(rest))).concat()).unwrap();
        let history = read(&layout, LastLaunch::Dead);
        assert_eq!(history.problems, []);
        assert_eq!(history.task(11).unwrap().known, Known::Failed);
        assert_eq!(history.task(12).unwrap().known, Known::Nothing);
        assert!(history.suspects.is_empty());
        assert_eq!(history.launches[0].stop.unwrap().exit, 3);
    }
}
