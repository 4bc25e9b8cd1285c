//! Relative entries of a given list, and relative names in the command: every launch means the folder where the run was
//! begun.

use serde_json::Value;

use crate::support::{Dir, Run};

/// Two data sets with the same names in `A` and `B`, and a list of these names and of one that is no file.
fn two_folders() -> Dir {
    let dir = Dir::new();
    for folder in ["A", "B"] {
        for number in 1..=4 {
            dir.write(format!("{folder}/x{number}"), folder);
        }
    }
    dir.write("A/deep/x", "A");
    dir.write("list", "x1\nx2\ndeep/x\nx4\nM31\n");
    dir
}

/// One replica's launch in a folder, over `list`.
fn launch<'d>(dir: &'d Dir, folder: &str, id: usize, count: usize) -> Run<'d> {
    let run = dir.canfar_run().cwd(dir.path(folder)).replica(id, count);
    run.arg("--files-from").arg(dir.path("list")).args(["-o", "../out"])
}

/// What the file holds, and what the task was told: a name that is no file holds nothing.
const SHOW: &str = "printf '{\"held\": \"%s\", \"told\": \"%s\", \"file_variable\": \"%s\"}' \"$(cat \"$1\" 2> /dev/null)\" \"$1\" \"$CANFAR_TASK_FILE\"";

fn told(dir: &Dir, replica: usize, key: &str) -> Vec<String> {
    let of = |record: &Value| record[key].as_str().unwrap().to_owned();
    dir.results(replica).iter().map(of).collect()
}

#[test]
fn replicas_in_several_folders_mean_the_files_where_the_run_was_begun() {
    let dir = two_folders();
    launch(&dir, "A", 1, 3).sh(SHOW).run().exits(0).says_not("was begun");
    let elsewhere = launch(&dir, "B", 2, 3).sh(SHOW).run().exits(0);
    let said = format!(
        "tasks start in {}, where this run was begun, and not in {}: entries of its list are relative, such as deep/x",
        dir.path("A").display(),
        dir.path("B").display()
    );
    elsewhere.says(&said);
    launch(&dir, "B", 3, 3).arg("-q").sh(SHOW).run().exits(0).says_not("was begun");
    for (replica, held, names) in [
        (1, vec!["A", "A"], vec!["x1", "x2"]),
        (2, vec!["A", "A"], vec!["deep/x", "x4"]),
        (3, vec![""], vec!["M31"]),
    ] {
        assert_eq!(told(&dir, replica, "held"), held);
        assert_eq!(told(&dir, replica, "told"), names);
        assert_eq!(told(&dir, replica, "file_variable"), names);
        let paths: Vec<Value> =
            dir.results(replica).iter().map(|record| record["canfar_run"]["path"].clone()).collect();
        assert_eq!(paths, names);
    }
    dir.canfar_run().args(["merge", "out"]).run().exits(0);
}

#[test]
fn a_list_is_the_same_on_whatever_way_it_is_reached() {
    let dir = two_folders();
    let launch = |folder: &str, id| {
        let run = dir.canfar_run().cwd(dir.path(folder)).replica(id, 3);
        run.args(["--files-from", "../list", "-o", "../out"]).sh(SHOW).run()
    };
    launch("A", 1).exits(0);
    launch("B", 2).exits(0);
    dir.write("C/list", dir.text("list"));
    launch("A/deep", 3).exits(2).says("can't open the list");
    let other =
        dir.canfar_run().cwd(dir.path("C")).replica(3, 3).args(["--files-from", "list", "-o", "../out"]);
    other.sh(SHOW).run().exits(2).says("the input of this launch differs");
}

#[test]
fn many_that_begin_at_once_in_several_folders_mean_one_of_them() {
    let dir = two_folders();
    let launches: Vec<_> =
        (1..=4).map(|id| launch(&dir, ["A", "B"][id % 2], id, 4).sh(SHOW).start()).collect();
    launches.into_iter().for_each(|launch| _ = launch.wait().exits(0));
    let mut held: Vec<String> = (1..=4).flat_map(|id| told(&dir, id, "held")).collect();
    held.sort();
    held.dedup();
    // deep/x is in A alone, and M31 nowhere.
    assert!(held == ["", "A"] || held == ["", "B"], "{held:?}");
}

