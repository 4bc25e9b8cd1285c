//! A kill, or an error, at any one system call by which a replica claims, takes over, writes its results and leaves:
//! another replica completes the run.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Cluster, Host, Truth};
use crate::support::{Component, DEADLINE, Dir, Ended, require, wait_until};

const REPLICAS: usize = 3;
pub(super) const TASKS: usize = 9;

/// The first to be started. It dies with two tasks under way and others that nobody has begun.
const DEAD: usize = 1;
/// What it does is disturbed.
const VICTIM: usize = 2;
/// Comes when that has ended.
const HEIR: usize = 3;

/// Runs at a time.
const SIDE_BY_SIDE: usize = 4;

/// More of any call than the victim makes.
const MOST: usize = 400;

/// What calls are about.
#[derive(Debug, Clone, Copy)]
enum About {
    Claims,
    OwnJournal,
    JournalsOfOthers,
    Results,
    Anything,
}

/// The calls of each kind, one after the other.
const CALLS: [(About, &str); 17] = [
    (About::Claims, "link,linkat"),
    (About::Claims, "openat"),
    (About::Claims, "read,pread64"),
    (About::Claims, "write"),
    (About::Claims, "fsync,fdatasync"),
    (About::Claims, "getdents64"),
    (About::Claims, "mkdir,mkdirat"),
    (About::Claims, "stat,lstat,newfstatat,statx"),
    (About::Claims, "close"),
    (About::OwnJournal, "write"),
    (About::OwnJournal, "fdatasync"),
    (About::JournalsOfOthers, "openat"),
    (About::JournalsOfOthers, "read,pread64"),
    (About::JournalsOfOthers, "stat,lstat,newfstatat,statx,fstat"),
    (About::Results, "rename,renameat,renameat2"),
    (About::Anything, "fsync"),
    (About::Anything, "rename,renameat,renameat2,link,linkat,unlink"),
];

/// What storage says to each kind of call.
const ERRORS: [(About, &str, &[&str]); 10] = [
    (
        About::Claims,
        "link,linkat",
        &["EIO", "ESTALE", "EPERM", "EOPNOTSUPP", "EEXIST", "ENOENT", "ENOSPC", "EDQUOT", "EACCES", "EMLINK"],
    ),
    (About::Claims, "openat", &["EIO", "ESTALE", "EACCES", "ENOENT", "EMFILE", "ENOTCONN"]),
    (About::Claims, "read,pread64", &["EIO", "ESTALE"]),
    (About::Claims, "write", &["EIO", "ENOSPC", "EDQUOT"]),
    (About::Claims, "fsync,fdatasync", &["EIO", "ENOSPC"]),
    (About::Claims, "getdents64", &["EIO", "ESTALE", "ENOENT"]),
    (About::Claims, "mkdir,mkdirat", &["EIO", "EEXIST", "ENOSPC", "EROFS"]),
    // No storage says ENOENT of a file that is open.
    (About::Claims, "stat,lstat,newfstatat,statx", &["EIO", "ESTALE", "ENOTCONN"]),
    (About::JournalsOfOthers, "openat", &["EIO", "ESTALE", "ENOENT", "EACCES"]),
    (About::JournalsOfOthers, "read,pread64,getdents64", &["EIO", "ESTALE"]),
];

/// What storage without links says to each.
const REFUSALS: [&str; 4] = ["EPERM", "EOPNOTSUPP", "EXDEV", "EMLINK"];

/// How long storage keeps saying so.
#[derive(Debug, Clone, Copy)]
enum Until {
    Once,
    Burst,
    Always,
}

impl About {
    /// Names that a victim's calls may be about; none where it does not matter.
    fn paths(self, dir: &Dir, run: &str) -> Vec<String> {
        let journal = |replica| format!("out/journal/{replica}.1.jsonl");
        let names: Vec<String> = match self {
            Self::Claims => claims(run),
            Self::OwnJournal => vec![journal(VICTIM)],
            Self::JournalsOfOthers => vec!["out/journal".to_owned(), journal(DEAD), journal(HEIR)],
            Self::Results => (1..=REPLICAS).map(|id| format!("out/container_{id}_results.json")).collect(),
            Self::Anything => Vec::new(),
        };
        names.iter().map(|name| dir.path(name).display().to_string()).collect()
    }
}

