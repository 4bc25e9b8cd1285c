//! Launches after the first one: what became of products meanwhile, and what is done about it.

use crate::support::{Component, DEADLINE, Dir, Run, at_once, require, wait_until};

/// Copies its file to its product. While there is `fail` it fails for files that it names, and while there is `wait` it
/// waits for the end of that.
const TASK: &str = r#"if grep -qx "${1##*/}" fail 2> /dev/null; then exit 7; fi
: > "began-${1##*/}"
while [ -e wait ]; do sleep 0.02; done
cp "$1" "$CANFAR_TASK_OUT""#;

fn with_product(run: Run<'_>) -> Run<'_> {
    run.args(["--product", "cat/{/.}.cat"]).sh(TASK)
}

fn launch(dir: &Dir) -> Run<'_> {
    with_product(dir.launch())
}

fn again<'d>(dir: &'d Dir, rerun: &str) -> Run<'d> {
    with_product(dir.launch().args(["--rerun", rerun]))
}

fn remove(dir: &Dir, name: &str) {
    std::fs::remove_file(dir.path(name)).unwrap();
}

/// The files whose tasks began in a launch.
fn began(dir: &Dir, launch: usize) -> Vec<u64> {
    let mut indices: Vec<u64> =
        dir.events_of(1, launch, "start").iter().map(|start| start["index"].as_u64().unwrap()).collect();
    indices.sort_unstable();
    indices
}

fn merged(dir: &Dir) -> [u64; 4] {
    dir.canfar_run().args(["merge", "-q", "out"]).run();
    let summary = dir.json("out/final_summary.json");
    ["ok", "failed", "missing", "repeated"].map(|name| summary[name].as_u64().unwrap())
}

fn totals(dir: &Dir) -> [u64; 4] {
    let status: serde_json::Value = dir.canfar_run().args(["status", "--json", "out"]).run().json();
    let totals = &status["totals"];
    let count = |name: &str| totals[name].as_u64().unwrap();
    [count("ok"), count("failed"), count("left"), totals["products"]["count"].as_u64().unwrap_or(0)]
}

#[test]
fn what_is_gone_is_made_again_and_what_was_edited_is_left_alone_until_that_is_asked_for() {
    let dir = Dir::with_inputs(6);
    launch(&dir).run().exits(0).says("6 products, 6 B");
    remove(&dir, "cat/002.cat");
    dir.write("cat/004.cat", "edited by hand");
    let printed = dir.canfar_run().args(["resume", "-n", "out"]).run().exits(0).printed();
    assert!(printed.contains("002.fits") && !printed.contains("004.fits"), "{printed}");
    let second = launch(&dir).run().exits(0);
    second
        .says("5 done before, 1 to run")
        .says("cat/002.cat")
        .says("left alone (--rerun changed")
        .says("cat/004.cat");
    assert_eq!(began(&dir, 2), [2]);
    assert_eq!((dir.text("cat/002.cat"), dir.text("cat/004.cat")), ("2".into(), "edited by hand".into()));
    assert_eq!(merged(&dir), [6, 0, 0, 0]);
    launch(&dir).run().exits(0).says("nothing to do").says("cat/004.cat");
    again(&dir, "changed").run().exits(0).says("1 file have changed and are made again");
    assert_eq!((began(&dir, 3), dir.text("cat/004.cat")), (vec![4], "4".into()));
    again(&dir, "changed").run().exits(0).says("nothing to do");
    assert_eq!((merged(&dir), totals(&dir)), ([6, 0, 0, 0], [6, 0, 0, 6]));
}

