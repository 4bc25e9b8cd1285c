//! A launch that finds all of its share done.

use anyhow::Result;

use super::OURS;
use super::dispatch::all_ok;
use crate::bench::Bench;
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::Sample;

pub(crate) fn done(bench: &Bench) -> Result<Race<'_>> {
    let tasks = bench.size(1_000_000);
    let race = Race::new([Goal::Seconds(OURS, 1.5)]);
    Ok(race.with(OURS, tasks, move || ours(bench, tasks)))
}

/// The launch of [`data::finished`] once more.
pub(crate) fn ours(bench: &Bench, tasks: u64) -> Result<Sample> {
    let results = data::finished(bench, 1, tasks)?;
    all_ok(bench, &mut data::launch(bench, &results, (1, 1), tasks, &["--json"])?, tasks)
}