/// The folders of claims, the victim's own file, and every claim that there can be.
fn claims(run: &str) -> Vec<String> {
    let folder = format!("out/claims/{run}");
    let mut names = vec!["out/claims".to_owned(), folder.clone(), format!("{folder}/{VICTIM}.1.json")];
    for round in 0..4 {
        names.push(format!("{folder}/{round}"));
        for share in 1..=REPLICAS {
            names.extend((0..3).map(|generation| format!("{folder}/{round}/{share}.{generation}")));
        }
    }
    names
}

/// What is done to the victim.
#[derive(Debug, Clone)]
struct Fault {
    about: About,
    calls: &'static str,
    /// As strace is told.
    what: String,
    when: String,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    was_hit: bool,
    victim: Ended,
    /// Whether the results files had every task only after `resume`.
    needed_resume: bool,
}

/// A run in which the first replica has died; and the names of its claims, for strace.
#[track_caller]
pub(super) fn after_a_death(go_on: impl FnOnce(&Dir, &mut Cluster<'_>, &[String])) {
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::sharing(&dir, REPLICAS);
    cluster.hold(DEAD);
    cluster.start(DEAD, Host::Shared);
    wait_until(DEADLINE, "two tasks are under way", || Truth::of(&dir).begun_by(DEAD).len() == 2);
    assert!(cluster.kill(DEAD));
    cluster.let_go(DEAD);
    let claims = About::Claims.paths(&dir, &cluster.run_id());
    go_on(&dir, &mut cluster, &claims);
}

/// A run in which the victim follows one that died, and is followed by the heir.
#[track_caller]
fn disturbed(fault: &Fault) -> Outcome {
    let mut outcome = None;
    after_a_death(|dir, cluster, _| outcome = Some(disturbed_by(fault, dir, cluster)));
    outcome.unwrap()
}

#[track_caller]
fn disturbed_by(fault: &Fault, dir: &Dir, cluster: &mut Cluster<'_>) -> Outcome {
    let trace = format!("trace={}", fault.calls);
    let inject = format!("inject={}:{}:when={}", fault.calls, fault.what, fault.when);
    let paths = fault.about.paths(dir, &cluster.run_id());
    let mut options = vec!["-o", "faults", "-e", &trace, "-e", &inject];
    paths.iter().for_each(|path| options.extend(["-P", path]));
    cluster.start_traced(VICTIM, Host::Shared, &options);
    let victim = cluster.wait_for(VICTIM);
    let was_killed = victim.code == Some(128 + 9);
    assert!(!victim.stderr.contains("panicked"), "{fault:?}: {victim}");
    assert!(was_killed || matches!(victim.code, Some(0 | 3 | 4)), "{fault:?}: {victim}");
    cluster.start(HEIR, Host::Shared);
    let heir = cluster.wait_for(HEIR);
    let died_alone = died_alone(dir);
    // What two containers died with, the second time alone, is given up.
    let code = i32::from(!died_alone.is_empty());
    assert_eq!(heir.code, Some(code), "{fault:?}: {victim}\n{heir}");
    assert_eq!(lost(dir), died_alone, "{fault:?}: {victim}\n{heir}");
    let truth = Truth::of(dir);
    let needed_resume = died_alone.is_empty() && truth.looped().len() != TASKS;
    if needed_resume || !died_alone.is_empty() {
        cluster.resume();
    }
    truth.is_whole(TASKS);
    assert_once_recorded_never_repeated(dir, &format!("{fault:?}: {victim}\n{heir}"));
    let was_hit = was_killed || dir.text("faults").contains("(INJECTED)");
    Outcome { was_hit, victim, needed_resume }
}

/// The task that the victim was running alone when it was killed.
fn died_alone(dir: &Dir) -> Vec<u64> {
    let ended = dir.events_of(VICTIM, 1, "end");
    let alone = dir.events_of(VICTIM, 1, "start").into_iter().filter(|start| start["alone"] == true);
    let died = alone.filter(|start| ended.iter().all(|end| end["index"] != start["index"]));
    died.map(|start| start["index"].as_u64().unwrap()).collect()
}

/// The tasks that the heir gave up.
fn lost(dir: &Dir) -> Vec<u64> {
    let ends = dir.events_of(HEIR, 1, "end").into_iter();
    let lost = ends.filter(|end| end["record"]["canfar_run"]["cause"] == "lost");
    lost.map(|end| end["index"].as_u64().unwrap()).collect()
}

/// One execution of a task at most has a record.
#[track_caller]
fn assert_once_recorded_never_repeated(dir: &Dir, what: &str) {
    let indices = Truth::of(dir).records();
    assert_eq!(indices, (0..TASKS as u64).collect::<Vec<_>>(), "{what}");
}

/// `CANFAR_RUN_TEST_SHARING_SWEEP=1`: each call, where every test run can only afford some.
fn is_sweep() -> bool {
    std::env::var_os("CANFAR_RUN_TEST_SHARING_SWEEP").is_some()
}

/// Does all of it, several at a time.
fn side_by_side<T: Sync>(all: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                each(one);
            }
        };
        let workers: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

