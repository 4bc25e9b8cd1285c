//! Every launch on the page, sent by the real client: what of it the containers get, and what they do with it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::can_run;
use super::page::{command, commands, indented, original, section, sections};
use super::place::Place;
use super::shares::ANALYSIS;
use crate::launch_path::client::{Launch, programmed, typed};
use crate::launch_path::platform::Container;
use crate::support::InTime;

const HOME: &str = "/arc/home/user";

/// What is asked for, and the words that each container gets.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    containers: usize,
    cores: Option<String>,
    ram: Option<String>,
    argv: Vec<String>,
}

impl Asked {
    fn new(containers: usize, size: Option<(u32, u32)>, command: &str) -> Self {
        Self {
            containers,
            cores: size.map(|(cores, _)| cores.to_string()),
            ram: size.map(|(_, ram)| ram.to_string()),
            argv: words(command),
        }
    }
}

impl From<&Launch> for Asked {
    fn from(launch: &Launch) -> Self {
        let containers = containers(launch);
        let argv = containers[0].argv.clone();
        let count = containers.len().to_string();
        for (id, container) in (1..).zip(&containers) {
            assert_eq!(container.argv, argv);
            assert_eq!(
                (&container.env["REPLICA_ID"], &container.env["REPLICA_COUNT"]),
                (&format!("{id}"), &count)
            );
        }
        let field = |name| launch.field(name).map(str::to_owned);
        Self { containers: containers.len(), cores: field("cores"), ram: field("ram"), argv }
    }
}

fn containers(launch: &Launch) -> Vec<Container> {
    launch.containers(HOME).into_iter().collect::<Result<_, _>>().unwrap()
}

