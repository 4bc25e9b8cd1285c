//! The first messages of a launch: what it will run and how, and what has changed since results were made.

use std::num::NonZeroU32;

use crate::host::limits::JobsRule;
use crate::journal::state::JournalState;
use crate::launch::balance::ResumedBlocks;
use crate::launch::concurrency_cap::ConcurrencyCap;
use crate::launch::{Launcher, Pending};
use crate::liveness::takeover::AlreadyRunning;
use crate::model::counts::TaskCounts;
use crate::model::provenance::NamedFile;
use crate::model::shares::Share;
use crate::record::command_files::RecordsByContent;
use crate::report::imbalance;
use crate::terminal::console::{Tone, Verbosity};
use crate::units;

impl Launcher<'_> {
    /// Warns when shares are very uneven and another strategy would do better.
    pub fn say_imbalance(&self) {
        let header = self.list.header();
        let line = NonZeroU32::new(header.replica_count)
            .and_then(|replicas| imbalance::line(header.strategy, header.count, replicas));
        if let Some(line) = line {
            self.console.warn(&line);
        }
    }

    pub(super) fn no_share(&self) -> String {
        let header = self.list.header();
        let files = units::count(header.count, "file");
        format!("there are {files} for {} replicas: none is for this one", header.replica_count)
    }

    /// Warns about scripts that have changed since results were made.
    pub(super) fn say_changed_files(&self, history: &JournalState, now: &[NamedFile]) {
        let mut made = RecordsByContent::default();
        for launch in &history.launches {
            launch.begun.iter().for_each(|begun| made.add(begun, launch.ok));
        }
        let listed = &self.list.header().command_files;
        for file in now {
            let name = units::path(&file.name.0);
            let is_other = listed.iter().any(|old| old.name == file.name && old.blake3 != file.blake3);
            match made.by_others(file) {
                0 if is_other => self.console.warn(&format!("{name} has changed since the run was begun")),
                0 => {}
                others => {
                    let results = units::count(others, "result");
                    self.console.warn(&format!("{name} has changed since this replica produced {results}"));
                }
            }
        }
    }

    /// Says which container finishes what this replica left.
    pub fn say_finished_by_another(&self, running: &AlreadyRunning) {
        let AlreadyRunning { launch, who, .. } = running;
        let replica = self.config.identity.replica;
        let text = format!("{replica}: another container is finishing it, as launch {launch}: {who}");
        self.console.say(Verbosity::Normal, Tone::Plain, &text);
    }

    fn first_line(&self, launch: u32, share: &Share) -> String {
        let header = self.list.header();
        format!(
            "canfar-run {}: {}, run {}, launch {launch}: {} of {}, {}{} at a time ({}), results in {}",
            env!("CARGO_PKG_VERSION"),
            self.config.identity.replica,
            header.run,
            share.len(),
            self.files_in_words(),
            if self.config.jobs_rule == JobsRule::Measured && self.config.jobs > 1 { "up to " } else { "" },
            units::count(self.config.jobs as u64, "task"),
            self.limits_in_words(),
            self.layout.root().display()
        )
    }

    /// How many files the run has.
    fn files_in_words(&self) -> String {
        let header = self.list.header();
        let files = units::count(header.count, "file");
        header.parent_dir.as_ref().map_or_else(
            || files.clone(),
            |parent| format!("{files} that came since {}", units::path(&parent.0)),
        )
    }

    /// The same for a launch of a run that shares its work, with what its replica has already.
    pub(super) fn say_start_shared(
        &self,
        launch: u32,
        share: &Share,
        resumed: &ResumedBlocks<'_>,
        before: TaskCounts,
        caution: Option<&ConcurrencyCap>,
    ) {
        let mut text = self.first_line(launch, share);
        let has_others = self.sharing.is_some_and(|sharing| sharing.reach.has_others());
        text.push_str(&match share.len() {
            _ if self.selection.is_some() => "\nruns what --only names, and nothing else".to_owned(),
            0 => "\nruns files that no replica has begun".to_owned(),
            files if !has_others => format!("\nruns its share of {}", units::count(files, "file")),
            files => format!(
                "\nstarts with its share of {}, then continues with files that no replica has begun; --balance=false keeps it to its share",
                units::count(files, "file")
            ),
        });
        if before.ok > 0 || resumed.due > 0 {
            text.push_str(&format!("\n{} done before, {} of what it has to run", before.ok, resumed.due));
        }
        if resumed.last > 0 {
            text.push_str(&format!(
                "\n{} running when the container died or ran out of memory; run last",
                units::plural(resumed.last, "task was", "tasks were")
            ));
        }
        if let Some(ConcurrencyCap { jobs, why }) = caution {
            text.push_str(&format!("\n{jobs} at a time: {why}"));
        }
        self.console.say(Verbosity::Normal, Tone::Plain, &text);
    }

    /// What the container may use: `8 CPUs, 32 GiB`.
    fn limits_in_words(&self) -> String {
        let cpus = ((self.config.cpus * 100.0).round() / 100.0).to_string();
        let unit = if cpus == "1" { "CPU" } else { "CPUs" };
        match &self.config.memory {
            Some(memory) => format!("{cpus} {unit}, {}", units::bytes(memory.limit())),
            None => format!("{cpus} {unit}"),
        }
    }

    pub(super) fn say_start(
        &self,
        launch: u32,
        share: &Share,
        due: &Pending,
        done_before: u64,
        caution: Option<&ConcurrencyCap>,
    ) {
        let tasks = due.len();
        let mut text = self.first_line(launch, share);
        if share.is_empty() {
            text.push_str(&format!("\n{}", self.no_share()));
        }
        if self.selection.is_some() {
            text.push_str(&format!("\nruns {}, and nothing else", units::count(tasks, "file")));
        } else if done_before > 0 || tasks != share.len() {
            text.push_str(&format!("\n{done_before} done before, {tasks} to run"));
        }
        text.push_str(&later(due));
        let side_by_side = due.tasks.ordinary.len() + due.tasks.suspects.len();
        if let Some(ConcurrencyCap { jobs, why }) = caution.filter(|caution| caution.jobs < side_by_side) {
            text.push_str(&format!("\n{jobs} at a time: {why}"));
        }
        self.console.say(Verbosity::Normal, Tone::Plain, &text);
        if let Some(place) = self.config.identity.unknown_in {
            self.console.warn(&format!(
                "running in {place}, but neither --replica-id nor REPLICA_ID is set: this replica takes all files"
            ));
        }
    }
}

/// Lines about tasks that run last.
fn later(due: &Pending) -> String {
    let mut text = String::new();
    if due.suspects > 0 {
        let alone = due.suspects - due.tasks.suspects.len() as u64;
        text.push_str(&format!(
            "\n{} running when the container died; run last{}",
            units::plural(due.suspects, "task was", "tasks were"),
            match alone {
                0 => String::new(),
                alone if alone == due.suspects => ", each alone".to_owned(),
                alone => format!(", {alone} of them each alone"),
            }
        ));
    }
    if due.hungry > 0 {
        let tasks = units::plural(due.hungry, "task", "tasks");
        text.push_str(&format!("\n{tasks} ran out of memory before; run last, each alone"));
    }
    text
}