#[test]
fn in_a_folder_of_its_own_a_task_gets_files_by_their_whole_paths_and_other_entries_as_they_are() {
    for chdir in ["task", "../B"] {
        let dir = two_folders();
        launch(&dir, "A", 1, 2).args(["--chdir", chdir]).sh(SHOW).run().exits(0);
        launch(&dir, "B", 2, 2).args(["--chdir", chdir]).sh(SHOW).run().exits(0);
        assert_eq!(told(&dir, 1, "held"), ["A", "A", "A"], "{chdir}");
        assert_eq!(told(&dir, 2, "held"), ["A", ""], "{chdir}");
        let whole = |name: &str| dir.path("A").join(name).display().to_string();
        assert_eq!(told(&dir, 1, "told"), [whole("x1"), whole("x2"), whole("deep/x")], "{chdir}");
        assert_eq!(told(&dir, 2, "told"), [whole("x4"), "M31".into()], "{chdir}");
        assert_eq!(told(&dir, 2, "file_variable"), told(&dir, 2, "told"), "{chdir}");
        assert_eq!(dir.results(2)[0]["canfar_run"]["path"], "x4", "{chdir}");
        assert_eq!(dir.results(2)[0]["file"], "x4", "{chdir}");
    }
}

#[test]
fn workers_are_asked_for_the_files_where_the_run_was_begun() {
    let worker = "import json, sys\nfor line in sys.stdin:\n    path = json.loads(line)['path']\n    try: held = open(path).read()\n    except OSError: held = ''\n    print(json.dumps({'held': held, 'told': path}), flush=True)\n";
    let dir = two_folders();
    let script = dir.write("worker.py", worker);
    let command = ["--worker", "--", "python3", script.to_str().unwrap()];
    launch(&dir, "A", 1, 3).args(command).run().exits(0);
    launch(&dir, "B", 2, 3).args(command).run().exits(0);
    launch(&dir, "B", 3, 3).args(["--chdir", "../B"]).args(command).run().exits(0);
    assert_eq!(
        (told(&dir, 1, "held"), told(&dir, 1, "told")),
        (vec!["A".into(); 2], vec!["x1".into(), "x2".into()])
    );
    assert_eq!(told(&dir, 2, "told"), ["deep/x", "x4"]);
    assert_eq!(told(&dir, 2, "held"), ["A", "A"]);
    assert_eq!(told(&dir, 3, "told"), ["M31"]);
}

#[test]
fn a_resumed_share_in_folders_of_its_tasks_own_means_them_too() {
    let dir = two_folders();
    launch(&dir, "A", 1, 2).args(["--chdir", "task"]).sh(SHOW).run().exits(0);
    dir.canfar_run().cwd(dir.path("B")).args(["resume", "../out"]).run().exits(0);
    assert_eq!(told(&dir, 2, "held"), ["A", ""]);
    let dir = two_folders();
    launch(&dir, "A", 1, 2).sh(SHOW).run().exits(0);
    dir.canfar_run().cwd(dir.path("B")).args(["resume", "../out"]).run().exits(0);
    assert_eq!(
        (told(&dir, 2, "held"), told(&dir, 2, "told")),
        (vec!["A".into(), String::new()], vec!["x4".into(), "M31".into()])
    );
}

#[test]
fn a_dry_run_prints_what_means_the_same_files_where_it_is_read() {
    let dir = two_folders();
    launch(&dir, "A", 1, 1).sh("true").run().exits(0);
    let dry = |folder: &str, options: &[&str]| {
        let run =
            dir.canfar_run().cwd(dir.path(folder)).args(["--files-from", "../list", "-o", "../out", "-n"]);
        run.args(options).sh("true").run().exits(0).printed()
    };
    assert!(dry("A", &[]).contains("sh x1\n"), "{}", dry("A", &[]));
    for (folder, options) in [("B", &[][..]), ("A", &["--chdir", "task"]), ("B", &["--chdir", "../A"])] {
        let printed = dry(folder, options);
        assert!(printed.contains(&format!("sh {}\n", dir.path("A/x1").display())), "{printed}");
        assert!(printed.ends_with("sh M31\n"), "{printed}");
    }
}

#[test]
fn a_plan_by_sizes_looks_at_the_files_where_the_run_was_begun() {
    let dir = two_folders();
    dir.write("A/x2", "A".repeat(1000));
    dir.write("list", "x1\nx2\n");
    launch(&dir, "A", 1, 2).sh("true").run().exits(0);
    let plan = dir.canfar_run().cwd(dir.path("B")).args(["plan", "-o", "../out", "--json"]).run().exits(0);
    assert_eq!(plan.json()["replicas"][1]["bytes"], 1000, "{plan}");
}

