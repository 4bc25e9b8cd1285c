//! Products on CephFS: whole for the other client at the moment their record is there.

use std::collections::BTreeSet;

use crate::support::{Component, DEADLINE, Nodes, require, wait_until};

const TASKS: usize = 24;

/// Files and directories whose content can be told to be whole.
const TASK: &str = "seq 20000 > \"$CANFAR_TASK_OUT\"
mkdir \"$CANFAR_TASK_OUT_SET\" || exit 3
i=0; while [ $i -lt 20 ]; do seq 200 > \"$CANFAR_TASK_OUT_SET/$i\"; i=$((i + 1)); done";

/// What `seq` prints up to a number.
fn seq(last: u32) -> String {
    let numbers: Vec<String> = (1..=last).map(|number| number.to_string()).collect();
    numbers.join("\n") + "\n"
}

#[test]
fn products_are_whole_for_the_other_client_at_the_moment_of_their_record() {
    if !require(Component::Cephfs) {
        return;
    }
    let nodes = Nodes::new("products");
    nodes.dir.add_inputs(TASKS);
    let launch = nodes.on_first().args(["-i", "data/*.fits", "-o", "out", "-j", "2"]).args([
        "--product",
        "prod/{/.}.cat",
        "SET=prod/{/.}.ms",
    ]);
    let mut running = launch.sh(TASK).start();
    let (file, part) = (seq(20_000), seq(200));
    let mut seen = BTreeSet::new();
    // The test sees what the second client does.
    let mut look = || {
        for end in nodes.dir.events_of(1, 1, "end") {
            assert_eq!(end["status"], "ok", "{end}");
            if !seen.insert(end["index"].as_u64().unwrap()) {
                continue;
            }
            let products = &end["record"]["canfar_run"]["products"];
            let path = |place: usize| products[place]["path"].as_str().unwrap();
            // The node of the first client has its folder under the same path.
            assert_eq!(std::fs::read_to_string(path(0)).unwrap(), file, "{end}");
            for number in 0..20 {
                assert_eq!(std::fs::read_to_string(format!("{}/{number}", path(1))).unwrap(), part, "{end}");
            }
        }
        seen.len()
    };
    wait_until(DEADLINE, "all tasks end", || running.has_ended() | (look() == TASKS));
    running.wait().exits(0);
    assert_eq!(look(), TASKS);
    assert_eq!(nodes.dir.names("prod").len(), 2 * TASKS, "{}", nodes.dir.tree());
}
