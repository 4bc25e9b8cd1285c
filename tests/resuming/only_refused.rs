//! Wrong uses of `--only`, each with what is wrong and what there is.

use crate::support::Dir;

/// A run of two replicas with two files of one name; one of the first replica's failed.
fn run(dir: &Dir) {
    for path in ["data/a/x.fits", "data/b/x.fits", "data/b/f0007.fits", "data/b/f0008.fits"] {
        dir.write(path, "");
    }
    for id in [1, 2] {
        let launch = dir.canfar_run().args(["-i", "data/*/*.fits", "-o", "out"]).replica(id, 2);
        let task = "case $1 in */a/*) exit 3;; esac; echo '{}'";
        launch.sh(task).run().exits(i32::from(id == 1));
    }
}

#[test]
fn wrong_uses_are_told_with_what_there_is() {
    let dir = Dir::new();
    run(&dir);
    let before = dir.tree();
    let only = |what: &'static str| vec!["resume", "out", "--only", what];
    let with = |what, more: &[&'static str]| [only(what), more.to_vec()].concat();
    for (words, said) in [
        (vec!["run", "--only", "failed", "-i", "data/*", "--", "true"], "--only belongs to `resume`"),
        (vec!["status", "out", "--only", "failed"], "--only belongs to `resume`"),
        (only("nothing-like-it"), "nothing-like-it: neither a file of the list"),
        (only("f0009.fits"), "these are similar:\n  1  "),
        (only("f0008"), "data/b/f0008.fits"),
        (only("timout"), "the nearest word is `timeout`"),
        (only("4"), "the list has 4 files, with the indices 0 to 3"),
        (only("timeout"), "--only timeout names no file, so nothing was run."),
        (only("oom,lost"), "has 3 ok, 1 failed (1 exit)"),
        (only("x.fits"), "2 entries are called x.fits; give the index or the path of one:\n  0  "),
        (only("failed,,x.fits"), "an item of the list is empty"),
        (only(""), "the argument after"),
        (with("failed", &["--rerun", "all"]), "--rerun and --only both say what runs again"),
        (with("failed", &["--shares", "2"]), "--only failed names no file, so nothing was run."),
        (with("3,0", &["--shares", "2"]), "--only 0: replica 1 has it, and --shares leaves that out"),
        (with("failed", &["-i", "data/*"]), "--input has no place after `resume`"),
        (with("failed", &["--product", "x/{/}"]), "--product has no place after `resume`"),
        (with("failed", &["--shell", "true", "--", "true"]), "--shell"),
        (with("failed", &["--", "no-such-program", "{}"]), "no-such-program"),
        (
            vec!["resume", "out", "--", "true"],
            "to try some files with another command say which: --only failed",
        ),
        (vec!["resume", "out", "--shell", "true"], "to try some files with another command say which"),
    ] {
        dir.canfar_run().args(&words).run().exits(2).says(said);
    }
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn a_file_may_be_called_like_a_word_or_an_index() {
    let dir = Dir::new();
    ["failed", "1", "z"].into_iter().for_each(|name| _ = dir.write(format!("data/{name}"), ""));
    let launch = || dir.canfar_run().args(["-i", "data/*", "-o", "out"]);
    launch().sh("echo \"${1##*/}\" >> ran; echo '{}'").run().exits(0);
    for (what, expected) in [("./data/failed", "failed"), ("data/1", "1"), ("0", "1"), ("z", "z")] {
        dir.canfar_run().args(["resume", "out", "--only", what]).run().exits(0);
        assert_eq!(dir.lines("ran").last().map(String::as_str), Some(expected), "{what}");
    }
}