#[test]
fn logs_of_a_relative_entry_are_found_by_its_whole_path() {
    let dir = two_folders();
    launch(&dir, "A", 1, 1).args(["--logs", "all"]).sh(SHOW).run().exits(0);
    let logs = |folder: &str, task: &str| {
        dir.canfar_run().cwd(dir.path(folder)).args(["logs", dir.path("out").to_str().unwrap(), task]).run()
    };
    let whole = dir.path("A/deep/x");
    for (folder, task) in
        [("A", "deep/x"), ("B", "deep/x"), ("B", whole.to_str().unwrap()), ("A/deep", "./x")]
    {
        let ended = logs(folder, task).exits(0);
        assert!(ended.printed().contains("\"told\": \"deep/x\""), "{ended}");
    }
    logs("B", dir.path("B/deep/x").to_str().unwrap()).exits(2);
}

#[test]
fn a_folder_that_is_gone_is_an_error_that_names_it() {
    let dir = two_folders();
    launch(&dir, "A", 1, 2).sh(SHOW).run().exits(0);
    std::fs::rename(dir.path("A"), dir.path("moved")).unwrap();
    let before = dir.tree();
    let refused = launch(&dir, "B", 2, 2).sh(SHOW).run().exits(2);
    refused.says("such as x4").says(&dir.path("A").display().to_string()).says("--chdir");
    assert_eq!(before.difference(&dir.tree()), None);
    launch(&dir, "B", 2, 2).args(["--chdir", "../moved"]).sh(SHOW).run().exits(0);
    assert_eq!(told(&dir, 2, "held"), ["A", ""]);
}

#[test]
fn the_program_of_a_list_with_relative_entries_is_that_of_the_folder_where_the_run_was_begun() {
    let dir = two_folders();
    for (folder, program) in [("A", "echo '{\"from\": \"A\"}'"), ("B", "echo '{\"from\": \"B\"}'")] {
        let path = dir.write(format!("{folder}/run.sh"), format!("#!/bin/sh\n{program}\n"));
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    launch(&dir, "A", 1, 3).args(["--", "./run.sh"]).run().exits(0);
    launch(&dir, "B", 2, 3).args(["--", "./run.sh"]).run().exits(0).says_not("changed");
    std::fs::remove_file(dir.path("B/run.sh")).unwrap();
    launch(&dir, "B", 3, 3).args(["--", "./run.sh"]).run().exits(0);
    let from: Vec<String> = (1..=3).flat_map(|replica| told(&dir, replica, "from")).collect();
    assert_eq!(from, ["A"; 5]);
}

#[test]
fn a_list_of_whole_paths_leaves_tasks_where_they_are_started() {
    let dir = two_folders();
    let whole = |name: &str| format!("{}\n", dir.path("A").join(name).display());
    dir.write("list", whole("x1") + &whole("x2"));
    let pwd = "printf '{\"in\": \"%s\", \"held\": \"%s\"}' \"$(pwd -P)\" \"$(cat \"$1\")\"";
    launch(&dir, "A", 1, 2).sh(pwd).run().exits(0);
    launch(&dir, "B", 2, 2).sh(pwd).run().exits(0).says_not("was begun");
    assert_eq!(told(&dir, 2, "in"), [dir.path("B").to_str().unwrap()]);
    assert_eq!(told(&dir, 2, "held"), ["A"]);
}

#[test]
fn a_file_of_the_command_that_is_another_one_or_none_elsewhere_is_told() {
    let dir = Dir::with_inputs(4);
    dir.write("A/task.sh", "echo '{\"from\": \"A\"}'");
    dir.write("B/task.sh", "echo '{\"from\": \"B\"}'");
    dir.write("C/x", "");
    dir.write("D/task.sh", "echo '{\"from\": \"A\"}'");
    let input = dir.path("data/*.fits");
    let launch = |folder: &str, id| {
        let run = dir.canfar_run().cwd(dir.path(folder)).replica(id, 4).arg("-i").arg(&input);
        run.args(["-o", "../out", "--", "sh", "task.sh", "{}"]).run()
    };
    launch("A", 1).exits(0);
    let begun = format!("the run was begun in {}", dir.path("A").display());
    launch("B", 2).exits(0).says(&begun).says("task.sh is another file here");
    launch("C", 3).exits(1).says(&begun).says("task.sh is not there here").says("--chdir");
    launch("D", 4).exits(0).says_not(&begun);
}
