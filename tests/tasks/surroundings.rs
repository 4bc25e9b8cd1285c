//! What a task finds: variables, files, folders, and nothing of ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Dir, Run};

/// The environment of each task of a launch, by index. No shell is between, which would add to it.
fn environments(run: Run<'_>, dir: &Dir) -> Vec<BTreeMap<String, String>> {
    run.args(["--result", "text", "--", "env", "-0", "NAMED={}"]).run().exits(0);
    let texts =
        dir.results(dir_replica(dir)).into_iter().map(|record| record["result"].as_str().unwrap().to_owned());
    let parse = |text: String| -> BTreeMap<String, String> {
        let lines = text.split('\0').filter(|line| !line.is_empty());
        lines
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    };
    texts.map(parse).collect()
}

/// The replica that has results.
fn dir_replica(dir: &Dir) -> usize {
    (1..9).find(|id| dir.exists(format!("out/container_{id}_results.json"))).unwrap()
}

const THREADS: [&str; 23] = [
    "BLIS_NUM_THREADS",
    "BLOSC_NTHREADS",
    "DASK_NUM_WORKERS",
    "GOMAXPROCS",
    "GOTO_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "JULIA_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "MC_CORES",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "POLARS_MAX_THREADS",
    "PYTHON_CPU_COUNT",
    "RAYON_NUM_THREADS",
    "RCPP_PARALLEL_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "VECLIB_MAXIMUM_THREADS",
];

#[test]
fn a_task_gets_what_the_contract_says_and_none_of_our_options() {
    let dir = Dir::with_inputs(3);
    dir.write(
        "job.toml",
        "[env]\nGREETING = \"it's $HOME = ü\"\nJULIA_NUM_THREADS = 9\nREPLICA_COUNT = 'beaten'\n",
    );
    let run = dir
        .launch()
        .replica(2, 3)
        .args(["-j", "1", "--job-file", "job.toml", "--tmp-dir", "."])
        .env("CANFAR_RUN_THREADS", "3")
        .env("CANFAR_RUN_NO_SUCH_OPTION", "x")
        .env("CANFAR_TASK_FILE", "of an outer task")
        .env("OMP_NUM_THREADS", "64")
        .env("HOME", "/home/me")
        .env("EMPTY", "");
    let mut variables = environments(run, &dir).remove(0);
    let task = variables.remove("CANFAR_TASK_ID").unwrap();
    assert!(!task.is_empty());
    let path = dir.path("data/001.fits").display().to_string();
    let tmp = variables["TMPDIR"].clone();
    assert!(tmp.starts_with(dir.root().to_str().unwrap()), "{tmp}");
    let result = variables.remove("CANFAR_TASK_RESULT").unwrap();
    assert!(!result.starts_with(&tmp) && result.starts_with(dir.root().to_str().unwrap()), "{result}");
    let mut expected: BTreeMap<&str, &str> = [
        ("CANFAR_TASK_ATTEMPT", "1"),
        ("CANFAR_TASK_FILE", &path),
        ("CANFAR_TASK_INDEX", "1"),
        ("CANFAR_TASK_SLOT", "1"),
        ("CANFAR_TASK_TMPDIR", &tmp),
        ("EMPTY", ""),
        ("GREETING", "it's $HOME = ü"),
        ("HOME", "/home/me"),
        ("NAMED", &path),
        ("REPLICA_COUNT", "beaten"),
        ("REPLICA_ID", "2"),
        ("TMPDIR", &tmp),
    ]
    .into();
    expected.extend(THREADS.map(|name| (name, "3")));
    expected.insert("JULIA_NUM_THREADS", "9");
    let path = std::env::var("PATH").unwrap();
    expected.insert("PATH", &path);
    let expected = expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(variables, expected);
}

#[test]
fn threads_are_shared_out_or_left_as_they_are() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    let too_many = (4 * cpus).to_string();
    for (args, threads) in [
        (vec!["-j", "1"], Some(cpus.to_string())),
        (vec!["-j", &too_many], Some("1".to_owned())),
        (vec!["-j", "1", "--threads", "7"], Some("7".to_owned())),
        (vec!["--threads", "inherit"], None),
    ] {
        let dir = Dir::with_inputs(1);
        let run = dir.launch().args(&args).env("OMP_NUM_THREADS", "64");
        let variables = environments(run, &dir).remove(0);
        for name in THREADS {
            let inherited = (name == "OMP_NUM_THREADS").then(|| "64".to_owned());
            assert_eq!(variables.get(name), threads.clone().or(inherited).as_ref(), "{name} with {args:?}");
        }
    }
}

