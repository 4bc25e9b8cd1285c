//! Wrong uses, each with all that is said about it and its exit code: nothing is run, written or changed.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;

use crate::support::Dir;

mod command;
mod identity;
mod inputs;
mod job_file;
mod options;
mod results_dir;
mod tables;

/// A user who owns nothing here.
const NOBODY: u32 = 54_321;

/// One wrong use.
struct Case {
    args: &'static [&'static str],
    variables: Vec<(&'static str, &'static str)>,
    given: fn(&Dir),
    without_rights: bool,
    code: i32,
    /// What is said, with the test's folder as `[DIR]`.
    said: &'static str,
}

/// With these arguments, beside `data/000.fits` to `data/002.fits`, this is said, and the exit code is 2.
fn case(args: &'static [&'static str], said: &'static str) -> Case {
    Case { args, variables: Vec::new(), given: |_| {}, without_rights: false, code: 2, said }
}

impl Case {
    /// With a variable in the environment.
    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// As one of CANFAR's replicas.
    fn replica(self, id: &'static str, count: &'static str) -> Self {
        self.env("REPLICA_ID", id).env("REPLICA_COUNT", count)
    }

    /// After something was prepared.
    fn given(mut self, given: fn(&Dir)) -> Self {
        self.given = given;
        self
    }

    /// As a user for whom permissions count.
    fn without_rights(mut self) -> Self {
        self.without_rights = true;
        self
    }

    /// With another exit code.
    fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// What is wrong, if anything.
    fn check(&self) -> Result<(), String> {
        let dir = Dir::with_inputs(3);
        (self.given)(&dir);
        let before = dir.tree();
        let mut run = dir.canfar_run().args(self.args).env("PATH", "/usr/bin:/bin");
        for (name, value) in &self.variables {
            run = run.env(name, value);
        }
        if self.without_rights {
            std::fs::set_permissions(dir.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
            run = run.without_rights(NOBODY);
        }
        let ended = run.run();
        let mut wrong = String::new();
        let said = redacted(&ended.stderr, &dir);
        let (said, expected) = (said.trim_end_matches('\n'), self.said.trim_matches('\n'));
        if said != expected {
            write!(wrong, "--- it should say\n{expected}\n--- but says\n{said}\n").unwrap();
        }
        if ended.code != Some(self.code) || !ended.stdout.is_empty() {
            write!(wrong, "--- it should exit with {} and print nothing\n{ended}\n", self.code).unwrap();
        }
        if let Some(difference) = before.difference(&dir.tree()) {
            write!(wrong, "--- {difference}\n{ended}\n").unwrap();
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("canfar-run {:?}\n{wrong}", self.args)) }
    }
}

/// Without what differs from one place, version and try to the next.
fn redacted(said: &str, dir: &Dir) -> String {
    let run = dir.lines("out/inputs.jsonl").first().and_then(|header| {
        let header: serde_json::Value = serde_json::from_str(header).ok()?;
        Some(header["run"].as_str()?.to_owned())
    });
    let said = match run {
        Some(run) => said.replace(&run, "[RUN]"),
        None => said.to_owned(),
    };
    let said =
        said.replace(dir.root().to_str().unwrap(), "[DIR]").replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    // The name of a temporary file ends with six random letters.
    let named = |part: &str| match part.strip_suffix(".tmp\"") {
        Some(name) => format!("{}[RANDOM].tmp\"", &name[..name.len() - 6]),
        None => part.to_owned(),
    };
    said.split_inclusive(".tmp\"").map(named).collect()
}

/// Tries all cases, and shows all that are not as they should be.
#[track_caller]
fn all_are_refused(cases: &[Case]) {
    let wrong: Vec<String> = cases.iter().filter_map(|case| case.check().err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
