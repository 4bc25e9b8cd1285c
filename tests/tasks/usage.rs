//! What each task used, as told by its own end.

use crate::support::{Component, Dir, python, require};

#[test]
fn memory_and_processor_time_are_each_tasks_own() {
    if !require(Component::Python("sys")) {
        return;
    }
    let dir = Dir::with_inputs(3);
    // Task 0 takes memory, task 1 time, task 2 neither. A grandchild counts as much as a child.
    let script = "import os, sys, time
if sys.argv[1] == '0':
    memory = b'x' * (100 << 20)
if sys.argv[1] == '1':
    begun = time.process_time()
    while time.process_time() - begun < 0.3: pass";
    let command = ["-j", "3", "--", "sh", "-c", "\"$1\" -c \"$2\" \"$3\"; true", "sh"];
    dir.launch().args(command).arg(python()).args([script, "{index}"]).run().exits(0);
    let used = |index: usize, what: &str| dir.results(1)[index]["canfar_run"][what].as_f64();
    let memory = |index| used(index, "max_rss_bytes");
    let hundred = f64::from(100 << 20);
    assert!(memory(0).is_some_and(|bytes| bytes > hundred && bytes < 1.5 * hundred), "{:?}", memory(0));
    for other in [1, 2] {
        assert!(memory(other).is_none_or(|bytes| bytes < 0.5 * hundred), "{:?}", memory(other));
    }
    let time = |index| used(index, "cpu_s").unwrap();
    assert!((0.3..2.0).contains(&time(1)), "{}", time(1));
    assert!(time(2) < 0.3, "{}", time(2));
    assert!(used(1, "duration_s").unwrap() >= 0.3);
}
