//! SIGKILL at every system call that touches a product: never is half of one under its final name, nor a record without its
//! product, and the next launch finishes.

use std::path::Path;

use serde_json::Value;

use crate::support::{Component, DEADLINE, Dir, Run, require, wait_until};

/// Calls after which what is on the storage has changed.
const CALLS: [&str; 6] =
    ["mkdir,mkdirat", "fsync", "fdatasync", "rename,renameat,renameat2", "rmdir", "unlink,unlinkat"];

/// More of any call than a launch of so few tasks makes.
const MOST: usize = 2000;

/// What a task makes, and how it is told whether that is whole.
struct Kind {
    product: &'static str,
    task: &'static str,
    tasks: usize,
    is_whole: fn(&Path) -> bool,
}

/// Files that say at their end what they say at their beginning.
const FILES: Kind = Kind {
    product: "prod/{/.}.cat",
    task: "{ echo \"$CANFAR_TASK_ID\"; seq 1000; echo \"$CANFAR_TASK_ID\"; } > \"$CANFAR_TASK_OUT\"",
    tasks: 4,
    is_whole: |path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.len() == 1002 && lines.first() == lines.last()
    },
};

/// Directories of 500 files, all of which one attempt wrote.
const SETS: Kind = Kind {
    product: "prod/{/.}.ms",
    task: "mkdir \"$CANFAR_TASK_OUT\" \"$CANFAR_TASK_OUT/sub\" && cd \"$CANFAR_TASK_OUT/sub\" || exit 3
i=0; while [ $i -lt 500 ]; do echo \"$CANFAR_TASK_ID\" > \"../sub/$i\"; i=$((i + 1)); done
[ ! -e \"$SLOWLY\" ] || while [ -e \"$SLOWLY\" ]; do sleep 0.02; done",
    tasks: 1,
    is_whole: |path| {
        let read =
            |name: usize| std::fs::read_to_string(path.join(format!("sub/{name}"))).unwrap_or_default();
        let first = read(0);
        !first.is_empty() && (1..500).all(|name| read(name) == first)
    },
};

impl Kind {
    fn dir(&self) -> Dir {
        Dir::with_inputs(self.tasks)
    }

    fn launch<'d>(&self, dir: &'d Dir, run: Run<'d>) -> Run<'d> {
        let run = run.args(["-i", "data/*.fits", "-o", "out", "--tmp-dir", ".", "-j", "1", "--rerun", "all"]);
        run.args(["--product", self.product, "--checksum", "sha256"])
            .env("SLOWLY", dir.scratch().join("slowly"))
            .sh(self.task)
    }

    /// A launch that is killed as one of its threads enters such a call for the `nth` time; `false` when none did.
    fn is_killed_at(&self, dir: &Dir, calls: &str, nth: usize) -> bool {
        let inject = format!("inject={calls}:signal=SIGKILL:when={nth}");
        // Not its tasks.
        let strace =
            Run::of(dir, "strace").args(["-f", "-b", "execve", "-qq", "-o", "/dev/null", "-e", &inject]);
        self.launch(dir, strace.arg(env!("CARGO_BIN_EXE_canfar-run"))).run().signal == Some(9)
    }

    /// What is there under a final name is whole, and every ok record has its products.
    #[track_caller]
    fn assert_holds(&self, dir: &Dir, when: &str) {
        for name in dir.names("prod").iter().filter(|name| !name.starts_with('.')) {
            assert!((self.is_whole)(&dir.path("prod").join(name)), "{when}: {name}\n{}", dir.tree());
        }
        for product in recorded(dir) {
            assert!(
                Path::new(product["path"].as_str().unwrap()).exists(),
                "{when}: {product}\n{}",
                dir.tree()
            );
        }
    }

    /// The next launch finishes, and leaves nothing but products.
    #[track_caller]
    fn assert_finishes(&self, dir: &Dir, when: &str) {
        self.assert_holds(dir, when);
        let ended = self.launch(dir, dir.canfar_run()).run();
        assert_eq!(ended.code, Some(0), "{when}: {ended}\n{}", dir.tree());
        self.assert_holds(dir, when);
        let names: Vec<String> =
            dir.names("prod").into_iter().filter(|name| !name.starts_with('.')).collect();
        assert_eq!(names.len(), self.tasks, "{when}: {ended}");
        assert_eq!(recorded(dir).len(), self.tasks, "{when}: {ended}");
    }

    /// Kills launches at such calls one after the other, beginning with the `first`, in folders that `begin` prepares.
    fn kill_at_each(&self, calls: &str, step: usize, begin: fn(&Self) -> Dir) -> usize {
        let mut kills = 0;
        for nth in (1..MOST).step_by(step) {
            let dir = begin(self);
            let was_killed = self.is_killed_at(&dir, calls, nth);
            self.assert_finishes(&dir, &format!("killed at {calls} {nth}"));
            if !was_killed {
                return kills;
            }
            kills += 1;
        }
        panic!("{calls}: {kills} times and more")
    }
}

/// The products in the ok records that can be read.
fn recorded(dir: &Dir) -> Vec<Value> {
    let launches = (1..).take_while(|launch| dir.exists(format!("out/journal/1.{launch}.jsonl")));
    let ends = launches.flat_map(|launch| dir.events_of(1, launch, "end"));
    let ok = ends.filter(|end| end["status"] == "ok");
    ok.flat_map(|end| end["record"]["canfar_run"]["products"].as_array().unwrap().clone()).collect()
}

/// A folder with a list, so that the first calls of the launch after that are those for its products.
#[track_caller]
fn listed(kind: &Kind) -> Dir {
    // On a busy machine the heartbeat of the lock on listing is synced first, now and then.
    for _ in 0..20 {
        let dir = kind.dir();
        assert!(kind.is_killed_at(&dir, "fdatasync", 1));
        if dir.exists("out/inputs.jsonl") {
            assert!(!dir.exists("prod"), "{}", dir.tree());
            return dir;
        }
    }
    panic!("never killed between the list and the first task")
}

#[test]
fn files_are_whole_wherever_the_launch_is_killed() {
    if !require(Component::Strace) {
        return;
    }
    let kills: usize = std::thread::scope(|scope| {
        let each = CALLS.map(|calls| {
            scope.spawn(|| FILES.kill_at_each(calls, 1, Kind::dir) + FILES.kill_at_each(calls, 1, listed))
        });
        each.into_iter().map(|kills| kills.join().unwrap()).sum()
    });
    eprintln!("{kills} kills");
    assert!(kills > 20, "{kills} kills: strace did not do its work");
}

/// A directory under its final name, of which there is no record: the launch was killed as it removed what is left then.
fn published_without_record(kind: &Kind) -> Dir {
    for nth in 1..9 {
        let dir = listed(kind);
        assert!(kind.is_killed_at(&dir, "rmdir", nth), "{nth}");
        if dir.exists("prod") && dir.names("prod").iter().any(|name| !name.starts_with('.')) {
            assert!(recorded(&dir).is_empty());
            return dir;
        }
    }
    panic!("never killed between a rename and a record")
}

#[test]
fn directories_are_whole_wherever_the_launch_is_killed() {
    if !require(Component::Strace) {
        return;
    }
    let kills: usize = std::thread::scope(|scope| {
        let each = CALLS.map(|calls| {
            let step = if matches!(calls, "fsync" | "unlink,unlinkat") { 97 } else { 1 };
            scope.spawn(move || {
                SETS.kill_at_each(calls, step, listed)
                    + SETS.kill_at_each(calls, step, published_without_record)
            })
        });
        each.into_iter().map(|kills| kills.join().unwrap()).sum()
    });
    eprintln!("{kills} kills");
    assert!(kills > 20, "{kills} kills: strace did not do its work");
}

#[test]
fn a_directory_that_is_being_written_when_the_launch_is_killed_is_written_anew() {
    let dir = SETS.dir();
    let slowly = dir.scratch().join("slowly");
    std::fs::write(&slowly, "").unwrap();
    let first = SETS.launch(&dir, dir.canfar_run()).start();
    let staged = || dir.tree().to_string().contains("/sub/499");
    wait_until(DEADLINE, "the directory is nearly written", staged);
    first.kill();
    std::fs::remove_file(&slowly).unwrap();
    assert_eq!(dir.names("prod").iter().filter(|name| !name.starts_with('.')).count(), 0);
    SETS.assert_finishes(&dir, "killed while it is written");
    assert_eq!(dir.names("prod").len(), 1, "{}", dir.tree());
}
