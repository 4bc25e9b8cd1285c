//! Who gets what of a long list, by all strategies: of files that have to be found and sized, and of a run's own list. Also
//! of as many paths as a command line can hold, as where a shell expanded a glob.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Sample};

const FOUND: &str = "plan --input";
const FROZEN: &str = "plan of a frozen list";
const PER_FOLDER: u64 = 1000;

pub(crate) fn strategies(bench: &Bench) -> Result<Race<'_>> {
    let files = bench.size(1_000_000);
    Ok(Race::new([Goal::Seconds(FOUND, 2.0), Goal::Seconds(FROZEN, 2.0)])
        .with(FOUND, files, move || found(bench, files))
        .with(FROZEN, files, move || frozen(bench, files)))
}

/// As many paths as there is room for between a program and the next, against the glob that a shell makes them of.
pub(crate) fn explicit(bench: &Bench) -> Result<Race<'_>> {
    const PATHS: &str = "plan of paths";
    const GLOB: &str = "plan of the glob";
    let files = bench.size(80_000);
    let folder = data::tree(bench, 1, files, 1)?.join("night_0000");
    let of = move |input: &[OsString]| {
        let mut command = bench.subcommand("plan");
        command.current_dir(&folder).args(["--replica-count", "512", "--input"]).args(input);
        timed::quiet(bench, &mut command)
    };
    let again = of.clone();
    let names: Vec<OsString> = (0..files).map(|file| format!("obs_{file:05}.fits").into()).collect();
    Ok(Race::new([Goal::AtMost(PATHS, 2.0, GLOB)]).with(PATHS, files, move || of(&names)).with(
        GLOB,
        files,
        move || again(&["*.fits".into()]),
    ))
}

/// Files that are there.
pub(crate) fn found(bench: &Bench, files: u64) -> Result<Sample> {
    let pattern = pattern(bench, files)?;
    plan(bench, files, &["--replica-count", "512", "--input", &pattern])
}

fn frozen(bench: &Bench, files: u64) -> Result<Sample> {
    let pattern = pattern(bench, files)?;
    let source = ["--strategy", "size", "--input", &pattern];
    let results = data::frozen(bench, &format!("sized-{files}"), 512, &source, &[Path::new("true")])?;
    plan(bench, files, &["--results-dir", results.to_str().context("a path that is no text")?])
}

fn pattern(bench: &Bench, files: u64) -> Result<String> {
    let tree = data::tree(bench, files / PER_FOLDER, PER_FOLDER, 1)?;
    Ok(format!("{}/**/*.fits", tree.display()))
}

fn plan(bench: &Bench, files: u64, arguments: &[&str]) -> Result<Sample> {
    let planned = bench.fresh("plan.json")?;
    let mut command = bench.subcommand("plan");
    command.arg("--json").args(arguments);
    let sample = timed::run(bench, &mut command, [Path::new("/dev/null"), &planned], &[0])?;
    let plan: serde_json::Value = serde_json::from_slice(&std::fs::read(&planned)?)?;
    let compared = plan["strategies"].as_array().map_or(0, Vec::len);
    ensure!(plan["files"] == files && compared == 4, "{} files, {compared} strategies", plan["files"]);
    Ok(sample)
}
