//! Runs as they are on disk, written through the library's own writers without running anything.

use std::path::{Path, PathBuf};

use canfar_run::testing::{
    AttemptBegun, Cause, Entries, Entry, Event, Header, InputList, InputSpec, JournalState, JournalWriter,
    LaunchBegun, Layout, Limits, Origin, PathText, Process, ProcessEnd, RecordMeta, Replica, Settings, Share,
    Status, StopReason, Stopped, Strategy, TaskCommand, TaskEnded, TaskResult, Usage, build_item,
    prepare_list, prepare_results,
};

/// A run that has a list.
pub(crate) struct WrittenRun {
    pub(crate) layout: Layout,
    pub(crate) list: InputList,
    paths: Vec<PathBuf>,
}

impl WrittenRun {
    pub(crate) fn new(root: &Path, paths: Vec<PathBuf>, strategy: Strategy, replica_count: u32) -> Self {
        let layout = Layout::new(root);
        std::fs::create_dir_all(layout.journals()).unwrap();
        let size = |path: &Path| path.as_os_str().len() as u64 * 7 % 13;
        let mut entries = Entries::default();
        for path in &paths {
            let size = strategy.needs_sizes().then(|| size(path));
            entries.push(Entry { size, ..Entry::of(path) }).unwrap();
        }
        let origin = Origin {
            parent: None,
            source: InputSpec::List { file: "/list".into(), null: false },
            strategy,
            replica_count,
            balance: false,
            command: TaskCommand::Argv(Vec::new()),
            command_files: Vec::new(),
            products: Vec::new(),
            settings: Settings::default(),
        };
        prepare_list(&layout, origin, &entries, &[], &Process::current(None)).unwrap().publish().unwrap();
        let list = InputList::open(&layout).unwrap().unwrap();
        Self { layout, list, paths }
    }

    pub(crate) fn header(&self) -> &Header {
        self.list.header()
    }

    pub(crate) fn id(&self) -> &str {
        &self.list.header().run
    }

    pub(crate) fn share(&self, replica_id: u32) -> Share {
        let replica = Replica::new(replica_id, self.list.header().replica_count).unwrap();
        self.list.share_of(replica).unwrap()
    }

    pub(crate) fn path(&self, index: u64) -> &Path {
        &self.paths[usize::try_from(index).unwrap()]
    }

    /// A record of a task, with `result` in it, as made by a run of this name.
    pub(crate) fn record(&self, run: &str, made: Made, status: Status, result: &str) -> Vec<u8> {
        let path = self.path(made.index).as_os_str();
        let meta = RecordMeta {
            run: run.to_owned(),
            index: made.index,
            path: PathText::readable(path),
            status,
            cause: (status == Status::Failed).then_some(Cause::Exit),
            end: ProcessEnd::default(),
            attempts: 1,
            started_at: Some("2026-11-23T01:02:03.456Z".into()),
            usage: Usage::default(),
            replica_id: made.replica_id,
            replica_count: self.list.header().replica_count,
            launch: made.launch,
            command: None,
            non_finite: 0,
            products: Vec::new(),
            message: None,
            stderr_tail: None,
            log: None,
        };
        let result = TaskResult { json: result.as_bytes().to_vec(), is_object: true, non_finite: 0 };
        build_item(Entry::of(path), Some(&result), &meta)
    }

    /// Begins a launch of a replica; nobody is at work in it.
    pub(crate) fn launch(&self, replica_id: u32, launch: u32) -> WrittenLaunch<'_> {
        let mut journal =
            JournalWriter::create(&self.layout.journal(replica_id, launch), self.id(), launch).unwrap();
        journal.add(&Event::Run(Box::new(LaunchBegun {
            replica_id,
            replica_count: self.list.header().replica_count,
            process: Process::current(None),
            // The lock is free, so that this process, being on this host, is known to be dead.
            locked: true,
            options: [].into(),
            limits: Limits { cpus: 1.0, memory_bytes: None, cpu_set: None },
            jobs: 1,
            command_files: Vec::new(),
            share: self.share(replica_id).len(),
            takeover_after_s: None,
            command: None,
            by_another: false,
        })));
        WrittenLaunch { run: self, journal, replica_id, launch }
    }
}

/// Who made a record of which task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub(crate) index: u64,
    pub(crate) replica_id: u32,
    pub(crate) launch: u32,
}

/// A launch that goes on until it is stopped or dropped, as if killed.
pub(crate) struct WrittenLaunch<'r> {
    run: &'r WrittenRun,
    journal: JournalWriter,
    replica_id: u32,
    launch: u32,
}

impl WrittenLaunch<'_> {
    pub(crate) fn start(&mut self, index: u64, alone: bool) {
        self.journal.add(&Event::Start(AttemptBegun { index, attempt: 1, slot: 1, alone }));
    }

    pub(crate) fn end(&mut self, index: u64, status: Status, result: &str) {
        self.start(index, false);
        let made = Made { index, replica_id: self.replica_id, launch: self.launch };
        let record = self.run.record(self.run.id(), made, status, result);
        let cause = (status == Status::Failed).then_some(Cause::Exit);
        self.journal
            .add_end(TaskEnded { index, status: Some(status), cause, ..TaskEnded::default() }, &record);
    }

    /// Writes what was added.
    pub(crate) fn commit(&mut self) {
        self.journal.commit().unwrap();
    }

    /// Writes the results and ends in order.
    pub(crate) fn stop(mut self) {
        self.commit();
        let (run, id) = (self.run, self.replica_id);
        let state =
            JournalState::read(&run.layout, &run.header().run_ref(), id, run.share(id), true).unwrap();
        self.journal.add(&Event::ResultsWritten(Box::new(
            prepare_results(&run.layout, id, &state).unwrap().put().unwrap(),
        )));
        let exit = i32::from(state.counts().unfinished() + state.counts().failed > 0);
        self.journal.add(&Event::Stop(Box::new(Stopped {
            reason: StopReason::Done,
            signal: None,
            exit,
            why: None,
            figures: None,
            blocks: Vec::new(),
        })));
        self.commit();
    }
}
