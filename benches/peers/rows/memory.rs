//! The runner's memory, which must not grow with what ran already, nor with what tasks say.

use anyhow::{Context, Result};

use super::workers;
use crate::bench::Bench;
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::Sample;

const BYTES: &str = "10240";
const FEW: u64 = 100;
const MANY: u64 = 1_000_000;

pub(crate) fn tasks(bench: &Bench) -> Result<Race<'_>> {
    let many = bench.size(MANY);
    let list = std::fs::metadata(data::list(bench, many)?).context("the list")?.len();
    Ok(Race::new([Goal::PeakOver("many", list + 32 * many, "few")])
        .with("few", FEW, move || ours(bench, FEW))
        .with("many", many, move || ours(bench, many))
        .once())
}

/// To workers: a process for each would take long.
fn ours(bench: &Bench, tasks: u64) -> Result<Sample> {
    workers::dispatch(bench, tasks, BYTES)
}
