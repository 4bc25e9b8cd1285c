//! Every launch that the pages and the examples show is sent, started, and does what it says.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::Path;

use canfar_run::testing::{Replica, Strategy, share};
use serde_json::Value;

use super::client::{Launch, launched_by};
use super::platform::Container;
use super::world::{World, example};
use crate::pages::instructions;
use crate::support::{Component, InTime, python, require};

/// Longer requests may not arrive.
const LONGEST_URL: u64 = 8000;
/// Files of every kind in a world.
const FILES: u64 = 5;

/// The code blocks of one language, on all pages.
fn blocks(language: &str) -> Vec<String> {
    let blocks = instructions().into_iter().flat_map(|page| page.blocks());
    blocks.filter(|block| block.language == language).map(|block| block.content).collect()
}

/// Commands of a shell that begin with `canfar create`, without line ends.
fn launch_lines() -> BTreeSet<String> {
    let blocks = blocks("sh").concat().replace("\\\n", " ");
    blocks.lines().filter(|line| line.starts_with("canfar create ")).map(str::to_owned).collect()
}

/// The words after the first `--` of a line, as a shell gives them to `canfar`.
fn typed_words(line: &str) -> Vec<String> {
    let script = format!("canfar() {{ printf '%s\\0' \"$@\"; }}\n{line}");
    let output = std::process::Command::new("sh").args(["-c", &script]).output_in_time().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.strip_suffix('\0').unwrap().split('\0');
    words.skip_while(|word| *word != "--").skip(1).map(str::to_owned).collect()
}

#[test]
fn the_launch_lines_of_the_pages_arrive_as_typed_and_do_what_they_say() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let lines = launch_lines();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let world = World::new();
        let line = world.here(&line);
        let launch = launched_by(&["sh", "-c", &line], world.dir.root());
        let containers = containers(&world, &launch);
        let typed = typed_words(&line);
        assert!(containers.iter().all(|container| container.argv == typed), "{line}\n{containers:?}");
        if let [_, subcommand, results] = typed.as_slice()
            && subcommand == "resume"
        {
            world.begin(results);
        }
        does_what_it_says(&world, &containers);
    }
}

#[test]
fn the_python_launches_of_the_pages_do_what_they_say() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let mut blocks = blocks("python");
    blocks.retain(|block| block.contains(".create("));
    assert!(!blocks.is_empty());
    for block in blocks {
        let world = World::new();
        let program = world.here(&block);
        let launch = launched_by(&[python().to_str().unwrap(), "-c", &program], world.dir.root());
        does_what_it_says(&world, &containers(&world, &launch));
    }
}

#[test]
fn the_examples_for_launching_do_what_they_say() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let python = python();
    let python = python.to_str().unwrap();
    for (script, program, argument, cores) in [
        ("canfar/launch.sh", "sh", "flexible", None),
        ("canfar/launch.sh", "sh", "fixed", Some("4")),
        ("canfar/launch.py", python, "", None),
        ("canfar/launch.py", python, "--fixed", Some("4")),
        ("two_stage/launch.sh", "sh", "1", None),
        ("two_stage/launch.sh", "sh", "2", None),
        ("two_stage/launch.py", python, "1", None),
        ("two_stage/launch.py", python, "2", None),
    ] {
        let world = World::new();
        let script = world.dir.write("launch", world.here(&example(script)));
        let mut words = vec![program, script.to_str().unwrap(), argument];
        words.retain(|word| !word.is_empty());
        let launch = launched_by(&words, world.dir.root());
        assert_eq!(launch.field("cores"), cores, "{words:?}");
        does_what_it_says(&world, &containers(&world, &launch));
    }
}

fn containers(world: &World, launch: &Launch) -> Vec<Container> {
    assert!(launch.longest() < LONGEST_URL);
    let containers = launch.containers(world.home().to_str().unwrap());
    containers.into_iter().collect::<Result<_, _>>().unwrap()
}

/// Starts the containers that have something to do and one that has not, merges, and looks at every record.
fn does_what_it_says(world: &World, containers: &[Container]) {
    let count = NonZeroU32::new(u32::try_from(containers.len()).unwrap()).unwrap();
    let mut idle = 0;
    world.run_stage_before(&containers[0]);
    for (id, container) in (1..).zip(containers) {
        let replica = Replica::new(id, count.get()).unwrap();
        idle += usize::from(share(Strategy::Even, FILES, &[], replica).is_empty());
        if idle <= 1 || !share(Strategy::Even, FILES, &[], replica).is_empty() {
            world.start(container).run().exits(0);
        }
    }
    let results = world.results();
    world.dir.canfar_run().arg("merge").arg(&results).run().exits(0);
    let merged = std::fs::read(results.join("final_results.json")).unwrap();
    let Value::Array(records) = serde_json::from_slice(&merged).unwrap() else { panic!("no array") };
    let paths: BTreeSet<&str> =
        records.iter().map(|record| record["canfar_run"]["path"].as_str().unwrap()).collect();
    assert_eq!((paths.len() as u64, records.len() as u64), (FILES, FILES));
    for record in &records {
        let path = record["canfar_run"]["path"].as_str().unwrap();
        assert!(Path::new(path).is_file(), "{path}");
        if containers[0].env.contains_key("CANFAR_RUN_SHELL") {
            let sum = record["result"].as_str().unwrap();
            assert!(sum.ends_with(" 1"), "{sum:?} is no checksum of a file of one byte");
            continue;
        }
        assert_eq!(record["replica"], record["canfar_run"]["replica_id"].to_string());
        let argv: Vec<&str> = record["argv"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        match argv.as_slice() {
            [given] | ["--title", "my survey", given] => assert_eq!(*given, path),
            [given, written] => {
                // What was declared has its own name by now.
                let product = record["canfar_run"]["products"][0]["path"].as_str();
                assert!(*given == path && Path::new(product.unwrap_or(written)).is_file(), "{record}");
            }
            _ => panic!("{record}"),
        }
    }
}
