//! Warm workers and called functions, beside the loop that they replace and the process for each file that they avoid.

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
const CALL: &str = "canfar-run --call";
const LOOP: &str = "documented loop";

pub(crate) fn analysis(bench: &Bench) -> Result<Race<'_>> {
    let files = bench.size(200);
    let sky = data::sky(bench, files)?;
    let pattern = format!("{}/*.fits", sky.display());
    let goals =
        [Goal::AtMost(CALL, 0.55, LOOP), Goal::AtMost(WARM, 0.6, LOOP), Goal::Faster(WARM, 5.0, "parallel")];
    let (called, warm, cold) = (pattern.clone(), pattern.clone(), pattern.clone());
    let mut race = Race::new(goals);
    if bench.knows("--call")? {
        race = race.with(CALL, files, move || {
            // The very function that the loop calls.
            let function = repository("examples/analyze_fits.py:analyze");
            all_ok(bench, call(bench, &function)?.args(["--input", &called]), files)
        });
    }
    let race = race
        .with(WARM, files, move || analyse(bench, &warm, files, &["--worker"], &bench.python("worker")))
        .with(OURS, files, move || analyse(bench, &cold, files, &[], &script(bench)));
    let race = race.peer(LOOP, files, move || {
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
    let mut launch = fresh(bench)?;
    launch.args(options).args(["--input", pattern]);
    all_ok(bench, launch.arg("--").arg(command.get_program()).args(command.get_args()), files)
}

pub(crate) fn at_once(bench: &Bench) -> Result<Race<'_>> {
    let (tasks, few) = (bench.size(50_000), bench.size(500));
    let (list, short) = (data::list(bench, tasks)?, data::list(bench, few)?);
    let (called, warm, pooled) = (list.clone(), list.clone(), list.clone());
    let mut race = Race::new([Goal::Rate(CALL, 10_000.0)]);
    if bench.knows("--call")? {
        race = race.with(CALL, tasks, move || {
            let function = repository("benches/programs/at_once.py:analyze");
            all_ok(bench, call(bench, &function)?.arg("--files-from").arg(&called), tasks)
        });
    }
    let race = race.with(WARM, tasks, move || {
        let command = bench.python("at_once");
        let mut launch = fresh(bench)?;
        launch.arg("--files-from").arg(&warm).args(["--worker", "--"]).arg(command.get_program());
        all_ok(bench, launch.args(command.get_args()).arg("worker"), tasks)
    });
    let looped = move |way: &str, list: &Path| {
        let mut command = bench.python("at_once");
        timed::quiet(bench, command.arg(way).arg(list).arg(bench.fresh("looped.json")?))
    };
    let race = race
        .peer("plain loop", tasks, move || looped("loop", &list))
        .peer("multiprocessing.Pool", tasks, move || looped("pool", &pooled))
        .peer("parallel", few, move || {
            let program = bench.python("at_once");
            let mut command = Command::new("parallel");
            command.arg("-j2").arg(program.get_program()).args(program.get_args()).arg("one");
            timed::fed(bench, &mut command, &short)
        });
    Ok(race)
}

/// A launch in a new results directory that calls a function.
fn call(bench: &Bench, function: &Path) -> Result<Command> {
    let mut launch = fresh(bench)?;
    launch.arg("--python").arg(bench.python("at_once").get_program()).arg("--call").arg(function);
    Ok(launch)
}

/// A launch in a new results directory.
fn fresh(bench: &Bench) -> Result<Command> {
    let mut launch = bench.replica(1, 1);
    launch.args(["--json", "-o"]).arg(bench.fresh("results")?);
    Ok(launch)
}

pub(crate) fn answers(bench: &Bench) -> Result<Race<'_>> {
    let tasks = bench.size(100_000);
    Ok(Race::new([Goal::Rate(WARM, 20_000.0)]).with(WARM, tasks, move || dispatch(bench, tasks, "0")))
}

/// So many tasks to workers that answer at once, after so many bytes of log.
pub(crate) fn dispatch(bench: &Bench, tasks: u64, bytes: &str) -> Result<Sample> {
    let mut launch = fresh(bench)?;
    launch.arg("--files-from").arg(data::list(bench, tasks)?);
    let worker = bench.program("answer");
    let command = [worker.as_path(), Path::new(bytes)];
    all_ok(bench, launch.args(["--worker", "--"]).args(command), tasks)
}
