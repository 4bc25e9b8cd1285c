//! Jobs and threads follow the container's limits, and what comes out is what comes out anywhere.

use std::process::Command;

use serde_json::Value;

use crate::support::{Component, Dir, InTime, example, require};

const THREADS: &str =
    "echo \"[$OMP_NUM_THREADS, $OPENBLAS_NUM_THREADS, $JULIA_NUM_THREADS, $NUMBA_NUM_THREADS]\"";

#[test]
fn jobs_and_threads_follow_the_quota() {
    if !require(Component::Containers) {
        return;
    }
    // Quota, options, tasks at a time, threads of each.
    for (cpus, args, jobs, threads) in [
        ("0.3", vec![], 1, 1),
        ("1.5", vec![], 1, 1),
        ("2", vec![], 2, 1),
        ("2", vec!["-j", "1"], 1, 2),
        ("1.5", vec!["-j", "4"], 4, 1),
        ("1.5", vec!["--threads", "3"], 1, 3),
    ] {
        let dir = Dir::with_inputs(3);
        let container = dir.container().cpus(cpus).memory_mib(256).env("OMP_NUM_THREADS", "64");
        let said = format!("{jobs} task{} at a time", if jobs == 1 { "" } else { "s" });
        container.launch().args(&args).sh(THREADS).run().exits(0).says(&said);
        let begun = dir.events_of(1, 1, "run").remove(0);
        assert_eq!((&begun["pid"], &begun["jobs"]), (&1.into(), &jobs.into()), "{cpus} {args:?}");
        for record in dir.results(1) {
            assert_eq!(record["result"], Value::from(vec![threads; 4]), "{cpus} {args:?}");
        }
    }
}

/// In list order, without what two runs of the same files differ in: times, and who ran what.
fn comparable(mut records: Value) -> Value {
    let all = records.as_array_mut().unwrap();
    all.sort_by_key(|record| record["canfar_run"]["index"].as_u64());
    for record in all {
        let meta = record["canfar_run"].as_object_mut().unwrap();
        for name in ["run", "replica_id", "started_at", "duration_s", "cpu_s", "max_rss_bytes"] {
            assert!(meta.remove(name).is_some(), "{name}");
        }
        let path = meta["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        meta.insert("path".to_owned(), path.into());
    }
    records
}

#[test]
fn the_demo_gives_the_same_in_containers_as_outside() {
    let needed = ["make_sky", "count_stars", "check_counts"].map(Component::Example);
    if !require(Component::Containers) || !needed.into_iter().all(require) {
        return;
    }
    let dir = Dir::new();
    let made = Command::new(example("make_sky"))
        .args([dir.path("sky"), dir.path("truth.json")])
        .output_in_time()
        .unwrap();
    assert!(made.status.success());
    std::fs::copy(example("count_stars"), dir.path("count_stars")).unwrap();

    let contained: Vec<_> = (1..=4)
        .map(|replica: u32| {
            let container =
                dir.container().cpus("1.5").memory_mib(256).env("REPLICA_ID", &replica.to_string());
            let container = container.env("REPLICA_COUNT", "4");
            // The program of the demo was built for this machine, with its C library.
            let container = container.flag("--volume=/lib:/lib:ro").flag("--volume=/lib64:/lib64:ro");
            container.args(["-i", "sky/*.fits", "-o", "inside", "--", "/arc/count_stars", "{}"]).start()
        })
        .collect();
    contained.into_iter().for_each(|container| _ = container.wait().exits(0));
    for replica in 1..=4 {
        let run = dir.canfar_run().replica(replica, 4).args(["-i", "sky/*.fits", "-o", "outside"]);
        run.args(["--", "./count_stars", "{}"]).run().exits(0);
    }
    let merged = ["inside", "outside"].map(|name| {
        dir.canfar_run().args(["merge", name]).run().exits(0).says("40 files: 40 ok, none missing");
        comparable(dir.json(format!("{name}/final_results.json")))
    });
    assert_eq!(merged[0], merged[1]);
    let checked = Command::new(example("check_counts"))
        .args([dir.path("inside/final_results.json"), dir.path("truth.json")])
        .output_in_time()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
