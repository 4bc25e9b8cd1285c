//! What is in a wheel: nothing is missing, nothing is too much, and what documents the program is of the same program.

use std::env::consts::ARCH;
use std::path::Path;
use std::process::Command;

use super::{printed, python, wheel};
use crate::support::Dir;

const FILES: [&str; 13] = [
    "canfar_run/__init__.py",
    "canfar_run/__main__.py",
    "canfar_run-VERSION.data/data/share/bash-completion/completions/canfar-run",
    "canfar_run-VERSION.data/data/share/fish/vendor_completions.d/canfar-run.fish",
    "canfar_run-VERSION.data/data/share/man/man1/canfar-run.1",
    "canfar_run-VERSION.data/data/share/zsh/site-functions/_canfar-run",
    "canfar_run-VERSION.data/scripts/canfar-run",
    "canfar_run-VERSION.dist-info/METADATA",
    "canfar_run-VERSION.dist-info/RECORD",
    "canfar_run-VERSION.dist-info/WHEEL",
    "canfar_run-VERSION.dist-info/licenses/LICENSE",
    "canfar_run-VERSION.dist-info/licenses/LICENSE-APACHE",
    "canfar_run-VERSION.dist-info/licenses/LICENSE-MIT",
];

/// A file of a wheel; what it is called where there is no name.
fn read(wheel: &Path, name: Option<&str>) -> String {
    let script = "import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
print('\\n'.join(archive.namelist()) if len(sys.argv) < 3 else archive.read(sys.argv[2]).decode(), end='')";
    let name = name.map(|name| name.replace("VERSION", env!("CARGO_PKG_VERSION")));
    printed(Command::new(python()).args(["-c", script]).arg(wheel).args(name))
}

#[test]
fn a_wheel_holds_the_program_what_documents_it_and_a_module_to_start_it() {
    for architecture in [ARCH, "aarch64"] {
        let Some(wheel) = wheel(architecture) else { continue };
        let list = read(&wheel, None);
        // Of which crates it is made, for who has to tell.
        let mut names: Vec<&str> = list.lines().filter(|name| !name.contains("/sboms/")).collect();
        names.sort_unstable();
        let mut wanted = FILES.map(|name| name.replace("VERSION", env!("CARGO_PKG_VERSION")));
        wanted.sort_unstable();
        assert_eq!(names, wanted);

        let metadata = read(&wheel, Some("canfar_run-VERSION.dist-info/METADATA"));
        for line in [
            "Name: canfar-run",
            concat!("Version: ", env!("CARGO_PKG_VERSION")),
            "License-Expression: MIT OR Apache-2.0",
            "Requires-Python: >=3.8",
            "Description-Content-Type: text/markdown; charset=UTF-8; variant=GFM",
        ] {
            assert!(metadata.lines().any(|found| found == line), "{line:?} in\n{metadata}");
        }
        assert!(!metadata.contains("Requires-Dist"), "{metadata}");
        let tags = read(&wheel, Some("canfar_run-VERSION.dist-info/WHEEL"));
        for tag in ["manylinux_2_17", "manylinux2014", "musllinux_1_1"] {
            let line = format!("Tag: py3-none-{tag}_{architecture}");
            assert!(tags.lines().any(|found| found == line), "{line:?} in\n{tags}");
        }
    }
}

#[test]
fn the_man_page_and_the_completions_of_a_wheel_are_those_of_the_program() {
    let dir = Dir::new();
    for architecture in [ARCH, "aarch64"] {
        let Some(wheel) = wheel(architecture) else { continue };
        let share = "canfar_run-VERSION.data/data/share";
        for (words, file) in [
            (&["man"][..], "man/man1/canfar-run.1"),
            (&["completions", "bash"], "bash-completion/completions/canfar-run"),
            (&["completions", "zsh"], "zsh/site-functions/_canfar-run"),
            (&["completions", "fish"], "fish/vendor_completions.d/canfar-run.fish"),
        ] {
            let found = read(&wheel, Some(&format!("{share}/{file}")));
            assert!(
                found == dir.canfar_run().args(words).run().exits(0).printed(),
                "{file} of {}",
                wheel.display()
            );
        }
    }
}
