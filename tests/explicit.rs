//! Thousands of paths instead of a glob, as where a shell expanded it: they cost no more than a glob, and fill no screen.

use std::fmt::Write as _;

use crate::support::{Component, Dir, Ended, Run, require};

const FILES: usize = 5000;

/// Empty files `d/0000`, `d/0001`, ... and what a shell makes of `d/*`.
fn many() -> (Dir, Vec<String>) {
    let dir = Dir::new();
    let names: Vec<String> = (0..FILES).map(|number| format!("d/{number:04}")).collect();
    names.iter().for_each(|name| _ = dir.write(name, ""));
    (dir, names)
}

fn with_input<'d>(run: Run<'d>, input: &[String]) -> Run<'d> {
    run.arg("-i").args(input)
}

/// The commands that would be run.
fn dry(dir: &Dir, input: &[String]) -> Ended {
    let run = dir.canfar_run().args(["-n", "-q", "-o", "out", "--shell", "echo {rel} {}"]);
    with_input(run, input).run().exits(0)
}

#[test]
fn many_paths_mean_what_the_glob_means_that_became_them() {
    let (dir, names) = many();
    let glob = ["d/*".to_owned()];
    assert_eq!(dry(&dir, &names).printed(), dry(&dir, &glob).printed());
    let plan = |input: &[String]| {
        with_input(dir.canfar_run().args(["plan", "--replica-count", "3"]), input).run().exits(0).printed()
    };
    assert_eq!(plan(&names), plan(&glob));

    let job = names.iter().fold("command = ['echo']\ninput = [".to_owned(), |mut job, name| {
        let _ = write!(job, "'{name}',");
        job
    });
    dir.write("job.toml", job + "]");
    let from_job = dir.canfar_run().args(["-n", "-q", "-o", "out", "--job-file", "job.toml"]).run().exits(0);
    assert_eq!(from_job.printed().lines().count(), FILES);
}

#[test]
fn what_is_odd_among_many_paths_is_what_it_is_by_itself() {
    let (dir, mut names) = many();
    dir.write("d/folder/inside", "");
    dir.write("d/[1]", "");
    std::os::unix::fs::symlink("0000", dir.path("d/link")).unwrap();
    dir.write("out/own", "");
    names.extend(["d/folder", "d/link", "d/[1]", "d/./0001", "d//0002", "d/0003"].map(str::to_owned));
    let ended = dry(&dir, &names);
    let printed = ended.printed();
    for (name, count) in
        [("d/folder/inside", 1), ("d/link", 1), ("'[1]'", 1), ("d/0001", 1), ("d/0002", 1), ("d/0003", 1)]
    {
        assert_eq!(printed.matches(name).count(), count, "{name}");
    }
    assert_eq!(printed.lines().count(), FILES + 3);

    let exclude = dir.canfar_run().args(["-n", "-q", "-o", "out", "--exclude", "4*", "--shell", "echo {}"]);
    assert_eq!(with_input(exclude, &names).run().exits(0).printed().lines().count(), FILES + 3 - 1000);
    let results = dir.canfar_run().args(["-n", "-q", "-o", "d", "--shell", "echo {}"]);
    with_input(results, &names).run().exits(2).says("matched nothing").says("... and 4986 more");

    names.extend((0..200).map(|number| format!("d/gone{number}")));
    let gone =
        with_input(dir.canfar_run().args(["-n", "-o", "out", "--shell", "echo {}"]), &names).run().exits(2);
    let gone = gone.says("200 of 5206 input patterns matched nothing").says("... and 180 more");
    assert!(gone.stderr.len() < 20_000, "{gone}");
}

#[test]
fn many_paths_take_hardly_more_calls_than_a_glob() {
    if !require(Component::Strace) {
        return;
    }
    let (dir, names) = many();
    let calls = |input: &[String]| {
        let strace =
            Run::of(&dir, "strace").args(["-f", "-c", "-o", "calls", "-e", "trace=%file,getdents64"]);
        let run = strace
            .arg(env!("CARGO_BIN_EXE_canfar-run"))
            .args(["-n", "-q", "-o", "out", "--shell", "echo {}"]);
        with_input(run, input).run().exits(0);
        let total = dir.lines("calls").into_iter().find(|line| line.ends_with(" total")).unwrap();
        total.split_ascii_whitespace().nth(3).unwrap().parse::<usize>().unwrap()
    };
    let (glob, paths) = (calls(&["d/*".to_owned()]), calls(&names));
    assert!(paths < glob + 100, "{paths} calls for {FILES} paths, {glob} for the glob");
}

#[test]
fn many_paths_that_differ_from_those_of_the_run_fill_no_screen() {
    let (dir, mut names) = many();
    let launch = |names: &[String]| {
        let run = dir.canfar_run().replica(1, 1000).args(["-o", "out", "--shell", "true {}"]);
        with_input(run, names).run()
    };
    launch(&names).exits(0);
    launch(&names).exits(0).says("nothing to do");
    dir.write("d/new", "");
    names.push("d/new".to_owned());
    let refused = launch(&names).exits(2).says("'d/0000' ... 'd/new' (5001 in all, only here: 'd/new')");
    let refused =
        refused.says("'d/0000' ... 'd/4999' (5000 in all)").says("A shell seems to have expanded a glob");
    assert!(refused.stderr.len() < 2000, "{refused}");
    dir.canfar_run().args(["report", "out"]).run().exits(0);
    let page = dir.text("out/report.html");
    assert!(page.contains("and 4980 more"));
}
