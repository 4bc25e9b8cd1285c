//! Twelve replicas of which four never start and three are killed: as one claims, as one takes over, as one writes its
//! results. Those that are left complete the run by themselves.

use std::time::Duration;

use super::{Cluster, Host, Truth};
use crate::support::{Component, DEADLINE, Dir, require, wait_until};

const REPLICAS: usize = 12;
const ABSENT: usize = 4;
const TASKS: usize = 96;

/// Runs at a time: most of what they do is wait.
const SIDE_BY_SIDE: u64 = 3;

/// `CANFAR_RUN_TEST_SHARING_RUNS`, for more than what every test run can afford.
fn runs_wanted() -> u64 {
    std::env::var("CANFAR_RUN_TEST_SHARING_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3)
}

/// What several runs came to.
#[derive(Debug, Default)]
struct Figures {
    runs: usize,
    tasks: usize,
    begun: usize,
    killed_claiming: usize,
    killed_taking_over: usize,
    killed_writing_results: usize,
    of_these_as_the_last: usize,
    takeovers: usize,
    run_twice: usize,
    unexplained: usize,
}

impl Figures {
    fn with(self, other: &Self) -> Self {
        Self {
            runs: self.runs + other.runs,
            tasks: self.tasks + other.tasks,
            begun: self.begun + other.begun,
            killed_claiming: self.killed_claiming + other.killed_claiming,
            killed_taking_over: self.killed_taking_over + other.killed_taking_over,
            killed_writing_results: self.killed_writing_results + other.killed_writing_results,
            of_these_as_the_last: self.of_these_as_the_last + other.of_these_as_the_last,
            takeovers: self.takeovers + other.takeovers,
            run_twice: self.run_twice + other.run_twice,
            unexplained: self.unexplained + other.unexplained,
        }
    }
}

#[test]
fn replicas_that_are_left_complete_the_run_whoever_never_starts_and_whoever_dies() {
    if !require(Component::OtherHosts) || !require(Component::PrivateMounts) || !require(Component::Strace) {
        return;
    }
    let seed = std::env::var("CANFAR_RUN_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}");
    let some_runs = |first: u64| {
        let numbers = (first..runs_wanted()).step_by(usize::try_from(SIDE_BY_SIDE).unwrap());
        let one = |number| one_run(&mut fastrand::Rng::with_seed(seed.wrapping_add(number)));
        numbers.map(one).fold(Figures::default(), |all, run| all.with(&run))
    };
    let figures = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..SIDE_BY_SIDE).map(|first| scope.spawn(move || some_runs(first))).collect();
        runs.into_iter().fold(Figures::default(), |all, run| all.with(&run.join().unwrap()))
    });
    eprintln!("{figures:?}");
    assert_eq!(figures.unexplained, 0, "{figures:?}, seed {seed}");
    assert!(figures.killed_claiming > 0, "strace did not do its work: {figures:?}, seed {seed}");
}

/// Who is killed at which moment.
#[derive(Debug, Clone, Copy)]
struct Victims {
    claiming: usize,
    writing_results: usize,
    /// The first one that takes over, and none of those.
    taking_over: Option<usize>,
}