#[test]
fn where_the_products_of_all_of_many_are_gone_nothing_is_run() {
    let dir = Dir::with_inputs(20);
    launch(&dir).run().exits(0);
    std::fs::rename(dir.path("cat"), dir.path("archive")).unwrap();
    launch(&dir).run().exits(2).says("of all 20 finished files").says("--rerun never");
    assert_eq!(dir.names("out/journal"), ["1.1.jsonl"]);
    again(&dir, "never").run().exits(0).says("nothing to do: all 20 files");
    // One that is there tells that storage is, too.
    dir.write("cat/000.cat", "0");
    launch(&dir).run().exits(0).says("products of 19 files are gone");
    assert_eq!(began(&dir, 2).len(), 19);
    // Of fewer, all may be gone.
    let few = Dir::with_inputs(19);
    launch(&few).run().exits(0);
    std::fs::remove_dir_all(few.path("cat")).unwrap();
    launch(&few).run().exits(0);
    assert_eq!(began(&few, 2).len(), 19);
}

#[test]
fn what_is_to_be_made_again_and_fails_or_is_killed_is_done_no_more() {
    let dir = Dir::with_inputs(4);
    launch(&dir).run().exits(0);
    remove(&dir, "cat/001.cat");
    dir.write("fail", "001.fits\n");
    launch(&dir).run().exits(1).says("3 of 4 files ok, 1 failed");
    assert_eq!((totals(&dir), merged(&dir)), ([3, 1, 0, 3], [3, 1, 0, 0]));
    remove(&dir, "fail");
    remove(&dir, "cat/003.cat");
    remove(&dir, "began-003.fits");
    dir.write("wait", "");
    let running = launch(&dir).start();
    wait_until(DEADLINE, "the task that is run again", || dir.exists("began-003.fits"));
    running.kill();
    remove(&dir, "wait");
    assert_eq!(totals(&dir)[0], 2, "what was killed is not done");
    assert_eq!(merged(&dir), [2, 1, 1, 0]);
    launch(&dir).quick_heartbeat().run().exits(0);
    assert_eq!((totals(&dir), merged(&dir)), ([4, 0, 0, 4], [4, 0, 0, 0]));
    assert_eq!((dir.text("cat/001.cat"), dir.text("cat/003.cat")), ("1".into(), "3".into()));
}

/// Three replicas of one run that share their work, until all have ended.
fn share<'d>(dir: &'d Dir) {
    let replica = |id| {
        move |run: Run<'d>| {
            with_product(run.args(["-i", "data/*.fits", "-o", "out", "-j2"]).sharing_replica(id, 3))
        }
    };
    at_once(dir, (1..=3).map(replica)).into_iter().for_each(|running| _ = running.wait().exits(0));
}

#[test]
fn replicas_that_share_their_work_make_again_what_they_made_and_resume_does() {
    let dir = Dir::with_inputs(30);
    share(&dir);
    assert_eq!((totals(&dir), merged(&dir)), ([30, 0, 0, 30], [30, 0, 0, 0]));
    let gone = ["cat/001.cat", "cat/014.cat", "cat/029.cat"];
    gone.iter().for_each(|name| remove(&dir, name));
    dir.write("cat/015.cat", "edited by hand");
    share(&dir);
    assert!(gone.iter().all(|name| dir.exists(name)) && dir.text("cat/015.cat") == "edited by hand");
    assert_eq!((totals(&dir), merged(&dir)), ([30, 0, 0, 30], [30, 0, 0, 0]));
    let starts = |dir: &Dir| -> usize {
        let journals = dir.names("out/journal").into_iter();
        journals
            .map(|name| dir.text(format!("out/journal/{name}")).matches("\"event\":\"start\"").count())
            .sum()
    };
    assert_eq!(starts(&dir), 33);
    remove(&dir, "cat/020.cat");
    dir.canfar_run().args(["resume", "out"]).run().exits(0);
    assert_eq!((starts(&dir), dir.text("cat/020.cat")), (34, "20".into()));
    dir.canfar_run().args(["resume", "out"]).run().exits(0);
    assert_eq!((starts(&dir), totals(&dir)), (34, [30, 0, 0, 30]));
}

