//! What people see while it runs and at its end, on a terminal and in a log.

mod bar;
mod lines;
mod summary;

use crate::support::{Dir, Run};

/// Stays as long as `hold/NAME` is there; fails for what is in `bad`.
const TASK: &str = "while [ -e hold/\"${1##*/}\" ]; do sleep 0.01; done
[ ! -e bad/\"${1##*/}\" ] || { printf 'one\\ntwo\\nthree\\nKeyError: CRVAL1\\n' >&2; exit 1; }
echo '{}'";

/// Inputs, of which these are held and these fail.
fn inputs(count: usize, held: impl IntoIterator<Item = usize>, bad: &[usize]) -> Dir {
    let dir = Dir::with_inputs(count);
    dir.write("task.sh", TASK);
    held.into_iter().for_each(|number| _ = dir.write(format!("hold/{number:03}.fits"), ""));
    bad.iter().for_each(|number| _ = dir.write(format!("bad/{number:03}.fits"), ""));
    dir
}

fn release(dir: &Dir, number: usize) {
    std::fs::remove_file(dir.path(format!("hold/{number:03}.fits"))).unwrap();
}

fn release_all(dir: &Dir) {
    std::fs::remove_dir_all(dir.path("hold")).unwrap();
}

/// A launch of these, two at a time, as one replica of so many.
fn launch(dir: &Dir, id: usize, count: usize) -> Run<'_> {
    dir.launch().args(["-j", "2"]).replica(id, count)
}

fn task(run: Run<'_>) -> Run<'_> {
    run.args(["--", "/bin/sh", "task.sh", "{}"])
}

/// What differs from run to run and from machine to machine, replaced: places, times, run ids, CPUs.
fn redacted(dir: &Dir, text: &str) -> String {
    let text = text.replace(dir.root().to_str().unwrap(), "[DIR]");
    text.lines().map(redacted_line).collect::<Vec<_>>().join("\n")
}

fn redacted_line(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut shown = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let core = word.trim_matches(['(', ')', ',', ';', ':']);
        let (before, after) = (place.checked_sub(1).map(|place| words[place]), words.get(place + 1));
        let is_number = core.parse::<f64>().is_ok();
        let is_time = core.strip_suffix(['s', 'm', 'h']).is_some_and(|number| number.parse::<f64>().is_ok())
            || (is_number && after == Some(&"ms"));
        let mark = if before == Some("run") && core.len() == 6 {
            "[run]"
        } else if is_time {
            "[time]"
        } else if is_number && after.is_some_and(|after| after.starts_with("CPU")) {
            "[cpus]"
        } else if is_number && after == Some(&"%") {
            "[part]"
        } else {
            shown.push((*word).to_owned());
            continue;
        };
        shown.push(word.replace(core, mark));
    }
    let shown = shown.join(" ").replace("[time] ms", "[time]");
    shown.replace("[time] [time]", "[time]").replace("[cpus] CPU)", "[cpus] CPUs)")
}
