//! What arrives of what was typed, and what canfar-run says to it.

use super::client::typed;
use super::platform::{Container, Refused};
use super::world::World;
use crate::support::{Component, require};

/// `canfar create` with these options and this command, for the first of three replicas.
fn line(options: &[&str], command: &[&str]) -> Vec<String> {
    let start = ["create", "--name", "x", "--replicas", "3"];
    let image = ["headless", "images.canfar.net/myproject/stars:1.0", "--"];
    let words = start.iter().chain(options).chain(&image).chain(command);
    words.map(|word| (*word).to_owned()).collect()
}

/// The first container of each line.
fn arrived(lines: &[Vec<String>], home: &str) -> Vec<Result<Container, Refused>> {
    typed(lines).iter().map(|launch| launch.containers(home).remove(0)).collect()
}

/// The platform's table: what is typed after `--`, and what the container gets.
#[test]
fn commands_arrive_as_is_known_of_the_platform() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let unchanged = ["x", "{}", "{/.}", "it's", "*.fits", "a,b", "#x", "%20", "a&b=c", "a+b", "~", "é"];
    let table: [(&[&str], Option<&[&str]>); 14] = [
        (&["sh", "-c", "echo  hi there"], Some(&["sh", "-c", "echo", "", "hi", "there"])),
        (&["canfar-run --jobs 2"], Some(&["canfar-run --jobs 2"])),
        (&["x", "$HOME"], None),
        (&["x", "$(REPLICA_ID)"], None),
        (&["x", "say \"hi\""], None),
        (&["x", r"\$(REPLICA_ID)"], Some(&["x", "1"])),
        (&["x", r"of-\$(REPLICA_COUNT)-\$(NONE)"], Some(&["x", "of-3-$(NONE)"])),
        (&["x", r"a\tb"], Some(&["x", "atb"])),
        (&["x", "a\nb"], Some(&["x", "a b"])),
        (&["x", "a\n    --jobs"], Some(&["x", "a ", "", "", "", "--jobs"])),
        (&["x", "y", "", ""], Some(&["x", "y"])),
        (&["x", "", "y"], Some(&["x", "", "y"])),
        (&["x", "--", "y", "--"], Some(&["x", "--", "y", "--"])),
        (&unchanged, Some(&unchanged)),
    ];
    let lines: Vec<Vec<String>> = table.iter().map(|(command, _)| line(&[], command)).collect();
    for ((command, expected), arrived) in table.iter().zip(arrived(&lines, "/home")) {
        let argv = arrived.ok().map(|container| container.argv);
        let expected: Option<Vec<String>> =
            expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(argv, expected, "{command:?}");
    }
}

#[test]
fn variables_arrive_as_is_known_of_the_platform() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let table = [
        ("A=b c | d", Ok(("A", Some("b c | d")))),
        ("A=b=c", Ok(("A", None))),
        ("E=", Ok(("E", None))),
        ("P=YQ==", Ok(("P", Some("YQ")))),
        ("A=$x", Err(())),
        ("A=say \"hi\"", Err(())),
        ("REPLICA_ID=7", Ok(("REPLICA_ID", Some("1")))),
        ("HOME=/x", Ok(("HOME", Some("/home")))),
        ("PWD=/x", Ok(("PWD", Some("/home")))),
        ("OMP_NUM_THREADS=64", Ok(("OMP_NUM_THREADS", Some("1")))),
    ];
    let lines: Vec<Vec<String>> =
        table.iter().map(|(variable, _)| line(&["--env", variable], &["x"])).collect();
    for ((variable, expected), arrived) in table.iter().zip(arrived(&lines, "/home")) {
        match (expected, arrived) {
            (Ok((name, value)), Ok(container)) => {
                assert_eq!(container.env.get(*name).map(String::as_str), *value, "{variable}");
            }
            (Err(()), Err(_)) => {}
            (_, arrived) => panic!("{variable}: {arrived:?}"),
        }
    }
}

/// A line, and what comes of it.
struct Launched {
    options: &'static [&'static str],
    command: &'static [&'static str],
    code: i32,
    /// On standard output, with the world's folder as `[DIR]`.
    printed: &'static str,
    /// Part of what is said.
    said: &'static str,
}

const DATA: &str = "/arc/projects/survey/data/[01].fits";

/// Lines that carry what is hard to carry: their commands are printed, for the first of three replicas.
const DRY: [Launched; 9] = [
    Launched {
        options: &[],
        command: &["-n", "-i", DATA, "--", "echo", "a.py", "", "{}"],
        code: 0,
        printed: "echo a.py '' [DIR]/arc/projects/survey/data/0.fits\n",
        said: "word 3 of the command is empty",
    },
    Launched {
        options: &[],
        command: &["-n", "-i", DATA, "", "--", "true"],
        code: 2,
        printed: "",
        said: "the argument after \"[DIR]/arc/projects/survey/data/[01].fits\"",
    },
    Launched {
        options: &[],
        command: &["-n", "-i", DATA, "--", "sh", "-c", "wc -c {}"],
        code: 2,
        printed: "",
        said: "shell = \"wc -c {}\"",
    },
    Launched {
        options: &[],
        command: &["-n", "-i", DATA, "--shell", "wc -c {} > {/.}.txt"],
        code: 2,
        printed: "",
        said: "shell = \"wc -c {} > {/.}.txt\"",
    },
    Launched {
        options: &["--env", "CANFAR_RUN_SHELL=wc -c {} > {/.}.txt"],
        command: &["-n", "-i", DATA],
        code: 0,
        printed: "/bin/sh -c 'wc -c \"${1}\" > \"${2}\".txt' sh [DIR]/arc/projects/survey/data/0.fits 0\n",
        said: "1 command would be run",
    },
    Launched {
        options: &["--env", "CANFAR_RUN_SHELL=OUT=/x wc -c {}"],
        command: &["-n", "-i", DATA],
        code: 2,
        printed: "",
        said: "a value with a `=` in it does not arrive",
    },
    Launched {
        options: &[
            "--env",
            "CANFAR_RUN_INPUT=/arc/projects/survey/data/0.fits",
            "--env",
            "CANFAR_RUN_JOBS==",
        ],
        command: &["-n", "--", "true"],
        code: 0,
        printed: "true [DIR]/arc/projects/survey/data/0.fits\n",
        said: "1 command would be run",
    },
    Launched {
        options: &[],
        command: &["-n", "-i", "'/arc/projects/survey/data/[01].fits'", "--", "true"],
        code: 2,
        printed: "",
        said: "the quotes are part of it",
    },
    Launched {
        options: &[],
        command: &["-n", "-i", "/arc/projects/survey/data/[01].fits\n--jobs", "2", "--", "true"],
        code: 2,
        printed: "",
        said: "parts of it match",
    },
];

#[test]
fn what_a_launch_takes_apart_is_explained_and_what_survives_it_is_run() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let world = World::new();
    let here = |words: &[&str]| words.iter().map(|word| world.here(word)).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = DRY
        .iter()
        .map(|launched| {
            let (options, command) = (here(launched.options), here(launched.command));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let command: Vec<&str> =
                ["canfar-run"].into_iter().chain(command.iter().map(String::as_str)).collect();
            line(&options, &command)
        })
        .collect();
    let root = world.dir.root().to_str().unwrap();
    for (launched, container) in DRY.iter().zip(arrived(&lines, world.home().to_str().unwrap())) {
        let ended = world.start(&container.unwrap()).run();
        let ended = ended.exits(launched.code).says(&launched.said.replace("[DIR]", root));
        ended.prints(&launched.printed.replace("[DIR]", root));
    }
}