/// A command's words, as a shell splits it.
fn words(command: &str) -> Vec<String> {
    let script = format!("show() {{ printf '%s\\0' \"$@\"; }}\nshow {command}");
    let output = std::process::Command::new("sh").args(["-c", &script]).output_in_time().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// What the `canfar create` lines of the page launch. One client sends them all.
fn of_lines(lines: &[String]) -> Vec<Launch> {
    static LAUNCHES: OnceLock<BTreeMap<String, Launch>> = OnceLock::new();
    let launches = LAUNCHES.get_or_init(|| {
        let titles = sections().into_iter().map(|section| section.title);
        let lines: Vec<String> =
            titles.flat_map(|title| [typed_by_the_original(&title), commands(&title)].concat()).collect();
        let lines: Vec<String> =
            lines.into_iter().filter(|line| line.starts_with("canfar create ")).collect();
        let typed_words: Vec<Vec<String>> = lines.iter().map(|line| words(line)[1..].to_vec()).collect();
        lines.into_iter().zip(typed(&typed_words)).collect()
    });
    lines.iter().map(|line| launches[line].clone()).collect()
}

/// The original's lines for a shell.
fn typed_by_the_original(title: &str) -> Vec<String> {
    section(title)
        .original
        .concat()
        .lines()
        .filter(|line| line.starts_with("canfar "))
        .map(str::to_owned)
        .collect()
}

/// The original as the page says that it has to be changed: the module's name, `args` as a string, a function around.
fn with_the_changes_of_the_page(snippet: &str) -> String {
    let named = snippet.replace("canfar.session import", "canfar.sessions import");
    let args = named.replace("args=[\"", "args=\"").replace("\"],", "\",");
    if args.contains("async def") {
        return format!("import asyncio\n{args}\nasyncio.run(mixed_workflow())\n");
    }
    let (import, block) = args.split_once("\n\n").unwrap();
    format!("import asyncio\n{import}\nasync def launch():\n{}\nasyncio.run(launch())\n", indented(block))
}

/// The command of a launch.
fn behind(line: &str) -> &str {
    line.split_once(" -- ").unwrap().1
}

#[test]
fn all_forms_of_the_launch_give_the_containers_the_line_of_the_batch_loop() {
    if !can_run() {
        return;
    }
    let (ours, theirs) = (command("The batch loop"), "python /path/to/batch_processing.py");
    let mut expected = Vec::new();
    let (mut programs, mut lines) = (Vec::new(), Vec::new());
    for (mode, size) in [("flexible", None), ("fixed", Some((8, 32)))] {
        expected.extend([Asked::new(100, size, theirs), Asked::new(100, size, &ours)]);
        let title = format!("Launch from Python, {mode}");
        programs.push(with_the_changes_of_the_page(&original(&title)));
        programs.extend(section(&title).ours.into_iter().map(|block| block.content));
        let title = format!("Launch from the command line, {mode}");
        lines.extend([typed_by_the_original(&title), commands(&title)].concat());
    }
    let asked = |launches: &[Launch]| launches.iter().map(Asked::from).collect::<Vec<_>>();
    assert_eq!(asked(&programmed(&programs)), expected);
    assert_eq!(asked(&of_lines(&lines)), expected);
}

#[test]
fn the_two_launches_of_a_workflow_ask_for_what_the_original_asks_for() {
    if !can_run() {
        return;
    }
    let title = "Flexible and fixed in one workflow";
    let theirs = &programmed(&[with_the_changes_of_the_page(&original(title))])[0];
    // One program sends both, and only their words tell fifty containers from ten.
    let mut theirs: Vec<Vec<String>> =
        containers(theirs).into_iter().map(|container| container.argv).collect();
    theirs.sort();
    let expected = [vec![words("python analyze.py"); 10], vec![words("python preprocess.py"); 50]].concat();
    assert_eq!(theirs, expected);
    let mut creates = commands(title);
    creates.retain(|line| line.starts_with("canfar create"));
    let asked: Vec<Asked> = of_lines(&creates).iter().map(Asked::from).collect();
    let sizes = [(50, None), (10, Some((16, 64)))];
    let expected =
        sizes.iter().zip(&creates).map(|((count, size), line)| Asked::new(*count, *size, behind(line)));
    assert_eq!(asked, expected.collect::<Vec<_>>());
}

#[test]
fn containers_do_in_both_ways_what_the_loop_says() {
    if !can_run() {
        return;
    }
    let lines = ["Launch from the command line, flexible", "Launch from the command line, fixed"];
    let original = typed_by_the_original(lines[0]).remove(0);
    let launches = of_lines(&[original, commands(lines[1]).remove(0)]);
    let [theirs, ours] = [containers(&launches[0]), containers(&launches[1])];
    let place = Place::new();
    place.add_files("/path/to/data/files", 2);
    place.write("/path/to/your/code.py", ANALYSIS);
    place.write(
        "/path/to/batch_processing.py",
        super::page::original("The batch loop") + "\nfrom your.code import analyzed\nprint(*analyzed)\n",
    );
    let env = |container: &Container| {
        container.env.clone().into_iter().filter(|(name, _)| name != "HOME").collect::<Vec<_>>()
    };
    let mut analyzed = Vec::new();
    for id in [1, 2, 3] {
        let start = |container: &Container| {
            let env = env(container);
            let env = env.iter().map(|(name, value)| (name.as_str(), value.clone()));
            place.start(&container.argv, env).exits(0)
        };
        analyzed.push(start(&theirs[id - 1]).printed().trim_end().to_owned());
        start(&ours[id - 1]);
    }
    let mut recorded: Vec<String> = (1..=3)
        .map(|id| {
            let records = place.records(&format!("/results/container_{id}_results.json"));
            let paths =
                records.iter().map(|record| record["canfar_run"]["path"].as_str().unwrap().to_owned());
            paths.collect::<Vec<_>>().join(" ")
        })
        .collect();
    analyzed.sort();
    recorded.sort();
    assert_eq!(analyzed, recorded);
    assert_eq!(recorded[1..], ["/path/to/data/files/obs_0000.fits", "/path/to/data/files/obs_0001.fits"]);
}

#[test]
fn a_function_in_a_package_is_called_by_the_name_that_the_loop_imports_it_by() {
    if !can_run() {
        return;
    }
    let line = command("The batch loop");
    let packaged = line.replace("/path/to/your/code.py:", "your.code:");
    assert_ne!(packaged, line);
    let place = Place::new();
    place.add_files("/path/to/data/files", 1);
    place.write("/path/to/your/code.py", ANALYSIS);
    place.sh(&format!("export PYTHONPATH=/path/to; {packaged}")).exits(0);
    assert_eq!(place.records("/results/container_1_results.json")[0]["number"], 0);
}

/// Scripts that stand for the user's, for every command of the page.
const SCRIPTS: [(&str, &str); 6] = [
    (
        "preprocess.py",
        "import os, shutil, sys\nos.makedirs(os.path.dirname(sys.argv[2]), exist_ok=True)\nshutil.copy(*sys.argv[1:])\nprint('{}')\n",
    ),
    ("pipeline.py", "import sys\nprint('{}' if open(sys.argv[1]) else '')\n"),
    ("analyze.py", "def analyze(path):\n    return {'number': int(open(path).read())}\n"),
    (
        "train.py",
        "import os\ndef train(setting):\n    return {'setting': setting, 'threads': os.environ['OMP_NUM_THREADS']}\n",
    ),
    ("simulate.py", "def simulate(seed):\n    return {'seed': int(seed)}\n"),
    ("observations.py", "def analyze_fits(path):\n    return {'stars_detected': int(open(path).read())}\n"),
];

/// A place with all that the launches of the page need.
fn furnished() -> Place {
    let place = Place::new();
    place.add_files("/path/to/data", 3);
    SCRIPTS.iter().for_each(|(name, text)| place.write(&format!("{HOME}/{name}"), text));
    place.write("/path/to/settings.txt", "small\nlarge\n");
    place.write("/path/to/seeds.txt", "1\n2\n3\n");
    place
}

#[test]
fn the_workflow_s_second_stage_finds_what_the_first_one_made() {
    if !can_run() {
        return;
    }
    let place = furnished();
    let lines = commands("Flexible and fixed in one workflow");
    let [preprocess, analyze] = lines.as_slice() else { panic!("{lines:?}") };
    let alone = format!("CANFAR_RUN_BALANCE=false {}", behind(preprocess));
    place.sh_as([1, 2], 3, &alone).exits(0);
    place.sh_as([1], 2, behind(analyze)).exits(3).says("replica 3 never started");
    place.clear_results();
    // They do what the third one would have done.
    place.sh_as([1, 2], 3, behind(preprocess)).exits(0);
    place.sh_as([1, 2], 2, behind(analyze)).exits(0);
    place.sh("canfar-run merge /results/analysis").exits(0);
    let numbers: Vec<_> = place
        .records("/results/analysis/final_results.json")
        .iter()
        .map(|record| record["number"].clone())
        .collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn the_line_for_each_kind_of_work_asks_for_its_resources_and_runs() {
    if !can_run() {
        return;
    }
    let place = furnished();
    let lines = commands("Which resources for which work");
    let (launches, here): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| line.starts_with("canfar create"));
    let asked: Vec<Asked> = of_lines(&launches).iter().map(Asked::from).collect();
    let modes: Vec<bool> = asked.iter().map(|asked| asked.cores.is_some() && asked.ram.is_some()).collect();
    assert_eq!(modes, [false, true, false, true, true], "as the original's table has it");
    for (line, asked) in launches.iter().zip(&asked) {
        assert_eq!(asked.argv, words(behind(line)));
    }
    // One of each, alone, so that all of its work is done.
    let commands: Vec<&str> = launches.iter().map(|line| behind(line)).collect();
    place.sh_as([1], 1, &commands.join("\n")).exits(0);
    place.sh(&here[0]).exits(0);
    for (run, count) in [
        ("preprocess", 3),
        ("training", 2),
        ("simulations", 3),
        ("pipeline", 3),
        ("production", 3),
        ("trial", 1),
    ] {
        assert_eq!(place.records(&format!("/results/{run}/container_1_results.json")).len(), count, "{run}");
    }
    assert!(place.exists("/results/production/final_results.json"), "merged by itself");
}

#[test]
fn every_launch_of_the_page_is_tested() {
    let shown = sections().into_iter().flat_map(|section| {
        let ours = section.ours.into_iter().map(|block| block.content);
        let title = section.title;
        section
            .original
            .into_iter()
            .chain(ours)
            .filter(|text| text.contains("create"))
            .map(|_| title.clone())
            .collect::<Vec<_>>()
    });
    let mut shown: Vec<String> = shown.collect();
    shown.dedup();
    assert_eq!(
        shown,
        [
            "Launch from Python, flexible",
            "Launch from Python, fixed",
            "Launch from the command line, flexible",
            "Launch from the command line, fixed",
            "Flexible and fixed in one workflow",
            "Which resources for which work",
        ]
    );
}
