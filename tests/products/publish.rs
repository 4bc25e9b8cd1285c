//! Publishing products, with storage that fails and owners that freeze.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::Value;

use crate::sharing::{Cluster, Host, Truth};
use crate::support::{Component, DEADLINE, Dir, Ended, Run, require, wait_until};

const COPY: &str = "cp \"$1\" \"$CANFAR_TASK_OUT\"";

fn work(run: Run<'_>) -> Run<'_> {
    run.args(["-i", "data/*.fits", "-o", "out", "-j", "1", "--rerun", "all", "--product", "prod/{/.}.cat"])
        .sh(COPY)
}

fn products(dir: &Dir) -> Vec<String> {
    if dir.exists("prod") { dir.names("prod") } else { Vec::new() }
}

fn meta(dir: &Dir) -> Vec<Value> {
    dir.results(1).into_iter().map(|mut record| record["canfar_run"].take()).collect()
}

#[test]
fn a_product_has_its_name_when_its_task_is_over_and_stands_in_the_record() {
    let dir = Dir::with_inputs(2);
    dir.write("prod/000.cat", "before");
    dir.write("hold", "");
    let task = format!("{COPY}; while [ -e hold ]; do sleep 0.02; done");
    let launch = || dir.launch().args(["-j", "2", "--product", "prod/{/.}.cat", "--checksum", "sha256"]);
    let running = launch().sh(&task).start();
    wait_until(DEADLINE, "both write", || dir.tree().to_string().matches(".cat").count() == 3);
    assert_eq!(dir.text("prod/000.cat"), "before");
    std::fs::remove_file(dir.path("hold")).unwrap();
    running.wait().exits(0);
    assert_eq!(products(&dir), ["000.cat", "001.cat"]);
    for (index, meta) in meta(&dir).iter().enumerate() {
        let path = dir.path(format!("prod/00{index}.cat"));
        assert_eq!(std::fs::read(&path).unwrap(), dir.bytes(format!("data/00{index}.fits")));
        let product = &meta["products"][0];
        assert_eq!(product["path"], path.to_str().unwrap());
        assert_eq!(product["bytes"], path.metadata().unwrap().len());
        assert_eq!(product["sha256"].as_str().unwrap().len(), 64);
    }
}

#[test]
fn a_task_without_its_product_fails_and_leaves_nothing() {
    let dir = Dir::with_inputs(3);
    let task =
        format!("case $CANFAR_TASK_INDEX in 0) {COPY};; 1) echo half > \"$CANFAR_TASK_OUT\"; exit 3;; esac");
    let launch = dir.launch().args(["--product", "prod/{/.}.cat", "--retries", "1", "--retry-delay", "0s"]);
    launch.sh(&task).run().exits(1).says("no product: the command wrote nothing to {out}");
    assert_eq!(products(&dir), ["000.cat"]);
    let failures = dir.failures(1, 1);
    let cause = |place: usize| failures[place]["canfar_run"]["cause"].as_str().unwrap();
    assert_eq!((failures.len(), cause(0), cause(1)), (2, "exit", "product"));
    assert_eq!(failures[1]["canfar_run"]["attempts"], 2);
}

#[test]
fn what_lies_beside_a_product_is_named_before_it_goes() {
    let dir = Dir::with_inputs(1);
    let task = format!("{COPY}; echo > \"${{CANFAR_TASK_OUT%/*}}/other.log\"");
    let ended = dir.launch().args(["--product", "prod/{/.}.cat"]).sh(&task).run().exits(0);
    ended.says("other files beside their products").says("other.log").says("--product NAME=PATH");
    assert_eq!(products(&dir), ["000.cat"]);
}

#[test]
fn stopped_it_leaves_nothing_and_the_next_launch_finishes() {
    let dir = Dir::with_inputs(2);
    dir.write("hold", "");
    let task = format!("{COPY}; while [ -e hold ]; do sleep 0.02; done");
    let launch = || dir.launch().args(["-j", "2", "--product", "prod/{/.}.cat"]).sh(&task);
    let running = launch().start();
    wait_until(DEADLINE, "both write", || dir.tree().to_string().matches(".cat").count() == 2);
    running.signal(rustix::process::Signal::TERM);
    running.wait();
    assert_eq!(products(&dir), [] as [&str; 0], "{}", dir.tree());
    std::fs::remove_file(dir.path("hold")).unwrap();
    launch().run().exits(0);
    assert_eq!(products(&dir), ["000.cat", "001.cat"]);
}

/// To rename a directory into another folder is to write to it.
#[test]
fn a_directory_that_may_not_be_written_to_is_published_and_replaced_as_any_other() {
    let dir = Dir::with_inputs(1);
    std::fs::set_permissions(dir.root(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let task = "out=$CANFAR_TASK_OUT; mkdir \"$out\"; cp \"$1\" \"$out\"; chmod 555 \"$out\"; echo > \"$CANFAR_TASK_OUT_log\"";
    for launch in 1..3 {
        let declared = dir.launch().args(["--product", "prod/{/.}.set", "--product", "log=prod/{/.}.log"]);
        let ended = declared.without_rights(20_001).sh(task).run().exits(0);
        assert_eq!(dir.events_of(1, launch, "start").len(), 1, "{ended}");
        assert_eq!(products(&dir), ["000.log", "000.set"], "{ended}");
        assert_eq!(dir.path("prod/000.set").metadata().unwrap().mode() & 0o777, 0o555);
        // It has to be made again, and the directory with it.
        std::fs::remove_file(dir.path("prod/000.log")).unwrap();
    }
}

#[test]
fn a_shortage_of_descriptors_or_memory_under_products_passes() {
    if !require(Component::Strace) {
        return;
    }
    for fault in ["mkdirat:error=EMFILE", "fsync:error=ENOMEM"] {
        let mut under_products = 0;
        for nth in 1..500 {
            let dir = Dir::with_inputs(2);
            let inject = format!("inject={fault}:when={nth}");
            // A file for each thread, whose calls are counted.
            let strace =
                Run::of(&dir, "strace").args(["-ff", "-y", "-b", "execve", "-qq", "-o", "of", "-e", &inject]);
            let ended = work(strace.arg(env!("CARGO_BIN_EXE_canfar-run")).env("TMPDIR", dir.root())).run();
            let of_threads = dir.names(".").into_iter().filter(|name| name.starts_with("of."));
            let mut hits: Vec<String> = of_threads.flat_map(|name| dir.lines(name)).collect();
            hits.retain(|line| line.contains("(INJECTED)"));
            if hits.is_empty() {
                break;
            }
            if hits.iter().any(|line| line.contains("/prod")) {
                under_products += 1;
                assert_eq!(ended.code, Some(0), "{hits:?}: {ended}");
                assert_eq!(products(&dir), ["000.cat", "001.cat"]);
            }
        }
        assert!(under_products > 0, "{fault}");
    }
}

#[test]
fn a_directory_that_was_there_before_is_not_replaced() {
    let dir = Dir::with_inputs(2);
    dir.write("prod/000.ms/theirs", "");
    let launch = dir.launch().args(["--product", "prod/{/.}.ms"]);
    let ended =
        launch.sh("echo >> ran; mkdir \"$CANFAR_TASK_OUT\"; cp \"$1\" \"$CANFAR_TASK_OUT\"").run().exits(1);
    ended.says("000.ms is a directory that this run did not make, and is not replaced: move it away");
    assert_eq!((dir.lines("ran").len(), dir.names("prod/000.ms")), (1, vec!["theirs".to_owned()]));
}

/// What is under a final name is right, and what has a record is there.
#[track_caller]
fn assert_right(dir: &Dir, ended: &Ended) {
    for name in products(dir).iter().filter(|name| !name.starts_with('.')) {
        let input = dir.bytes(format!("data/{}", name.replace(".cat", ".fits")));
        assert_eq!(dir.bytes(format!("prod/{name}")), input, "{ended}");
    }
    for launch in 1..3 {
        for end in dir.events_of(1, launch, "end").iter().filter(|end| end["status"] == "ok") {
            let path = end["record"]["canfar_run"]["products"][0]["path"].as_str().unwrap();
            assert!(Path::new(path).exists(), "{path}: {ended}");
        }
    }
}

/// So many that one thread syncs more than once.
const TASKS_OF_A_THREAD: usize = 8;

/// Launches that one such call fails in turn (`{}` is its number); tells how many ended for their products.
fn fail_at_each(fault: &str, tasks: usize) -> usize {
    let mut for_products = 0;
    for nth in 1..500 {
        let dir = Dir::with_inputs(tasks);
        let fault = format!("inject={}", fault.replace("{}", &nth.to_string()));
        let strace =
            Run::of(&dir, "strace").args(["-f", "-b", "execve", "-qq", "-o", "faults", "-e", &fault]);
        let ended = work(strace.arg(env!("CARGO_BIN_EXE_canfar-run")).env("TMPDIR", dir.root())).run();
        assert_right(&dir, &ended);
        if ended.stderr.contains("products can't be written") {
            assert_eq!(ended.code, Some(4), "{fault}: {ended}");
            for_products += 1;
        }
        let was_hit = dir.text("faults").contains("(INJECTED)");
        let again = work(dir.canfar_run()).run();
        assert_eq!(again.code, Some(0), "{fault}: {ended}\n{again}\n{}", dir.tree());
        assert_right(&dir, &again);
        assert_eq!(products(&dir).iter().filter(|name| !name.starts_with('.')).count(), tasks, "{fault}");
        if !was_hit {
            return for_products;
        }
    }
    panic!("{fault}: no end")
}

#[test]
fn storage_that_fails_under_products_ends_the_launch_and_the_next_one_finishes() {
    if !require(Component::Strace) {
        return;
    }
    let faults = [
        "fsync:error=EIO:when={}",
        "fsync:error=EDQUOT:when={}",
        "mkdirat:error=ENOSPC:when={}",
        "mkdir:error=EROFS:when={}",
        "renameat:error=EDQUOT:when={}",
        "renameat:error=ESTALE:when={}",
    ];
    std::thread::scope(|scope| {
        // The calls of each thread are counted: some thread has to make a second one of them for products.
        let each = faults.map(|fault| (fault, scope.spawn(move || fail_at_each(fault, TASKS_OF_A_THREAD))));
        for (fault, ended) in each {
            assert!(ended.join().unwrap() > 0, "{fault}: no launch ended for its products");
        }
    });
}

#[test]
fn on_a_disk_of_its_own_that_is_full_or_read_only_products_wait_for_room() {
    if !require(Component::PrivateMounts) {
        return;
    }
    for (fill, mend, says) in [
        ("head -c 9999999 /dev/zero > prod/theirs", "rm prod/theirs", "products can't be written"),
        ("mount -o remount,ro prod", "mount -o remount,rw prod", "no product can be put into"),
    ] {
        let dir = Dir::with_inputs(3);
        dir.write("task", "cp \"$1\" \"$CANFAR_TASK_OUT\"");
        let script = format!(
            "launch() {{ \"$1\" -i 'data/*.fits' -o out -j 1 --product 'prod/{{/.}}.cat' -- sh task '{{}}' 2>> said; echo $? >> codes; }}
mkdir prod; mount -t tmpfs -o size=64k,nr_inodes=20 none prod; {fill} 2> /dev/null; ls -A prod > before
i=0; while : > prod/fill$i; do i=$((i + 1)); done 2> /dev/null
launch \"$1\"; ls -A prod > left; {mend}; rm -f prod/fill*; launch \"$1\"; cp -r prod kept"
        );
        let unshare =
            Run::of(&dir, "unshare").args(["-m", "--propagation", "private", "/bin/bash", "-c", &script]);
        let ended = unshare.args(["bash", env!("CARGO_BIN_EXE_canfar-run")]).run();
        assert_eq!(dir.lines("codes"), ["4", "0"], "{fill}: {ended}\n{}", dir.text("said"));
        assert!(dir.text("said").contains(says), "{}", dir.text("said"));
        let cats = |name: &String| name.contains(".cat");
        assert!(!dir.lines("left").iter().any(cats), "{:?}", dir.lines("left"));
        assert_eq!(dir.names("kept").iter().filter(|name| cats(name)).count(), 3, "{ended}");
    }
}

/// Of the run whose owner is frozen.
const TASKS: usize = 12;

/// Writes which attempt it is, then stays as long as there is `hold/REPLICA`.
const NAMED: &str = ": > \"$NOTES/ran/$CANFAR_TASK_ID\"
echo \"$CANFAR_TASK_ID\" > \"$CANFAR_TASK_OUT\"
while [ -e \"$NOTES/hold/$REPLICA_ID\" ]; do sleep 0.02; done
read -r number < \"$1\" || :
echo \"{\\\"twice\\\": $((2 * number))}\"";

#[test]
fn an_owner_that_was_frozen_until_others_had_its_tasks_publishes_nothing() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let mut cluster = Cluster::sharing(&dir, 2).task(NAMED).options(&["--product", "prod/{/.}.cat"]);
    cluster.hold(1);
    cluster.start(1, Host::Own);
    let truth = Truth::of(&dir);
    wait_until(DEADLINE, "two tasks are under way", || truth.begun_by(1).len() == 2);
    cluster.freeze(1);
    cluster.start(2, Host::Own);
    wait_until(DEADLINE, "the other has done all of it", || truth.recorded() == TASKS);
    cluster.let_go(1);
    cluster.wake(1);
    cluster.all_end_well();
    let metas = made_by_who_recorded_it(&dir);
    assert!(metas.iter().all(|meta| meta["replica_id"] == 2), "{metas:?}");
    assert_eq!(products(&dir).len(), TASKS, "{}", dir.tree());
}

/// Merges. Each product was made by the attempt whose record names it.
fn made_by_who_recorded_it(dir: &Dir) -> Vec<Value> {
    dir.canfar_run().args(["merge", "out"]).run().exits(0);
    let mut records = dir.json("out/final_results.json");
    let metas: Vec<Value> =
        records.as_array_mut().unwrap().iter_mut().map(|record| record["canfar_run"].take()).collect();
    for meta in &metas {
        let run = meta["run"].as_str().unwrap();
        let [index, replica, launch, attempts] =
            ["index", "replica_id", "launch", "attempts"].map(|name| &meta[name]);
        for product in meta["products"].as_array().unwrap() {
            let mut path = Path::new(product["path"].as_str().unwrap()).to_owned();
            if product["type"] == "dir" {
                path.push("table");
            }
            let maker = std::fs::read_to_string(path).unwrap();
            assert_eq!(maker.trim(), format!("{run}.{index}.{replica}.{launch}.{attempts}"));
        }
    }
    metas
}

/// The same with a directory, too; the first two files are not held.
const NAMED_SET: &str = ": > \"$NOTES/ran/$CANFAR_TASK_ID\"
mkdir \"$CANFAR_TASK_OUT_set\"
echo \"$CANFAR_TASK_ID\" | tee \"$CANFAR_TASK_OUT_set/table\" > \"$CANFAR_TASK_OUT\"
case \"$1\" in */000.fits | */001.fits) ;; *) while [ -e \"$NOTES/hold/$REPLICA_ID\" ]; do sleep 0.02; done ;; esac
read -r number < \"$1\" || :
echo \"{\\\"twice\\\": $((2 * number))}\"";

#[test]
fn what_a_killed_replica_was_making_is_made_by_others_and_nothing_of_it_is_left() {
    if !require(Component::OtherHosts) {
        return;
    }
    let dir = Dir::with_inputs(TASKS);
    let declared = ["--product", "prod/{/.}.cat", "--product", "set=prod/{/.}.ms"];
    let mut cluster = Cluster::sharing(&dir, 3).task(NAMED_SET).options(&declared);
    cluster.hold(1);
    cluster.start(1, Host::Own);
    let truth = Truth::of(&dir);
    wait_until(DEADLINE, "two are done, and two more wrote", || {
        let written = dir.tree().to_string().matches("/table").count();
        (truth.recorded(), truth.begun_by(1).len(), written) == (2, 4, 4)
    });
    assert!(cluster.kill(1));
    cluster.start(2, Host::Own);
    cluster.start(3, Host::Own);
    cluster.all_end_well();
    let metas = made_by_who_recorded_it(&dir);
    assert!(metas.len() == TASKS && metas.iter().any(|meta| meta["replica_id"] == 1), "{metas:?}");
    assert_eq!(products(&dir).len(), 2 * TASKS, "{}", dir.tree());
}
