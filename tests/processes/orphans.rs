//! Orphans are reaped in every phase, and nothing grows.

use super::{children, exists, in_own_session, noted, wait_for_lines};
use crate::support::{DEADLINE, Dir, Run, wait_until};

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn only_a_task_is_left(pid: u32) {
    wait_until(DEADLINE, "there are no zombies", || {
        let children = children(pid);
        children.len() == 1 && children[0].1 != 'Z'
    });
}

#[test]
fn hundreds_of_tasks_that_leave_orphans_leave_no_zombies_and_nothing_open() {
    let dir = Dir::with_inputs(500);
    ["000.fits", "499.fits"].iter().for_each(|name| _ = dir.write(format!("hold/{name}"), ""));
    // One is still there at the end, one has ended by then.
    let script = "(setsid sleep 1000 > /dev/null 2>&1 &); (setsid true &)
echo \"${1##*/}\" >> ran; while [ -e hold/\"${1##*/}\" ]; do sleep 0.01; done";
    let running = dir.launch().args(["-j", "1"]).sh(script).start();
    wait_for_lines(&dir, "ran", 1);
    let sleeper_and_task = |pid| {
        wait_until(DEADLINE, "no zombies but the orphan that lives", || {
            let children = children(pid);
            children.len() == 2 && !children.iter().any(|(_, state)| *state == 'Z')
        });
    };
    sleeper_and_task(running.pid());
    let before = (0..100).map(|_| descriptors(running.pid())).min().unwrap();
    std::fs::remove_file(dir.path("hold/000.fits")).unwrap();
    wait_for_lines(&dir, "ran", 500);
    sleeper_and_task(running.pid());
    // For a moment, while the journal is synced, there is one more.
    wait_until(DEADLINE, "as many descriptors as before", || descriptors(running.pid()) == before);
    std::fs::remove_file(dir.path("hold/499.fits")).unwrap();
    running.wait().exits(0);
    assert_eq!(dir.results(1).len(), 500);
}

#[test]
fn an_orphan_that_ends_while_its_task_goes_on_is_reaped() {
    let dir = Dir::with_inputs(1);
    dir.write("hold", "");
    let script = "(setsid sh -c 'echo $$ >> pids' &); (sh -c 'echo $$ >> pids' &)
while [ -e hold ]; do read -r _ < /dev/null; sleep 1; done";
    let running = dir.launch().sh(script).start();
    wait_for_lines(&dir, "pids", 2);
    for pid in noted(&dir, "pids", 2) {
        wait_until(DEADLINE, "it is reaped", || !exists(&pid));
    }
    only_a_task_is_left(running.pid());
    std::fs::remove_file(dir.path("hold")).unwrap();
    running.wait().exits(0);
    assert!(dir.events_of(1, 1, "attempt")[0].get("left_processes").is_none());
}

#[test]
fn an_orphan_is_reaped_while_somebody_else_makes_the_list() {
    let dir = Dir::with_inputs(1);
    let lister =
        "{\"host\":\"elsewhere\",\"boot_id\":\"x\",\"pid\":7,\"version\":\"0.1.0\",\"locked\":true}\n";
    dir.write("out/inputs.listing", lister);
    let shell = "sh -c 'echo $$ > pids; until [ -e end ]; do sleep 0.01; done' & exec \"$@\"";
    let running = Run::of(&dir, "/bin/sh")
        .args(["-c", shell, "sh", env!("CARGO_BIN_EXE_canfar-run")])
        .args(["-i", "data/*.fits", "-o", "out", "--", "true"])
        .start();
    wait_until(DEADLINE, "it waits", || running.stderr().contains("waiting for host elsewhere, pid 7"));
    let helper = noted(&dir, "pids", 1).remove(0);
    assert!(exists(&helper));
    dir.write("end", "");
    wait_until(DEADLINE, "it is reaped", || !exists(&helper));
    running.signal(rustix::process::Signal::TERM);
    running.wait().exits(143);
}

#[test]
fn ends_are_told_of_the_right_task_while_orphans_come_and_go() {
    let dir = Dir::with_inputs(200);
    let script = format!(
        "( {} > /dev/null 2>&1 & ) ; (true &) ; (setsid true &) ; exit $((CANFAR_TASK_INDEX % 7))",
        in_own_session()
    );
    dir.launch().args(["-j", "4", "--max-failures", "none"]).sh(&script).run().exits(1);
    let attempts = dir.events_of(1, 1, "attempt");
    assert_eq!(attempts.len(), 200);
    for attempt in attempts {
        assert_eq!(
            attempt["exit_code"].as_u64(),
            attempt["index"].as_u64().map(|index| index % 7),
            "{attempt}"
        );
    }
    assert!(!dir.lines("pids").iter().any(|pid| exists(pid)));
}
