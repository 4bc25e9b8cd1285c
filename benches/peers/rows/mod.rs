//! The rows of the table, a module for each family.

use anyhow::Result;

use crate::bench::Bench;
use crate::race::Race;
use calls::PerTask;

pub(crate) mod calls;
pub(crate) mod discovery;
pub(crate) mod dispatch;
pub(crate) mod memory;
pub(crate) mod merge;
pub(crate) mod plan;
pub(crate) mod resume;
pub(crate) mod sharing;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod workers;

/// The one that is measured.
pub(crate) const OURS: &str = "canfar-run";

/// A row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) work: Work,
}

/// What is done for it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Contestants take turns.
    Race(for<'b> fn(&'b Bench) -> Result<Race<'b>>),
    /// Calls are counted once, for each of what is named.
    Counted(fn(&Bench) -> Result<PerTask>, &'static str),
}

const fn race(
    name: &'static str,
    title: &'static str,
    race: for<'b> fn(&'b Bench) -> Result<Race<'b>>,
) -> Row {
    Row { name, title, work: Work::Race(race) }
}

/// All, in the order in which they are measured.
pub(crate) const ROWS: &[Row] = &[
    race("workers", "200 small FITS with astropy and sep, two at a time", workers::analysis),
    race("at-once", "calls of a Python function that returns at once, in two processes", workers::at_once),
    race("answers", "dispatch to two warm workers that answer at once", workers::answers),
    race("dispatch", "5,000 tasks of a static true, two at a time", dispatch::peers),
    race("results", "the same with a result read from each task's output", dispatch::results),
    race(
        "products",
        "5,000 copies of small files, published, beside copies to their places",
        dispatch::products,
    ),
    race("discovery", "200,000 entries in 200 folders, 100,000 match", discovery::peers),
    race("slow-discovery", "the same where each directory read takes 2 ms more", discovery::slow),
    race("start", "to the first task of share 1 of 512, list of 1,000,000 frozen", start::first_task),
    race("merge", "100 files, 500,000 records", merge::peers),
    race("large-merge", "512 files, 10,000,000 records", merge::large),
    race("memory", "the runner's memory: 100 and 1,000,000 tasks with 10 KB of output each", memory::tasks),
    race("resume", "a journal of 1,000,000 records, all done", resume::done),
    race("continue", "a journal of 1,000,000 records, 100 tasks left", resume::unfinished),
    race("status", "512 journals, 1,000,000 records", status::finished),
    race("plan", "1,000,000 files, 512 replicas, all strategies", plan::strategies),
    race("explicit", "80,000 paths, as a shell makes them of a glob, against the glob", plan::explicit),
    Row {
        name: "calls",
        title: "system calls of the runner for each task",
        work: Work::Counted(calls::per_task, "a task"),
    },
    race("sharing", "16 replicas, 240 sleeping tasks, all start at once", sharing::together),
    race("sharing", "the same, a quarter starts at once, the others one by one", sharing::staggered),
    race("sharing", "the same, 3 never start", sharing::absent),
    race("sharing", "the same, 2 are killed half way", sharing::killed),
    race("sharing", "the same, a quarter is three times as slow", sharing::slow),
    race("sharing", "100 replicas with 10 equal tasks each, all start at once", sharing::equal),
    race("sharing", "4 replicas, 20,000 tasks of a static true", sharing::quick),
    Row {
        name: "sharing",
        title: "claims and metadata calls of each of 16 replicas, the tasks' own among them",
        work: Work::Counted(sharing::calls, "a replica"),
    },
];
