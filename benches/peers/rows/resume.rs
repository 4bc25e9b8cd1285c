//! A launch that finds its share done, all of it or all but a little.

use std::process::Command;

use anyhow::Result;

use super::OURS;
use super::dispatch::all_ok;
use crate::bench::Bench;
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Sample};

pub(crate) fn done(bench: &Bench) -> Result<Race<'_>> {
    let tasks = bench.size(1_000_000);
    let race = Race::new([Goal::Seconds(OURS, 0.4)]);
    Ok(race.with(OURS, tasks, move || ours(bench, tasks)))
}

/// What is left makes it read the journal as a whole.
pub(crate) fn unfinished(bench: &Bench) -> Result<Race<'_>> {
    const LEFT: u64 = 100;
    let tasks = bench.size(1_000_000);
    let left = data::unfinished(bench, tasks, LEFT)?;
    Ok(Race::new([]).with(OURS, tasks, move || {
        let results = bench.fresh("results")?;
        // No launch writes to the files of an earlier one.
        timed::quiet(bench, Command::new("cp").arg("-al").args([&left, &results]))?;
        all_ok(bench, &mut data::launch(bench, &results, (1, 1), tasks, &["--json"])?, tasks)
    }))
}

/// The launch of [`data::finished`] once more.
pub(crate) fn ours(bench: &Bench, tasks: u64) -> Result<Sample> {
    let results = data::finished(bench, 1, tasks)?;
    all_ok(bench, &mut data::launch(bench, &results, (1, 1), tasks, &["--json"])?, tasks)
}
