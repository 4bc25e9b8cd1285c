//! How far every replica of a large run is, of which the ends of the journals tell.

use anyhow::Result;

use super::OURS;
use crate::bench::Bench;
use crate::data;
use crate::race::{Goal, Race};
use crate::timed;

const REPLICAS: u64 = 512;

pub(crate) fn finished(bench: &Bench) -> Result<Race<'_>> {
    let results = data::finished(bench, REPLICAS, bench.size(1_000_000))?;
    Ok(Race::new([Goal::Seconds(OURS, 0.15)])
        .with(OURS, 1, move || timed::quiet(bench, bench.subcommand("status").arg(&results))))
}
