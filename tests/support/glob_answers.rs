//! Asking Python and ourselves the same questions, both as a user who is not root, and comparing.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use canfar_run::testing::{EntryType, Search, find};
use serde_json::{Value, json};

use crate::support::InTime;

/// Root may read everything, so root asks as this user.
const OTHER_USER: u32 = 20001;
/// Where the re-executed test finds its questions and leaves its answers.
const QUESTIONS: &str = "GLOB_PARITY_QUESTIONS";
const ANSWERS: &str = "GLOB_PARITY_ANSWERS";

/// One pattern in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) cwd: PathBuf,
    pub(crate) entry_type: EntryType,
    pub(crate) pattern: Vec<u8>,
    /// Ask the unchanged glob too.
    pub(crate) pure: bool,
}

impl Question {
    fn to_json(&self) -> Value {
        let entry_type = if self.entry_type == EntryType::File { "file" } else { "dir" };
        json!({
            "glob": STANDARD.encode(&self.pattern),
            "cwd": STANDARD.encode(self.cwd.as_os_str().as_bytes()),
            "type": entry_type,
            "pure": self.pure,
        })
    }

    fn from_json(value: &Value) -> Self {
        let bytes = |key: &str| STANDARD.decode(value[key].as_str().unwrap()).unwrap();
        let entry_type = if value["type"] == "file" { EntryType::File } else { EntryType::Dir };
        let cwd = PathBuf::from(OsString::from_vec(bytes("cwd")));
        Self { cwd, entry_type, pattern: bytes("glob"), pure: value["pure"] == true }
    }
}

/// What we found.
pub(crate) struct Ours {
    pub(crate) paths: BTreeSet<Vec<u8>>,
    pub(crate) unreadable: BTreeSet<Vec<u8>>,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Python's answers to requests; `None` (with a word why) if there is no Python here and this is not CI.
pub(crate) fn ask_python(requests: &[Value]) -> Option<Vec<Value>> {
    let python = env::var_os("CANFAR_RUN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/glob_reference.py");
    let mut command = Command::new(&python);
    command.args(["-X", "utf8"]).arg(script);
    if is_root() {
        command.arg(OTHER_USER.to_string());
    }
    let output = match command.output_given(as_lines(requests).as_bytes()) {
        Ok(output) => output,
        Err(error) if env::var_os("CI").is_none() => {
            eprintln!("skipped: {} can't be started: {error}", python.display());
            return None;
        }
        Err(error) => panic!("{} can't be started: {error}", python.display()),
    };
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = lines(&output.stdout);
    assert_eq!(answers.len(), requests.len());
    Some(answers)
}

/// Our answers, from this very test started again as another user if need be.
fn ask_ourselves(questions: &[Value]) -> Vec<Ours> {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    let (asked, answered) = (dir.path().join("questions"), dir.path().join("answers"));
    fs::write(&asked, as_lines(questions)).unwrap();
    let program = dir.path().join("ourselves");
    // By another process: while this one had it open for writing, whatever another test starts could hold it open as well,
    // and what is open for writing can't be executed.
    let copied = Command::new("cp").arg(env::current_exe().unwrap()).arg(&program).status().unwrap();
    assert!(copied.success(), "{}", program.display());
    let mut command = Command::new(&program);
    command.args(["--ignored", "--exact", "glob_parity::answers_of_the_other_user"]);
    command.env(QUESTIONS, &asked).env(ANSWERS, &answered).current_dir("/");
    if is_root() {
        command.uid(OTHER_USER).gid(OTHER_USER);
    }
    let output = command.output_in_time().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let answers = lines(&fs::read(&answered).unwrap());
    assert_eq!(answers.len(), questions.len());
    let set = |value: &Value| -> BTreeSet<Vec<u8>> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|path| STANDARD.decode(path.as_str().unwrap()).unwrap())
            .collect()
    };
    answers
        .iter()
        .map(|answer| Ours { paths: set(&answer["paths"]), unreadable: set(&answer["unreadable"]) })
        .collect()
}

/// The other side of [`ask_ourselves`].
pub(crate) fn answer_for_the_other_user() {
    let (Some(asked), Some(answered)) = (env::var_os(QUESTIONS), env::var_os(ANSWERS)) else { return };
    let questions: Vec<Value> = lines(&fs::read(asked).unwrap());
    let answers: Vec<Value> =
        questions.iter().map(|question| our_answer(&Question::from_json(question))).collect();
    fs::write(answered, as_lines(&answers)).unwrap();
}

fn our_answer(question: &Question) -> Value {
    let search = Search {
        patterns: &[OsString::from_vec(question.pattern.clone()).into()],
        exclude: &[],
        entry_type: question.entry_type,
        allow_empty: true,
        cwd: &question.cwd,
        results_dir: Path::new("/nonexistent/results"),
    };
    let found = find(&search, &|| true).unwrap();
    let paths: Vec<&OsStr> = found.entries.iter().map(|entry| entry.path).collect();
    let sorted_once = paths.is_sorted_by(|a, b| a < b);
    assert!(sorted_once, "not sorted or repeated: {question:?}");
    let unreadable: Vec<&OsStr> = found.unreadable.iter().map(|path| path.as_os_str()).collect();
    let list = |paths: &[&OsStr]| -> Vec<String> {
        paths.iter().map(|path| STANDARD.encode(path.as_bytes())).collect()
    };
    json!({ "paths": list(&paths), "unreadable": list(&unreadable) })
}

/// Asks both and panics with all differences. Returns our answers, or nothing if there is no Python to compare with.
pub(crate) fn compare(questions: &[Question]) -> Option<Vec<Ours>> {
    let requests: Vec<Value> = questions.iter().map(Question::to_json).collect();
    let theirs = ask_python(&requests)?;
    let ours = ask_ourselves(&requests);
    let mut differences = Vec::new();
    let mut found = 0;
    for ((question, theirs), ours) in questions.iter().zip(&theirs).zip(&ours) {
        let set = |key: &str| -> BTreeSet<Vec<u8>> {
            let paths = theirs[key].as_array().unwrap().iter();
            paths.map(|path| STANDARD.decode(path.as_str().unwrap()).unwrap()).collect()
        };
        found += ours.paths.len();
        differences.extend(difference(question, "missed", &set("paths"), &ours.paths));
        differences.extend(difference(question, "invented", &ours.paths, &set("paths")));
        if question.pure {
            differences.extend(difference(question, "missed (pure)", &set("straight"), &ours.paths));
            differences.extend(difference(question, "invented (pure)", &ours.paths, &set("all")));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
    assert!(found > questions.len(), "too little was found for this to say anything: {found}");
    Some(ours)
}

fn difference(
    question: &Question,
    what: &str,
    present: &BTreeSet<Vec<u8>>,
    absent: &BTreeSet<Vec<u8>>,
) -> Option<String> {
    let paths: Vec<String> = present.difference(absent).map(|path| path.escape_ascii().to_string()).collect();
    let (pattern, cwd) = (question.pattern.escape_ascii(), question.cwd.display());
    let (kind, first) = (question.entry_type, &paths[..paths.len().min(5)]);
    (!paths.is_empty()).then(|| format!("{pattern}  ({kind:?}, in {cwd}) {what} {}: {first:?}", paths.len()))
}

fn as_lines(values: &[Value]) -> String {
    let lines: Vec<String> = values.iter().map(Value::to_string).collect();
    lines.join("\n")
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}
