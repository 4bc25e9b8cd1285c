//! Tasks that want more memory than there is: the good ones are done, the bad one is named, and the runner lives, or is
//! launched again until all is told.

use std::collections::BTreeMap;

use crate::support::{Component, Container, Dir, Ended, require};

/// Of a container.
const LIMIT_MIB: u64 = 256;
const LIMIT_KIB: u64 = LIMIT_MIB * 1024;

/// What one task does: takes memory in steps until it has all, and holds it.
#[derive(Debug, Clone, Copy)]
struct Hunger {
    step_kib: u64,
    every_ms: u64,
    all_kib: u64,
    hold_ms: u64,
}

impl Hunger {
    const MODEST: Self = Self { step_kib: 4096, every_ms: 5, all_kib: 8192, hold_ms: 60 };
    /// A twentieth of the limit every tenth of a second, without end.
    const STEADY: Self =
        Self { step_kib: LIMIT_KIB / 20, every_ms: 100, all_kib: 100 * LIMIT_KIB, hold_ms: 0 };
    /// All of it and more in 50 ms.
    const SUDDEN: Self = Self { step_kib: LIMIT_KIB / 8, every_ms: 5, all_kib: 2 * LIMIT_KIB, hold_ms: 0 };
    /// Two of them have room, three have not.
    const LARGE: Self =
        Self { step_kib: LIMIT_KIB / 20, every_ms: 60, all_kib: LIMIT_KIB * 36 / 100, hold_ms: 100 };
    /// The same, at once.
    const LARGE_AT_ONCE: Self = Self { step_kib: LIMIT_KIB, every_ms: 0, ..Self::LARGE };
}

/// A folder with a file for each task, in this order.
fn tasks(hungers: impl IntoIterator<Item = Hunger>) -> Dir {
    let dir = Dir::new();
    for (number, hunger) in hungers.into_iter().enumerate() {
        let Hunger { step_kib, every_ms, all_kib, hold_ms } = hunger;
        dir.write(format!("data/{number:03}"), format!("{step_kib} {every_ms} {all_kib} {hold_ms}\n"));
    }
    dir
}

/// Twenty modest ones and one among them, the eighth.
const BAD: usize = 7;
fn twenty_and(bad: Hunger) -> Dir {
    tasks((0..21).map(|number| if number == BAD { bad } else { Hunger::MODEST }))
}

/// On a host of one name, so that the next launch sees by the lock that nobody runs, and waits for nobody.
fn hogs(dir: &Dir, cpus: u32) -> Container<'_> {
    dir.container().cpus(&cpus.to_string()).memory_mib(LIMIT_MIB).host("node").launch()
}

const HOG: [&str; 3] = ["--", "hog", "{}"];

/// Causes of failure by index, as the last word of all launches has it.
fn causes(dir: &Dir, launches: usize) -> BTreeMap<u64, String> {
    let failures = (1..=launches).flat_map(|launch| dir.failures(1, launch));
    let cause = |record: serde_json::Value| {
        let meta = &record["canfar_run"];
        (meta["index"].as_u64().unwrap(), meta["cause"].as_str().unwrap().to_owned())
    };
    failures.map(cause).collect()
}

#[track_caller]
fn only_the_bad_one_failed(dir: &Dir, launches: usize, cause: &str, ended: &Ended) {
    assert_eq!(causes(dir, launches), [(BAD as u64, cause.to_owned())].into(), "{ended}");
    assert_eq!(dir.results(1).len(), 20, "{ended}");
}

#[test]
fn one_that_takes_memory_steadily_fails_as_oom_before_the_kernel_kills_anybody() {
    if !require(Component::Containers) {
        return;
    }
    for jobs in [&[][..], &["-j", "4"]] {
        let dir = twenty_and(Hunger::STEADY);
        let (ended, kills) = hogs(&dir, 2).args(jobs).args(HOG).start().wait_and_count();
        let ended = ended.exits(1);
        assert_eq!(kills, 0, "{ended}");
        only_the_bad_one_failed(&dir, 1, "oom", &ended);
    }
}