#[test]
fn every_attempt_has_an_id_of_its_own() {
    let dir = Dir::with_inputs(3);
    let script = "echo $CANFAR_TASK_ID $CANFAR_TASK_INDEX $CANFAR_TASK_ATTEMPT >> ids; false";
    for _ in 0..2 {
        for id in 1..=2 {
            dir.launch()
                .replica(id, 2)
                .args(["--retries", "1", "--retry-delay", "0"])
                .sh(script)
                .run()
                .exits(1);
        }
    }
    let lines = dir.sorted_lines("ids");
    let ids: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!((lines.len(), ids.len()), (12, 12), "{lines:?}");
    let attempts: BTreeSet<&str> =
        lines.iter().filter_map(|line| line.split_once(' ')).map(|line| line.1).collect();
    let expected = (0..3).flat_map(|index| (1..5).map(move |attempt| format!("{index} {attempt}")));
    assert_eq!(attempts, expected.collect::<Vec<_>>().iter().map(String::as_str).collect());
}

#[test]
fn a_task_has_a_group_of_its_own_no_input_and_no_descriptor_of_ours() {
    let dir = Dir::with_inputs(4);
    let secret = std::fs::File::open(dir.write("stdin", "not for tasks")).unwrap();
    // The shell itself looks: when it starts others, it has pipes and blocks signals for a moment.
    let script = "read -r _ _ _ parent group session _ < /proc/$$/stat
cd /proc/$$/fd && set -- *; cd /; echo \"$((group == $$)) $* $(readlink /proc/$$/fd/0)\"
while read -r line; do case $line in SigBlk:*|SigIgn:*) echo \"$line\";; esac; done < /proc/$$/status";
    // What this test was started with goes down to everybody; nothing of canfar-run's is added.
    let here = Run::of(&dir, "/bin/sh").args(["-c", script]).run().printed();
    let expected = here.trim_end().replacen('0', "1", 1);
    dir.launch().args(["-j", "2", "--result", "text"]).stdin(secret).sh(script).run().exits(0);
    for record in dir.results(1) {
        assert_eq!(record["result"], expected);
    }
}

#[test]
fn a_tasks_temporary_folder_is_empty_at_first_and_gone_afterwards() {
    let dir = Dir::with_inputs(6);
    std::fs::create_dir(dir.path("room")).unwrap();
    let script = "[ \"$TMPDIR\" = \"$CANFAR_TASK_TMPDIR\" ] && [ -z \"$(ls -A \"$TMPDIR\")\" ] && [ -w \"$TMPDIR\" ] || exit 1
echo \"$TMPDIR\" >> folders; cd \"$TMPDIR\"; mkdir -p a/b .c; : > a/b/x; : > .c/y; chmod 555 a/b a
[ $CANFAR_TASK_INDEX != 2 ] || rm -rf \"$TMPDIR\"; [ $CANFAR_TASK_INDEX != 3 ] || exit 3";
    dir.launch()
        .args(["-j", "2", "--tmp-dir", "room"])
        .sh(script)
        .run()
        .exits(1)
        .says("5 of 6 files ok, 1 failed");
    let folders: BTreeSet<String> = dir.lines("folders").into_iter().collect();
    assert!(!folders.is_empty());
    assert!(
        folders.iter().all(|folder| folder.starts_with(dir.path("room").to_str().unwrap())),
        "{folders:?}"
    );
    assert_eq!(std::fs::read_dir(dir.path("room")).unwrap().count(), 0, "{}", dir.tree());
}

#[test]
fn temporary_folders_of_users_without_rights_are_emptied_too() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::with_inputs(3);
    std::fs::set_permissions(dir.root(), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::create_dir(dir.path("room")).unwrap();
    std::fs::set_permissions(dir.path("room"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let script = "[ -z \"$(ls -A \"$TMPDIR\")\" ] || exit 1
cd \"$TMPDIR\"; mkdir -p a/b; : > a/b/x; chmod 000 a/b; chmod 500 a";
    dir.launch().args(["-j", "1", "--tmp-dir", "room"]).without_rights(54_321).sh(script).run().exits(0);
    assert_eq!(std::fs::read_dir(dir.path("room")).unwrap().count(), 0, "{}", dir.tree());
}

#[test]
fn tasks_work_where_they_are_told() {
    let dir = Dir::with_inputs(2);
    std::fs::create_dir(dir.path("work")).unwrap();
    let root = dir.root().display();
    for (chdir, expected) in [(None, root.to_string()), (Some("work"), format!("{root}/work"))] {
        let out = format!("out-{}", chdir.is_some());
        let run = dir.canfar_run().args(["-i", "data/*", "-o", &out, "--result", "text"]);
        let run = match chdir {
            Some(folder) => run.args(["--chdir", folder]),
            None => run,
        };
        run.sh("pwd; [ -e \"$1\" ]").run().exits(0);
        for record in dir.json(format!("{out}/container_1_results.json")).as_array().unwrap() {
            assert_eq!(record["result"], expected.as_str());
        }
    }
}

#[test]
fn with_chdir_task_each_has_a_folder_of_its_own() {
    let dir = Dir::with_inputs(5);
    let script = "[ -z \"$(ls -A)\" ] && [ \"$(pwd -P)\" = \"$(cd \"$TMPDIR\" && pwd -P)\" ] && [ -e \"$1\" ] && : > product";
    dir.launch().args(["-j", "2", "--chdir", "task"]).sh(script).run().exits(0);
}