/// One of two replicas that share their work.
fn alone(run: Run<'_>) -> Run<'_> {
    with_product(run.args(["-i", "data/*.fits", "-o", "out"]).sharing_replica(1, 2))
}

fn echo(run: Run<'_>) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out", "--product", "cat/{/.}.cat", "--shell", "echo > {out}"])
}

/// canfar-run as strace starts it, which writes the looks at these files to `looks`.
fn watched<'d>(dir: &'d Dir, files: &[&str], options: &[&str]) -> Run<'d> {
    let files: Vec<String> = files.iter().map(|file| dir.path(file).display().to_string()).collect();
    let strace = Run::of(dir, "strace").args([
        "-f",
        "-qq",
        "-o",
        "looks",
        "-e",
        "signal=none",
        "-e",
        "trace=statx,newfstatat,lstat",
    ]);
    let strace = strace.args(options).args(files.iter().flat_map(|file| ["-P", file]));
    strace.arg(env!("CARGO_BIN_EXE_canfar-run"))
}

#[test]
fn replicas_that_share_their_work_look_once_at_what_they_made() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(6);
    alone(dir.canfar_run()).run().exits(0);
    remove(&dir, "cat/002.cat");
    alone(watched(&dir, &["cat/004.cat"], &[])).run().exits(0).says("cat/002.cat");
    assert_eq!((began(&dir, 2), dir.lines("looks").len()), (vec![2], 1), "{:?}", dir.lines("looks"));
}

#[test]
fn a_launch_that_is_stopped_while_it_looks_at_many_products_begins_nothing() {
    if !require(Component::Strace) {
        return;
    }
    let dir = Dir::with_inputs(1100);
    echo(dir.canfar_run()).run().exits(0);
    remove(&dir, "cat/999.cat");
    // The first one is written down, the second one is under way.
    let slow = ["-D", "-e", "inject=statx,newfstatat,lstat:delay_enter=3s:when=2"];
    let running = echo(watched(&dir, &["cat/000.cat", "cat/001.cat"], &slow)).start();
    wait_until(DEADLINE, "it looks", || dir.exists("looks") && !dir.text("looks").is_empty());
    running.signal(rustix::process::Signal::TERM);
    running.wait().exits(143).says("before any task began");
    assert_eq!(dir.names("out/journal"), ["1.1.jsonl"]);
}

#[test]
fn of_a_directory_only_that_it_is_there_is_looked_at() {
    let dir = Dir::with_inputs(3);
    let launch = || {
        let run = dir.launch().args(["--product", "ms/{/.}.ms"]);
        run.sh(r#"mkdir "$CANFAR_TASK_OUT" && cp "$1" "$CANFAR_TASK_OUT/table""#)
    };
    launch().run().exits(0);
    dir.write("ms/000.ms/table", "edited");
    std::fs::remove_dir_all(dir.path("ms/001.ms")).unwrap();
    launch().run().exits(0).says("1 to run");
    assert_eq!((dir.text("ms/000.ms/table"), dir.text("ms/001.ms/table")), ("edited".into(), "1".into()));
}

#[test]
fn a_place_that_no_product_can_take_is_named_before_any_task() {
    let dir = Dir::with_inputs(2);
    dir.write("cat", "a file");
    let why = format!("no product can be put into {}", dir.path("cat").display());
    launch(&dir).run().exits(4).says(&why).says("not a directory");
    assert!(!dir.exists("began-000.fits") && !dir.exists("began-001.fits"));
    remove(&dir, "cat");
    launch(&dir).run().exits(0);
    // Tasks that are done need no place any more.
    std::fs::rename(dir.path("cat"), dir.path("archive")).unwrap();
    dir.write("cat", "a file");
    again(&dir, "never").run().exits(0).says("nothing to do");
    let one = Dir::with_inputs(1);
    let run = one.launch().args(["--product", "/proc"]).sh(TASK);
    run.run().exits(2).says("/proc is a mount point");
    assert!(!one.exists("began-000.fits"));
}
