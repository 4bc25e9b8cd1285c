//! A replica's start where the list is frozen: from its start to the first task's, as that task tells.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::OURS;
use crate::bench::Bench;
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Sample};

const REPLICAS: u64 = 512;

pub(crate) fn first_task(bench: &Bench) -> Result<Race<'_>> {
    let entries = bench.size(1_000_000);
    Ok(Race::new([Goal::Seconds(OURS, 0.05), Goal::Peak(OURS, 20_000_000)])
        .with(OURS, 1, move || ours(bench, entries)))
}

/// Seconds to the first task, and the runner's memory until then.
pub(crate) fn ours(bench: &Bench, entries: u64) -> Result<Sample> {
    let (stamp, stamped) = (bench.program("stamp"), bench.data("scratch/first"));
    let command = [stamp.as_path(), stamped.as_path()];
    let list = data::list(bench, entries)?;
    let [strategy, chunk] = data::ONLY_ITS_SHARE;
    let source = ["--files-from", list.to_str().context("a path that is no text")?, strategy, chunk];
    let frozen = data::frozen(bench, &format!("frozen-{entries}"), REPLICAS, &source, &command)?;
    bench.fresh("first")?;
    let results = bench.fresh("results")?;
    std::fs::create_dir_all(&results)?;
    std::fs::hard_link(frozen.join("inputs.jsonl"), results.join("inputs.jsonl"))?;
    let mut launch = bench.replica(1, REPLICAS);
    launch.args(source).arg("-o").arg(&results).arg("--").args(command);
    let whole = timed::quiet(bench, &mut launch)?;
    first(&stamped, whole)
}

fn first(stamped: &Path, whole: Sample) -> Result<Sample> {
    let text = std::fs::read_to_string(stamped).context("no task told when it started")?;
    let (nanoseconds, kib) = text.trim_end().split_once(' ').context("half a time")?;
    let started = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds.parse()?);
    let seconds = started.duration_since(whole.began)?.as_secs_f64();
    Ok(Sample { seconds, peak: 1024 * kib.parse::<u64>()?, ..whole })
}
