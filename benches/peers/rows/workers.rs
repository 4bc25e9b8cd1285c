//! Warm workers, beside the loop that they replace and the process for each file that they avoid.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::OURS;
use super::dispatch::all_ok;
use crate::bench::{Bench, repository};
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Sample};

const WARM: &str = "canfar-run --worker";

pub(crate) fn analysis(bench: &Bench) -> Result<Race<'_>> {
    let files = bench.size(200);
    let sky = data::sky(bench, files)?;
    let pattern = format!("{}/*.fits", sky.display());
    let goals = [Goal::AtMost(WARM, 0.6, "documented loop"), Goal::Faster(WARM, 5.0, "parallel")];
    let (warm, cold) = (pattern.clone(), pattern.clone());
    let race = Race::new(goals);
    let race = race
        .with(WARM, files, move || analyse(bench, &warm, files, &["--worker"], &bench.python("worker")))
        .with(OURS, files, move || analyse(bench, &cold, files, &[], &script(bench)));
    let race = race.peer("documented loop", files, move || {
        timed::quiet(bench, bench.python("loop").arg(&pattern).arg(bench.fresh("loop.json")?))
    });
    let race = race.peer("parallel", files, move || {
        let mut command = Command::new("parallel");
        command.arg("-j2").arg(script(bench).get_program()).args(script(bench).get_args()).arg(":::");
        timed::quiet(bench, command.args(data::images(&sky)?))
    });
    Ok(race.checked(move || {
        let mut merge = bench.subcommand("merge");
        timed::quiet(bench, merge.arg(bench.data("scratch/results")))?;
        let mut same = bench.python("same_records");
        same.arg(bench.data("scratch/results/final_results.json")).arg(bench.data("scratch/loop.json"));
        timed::quiet(bench, same.args(["file", "stars_detected", "background", "noise"])).map(drop)
    }))
}

/// `python3 analyze_fits.py`, for one file.
fn script(bench: &Bench) -> Command {
    let mut command = Command::new(bench.python("loop").get_program());
    command.arg(repository("examples/analyze_fits.py"));
    command
}

fn analyse(bench: &Bench, pattern: &str, files: u64, options: &[&str], command: &Command) -> Result<Sample> {
    let mut launch = bench.replica(1, 1);
    launch.args(options).args(["--input", pattern, "--json", "-o"]).arg(bench.fresh("results")?);
    all_ok(bench, launch.arg("--").arg(command.get_program()).args(command.get_args()), files)
}

pub(crate) fn answers(bench: &Bench) -> Result<Race<'_>> {
    let tasks = bench.size(100_000);
    Ok(Race::new([Goal::Rate(WARM, 20_000.0)]).with(WARM, tasks, move || dispatch(bench, tasks, "0")))
}

/// So many tasks to workers that answer at once, after so many bytes of log.
pub(crate) fn dispatch(bench: &Bench, tasks: u64, bytes: &str) -> Result<Sample> {
    let mut launch = bench.replica(1, 1);
    launch.arg("--files-from").arg(data::list(bench, tasks)?).arg("-o").arg(bench.fresh("results")?);
    let worker = bench.program("answer");
    let command = [worker.as_path(), Path::new(bytes)];
    all_ok(bench, launch.args(["--worker", "--json", "--"]).args(command), tasks)
}
