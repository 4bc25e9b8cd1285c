//! What is printed when asked for: help, completions, the manual page, the version.

use std::process::Command;

use canfar_run::testing::Cli;
use clap::CommandFactory;

use crate::support::{Dir, InTime};

fn printed(args: &[&str]) -> String {
    let dir = Dir::new();
    let ended = dir.canfar_run().args(args).run().exits(0);
    assert_eq!(ended.stderr, "", "{ended}");
    ended.printed()
}

/// The long options of `run`, but for those that only ask.
fn options() -> Vec<String> {
    let root = Cli::command();
    let run = root.find_subcommand("run").unwrap();
    let names = run.get_arguments().filter_map(clap::Arg::get_long);
    names.filter(|name| !["help", "version"].contains(name)).map(str::to_owned).collect()
}

#[test]
fn the_short_help_fits_one_screen() {
    for args in [&["-h"][..], &["run", "-h"], &["plan", "-h"], &["merge", "-h"]] {
        let help = printed(args);
        let (lines, columns) = (help.lines().count(), help.lines().map(|line| line.chars().count()).max());
        assert!(lines <= 50 && columns <= Some(100), "{lines} lines, {columns:?} columns:\n{help}");
    }
}

#[test]
fn the_long_help_has_every_option_with_its_default_and_is_the_same_for_run() {
    let help = printed(&["--help"]);
    let options = options();
    assert!(options.len() > 30, "{options:?}");
    for name in &options {
        // From the line that names it to the next one that names another.
        let names = |line: &str, name: &str| {
            line.split([' ', ',', '[', '=']).any(|word| word.strip_prefix("--") == Some(name))
                && line.trim_start().starts_with('-')
        };
        let mut part = help.lines().skip_while(|line| !names(line, name));
        let first = part.next().unwrap_or_else(|| panic!("no {name} in\n{help}"));
        let rest: Vec<&str> = part
            .take_while(|line| !line.trim_start().starts_with('-') || line.trim_start().starts_with("- "))
            .collect();
        assert!(rest.join("\n").contains("default"), "{first}\n{}", rest.join("\n"));
    }
    for text in ["{/.}", "{rel}", "CANFAR_RUN_", "job file", "128+signal", "merge"] {
        assert!(help.contains(text), "{text} in\n{help}");
    }
    assert!(printed(&["run", "--help"]).contains("{rel}"));
}

#[test]
fn completions_know_every_option_and_shells_accept_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for name in options() {
            assert!(script.contains(&name), "{name} for {shell}");
        }
        assert!(script.contains("merge"));
        let dir = Dir::new();
        let file = dir.write("completions", &script);
        // Shells that can be asked whether it is a script of theirs.
        if ["bash", "zsh", "fish"].contains(&shell) {
            let asked = Command::new(shell).arg("-n").arg(file).output_in_time();
            if let Ok(output) = asked {
                assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
}

#[test]
fn the_manual_page_has_every_option() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH canfar-run 1"), "{page}");
    for name in options() {
        // A dash is written with a backslash there.
        assert!(page.contains(&format!("\\-\\-{}", name.replace('-', "\\-"))), "{name} in\n{page}");
    }
}

#[test]
fn the_version_is_told() {
    assert_eq!(printed(&["--version"]), format!("canfar-run {}\n", env!("CARGO_PKG_VERSION")));
}
