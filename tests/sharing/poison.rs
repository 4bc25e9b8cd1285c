//! A file that kills its container, among replicas that take over from each other.

use serde_json::Value;

use crate::support::{Component, Dir, require};

const REPLICAS: usize = 12;
const TASKS: usize = 36;
/// It is the first of a share.
const POISON: usize = 12;
const MIB: u64 = 64;

#[test]
fn a_file_that_kills_its_container_costs_two_of_them_at_most_and_is_named() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::new();
    for number in 0..TASKS {
        // A step, milliseconds between steps, all, and milliseconds to stay, as `hog` takes them.
        let wants = if number == POISON {
            format!("{0} 0 {0} 0", 2 * MIB * 1024)
        } else {
            "1024 5 2048 200".to_owned()
        };
        dir.write(format!("data/{number:03}"), wants + "\n");
    }
    let start = |replica: usize| {
        let container =
            dir.container().cpus("0.5").memory_mib(MIB).killed_whole().host(&format!("host-{replica}"));
        let container = container.env("REPLICA_ID", &replica.to_string());
        let container = container.env("REPLICA_COUNT", &REPLICAS.to_string());
        container.launch().args(["-j", "2", "--balance", "--takeover-after", "4s", "--", "hog", "{}"]).start()
    };
    let containers: Vec<_> = (1..=REPLICAS).map(start).collect();
    let ended: Vec<_> = containers.into_iter().map(crate::support::Contained::wait).collect();
    let died = ended.iter().filter(|one| one.code == Some(137)).count();
    let all: String = ended.iter().map(|one| one.stderr.as_str()).collect();
    let merged = dir.canfar_run().args(["merge", "out", "--json"]).run().exits(1);
    let summary = merged.json();
    assert_eq!((&summary["ok"], &summary["failed"]), (&(TASKS - 1).into(), &1.into()), "{merged}\n{all}");
    let Value::Array(failed) = dir.json("out/final_failed.json") else { panic!("no array") };
    let failed: Vec<_> =
        failed.iter().map(|one| (&one["canfar_run"]["index"], &one["canfar_run"]["cause"])).collect();
    assert_eq!((failed.len(), failed[0].0), (1, &POISON.into()), "{merged}\n{all}");
    let cause = failed[0].1.as_str().unwrap();
    // The first time, or both times, the guard may be quicker than the kernel: then nobody dies.
    let is_explained = match died {
        0 => cause == "oom",
        1 => ["lost", "oom"].contains(&cause),
        died => (died, cause) == (2, "lost"),
    };
    assert!(is_explained, "{died} died, {cause}: {merged}\n{all}");
}