fn has_what_it_takes() -> bool {
    require(Component::OtherHosts) && require(Component::PrivateMounts) && require(Component::Strace)
}

#[test]
fn killed_at_any_call_of_sharing_another_replica_completes_the_run() {
    if !has_what_it_takes() {
        return;
    }
    let (kills, resumed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let killed_at = |about, calls, nth: usize| {
        let fault = Fault { about, calls, what: "signal=SIGKILL".to_owned(), when: nth.to_string() };
        let Outcome { was_hit, victim, needed_resume } = disturbed(&fault);
        kills.fetch_add(usize::from(was_hit), Ordering::Relaxed);
        if needed_resume {
            resumed.fetch_add(1, Ordering::Relaxed);
            eprintln!("needed resume: {about:?} {calls} {nth}: {}", victim.code.unwrap_or(-1));
        }
        was_hit
    };
    side_by_side(&CALLS, |(about, calls)| {
        if is_sweep() {
            let hits = (1..MOST).take_while(|nth| killed_at(*about, *calls, *nth)).count();
            eprintln!("{about:?} {calls}: {hits} kills");
        } else {
            killed_at(*about, *calls, fastrand::usize(1..7));
        }
    });
    eprintln!("{kills:?} kills, results whole only after resume: {resumed:?}");
    assert!(kills.into_inner() > 5, "strace did not do its work");
}

#[test]
fn whatever_storage_says_to_any_call_of_sharing_the_run_is_completed() {
    if !has_what_it_takes() {
        return;
    }
    let mut chosen: Vec<(About, &str, &str, Until)> = ERRORS
        .iter()
        .flat_map(|(about, calls, errors)| errors.iter().map(move |error| (*about, *calls, *error)))
        .flat_map(|(about, calls, error)| {
            [Until::Once, Until::Burst].map(|until| (about, calls, error, until))
        })
        .chain(REFUSALS.map(|error| (About::Claims, "link,linkat", error, Until::Always)))
        .collect();
    if !is_sweep() {
        fastrand::shuffle(&mut chosen);
        chosen.truncate(12);
    }
    let hits = AtomicUsize::new(0);
    side_by_side(&chosen, |(about, calls, error, until)| {
        let fails_at = |nth: usize| {
            let when = match until {
                Until::Once => nth.to_string(),
                Until::Burst => format!("{nth}..{}", nth + 5),
                Until::Always => format!("{nth}+"),
            };
            let fault = Fault { about: *about, calls, what: format!("error={error}"), when };
            let outcome = disturbed(&fault);
            hits.fetch_add(usize::from(outcome.was_hit), Ordering::Relaxed);
            if outcome.needed_resume {
                eprintln!("needed resume: {fault:?}");
            }
            outcome.was_hit
        };
        if is_sweep() {
            let failed = (1..MOST).take_while(|nth| fails_at(*nth)).count();
            eprintln!("{about:?} {calls} {error} {until:?}: {failed}");
        } else {
            fails_at(fastrand::usize(1..7));
        }
    });
    eprintln!("{hits:?} errors");
    assert!(hits.into_inner() > 3, "strace did not do its work");
}