fn one_run(chance: &mut fastrand::Rng) -> Figures {
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::sharing(&dir, REPLICAS).with_long_tasks();
    let mut replicas: Vec<usize> = (1..=REPLICAS).collect();
    chance.shuffle(&mut replicas);
    let present = &replicas[ABSENT..];
    let mut victims = Victims { claiming: present[0], writing_results: present[1], taking_over: None };
    // It makes the list, so that the names of claims are known.
    cluster.start(present[2], Host::Shared);
    let takeovers = takeovers(&dir, &cluster.run_id());
    let mut order: Vec<usize> = present.iter().copied().filter(|replica| *replica != present[2]).collect();
    chance.shuffle(&mut order);
    for replica in order {
        start(chance, &mut cluster, replica, victims, &takeovers);
        std::thread::sleep(Duration::from_millis(chance.u64(0..150)));
    }
    let others = &present[3..];
    wait_until(DEADLINE, "a replica takes over", || {
        victims.taking_over = others.iter().copied().find(|other| has_announced_takeover(&dir, *other));
        victims.taking_over.is_some() || !cluster.living().iter().any(|one| others.contains(one))
    });
    let taking_over = victims.taking_over.is_some_and(|victim| cluster.kill(victim));
    let claiming = cluster.is_killed(victims.claiming);
    let writing_results = cluster.is_killed(victims.writing_results);
    cluster.all_end_well();
    let truth = Truth::of(&dir);
    let died_last = writing_results && was_last(&dir, victims.writing_results);
    if died_last {
        // Nobody was left who could have written them for it.
        cluster.resume();
    }
    truth.is_whole(TASKS);
    let unexplained = truth.unexplained(&cluster);
    assert!(unexplained.is_empty(), "{unexplained:?}: {victims:?} {}", dir.tree());
    Figures {
        runs: 1,
        tasks: TASKS,
        begun: truth.executions().len(),
        killed_claiming: usize::from(claiming),
        killed_taking_over: usize::from(taking_over),
        killed_writing_results: usize::from(writing_results),
        of_these_as_the_last: usize::from(died_last),
        takeovers: truth.takeovers(),
        run_twice: truth.repeated().len(),
        unexplained: unexplained.len(),
    }
}

/// Whether all others had ended when a replica was killed as it wrote its results.
fn was_last(dir: &Dir, replica: usize) -> bool {
    let written = |name: &str| std::fs::metadata(dir.path("out").join(name)).unwrap().modified().unwrap();
    let unfinished = format!(".container_{replica}_results.json.");
    let names = dir.names("out").into_iter().filter(|name| name.starts_with(&unfinished));
    let Some(killed) = names.map(|name| written(&name)).max() else { return false };
    let others =
        dir.names("out/journal").into_iter().filter(|name| !name.starts_with(&format!("{replica}.")));
    others.map(|name| format!("journal/{name}")).all(|journal| written(&journal) < killed)
}

/// More rounds and generations than there are.
const ROUNDS: usize = 6;
const GENERATIONS: usize = 4;

/// Names of all claims that may be made by who takes over.
fn takeovers(dir: &Dir, run: &str) -> Vec<String> {
    let names = (0..ROUNDS).flat_map(|round| (1..=REPLICAS).map(move |share| (round, share)));
    let names = names.flat_map(|block| (1..=GENERATIONS).map(move |generation| (block, generation)));
    let path =
        |((round, share), generation)| dir.path(format!("out/claims/{run}/{round}/{share}.{generation}"));
    names.map(|name| path(name).display().to_string()).collect()
}

fn start(
    chance: &mut fastrand::Rng,
    cluster: &mut Cluster<'_>,
    replica: usize,
    victims: Victims,
    takeovers: &[String],
) {
    let host = if chance.bool() { Host::Shared } else { Host::Own };
    let results = [cluster.dir.path(format!("out/container_{replica}_results.json")).display().to_string()];
    let (calls, what, paths) = if replica == victims.claiming {
        ("link,linkat", format!("signal=SIGKILL:when={}", chance.usize(1..5)), &[][..])
    } else if replica == victims.writing_results {
        ("rename,renameat,renameat2", "signal=SIGKILL:when=1".to_owned(), &results[..])
    } else {
        // So that there is time to kill it before its claim is there, or as it is there.
        let when = if chance.bool() { "enter" } else { "exit" };
        ("link,linkat", format!("delay_{when}=100000"), takeovers)
    };
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{what}"));
    let mut options = vec!["-o", "/dev/null", "-e", &trace, "-e", &inject];
    paths.iter().for_each(|path| options.extend(["-P", path]));
    cluster.start_traced(replica, host, &options);
}

/// Whether it has said that it is about to claim what another one had.
fn has_announced_takeover(dir: &Dir, replica: usize) -> bool {
    Truth::of(dir).announced_by(replica).iter().any(|claim| !claim.ends_with(".0"))
}
