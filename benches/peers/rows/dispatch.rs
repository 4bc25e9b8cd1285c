//! Starting tasks: what a runner adds to the fork that nobody avoids.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::OURS;
use crate::bench::{Bench, installed};
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Sample};

const TASKS: u64 = 5_000;

/// GNU parallel takes milliseconds for each.
const TASKS_FOR_PARALLEL: u64 = 500;

pub(crate) fn peers(bench: &Bench) -> Result<Race<'_>> {
    let goals = [
        Goal::AtMost(OURS, 1.0, "xargs"),
        Goal::AtMost(OURS, 1.1, "posix_spawn loop"),
        Goal::Faster(OURS, 8.0, "parallel"),
    ];
    let (tasks, few) = (bench.size(TASKS), bench.size(TASKS_FOR_PARALLEL));
    let (list, short) = (data::list(bench, tasks)?, data::list(bench, few)?);
    let fed = move |words: &[&str], list: &Path| {
        let mut command = Command::new(words[0]);
        timed::fed(bench, command.args(&words[1..]).arg(bench.program("true")), list)
    };
    let mut race = Race::new(goals).with(OURS, tasks, move || ours(bench, tasks, "true"));
    let xargs = list.clone();
    race = race.peer("xargs", tasks, move || fed(&["xargs", "-P2", "-n1"], &xargs));
    let looped = list.clone();
    race = race.peer("posix_spawn loop", tasks, move || {
        let mut command = Command::new(bench.program("spawn_loop"));
        timed::fed(bench, command.arg("2").arg(bench.program("true")), &looped)
    });
    let floor = list.clone();
    race = race.peer("loop with pipes and journal", tasks, move || {
        let mut command = Command::new(bench.program("floor"));
        command.arg("2").arg(bench.program("true")).arg(bench.fresh("floor.jsonl")?);
        timed::fed(bench, &mut command, &floor)
    });
    race = race.peer("parallel", few, move || fed(&["parallel", "-j2"], &short));
    // It has to be built, which not everybody wants.
    if installed(&["rust-parallel"]).is_ok() {
        race = race.peer("rust-parallel", tasks, move || fed(&["rust-parallel", "-j2"], &list));
    }
    Ok(race)
}

pub(crate) fn results(bench: &Bench) -> Result<Race<'_>> {
    const WITH: &str = "canfar-run, result printed";
    const WITHOUT: &str = "canfar-run, nothing printed";
    let tasks = bench.size(TASKS);
    Ok(Race::new([Goal::AtMost(WITH, 1.15, WITHOUT)])
        .with(WITH, tasks, move || ours(bench, tasks, "found"))
        .with(WITHOUT, tasks, move || ours(bench, tasks, "true")))
}

/// Publishing syncs each copy and the folder it goes to; a copy that is not published is synced by nobody.
pub(crate) fn products(bench: &Bench) -> Result<Race<'_>> {
    const WITH: &str = "canfar-run --product";
    const WITHOUT: &str = "canfar-run";
    let tasks = bench.size(TASKS);
    let pattern = format!("{}/*.txt", data::lines(bench, tasks)?.display());
    let copied = move |options: &[&str], to: &str| {
        let mut launch = bench.replica(1, 1);
        let made = bench.fresh("copies")?;
        std::fs::create_dir_all(&made)?;
        launch.args(["--input", &pattern]).arg("-o").arg(bench.fresh("results")?).args(options);
        launch.args(["--json", "--"]).arg(bench.program("copy")).args(["{}", to]).current_dir(&made);
        all_ok(bench, &mut launch, tasks)
    };
    let plain = copied.clone();
    Ok(Race::new([Goal::AtMost(WITH, 1.4, WITHOUT)])
        .with(WITH, tasks, move || copied(&["--product", "{/}"], "{out}"))
        .with(WITHOUT, tasks, move || plain(&["--result", "none"], "{/}")))
}

/// A run of so many tasks, in a new results directory.
pub(crate) fn ours(bench: &Bench, tasks: u64, program: &str) -> Result<Sample> {
    let mut launch = bench.replica(1, 1);
    launch.arg("--files-from").arg(data::list(bench, tasks)?);
    launch.arg("-o").arg(bench.fresh("results")?).args(["--json", "--"]).arg(bench.program(program));
    all_ok(bench, &mut launch, tasks)
}

/// Runs a launch with `--json`.
///
/// # Errors
/// When not all tasks were ok.
pub(crate) fn all_ok(bench: &Bench, launch: &mut Command, tasks: u64) -> Result<Sample> {
    let told = bench.fresh("summary.json")?;
    let sample = timed::run(bench, launch, [Path::new("/dev/null"), &told], &[0])?;
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(&told)?).context("the summary")?;
    ensure!(summary["ok"] == tasks, "{} of {tasks} tasks were ok", summary["ok"]);
    Ok(sample)
}
