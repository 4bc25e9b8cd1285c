//! `merge`: results files and journals of many replicas into one file, with proof of completeness.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::MergeArgs;
use crate::config::{Verbosity, heartbeat_times};
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::merge::{
    Directory, Format, Proof, Summary, Survey, Targets, partial_name, survey, write, write_missing,
};
use crate::record::layout::{Layout, ResultsName};
use crate::report;
use crate::report::console::Console;
use crate::units;

/// Merges one or more results directories.
///
/// # Errors
/// When something can't be read at all, or the merged files can't be written.
pub fn run(args: &MergeArgs, environment: &Environment, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let console = Console::new(verbosity, args.color);
    anyhow::ensure!(
        !args.null || args.missing.is_some(),
        "--null is about the list that --missing writes: give that too"
    );
    let times = heartbeat_times(environment)?;
    let roots: Vec<_> = args.dirs.iter().map(|dir| environment.absolute(dir)).collect();
    let directories =
        roots.iter().map(|root| Directory::open(root, times)).collect::<anyhow::Result<Vec<_>>>()?;
    let first = Layout::new(roots.first().context("no results directory")?);
    let targets = Targets {
        results: args
            .output
            .as_ref()
            .map_or_else(|| first.merged("final_results.json"), |output| environment.absolute(output)),
        failed: first.merged("final_failed.json"),
        summary: first.merged("final_summary.json"),
        allow_missing: args.allow_missing,
    };
    let missing = args.missing.as_ref().map(|missing| environment.absolute(missing));
    refuse_names(&targets, missing.as_deref())?;
    let mut survey = survey(directories, Format::of(&targets.results))?;
    if let Some(missing) = &missing {
        write_missing(&survey, missing, args.null)?;
    }
    let dirs: Vec<String> = roots.iter().map(units::path).collect();
    let (results, code) = write_and_tell(&mut survey, &targets, &dirs, &console)?;
    if args.json {
        serde_json::to_writer(&mut *out, &Summary::of(&survey.proof, &survey.effort, &results))?;
        out.write_all(b"\n").and_then(|()| out.flush()).context("can't print the summary")?;
    }
    Ok(code)
}

/// Merges a run as `merge RESULTS_DIR` does.
///
/// # Errors
/// As [`run`].
pub(super) fn whole(layout: &Layout, times: HeartbeatTimes, console: &Console) -> anyhow::Result<ExitCode> {
    let targets = Targets {
        results: layout.merged("final_results.json"),
        failed: layout.merged("final_failed.json"),
        summary: layout.merged("final_summary.json"),
        allow_missing: false,
    };
    let mut survey = survey(vec![Directory::open(layout.root(), times)?], Format::of(&targets.results))?;
    Ok(write_and_tell(&mut survey, &targets, &[units::path(layout.root())], console)?.1)
}

/// Where the results are, and what to exit with.
fn write_and_tell(
    survey: &mut Survey,
    targets: &Targets,
    dirs: &[String],
    console: &Console,
) -> anyhow::Result<(PathBuf, ExitCode)> {
    let results = write(survey, targets)?;
    let is_final = targets.is_final(&survey.proof);
    report::merge::say(console, &survey.proof, &survey.effort, targets, &results, dirs);
    if !is_final && targets.results.exists() {
        console.warn(&format!(
            "{} is there from an earlier merge and was left as it was",
            targets.results.display()
        ));
    }
    Ok((results, exit_code(&survey.proof, is_final)))
}

/// Refuses to write over what a merge reads, or two things under one name.
fn refuse_names(targets: &Targets, missing: Option<&Path>) -> anyhow::Result<()> {
    let partial = partial_name(&targets.results);
    let mut taken: Vec<&Path> = vec![&targets.failed, &targets.summary];
    for (option, path) in [("--output", Some(&*targets.results)), ("--missing", missing)] {
        let Some(path) = path else { continue };
        let name = path.file_name().unwrap_or_default();
        let is_read = name == "inputs.jsonl" || ResultsName::parse(name).is_some();
        anyhow::ensure!(
            !is_read && !taken.contains(&path),
            "{option} {}: a merge reads or writes something else under this name: give another one",
            path.display()
        );
        taken.extend([path, &*partial]);
    }
    Ok(())
}

fn exit_code(proof: &Proof, is_final: bool) -> ExitCode {
    let by_rest = if is_final { ExitCode::Ok } else { ExitCode::Incomplete };
    let by_records = if proof.failed > 0 { ExitCode::TasksFailed } else { ExitCode::Ok };
    by_rest.or(by_records)
}
