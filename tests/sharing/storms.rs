//! Runs in which anything may happen to anybody at any moment: replicas start late or never, are frozen for longer than they
//! may be silent, are killed, and some of those are launched again.

use std::time::{Duration, Instant};

use super::cluster::{Fate, TAKEOVER_AFTER};
use super::{Cluster, Host, Truth};
use crate::support::{Component, DEADLINE, Dir, require, wait_until};

const TASKS: usize = 48;

/// Runs at a time.
const SIDE_BY_SIDE: u64 = 2;

/// `CANFAR_RUN_TEST_SHARING_STORMS`, for more than what every test run can afford.
fn storms_wanted() -> u64 {
    std::env::var("CANFAR_RUN_TEST_SHARING_STORMS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(2)
}

#[derive(Debug, Clone, Copy)]
enum What {
    Start,
    Freeze,
    Wake,
    Kill,
}

/// What happens, when and to whom.
type Event = (Duration, usize, What);

fn milliseconds(chance: &mut fastrand::Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(chance.u64(range))
}

/// What happens to one of the replicas, in order.
fn fate_of(chance: &mut fastrand::Rng, replica: usize) -> Vec<Event> {
    let mut now = if chance.bool() { Duration::ZERO } else { milliseconds(chance, 0..2_000) };
    let mut events = vec![(now, replica, What::Start)];
    if chance.u8(0..100) < 35 {
        now += milliseconds(chance, 0..2_000);
        events.push((now, replica, What::Freeze));
        now += milliseconds(chance, 500..9_000);
        events.push((now, replica, What::Wake));
    }
    if chance.u8(0..100) < 40 {
        now += milliseconds(chance, 0..3_000);
        events.push((now, replica, What::Kill));
        if chance.bool() {
            now += milliseconds(chance, 0..3_000);
            events.push((now, replica, What::Start));
        }
    }
    events
}

#[test]
fn whatever_happens_to_replicas_those_that_are_left_complete_the_run() {
    if !require(Component::OtherHosts) {
        return;
    }
    let seed = std::env::var("CANFAR_RUN_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}");
    let some_storms = |first: u64| {
        for number in (first..storms_wanted()).step_by(usize::try_from(SIDE_BY_SIDE).unwrap()) {
            storm(seed.wrapping_add(number));
        }
    };
    std::thread::scope(|scope| {
        let storms: Vec<_> = (0..SIDE_BY_SIDE).map(|first| scope.spawn(move || some_storms(first))).collect();
        storms.into_iter().for_each(|storm| storm.join().unwrap());
    });
}

fn storm(seed: u64) {
    let chance = &mut fastrand::Rng::with_seed(seed);
    let replicas = *chance.choice([2, 3, 6].iter()).unwrap();
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::sharing(&dir, replicas).with_long_tasks();
    // One is there to the end, and nothing happens to it.
    let mut events: Vec<Event> = vec![(Duration::ZERO, 1, What::Start)];
    for replica in 2..=replicas {
        if chance.u8(0..100) >= 15 {
            events.extend(fate_of(chance, replica));
        }
    }
    events.sort_by_key(|(when, _, _)| *when);
    let hosts: Vec<Host> =
        (0..replicas).map(|_| if chance.bool() { Host::Shared } else { Host::Own }).collect();
    let begun = Instant::now();
    for (when, replica, what) in &events {
        std::thread::sleep(when.saturating_sub(begun.elapsed()));
        befall(&mut cluster, *replica, hosts[replica - 1], *what);
    }
    end(&mut cluster, replicas, &format!("seed {seed}, {hosts:?}, {events:?}"));
    let truth = Truth::of(&dir);
    truth.is_whole(TASKS);
    let unexplained = truth.unexplained(&cluster);
    assert!(unexplained.is_empty(), "seed {seed}, {hosts:?}, {events:?}: {unexplained:?}");
    let (begun_later, twice) = (begun.elapsed(), truth.repeated().len());
    eprintln!(
        "seed {seed}: {replicas} replicas, {} takeovers, {twice} run twice, {begun_later:.1?}",
        truth.takeovers()
    );
}

/// What can't happen to it any more, for it has ended, does not.
fn befall(cluster: &mut Cluster<'_>, replica: usize, host: Host, what: What) {
    let lives = cluster.living().contains(&replica);
    match what {
        What::Start if !lives => cluster.start(replica, host),
        What::Freeze if lives => cluster.freeze(replica),
        What::Wake if lives => cluster.wake(replica),
        What::Kill if lives => _ = cluster.kill(replica),
        _ => {}
    }
}

#[track_caller]
fn end(cluster: &mut Cluster<'_>, replicas: usize, story: &str) {
    let what = format!("all have ended, where others are taken for dead after {TAKEOVER_AFTER}: {story}");
    wait_until(DEADLINE, &what, || cluster.living().is_empty());
    for replica in 1..=replicas {
        let Some(ended) = cluster.ended(replica) else { continue };
        assert!(!ended.stderr.contains("panicked"), "{story}: {ended}");
        let may_stop = cluster.fate(replica) == Some(Fate::Frozen);
        assert!(ended.code == Some(0) || (may_stop && ended.code == Some(3)), "{story}: {ended}");
    }
}
