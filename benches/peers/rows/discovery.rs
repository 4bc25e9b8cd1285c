//! Finding the files. Ours is `--dry-run` of share 1 of 512, which finds and sorts all of them, prints the commands of
//! its share, and writes nothing; what is compared with the peers' is that of all shares.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::OURS;
use crate::bench::{Bench, installed};
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Sample};

/// What comes before each path in ours.
const COMMAND: &str = "true ";

const FOLDERS: u64 = 200;

const SHARES: u64 = 512;

pub(crate) fn peers(bench: &Bench) -> Result<Race<'_>> {
    let tree = data::tree(bench, bench.size(FOLDERS), 1000, 2)?;
    let pattern = format!("{}/**/*.fits", tree.display());
    let goals = [Goal::AtMost(OURS, 1.2, "find"), Goal::Faster(OURS, 2.0, "sorted(glob)")];
    let (finds, fds) = (find(&tree), tree.clone());
    let listed = move |name: &'static str, mut command: Command| {
        timed::run(bench, &mut command, [Path::new("/dev/null"), &bench.data("scratch").join(name)], &[0])
    };
    let dry = tree.clone();
    Ok(Race::new(goals)
        .with(OURS, 1, move || ours(bench, &dry))
        .peer("find", 1, move || listed("find", again(&finds)))
        .peer("fd", 1, move || {
            let mut command = Command::new(installed(&["fdfind", "fd"])?);
            command.args(["--type", "f", "--glob", "*.fits"]).arg(&fds);
            listed("fd", command)
        })
        .peer("sorted(glob)", 1, move || {
            let mut command = bench.python("glob_files");
            command.arg(&pattern);
            listed("sorted(glob)", command)
        })
        .checked(move || same(bench, &tree, &["find", "fd", "sorted(glob)"])))
}

/// Each directory read takes 2 ms more, in whichever thread: strace delays them, and sees no other call.
pub(crate) fn slow(bench: &Bench) -> Result<Race<'_>> {
    let tree = data::tree(bench, bench.size(FOLDERS), 1000, 2)?;
    let (finds, checked) = (find(&tree), tree.clone());
    let slowly = move |name: &'static str, command: &Command| {
        let mut slow = Command::new("strace");
        slow.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=getdents64"]);
        slow.args(["-e", "inject=getdents64:delay_enter=2000"])
            .arg(command.get_program())
            .args(command.get_args());
        timed::run(bench, &mut slow, [Path::new("/dev/null"), &bench.data("scratch").join(name)], &[0])
    };
    Ok(Race::new([Goal::Faster(OURS, 6.0, "find")])
        .with(OURS, 1, move || slowly(OURS, &dry_run(bench, &tree, SHARES)))
        .peer("find", 1, move || slowly("find", &finds))
        .checked(move || same(bench, &checked, &["find"])))
}

/// Found in so many folders.
pub(crate) fn folders(bench: &Bench, folders: u64) -> Result<Sample> {
    ours(bench, &data::tree(bench, folders, 1000, 2)?)
}

fn ours(bench: &Bench, tree: &Path) -> Result<Sample> {
    timed::quiet(bench, &mut dry_run(bench, tree, SHARES))
}

fn dry_run(bench: &Bench, tree: &Path, shares: u64) -> Command {
    let mut command = bench.replica(1, shares);
    command.arg("--dry-run").arg("--input").arg(tree.join("**/*.fits")).args(["--", COMMAND.trim_end()]);
    command
}

fn find(tree: &Path) -> Command {
    let mut command = Command::new("find");
    command.arg(tree).args(["-type", "f", "-name", "*.fits"]);
    command
}

/// The same words, for another turn.
fn again(command: &Command) -> Command {
    let mut another = Command::new(command.get_program());
    another.args(command.get_args());
    another
}

/// Compared by other processes: the largest size of this one would count as that of those it starts.
fn same(bench: &Bench, tree: &Path, peers: &[&str]) -> Result<()> {
    const COMPARE: &str = r#"set -e; sed "s/^$3//" "$1" | sort > "$1.sorted"; test -s "$1.sorted"; sort "$2" | cmp - "$1.sorted""#;
    let all = bench.data("scratch").join(OURS);
    timed::run(bench, &mut dry_run(bench, tree, 1), [Path::new("/dev/null"), &all], &[0])?;
    for peer in peers {
        let mut compare = Command::new("sh");
        let [ours, theirs] = [OURS, peer].map(|name| bench.data("scratch").join(name));
        compare.args(["-c", COMPARE, "sh"]).arg(ours).arg(theirs).arg(COMMAND).env("LC_ALL", "C");
        timed::quiet(bench, &mut compare)
            .with_context(|| format!("{peer} lists other files than canfar-run"))?;
    }
    Ok(())
}
