//! Tasks that want more memory than there is: the good ones are done, the bad one is named, and the runner lives, or is
//! launched again until all is told.

use std::collections::BTreeMap;

use crate::support::{Component, Container, Dir, Ended, require};

/// Of a container in which memory is taken slowly enough for a guard.
const ROOMY: u64 = 256;
/// Of one that is full before anybody can look.
const SMALL: u64 = 64;

/// How often something is tried that only happens where nobody is quicker than the kernel.
const TRIES: usize = 10;

/// What one task does: takes memory in steps until it has all, and holds it.
#[derive(Debug, Clone, Copy)]
struct Hunger {
    step_kib: u64,
    every_ms: u64,
    all_kib: u64,
    hold_ms: u64,
}

impl Hunger {
    const MODEST: Self = Self { step_kib: 1024, every_ms: 5, all_kib: 4096, hold_ms: 40 };
    /// A twentieth of the limit every tenth of a second, without end.
    const STEADY: Self =
        Self { step_kib: ROOMY * 1024 / 20, every_ms: 100, all_kib: 100 * ROOMY * 1024, hold_ms: 0 };
    /// Two of them have room, three have not.
    const LARGE: Self =
        Self { step_kib: ROOMY * 1024 / 20, every_ms: 40, all_kib: percent(ROOMY, 36), hold_ms: 50 };
    /// All of a small container's memory, and more, in far less than 50 ms.
    const SUDDEN: Self = Self::at_once(percent(SMALL, 200), 0);

    const fn at_once(all_kib: u64, hold_ms: u64) -> Self {
        Self { step_kib: all_kib, every_ms: 0, all_kib, hold_ms }
    }
}

/// A part of so many MiB, in KiB.
const fn percent(mib: u64, percent: u64) -> u64 {
    mib * 1024 * percent / 100
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
fn hogs(dir: &Dir, cpus: u32, mib: u64) -> Container<'_> {
    dir.container().cpus(&cpus.to_string()).memory_mib(mib).host("node").launch()
}

const HOG: [&str; 3] = ["--", "hog", "{}"];
const WARM_HOGS: [&str; 3] = ["--worker", "--", "hog"];

/// Causes of failure by index, as the last word of all launches has it.
fn causes(dir: &Dir, launches: usize) -> BTreeMap<u64, String> {
    let failures = (1..=launches).flat_map(|launch| dir.failures(1, launch));
    let cause = |record: serde_json::Value| {
        let meta = &record["canfar_run"];
        (meta["index"].as_u64().unwrap(), meta["cause"].as_str().unwrap().to_owned())
    };
    failures.map(cause).collect()
}

#[test]
fn one_that_takes_memory_steadily_fails_as_oom_before_the_kernel_kills_anybody() {
    if !require(Component::Containers) {
        return;
    }
    for (jobs, command) in [(&[][..], HOG), (&["-j", "4"], HOG), (&["-j", "2"], WARM_HOGS)] {
        let dir = twenty_and(Hunger::STEADY);
        let (ended, kills) = hogs(&dir, 2, ROOMY).args(jobs).args(command).start().wait_and_count();
        let ended = ended.exits(1);
        assert_eq!(kills, 0, "{ended}");
        assert_eq!(causes(&dir, 1), [(BAD as u64, "oom".to_owned())].into(), "{ended}");
        assert_eq!(dir.results(1).len(), 20, "{ended}");
    }
}

/// Launches the same line until the container does not die any more; it and the times it died, three at most.
#[track_caller]
fn launch_until_it_lives<'d>(launch: impl Fn() -> Container<'d>) -> (Ended, usize) {
    for deaths in 0.. {
        let ended = launch().killed_whole().args(["-j", "8"]).args(HOG).run();
        if ended.code != Some(137) {
            return (ended, deaths);
        }
        assert!(deaths < 3, "{ended}");
    }
    unreachable!("it ended or there were too many")
}

