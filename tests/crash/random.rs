//! SIGKILL at random moments, of the runner alone and of all that it started.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Witness, assert_all_right, launch};
use crate::support::{DEADLINE, Dir, Running, wait_until};

const TASKS: u64 = 200;
const REPLICAS: usize = 3;

/// Runs at a time: most of what they do is wait.
const SIDE_BY_SIDE: u64 = 4;

/// `CANFAR_RUN_TEST_KILLS`, for more than what every test run can afford.
fn kills_wanted() -> u64 {
    std::env::var("CANFAR_RUN_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(300)
}

#[derive(Debug, Default)]
struct Figures {
    runs: u64,
    kills: u64,
    tasks: u64,
    begun: u64,
    lost: usize,
    repeated: usize,
}

impl Figures {
    fn with(self, other: &Self) -> Self {
        Self {
            runs: self.runs + other.runs,
            kills: self.kills + other.kills,
            tasks: self.tasks + other.tasks,
            begun: self.begun + other.begun,
            lost: self.lost + other.lost,
            repeated: self.repeated + other.repeated,
        }
    }
}

#[test]
fn killed_at_random_moments_nothing_finished_is_lost_or_run_again() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let some_runs = |number| {
        let mut chance = fastrand::Rng::with_seed(seed.wrapping_add(number));
        let mut figures = Figures::default();
        while figures.kills < kills_wanted().div_ceil(SIDE_BY_SIDE) {
            one_run(&mut chance, &mut figures);
            assert!(figures.runs <= kills_wanted(), "hardly anything is killed: {figures:?}");
        }
        figures
    };
    let figures = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..SIDE_BY_SIDE).map(|number| scope.spawn(move || some_runs(number))).collect();
        runs.into_iter().fold(Figures::default(), |all, run| all.with(&run.join().unwrap()))
    });
    eprintln!("{figures:?}");
    assert_eq!((figures.lost, figures.repeated), (0, 0), "{figures:?}, seed {seed}");
}

/// A run whose replicas are killed and launched again until each has come to its end.
fn one_run(chance: &mut fastrand::Rng, figures: &mut Figures) {
    let dir = Dir::with_inputs(usize::try_from(TASKS).unwrap());
    let witness = Witness { dir: &dir, replicas: REPLICAS };
    let mut places: Vec<Place<'_>> =
        (1..=REPLICAS).map(|replica| Place { replica, state: State::Idle }).collect();
    while places.iter().any(|place| !matches!(place.state, State::Complete)) {
        places.iter_mut().for_each(|place| place.go_on(&dir));
        let victim = &mut places[chance.usize(0..REPLICAS)];
        victim.state = match std::mem::replace(&mut victim.state, State::Idle) {
            State::Runs(mut running) => {
                wait_for_a_moment(chance, &dir, victim.replica, &mut running);
                figures.kills += u64::from(kill(running, chance.bool()));
                State::Idle
            }
            state => state,
        };
        if chance.u8(0..8) == 0 {
            witness.merge();
        }
        assert_eq!(witness.doubled(), [], "{}", dir.tree());
    }
    assert_eq!(witness.merge(), Some(0), "{}", dir.tree());
    assert_all_right(&dir, TASKS);
    figures.runs += 1;
    figures.tasks += TASKS;
    figures.begun += witness.began().len() as u64;
    figures.lost += witness.lost().len();
    figures.repeated += witness.repeated().len();
}

/// Some time after its start, or after it got somewhere: without the second, a busy machine would never get done.
fn wait_for_a_moment(chance: &mut fastrand::Rng, dir: &Dir, replica: usize, running: &mut Running<'_>) {
    if chance.u8(0..3) > 0 {
        let lines = || (1..).map(|launch| dir.lines(format!("out/journal/{replica}.{launch}.jsonl")).len());
        let written = || lines().take_while(|count| *count > 0).sum::<usize>();
        let goal = written() + chance.usize(1..80);
        wait_until(DEADLINE, "a launch gets on", || running.has_ended() || written() >= goal);
    }
    std::thread::sleep(Duration::from_micros(chance.u64(0..30_000)));
}

enum State<'d> {
    Idle,
    Runs(Running<'d>),
    Complete,
}

struct Place<'d> {
    replica: usize,
    state: State<'d>,
}

impl<'d> Place<'d> {
    /// Launches what does not run and is not complete.
    fn go_on(&mut self, dir: &'d Dir) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Runs(running) => after(running),
            State::Idle => State::Runs(launch(dir, self.replica, REPLICAS).start()),
            State::Complete => State::Complete,
        };
    }
}

fn after(mut running: Running<'_>) -> State<'_> {
    if !running.has_ended() {
        return State::Runs(running);
    }
    running.wait().exits(0);
    State::Complete
}

/// Kills a launch, alone or with all that it started; `false` if it had come to its end before.
fn kill(running: Running<'_>, with_tree: bool) -> bool {
    let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
    let _ = kill_process(pid, Signal::STOP);
    let tree = if with_tree { descendants(pid) } else { Vec::new() };
    let _ = kill_process(pid, Signal::KILL);
    for process in tree {
        let _ = kill_process(process, Signal::KILL);
    }
    running.wait().signal == Some(9)
}

/// All processes below one.
fn descendants(pid: Pid) -> Vec<Pid> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(children(parent));
        next += 1;
    }
    found.split_off(1)
}

fn children(pid: Pid) -> Vec<Pid> {
    let threads =
        std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let numbers = texts
        .flat_map(|text| text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<i32>>());
    numbers.filter_map(Pid::from_raw).collect()
}
