//! How many tasks run at a time under the limits of what surrounds canfar-run.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use canfar_run::testing::Cgroup;
use serde_json::Value;

use crate::support::{Component, Dir, Run, require};

/// What a launch noted of itself first.
fn begun(dir: &Dir) -> Value {
    dir.events_of(1, 1, "run").remove(0)
}

/// Bytes of memory that canfar-run may use here.
fn memory() -> u64 {
    let cgroup = Cgroup::of_this_process();
    cgroup.memory().map(|memory| memory.limit()).or(cgroup.machine_memory()).unwrap()
}

/// canfar-run, executed by `program`.
fn under<'d>(dir: &'d Dir, program: &str, args: &[&str]) -> Run<'d> {
    let bin = env!("CARGO_BIN_EXE_canfar-run");
    Run::of(dir, program).args(args).args([bin, "-i", "data/*", "-o", "out"])
}

/// The limit on processes counts all that the user has, so it takes a user who has none.
#[cfg(target_os = "linux")]
#[test]
fn where_processes_are_few_fewer_tasks_run_at_a_time_none_fails_and_a_line_says_so() {
    if !require(Component::Root) {
        return;
    }
    // A task here is four processes at a time. Of 11, seven are threads of canfar-run.
    for (uid, limit, jobs) in [(54_331, "--nproc=42:42", 6), (54_332, "--nproc=11:11", 1)] {
        let dir = Dir::with_inputs(20);
        set_permissions(dir.root(), Permissions::from_mode(0o777)).unwrap();
        let run = under(&dir, "prlimit", &[limit]).args(["-j", "20"]).without_rights(uid);
        let tasks = if jobs == 1 { "1 task".to_owned() } else { format!("{jobs} tasks") };
        run.sh("(echo 1 | cat)")
            .run()
            .exits(0)
            .says(&format!("(ulimit -u, pids.max) allows {tasks} at a time, not 20"));
        assert_eq!(begun(&dir)["jobs"], jobs);
        assert_eq!(dir.results(1).len(), 20);
        assert_eq!(dir.events_of(1, 1, "start").len(), 20);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_the_limit_on_processes_does_not_bind_is_not_held_back_by_it() {
    if !require(Component::Root) {
        return;
    }
    let dir = Dir::with_inputs(4);
    let run = under(&dir, "prlimit", &["--nproc=1:1"]).args(["-j", "4", "--", "true"]);
    run.run().exits(0).says_not("at a time, not");
    assert_eq!(begun(&dir)["jobs"], 4);
}

#[cfg(target_os = "linux")]
#[test]
fn cpus_that_this_process_may_not_run_on_are_not_counted() {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let all = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap().to_string();
    let dir = Dir::with_inputs(1);
    let run = under(&dir, "taskset", &["-c", &first]).args(["--result", "text"]);
    run.sh("echo $OMP_NUM_THREADS").run().exits(0).says("1 task at a time (");
    assert_eq!(begun(&dir)["jobs"], 1);
    assert!(begun(&dir)["limits"]["cpus"].as_f64().unwrap() <= 1.0);
    assert_eq!(dir.results(1)[0]["result"], "1");
}

#[test]
fn memory_for_each_task_bounds_jobs_wherever_it_was_said() {
    let third = (memory() / 3).to_string();
    for (jobs, expected) in [("20", 3), ("2", 2)] {
        for from in ["flag", "variable", "job file"] {
            let dir = Dir::with_inputs(1);
            dir.write("job.toml", format!("memory-per-task = {third}"));
            let run = dir.launch().args(["-j", jobs]);
            let run = match from {
                "flag" => run.args(["--memory-per-task", &third]),
                "variable" => run.env("CANFAR_RUN_MEMORY_PER_TASK", &third),
                _ => run.args(["--job-file", "job.toml"]),
            };
            let ended = run.args(["--", "true"]).run().exits(0);
            let is_said = ended.stderr.contains("allows 3 tasks at a time, not 20");
            assert_eq!(is_said, expected == 3, "{from} {ended}");
            assert_eq!(begun(&dir)["jobs"], expected, "{from}");
        }
    }
}

#[test]
fn a_task_larger_than_all_memory_is_refused_before_anything_is_made() {
    let dir = Dir::with_inputs(2);
    let before = dir.tree();
    let run = dir.launch().args(["--memory-per-task", &(memory() + 1).to_string()]);
    run.args(["--", "true"]).run().exits(2).says("so not one task would fit");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn the_first_line_and_the_journal_tell_the_limits() {
    let dir = Dir::with_inputs(1);
    let ended = dir.launch().args(["-j", "3", "--", "true"]).run().exits(0).says("3 tasks at a time (");
    let limits = &begun(&dir)["limits"];
    let cpus = limits["cpus"].as_f64().unwrap();
    assert!(ended.stderr.contains(&format!("({} CPU", (cpus * 100.0).round() / 100.0)), "{ended}");
    let limit = Cgroup::of_this_process().memory().map(|memory| memory.limit());
    assert_eq!(limits["memory_bytes"], serde_json::json!(limit));
}
