//! Many results files into one: a run's own, which are proven complete, and those that Python wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::OURS;
use crate::bench::Bench;
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Sample};

const MOST_MEMORY: u64 = 32_000_000;
/// Ours, of files that Python wrote.
const FOREIGN: &str = "canfar-run, Python's files";
const RECIPE: &str = "Python recipe";
const FOREIGN_RECIPE: &str = "Python recipe, its files";
/// One bit a task.
const TASKS_PER_BYTE: u64 = 8;

pub(crate) fn peers(bench: &Bench) -> Result<Race<'_>> {
    let records = bench.size(500_000);
    let foreign = data::foreign(bench, 100, records)?;
    let own = data::finished(bench, 100, records)?;
    let goals = [
        Goal::Faster(OURS, 20.0, RECIPE),
        Goal::Faster(OURS, 20.0, "jq -s add"),
        Goal::Faster(FOREIGN, 20.0, FOREIGN_RECIPE),
        Goal::AtMost(OURS, 5.0, "cat and sync"),
        Goal::Peak(OURS, MOST_MEMORY),
        Goal::Peak(FOREIGN, MOST_MEMORY),
    ];
    let files = data::results_files(&own)?;
    let (joined, catted) = (files.clone(), files);
    let recipe = |folder: PathBuf| {
        move || timed::quiet(bench, bench.python("recipe").arg(&folder).arg(bench.fresh("recipe.json")?))
    };
    let (of_ours, of_its) = (recipe(own.clone()), recipe(foreign.clone()));
    let checked = own.clone();
    Ok(Race::new(goals)
        .with(OURS, records, move || merge(bench, &own))
        .with(FOREIGN, records, move || merge(bench, &foreign))
        .peer(FOREIGN_RECIPE, records, of_its)
        .peer(RECIPE, records, of_ours)
        .peer("jq -s add", records, move || {
            let mut jq = Command::new("jq");
            jq.args(["-s", "add"]).args(&joined);
            timed::run(bench, &mut jq, [Path::new("/dev/null"), &bench.fresh("jq.json")?], &[0])
        })
        .peer("cat and sync", records, move || cat(bench, &catted))
        .checked(move || {
            let same = |other: &str| {
                let mut same = bench.python("same_records");
                same.arg(checked.join("final_results.json")).arg(bench.data("scratch").join(other));
                timed::quiet(bench, &mut same)
            };
            same("recipe.json")?;
            same("jq.json").map(drop)
        }))
}

/// Beside the smaller merge of the same kind, of which it has to keep the pace.
pub(crate) fn large(bench: &Bench) -> Result<Race<'_>> {
    const LARGE: &str = "canfar-run, 10,000,000";
    const FOREIGN_LARGE: &str = "Python's files, 10,000,000";
    let (few, many) = (bench.size(500_000), bench.size(10_000_000));
    let memory = MOST_MEMORY + many / TASKS_PER_BYTE;
    let small = data::foreign(bench, 100, few)?;
    let foreign = data::foreign(bench, 512, many)?;
    let goals = [
        // A tenth is what two figures of one kind differ by from time to time.
        Goal::AtMost(LARGE, 1.1, OURS),
        Goal::AtMost(FOREIGN_LARGE, 1.1, FOREIGN),
        Goal::Peak(LARGE, memory),
        Goal::Peak(FOREIGN_LARGE, memory),
    ];
    let (own_small, own) = (data::finished(bench, 100, few)?, data::finished(bench, 512, many)?);
    Ok(Race::new(goals)
        .with(OURS, few, move || merge(bench, &own_small))
        .with(LARGE, many, move || merge(bench, &own))
        .with(FOREIGN, few, move || merge(bench, &small))
        .with(FOREIGN_LARGE, many, move || merge(bench, &foreign)))
}

/// Merges in the directory itself, as people do.
pub(crate) fn merge(bench: &Bench, results: &Path) -> Result<Sample> {
    let mut merge = bench.subcommand("merge");
    timed::run(bench, merge.arg(results), [Path::new("/dev/null"); 2], &[0])
}

fn cat(bench: &Bench, files: &[PathBuf]) -> Result<Sample> {
    let mut cat = Command::new("sh");
    cat.args(["-c", r#"out=$1; shift; cat "$@" > "$out" && sync "$out""#, "sh"]);
    timed::quiet(bench, cat.arg(bench.fresh("cat.json")?).args(files))
}
