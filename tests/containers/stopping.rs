//! A container that is stopped leaves nobody behind and loses nothing that was finished, whenever it is stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{Component, Contained, DEADLINE, Dir, require, wait_until};

const TASKS: usize = 24;
const MOMENTS: usize = 25;
const CONTAINERS_AT_ONCE: usize = 4;
const GRACE: Duration = Duration::from_millis(400);
/// What ending takes beyond the grace, at most.
const BEYOND: Duration = Duration::from_secs(3);

/// Leaves processes that ignore TERM, in its group and in sessions of their own, some of them with its output; ignores
/// TERM itself in every third case. Notes its beginning and its end.
const TASK: &str = "n=${1##*/}
echo $n >> began.$LAUNCH
case $n in *[0369].fits) trap '' TERM;; esac
leaver t tk ts tsk td tds tdsk
usleep $((1${n%.fits} % 7 * 10000))
echo $n >> finished.$LAUNCH";

fn launch(dir: &Dir, number: usize) -> Contained<'_> {
    let container = dir.container().cpus("2").memory_mib(256).env("LAUNCH", &number.to_string());
    container.launch().args(["--grace", &format!("{}ms", GRACE.as_millis())]).sh(TASK).start()
}

/// How often each file is in a side file.
fn noted(dir: &Dir, name: &str) -> BTreeMap<u64, usize> {
    let mut noted = BTreeMap::new();
    for line in dir.lines(name) {
        *noted.entry(line[..3].parse().unwrap()).or_default() += 1;
    }
    noted
}

/// The files of a launch's events of one kind.
fn files(dir: &Dir, launch: usize, kind: &str) -> BTreeSet<u64> {
    dir.events_of(1, launch, kind).into_iter().map(|event| event["index"].as_u64().unwrap()).collect()
}

fn done(dir: &Dir) -> BTreeSet<u64> {
    dir.results(1).iter().map(|record| record["canfar_run"]["index"].as_u64().unwrap()).collect()
}

/// Waits until so many tasks began, and a moment longer.
fn wait_for_a_moment(dir: &Dir, container: &Contained<'_>, tasks: usize, longer: Duration) {
    container.wait_until_it_can_be_stopped();
    wait_until(DEADLINE, "tasks begin", || dir.lines("began.1").len() >= tasks || container.is_gone());
    std::thread::sleep(longer);
}

/// Gives the time from TERM until the container is gone.
fn stop_and_go_on(tasks: usize, longer: Duration) -> Duration {
    let dir = Dir::with_inputs(TASKS);
    let container = launch(&dir, 1);
    wait_for_a_moment(&dir, &container, tasks, longer);
    let family = container.processes();
    let told = Instant::now();
    container.signal(Signal::TERM);
    wait_until(DEADLINE, "the container is gone", || container.is_gone());
    let took = told.elapsed();
    for process in family {
        let still = Pid::from_raw(process.pid).is_some_and(|pid| test_kill_process(pid).is_ok());
        assert!(!still, "{process:?} is left {took:?} after TERM");
    }
    let ended = container.wait();

    let whole: BTreeSet<u64> = (0..TASKS as u64).collect();
    let first = files(&dir, 1, "end");
    match ended.code {
        Some(0) => assert_eq!(first, whole, "{ended}"),
        Some(143) => _ = ended.says("SIGTERM (15)"),
        _ => panic!("{ended}"),
    }
    // Before the first task there is no results file, and nothing to go into it.
    assert!(dir.exists("out/container_1_results.json") || first.is_empty());
    if !first.is_empty() {
        assert_eq!(done(&dir), first);
    }
    let finished = noted(&dir, "finished.1");
    assert!(first.iter().all(|file| finished.get(file) == Some(&1)), "{first:?} {finished:?}");

    // Stopped early enough it has not even begun to be a launch.
    let next = if dir.exists("out/journal/1.1.jsonl") { 2 } else { 1 };
    launch(&dir, 2).wait().exits(0);
    let rest: BTreeSet<u64> = whole.difference(&first).copied().collect();
    assert_eq!(files(&dir, next, "start"), rest);
    assert_eq!(noted(&dir, "finished.2"), rest.into_iter().map(|file| (file, 1)).collect());
    assert!(noted(&dir, "began.1").values().all(|times| *times == 1));
    assert_eq!(done(&dir), whole);
    took
}

#[test]
fn stopped_at_any_moment_it_is_gone_in_time_and_the_next_launch_does_exactly_the_rest() {
    if !require(Component::Containers) {
        return;
    }
    let seed = Rng::new().u64(..);
    eprintln!("seed of the moments: {seed}");
    let mut random = Rng::with_seed(seed);
    // All over the run, its first and its last moments included.
    let moments: Vec<(usize, Duration)> = (0..MOMENTS)
        .map(|moment| (moment * (TASKS + 1) / MOMENTS, Duration::from_micros(random.u64(..60_000))))
        .collect();
    let next = Mutex::new(moments.into_iter());
    let times = Mutex::new(Vec::new());
    let take = || next.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..CONTAINERS_AT_ONCE {
            scope.spawn(|| {
                while let Some((tasks, longer)) = take() {
                    let took = stop_and_go_on(tasks, longer);
                    times.lock().unwrap().push(took);
                }
            });
        }
    });
    let mut times = times.into_inner().unwrap();
    times.sort();
    eprintln!(
        "gone {:?} to {:?} after TERM, half of them by {:?}",
        times[0],
        times[MOMENTS - 1],
        times[MOMENTS / 2]
    );
    // One of them may have met with a busy machine; what takes too long as such does so most of the time.
    assert!(times[MOMENTS / 2] <= GRACE + BEYOND, "{times:?}");
}

/// canfar-run below a shell that, after its end, notes who else is left.
const BELOW_A_SHELL: &str = "canfar-run -i 'data/*' -o out --grace 400ms -- sh -c \"$TASK\" sh '{}' &
while kill -0 $! 2> /dev/null; do wait $!; done
for process in /proc/[0-9]*; do [ $process = /proc/1 ] || cat $process/comm >> left; done";

#[test]
fn below_another_first_process_it_leaves_nobody_behind_either() {
    if !require(Component::Containers) {
        return;
    }
    for stop_after in [None, Some(5)] {
        let dir = Dir::with_inputs(TASKS);
        let container = dir.container().cpus("2").memory_mib(256).env("LAUNCH", "1").env("TASK", TASK);
        let container = container.program("sh").args(["-c", BELOW_A_SHELL]).start();
        if let Some(tasks) = stop_after {
            wait_until(DEADLINE, "tasks begin", || dir.lines("began.1").len() >= tasks);
            let ours =
                container.processes().into_iter().find(|process| process.name == "canfar-run").unwrap();
            kill_process(Pid::from_raw(ours.pid).unwrap(), Signal::TERM).unwrap();
        }
        container.wait();
        let all = done(&dir).len() == TASKS;
        assert_eq!(all, stop_after.is_none(), "{}", dir.tree());
        assert_eq!(dir.lines("left"), Vec::<String>::new());
    }
}
