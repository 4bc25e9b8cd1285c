//! The reference has every option with its default, and every member of what programs read.

use std::collections::BTreeSet;

use canfar_run::testing::Cli;
use clap::CommandFactory;
use serde_json::Value;

use super::Page;
use crate::support::Dir;

/// The part of a page below a heading, up to the next one.
fn section<'a>(page: &'a Page, heading: &str) -> &'a str {
    let (_, after) = page
        .text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no {heading:?} in {}", page.path));
    after.split_once("\n## ").map_or(after, |(part, _)| part)
}

/// The long options that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_reference_has_every_option_with_its_default() {
    let page = Page::read("docs/reference/command-line.md");
    let cli = Cli::command();
    let mut wrong = Vec::new();
    for subcommand in cli.get_subcommands() {
        let section = section(&page, &format!("canfar-run {}", subcommand.get_name()));
        let options = subcommand
            .get_arguments()
            .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()));
        let mut names = BTreeSet::new();
        for option in options {
            let Some(name) = option.get_long() else { continue };
            names.insert(name.to_owned());
            let lines: Vec<&str> = section.lines().filter(|line| named(line).contains(name)).collect();
            let defaults = option.get_default_values().iter().map(|value| value.to_str().unwrap());
            let missing = defaults.filter(|value| {
                *value != "false"
                    && subcommand.get_name() != "resume"
                    && !lines.iter().any(|line| line.contains(value))
            });
            wrong.extend(missing.map(|value| format!("{} --{name}: default {value}", subcommand.get_name())));
            if lines.is_empty() {
                wrong.push(format!("{} --{name} is missing", subcommand.get_name()));
            }
        }
        let first_columns = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .filter_map(|line| line.split(" | ").next());
        let unknown = first_columns.flat_map(named).filter(|name| !names.contains(name));
        wrong.extend(unknown.map(|name| format!("{} has no --{name}", subcommand.get_name())));
    }
    assert!(wrong.is_empty(), "{}:\n{}", page.path, wrong.join("\n"));
}

/// The names of all members, at any depth.
fn members(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                members(value, names);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| members(value, names)),
        _ => {}
    }
}

/// What a replica says of itself in its claims.
fn claim_of_shared_run(dir: &Dir, task: &[&str]) -> Value {
    let options = ["-i", "data/*.fits", "-o", "shared"];
    dir.canfar_run().sharing_replica(1, 2).args(options).args(task).run().exits(1);
    let header: Value = serde_json::from_str(&dir.lines("shared/inputs.jsonl")[0]).unwrap();
    dir.json(format!("shared/claims/{}/1.1.json", header["run"].as_str().unwrap()))
}

#[test]
fn the_reference_has_every_member_of_what_programs_read() {
    let dir = Dir::with_inputs(3);
    dir.write("task.sh", "[ \"${1##*/}\" != 000.fits ] && echo '{}'");
    let task = ["-j", "1", "--", "sh", "task.sh", "{}"];
    // With shares that stay as they are, files are missing in the end.
    dir.launch().replica(1, 2).args(task).run().exits(1);
    let claim = claim_of_shared_run(&dir, &task);
    let merged = dir.canfar_run().args(["merge", "--json", "out"]).run().exits(3).json();
    let status = dir.canfar_run().args(["status", "--json", "out"]).run().exits(0).json();
    let record: Value = dir.results(1).swap_remove(0);
    let failure: Value = dir.failures(1, 1).swap_remove(0);
    for (page, values) in [
        ("docs/reference/status.md", vec![status]),
        ("docs/reference/merge.md", vec![merged, dir.json("out/final_summary.json")]),
        ("docs/reference/results-directory.md", vec![record, failure, claim]),
    ] {
        let text = Page::read(page).text;
        let mut names = BTreeSet::new();
        values.iter().for_each(|value| members(value, &mut names));
        let missing: Vec<String> =
            names.into_iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "{page} has no {missing:?}");
    }
}
