//! Launches that end before all is done, and those that go on from there.

use std::collections::BTreeMap;

use crate::support::{Component, DEADLINE, Dir, Run, require, wait_until};

mod again;
mod cannot_write;
mod caution;
mod death;
mod giving_up;
mod long_entries;
mod one_at_a_time;
mod signals;
mod taken_back;

/// Notes its file's name in `ran`, and as long as `hold/NAME` is there, stays.
const TASK: &str = "echo \"${1##*/}\" >> ran
while [ -e hold/\"${1##*/}\" ]; do sleep 0.01; done";

fn name(number: usize) -> String {
    format!("{number:03}.fits")
}

/// `000.fits` ... as [`Dir::with_inputs`] makes them.
fn names(count: usize) -> Vec<String> {
    (0..count).map(name).collect()
}

/// Lets tasks stay that get as far as noting their names.
fn hold(dir: &Dir, numbers: impl IntoIterator<Item = usize>) {
    numbers.into_iter().for_each(|number| _ = dir.write(format!("hold/{}", name(number)), ""));
}

/// Lets all of them end.
fn let_go(dir: &Dir) {
    std::fs::remove_dir_all(dir.path("hold")).unwrap();
}

/// Waits until these tasks began, each for the `times`th time.
#[track_caller]
fn began(dir: &Dir, numbers: impl IntoIterator<Item = usize>, times: usize) {
    for number in numbers {
        wait_until(DEADLINE, &format!("task {number} begins"), || runs(dir).get(&number) >= Some(&times));
    }
}

/// How often each task ran.
fn runs(dir: &Dir) -> BTreeMap<usize, usize> {
    let mut runs = BTreeMap::new();
    for line in dir.lines("ran") {
        *runs.entry(line[..3].parse().unwrap()).or_default() += 1;
    }
    runs
}

/// Numbers of the inputs in a replica's results file.
#[track_caller]
fn done(dir: &Dir) -> Vec<u64> {
    dir.results(1).iter().map(|record| record["canfar_run"]["index"].as_u64().unwrap()).collect()
}

/// `-j JOBS` with [`TASK`].
fn launch(dir: &Dir, jobs: usize) -> Run<'_> {
    dir.launch().args(["-j", &jobs.to_string()])
}

#[test]
fn the_folder_of_journals_is_listed_once_and_not_for_each_share_that_is_done() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(8);
    let launch = |id| dir.launch().replica(id, 8).args(["--result", "none", "--", "true"]).run().exits(0);
    (1..=7).for_each(|id| _ = launch(id));
    let listings = || {
        let journals = dir.path("out/journal").display().to_string();
        let strace = Run::of(&dir, "strace").args(["-f", "-qq", "-o", "calls", "-e", "signal=none"]);
        let strace =
            strace.args(["-e", "trace=openat", "-P", &journals]).arg(env!("CARGO_BIN_EXE_canfar-run"));
        strace.args(["resume", "out"]).run().exits(0);
        dir.lines("calls").iter().filter(|line| line.contains("O_DIRECTORY")).count()
    };
    let (with_one_to_run, all_done) = (listings(), listings());
    assert!(all_done <= 2 && with_one_to_run <= 5, "{with_one_to_run} and {all_done}");
}
