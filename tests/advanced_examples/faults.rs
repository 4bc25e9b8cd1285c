//! What the page says of originals that don't run as printed with today's package: that they don't, and why.

use std::process::Command;

use super::can_run;
use super::page::original;
use crate::support::{InTime, python};

/// Runs what is between zeros on standard input, and prints a line of why each ended.
const RUN: &str = r#"
import sys
for program in sys.stdin.read().split("\0"):
    try:
        exec(compile(program, "program", "exec"), {})
        print("it ran")
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\n", " "))
"#;

/// Why Python does not run these programs.
fn errors(programs: &[String]) -> Vec<String> {
    let mut python = Command::new(python());
    let output = python.args(["-c", RUN]).output_given(programs.join("\0").as_bytes()).unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn originals_fail_as_printed_for_the_reasons_that_the_page_names() {
    if !can_run() {
        return;
    }
    let outside = "SyntaxError: 'return' outside function";
    let not_async = "SyntaxError: 'async with' outside async function";
    let no_glob = "NameError: name 'glob' is not defined";
    let import = "from canfar.session import AsyncSession\n";
    let mixed = "\nimport asyncio\nasyncio.run(mixed_workflow())\n";
    let known = [
        (original("Launch from Python, flexible"), not_async),
        (original("Launch from Python, fixed"), not_async),
        (import.to_owned(), "ModuleNotFoundError: No module named 'canfar.session'"),
        (
            original("Flexible and fixed in one workflow") + mixed,
            "ValidationError: 1 validation error for CreateRequest args   Input should be a valid string",
        ),
        (original("Chunks"), no_glob),
        (original("Stripes"), no_glob),
        (original("Empty containers"), outside),
        (original("Some containers get no data"), outside),
        (original("Debug the distribution"), "NameError: name 'my_data' is not defined"),
    ];
    assert!(known[..2].iter().all(|(launch, _)| launch.starts_with(import)));
    let (programs, reasons): (Vec<String>, Vec<&str>) = known.into_iter().unzip();
    let errors = errors(&programs);
    assert_eq!(errors.len(), reasons.len(), "{errors:?}");
    for (error, reason) in errors.iter().zip(reasons) {
        assert!(error.starts_with(reason), "{error}");
    }
}