#[test]
fn one_that_kills_the_container_at_once_is_lost_after_three_more_launches_at_most() {
    if !require(Component::Containers) {
        return;
    }
    let dir = twenty_and(Hunger::SUDDEN);
    let mut deaths = 0;
    let ended = loop {
        let (ended, _) = hogs(&dir, 2).killed_whole().args(["-j", "4"]).args(HOG).start().wait_and_count();
        if ended.code != Some(137) {
            break ended;
        }
        deaths += 1;
        assert!(deaths <= 3, "{ended}");
    };
    assert!(deaths >= 1, "{ended}");
    only_the_bad_one_failed(&dir, deaths + 1, "lost", &ended.exits(1));
}

#[test]
fn files_of_which_three_are_too_much_are_all_done() {
    if !require(Component::Containers) {
        return;
    }
    for jobs in [&[][..], &["-j", "8"]] {
        let dir = tasks([Hunger::LARGE; 20]);
        let (ended, kills) = hogs(&dir, 4).args(jobs).args(HOG).start().wait_and_count();
        let ended = ended.exits(0);
        assert_eq!((kills, dir.results(1).len()), (0, 20), "{ended}");
    }
}

#[test]
fn where_every_file_is_hungry_the_launches_after_a_death_take_fewer_at_once() {
    if !require(Component::Containers) {
        return;
    }
    let dir = tasks([Hunger::LARGE_AT_ONCE; 8]);
    let mut deaths = 0;
    let ended = loop {
        let ended = hogs(&dir, 4).killed_whole().args(["-j", "8"]).args(HOG).start().wait();
        if ended.code != Some(137) {
            break ended.exits(0);
        }
        deaths += 1;
        assert!(deaths <= 3, "{ended}");
    };
    assert!(deaths >= 1, "{ended}");
    assert_eq!(dir.results(1).len(), 8, "{ended}");
}

#[test]
fn a_task_that_the_kernel_killed_is_run_again_alone_without_spending_a_retry() {
    if !require(Component::Containers) {
        return;
    }
    // Too much for two of them, and for itself.
    let too_large_for_two = Hunger { all_kib: LIMIT_KIB * 6 / 10, hold_ms: 400, ..Hunger::LARGE_AT_ONCE };
    for (hungers, causes_wanted, exit) in [
        (vec![too_large_for_two; 2], vec![], 0),
        (vec![Hunger::MODEST, Hunger::SUDDEN, Hunger::MODEST], vec![(1, "oom")], 1),
    ] {
        let count = hungers.len();
        let dir = tasks(hungers);
        let (ended, kills) = hogs(&dir, 2).args(["-j", "3"]).args(HOG).start().wait_and_count();
        let ended = ended.exits(exit);
        assert!(kills > 0, "{ended}");
        let wanted: BTreeMap<u64, String> =
            causes_wanted.into_iter().map(|(index, cause)| (index, cause.to_owned())).collect();
        assert_eq!(causes(&dir, 1), wanted, "{ended}");
        assert_eq!(dir.results(1).len(), count - wanted.len(), "{ended}");
        let alone = dir.events_of(1, 1, "start").into_iter().filter(|start| start["alone"] == true);
        assert_eq!(alone.count(), 1, "{ended}");
    }
}

#[test]
fn a_kill_by_somebody_else_is_no_want_of_memory() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::with_inputs(2);
    let script = "case $1 in *000*) kill -9 $$;; esac";
    let (ended, kills) =
        dir.container().cpus("2").memory_mib(LIMIT_MIB).launch().sh(script).start().wait_and_count();
    let ended = ended.exits(1);
    assert_eq!((kills, causes(&dir, 1)), (0, [(0, "signal".to_owned())].into()), "{ended}");
}

#[test]
fn the_kernel_takes_a_task_before_the_runner() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::with_inputs(1);
    let script = "cat /proc/1/oom_score_adj /proc/self/oom_score_adj > scores";
    dir.container().memory_mib(LIMIT_MIB).launch().sh(script).run().exits(0);
    let scores: Vec<i32> = dir.lines("scores").iter().map(|line| line.parse().unwrap()).collect();
    assert!(scores[0] < scores[1], "runner and task: {scores:?}");
}
