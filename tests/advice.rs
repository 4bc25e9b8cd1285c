//! What is advised at the end of a launch, and of several: it is true of what tasks waited for.

use crate::support::{Dir, Run};

/// Computes for about a fifth of a second where a CPU is free.
const COMPUTES: &str = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";

/// Two CPUs, as taskset(1) wants them; fewer where there are not as many.
fn two_cpus() -> String {
    let usable = rustix::thread::sched_getaffinity(None).unwrap();
    let usable = (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| usable.is_set(*cpu)).take(2);
    usable.map(|cpu| cpu.to_string()).collect::<Vec<_>>().join(",")
}

/// A launch on two CPUs that gives advice after seconds.
fn on_two_cpus(dir: &Dir) -> Run<'_> {
    let launch = Run::of(dir, "taskset").args(["-c", &two_cpus(), env!("CARGO_BIN_EXE_canfar-run")]);
    launch.args(["-i", "data/*.fits", "-o", "out"]).env("CANFAR_RUN_TEST_ADVICE_AFTER", "2s")
}

#[test]
fn launches_that_share_two_cpus_are_told_to_be_fewer() {
    let dir = Dir::with_inputs(6 * 24);
    let launch = |id| on_two_cpus(&dir).replica(id, 6).args(["-j", "4"]).sh(COMPUTES).start();
    let running: Vec<_> = (1..=6).map(launch).collect();
    for ended in running.into_iter().map(|launch| launch.wait().exits(0)) {
        ended
            .says("6 launches share th")
            .says(": start fewer")
            .says(" shared by 6 launches")
            .says_not("more at a time may");
    }
    let merged = dir.canfar_run().args(["merge", "out", "--json"]).run().exits(0);
    let merged = merged.says("6 launches within ").says(" shared by 6 launches\n");
    let figures = &merged.json()["figures"];
    let number = |name: &str| figures[name].as_f64().unwrap();
    assert!((0.5..=1.05).contains(&number("efficiency")), "counted once, the CPUs were busy: {figures}");
    assert!(
        number("cpu_s") < 0.5 * 2.0 * number("wall_s"),
        "counted for each launch, they were not: {figures}"
    );
}

#[test]
fn tasks_that_sleep_are_run_more_at_a_time() {
    let dir = Dir::with_inputs(40);
    let ended = on_two_cpus(&dir).args(["-j", "8"]).sh("sleep 2").run().exits(0);
    ended.says("so they mostly wait; more at a time may be faster: -j ").says_not("share th");
}