#[test]
fn one_that_kills_the_container_at_once_is_lost_after_three_more_launches_at_most() {
    if !require(Component::Containers) {
        return;
    }
    let is_lost = |_| {
        let dir = twenty_and(Hunger::SUDDEN);
        let (ended, deaths) = launch_until_it_lives(|| hogs(&dir, 2, SMALL));
        let ended = ended.exits(1);
        assert_eq!(dir.results(1).len(), 20, "{ended}");
        let mut causes = causes(&dir, deaths + 1);
        let cause = causes.remove(&(BAD as u64));
        assert!(causes.is_empty(), "{causes:?}: {ended}");
        // Where the guard was quicker than the kernel it is `oom`.
        cause.as_deref() == Some("lost")
    };
    assert!((0..TRIES).any(is_lost), "the container never died under it alone");
}

#[test]
fn files_of_which_three_are_too_much_are_all_done() {
    if !require(Component::Containers) {
        return;
    }
    for (jobs, spares_all) in [(&[][..], true), (&["-j", "8"], false)] {
        let dir = tasks([Hunger::LARGE; 20]);
        let (ended, kills) = hogs(&dir, 4, ROOMY).args(jobs).args(HOG).start().wait_and_count();
        let ended = ended.exits(0);
        assert_eq!(dir.results(1).len(), 20, "{ended}");
        // Eight may be quicker together than any guard, and are run again.
        assert!(kills == 0 || !spares_all, "{kills} killed: {ended}");
    }
}

#[test]
fn where_every_file_is_hungry_the_launches_after_a_death_take_fewer_at_once() {
    if !require(Component::Containers) {
        return;
    }
    let has_died = |_| {
        let dir = tasks([Hunger::at_once(percent(SMALL, 30), 200); 8]);
        let (ended, deaths) = launch_until_it_lives(|| hogs(&dir, 4, SMALL));
        assert_eq!(dir.results(1).len(), 8, "{}", ended.exits(0));
        deaths > 0
    };
    assert!((0..TRIES).any(has_died), "eight at once had room");
}

#[test]
fn a_task_that_the_kernel_killed_is_run_again_alone_without_spending_a_retry() {
    if !require(Component::Containers) {
        return;
    }
    // One that is too large beside another, and one that is too large for the container.
    let large = Hunger::at_once(percent(SMALL, 60), 300);
    let sudden = vec![Hunger::MODEST, Hunger::SUDDEN, Hunger::MODEST];
    for (hungers, command, failures) in [
        (vec![large; 2], HOG, BTreeMap::new()),
        (sudden.clone(), HOG, [(1, "oom".to_owned())].into()),
        (sudden, WARM_HOGS, [(1, "oom".to_owned())].into()),
    ] {
        let was_killed = |_| {
            let dir = tasks(hungers.clone());
            let (ended, kills) =
                hogs(&dir, 2, SMALL).args(["-j", "3"]).args(command).start().wait_and_count();
            let ended = ended.exits(i32::from(!failures.is_empty()));
            assert_eq!(causes(&dir, 1), failures, "{ended}");
            assert_eq!(dir.results(1).len(), hungers.len() - failures.len(), "{ended}");
            let alone = dir.events_of(1, 1, "start").into_iter().filter(|start| start["alone"] == true);
            // The guard may have sent another one there.
            assert!((1..=2).contains(&alone.count()), "{ended}");
            kills > 0
        };
        assert!((0..TRIES).any(was_killed), "the kernel killed nobody");
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
        dir.container().cpus("2").memory_mib(SMALL).launch().sh(script).start().wait_and_count();
    let ended = ended.exits(1);
    assert_eq!((kills, causes(&dir, 1)), (0, [(0, "signal".to_owned())].into()), "{ended}");
}

#[test]
fn the_kernel_takes_a_task_before_the_runner() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::with_inputs(1);
    // A task may be under way before its rank is set.
    let script =
        "while [ $(cat /proc/$$/oom_score_adj) -le $(cat /proc/1/oom_score_adj) ]; do usleep 1000; done";
    dir.container().memory_mib(SMALL).launch().args(["--timeout", "30s"]).sh(script).run().exits(0);
}
