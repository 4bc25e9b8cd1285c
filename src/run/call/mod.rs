//! Calling a Python function (`--call`): how its Python process is started, and what its answers mean.

mod answer;
mod preflight;
mod quote;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::bail;

use crate::json;
use crate::model::call_target::{CallPlace, CallTarget};
use crate::model::row;
use crate::products::declared::DeclaredProducts;
use crate::run::worker::{OUT, ROW, TaskRequest};
use crate::units;

pub(super) use answer::{answer_limits, read_answer};
pub use preflight::Preflight;

/// Runs on any Python, and hands over to the other.
const BOOT: &str = include_str!("boot.py");

/// What loads the function and calls it.
const RUNNER: &str = include_str!("runner.py");

/// Parameters that get something else than the path, by their names: members of a request.
const KNOWN: [&str; 2] = ["index", "tmpdir"];

/// What a run offers to a function beside [`KNOWN`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Whether tasks have products: `out`.
    pub products: bool,
    /// The columns of rows, which are there with `row`; `None` where tasks have none.
    pub columns: Option<Vec<String>>,
    /// Whether each task has a path, which the function must take.
    pub path: bool,
}

impl Offered {
    /// Whether a parameter of this name gets something whatever the columns are.
    pub fn has(name: &str) -> bool {
        KNOWN.contains(&name) || name == ROW
    }

    /// As `runner.py` reads it.
    fn to_json(&self) -> String {
        let known = KNOWN.into_iter().chain(self.products.then_some(OUT));
        let known: Vec<&str> = known.chain(self.columns.as_ref().map(|_| ROW)).collect();
        let columns = self.columns.as_deref().unwrap_or_default();
        serde_json::json!({ "known": known, "columns": columns, "needs_path": self.path }).to_string()
    }
}

/// How lines begin that tell of our frames where a process ends that is killed; `boot.py` is a text without a name.
const OWN_FRAME: &[u8] = b"  File \"<canfar-run>\", line ";
const BOOT_FRAME: &[u8] = b"  File \"<string>\", line ";

/// What a process printed as it was killed, without the frames that are ours: they are no help to people.
pub(super) fn without_own_frames(printed: &[u8]) -> Vec<u8> {
    let mut is_ours = false;
    let is_theirs = |line: &&[u8]| {
        is_ours = line.starts_with(OWN_FRAME) || (is_ours && line.starts_with(BOOT_FRAME));
        !is_ours
    };
    printed.split_inclusive(|byte| *byte == b'\n').filter(is_theirs).collect::<Vec<_>>().concat()
}

/// A function that is called once per task, in processes that stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonCall {
    /// Which.
    pub target: CallTarget,
    /// The folder where the run was begun: there its file lies, if that is relative, and its module is looked for.
    pub home: PathBuf,
    /// What it can ask for.
    pub offered: Offered,
}

impl PythonCall {
    /// The arguments for a Python, this `program`, that calls it and refuses results of more than this many bytes.
    pub(super) fn argv(&self, program: &OsStr, max_result: u64) -> Vec<OsString> {
        let (file, module) = match &self.target.place {
            CallPlace::File(file) => (self.home.join(file), file.file_stem().unwrap_or_default().to_owned()),
            CallPlace::Module(name) => (PathBuf::new(), OsString::from(name)),
        };
        let function = OsString::from(&self.target.function);
        let [boot, runner, offered] = [BOOT, RUNNER, &self.offered.to_json()].map(OsString::from);
        let (home, most) = (self.home.clone().into_os_string(), max_result.to_string().into());
        let own = [file.into_os_string(), module, function, home, offered, most];
        [program.to_owned(), "-c".into(), boot, runner].into_iter().chain(own).collect()
    }

    /// Refuses a missing file, before anything else is checked.
    ///
    /// # Errors
    /// Says what was found instead, and what to do.
    pub fn check_file(&self) -> anyhow::Result<()> {
        let Some(file) = self.target.file() else { return Ok(()) };
        let path = self.home.join(file);
        let (target, shown) = (&self.target, units::path(&path));
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => bail!(
                "--call {target}: {shown} is a directory, not a Python file. For a module of a package write PACKAGE.MODULE:{}",
                target.function
            ),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "--call {target}: there is no {shown}. A relative path is looked up in the folder where the run was begun"
            ),
            Err(error) => bail!("--call {target}: {shown} can't be read: {error}"),
        }
    }

    /// The file that defines it, as seen from where the run was begun, unless that is a module that lies elsewhere.
    pub fn source_file(&self) -> Option<OsString> {
        match &self.target.place {
            CallPlace::File(file) => Some(file.clone().into_os_string()),
            CallPlace::Module(name) => {
                let path = name.replace('.', "/");
                let candidates = [format!("{path}.py"), format!("{path}/__init__.py")];
                candidates.into_iter().find(|file| self.home.join(file).is_file()).map(OsString::from)
            }
        }
    }

    /// The call for a task, as it would be written in Python with all that it can ask for: the path or the index, cells of the
    /// row, where to write products.
    pub fn written(&self, task: &TaskRequest<'_>) -> String {
        let mut arguments = match (self.offered.path, task.row) {
            (true, _) => vec![quote::python_text(task.path)],
            (false, Some(_)) => Vec::new(),
            (false, None) => vec![format!("index={}", task.index)],
        };
        for member in task.row.into_iter().flat_map(json::members) {
            arguments.push(format!("{}={}", json::string_text(member.key), python_value(member.value)));
        }
        arguments.extend(written_outs(task.products, task.outs));
        format!("{}({})", self.target, arguments.join(", "))
    }
}

/// A cell, as Python writes it; one that is a list or an object as JSON does.
fn python_value(json: &[u8]) -> String {
    match json {
        b"null" => "None".to_owned(),
        b"true" => "True".to_owned(),
        b"false" => "False".to_owned(),
        [b'"', ..] => quote::python_text(OsStr::new(&*row::text_of(json))),
        other => String::from_utf8_lossy(other).into_owned(),
    }
}

/// The argument that says where products go; `None` where none are declared.
fn written_outs(products: &DeclaredProducts, outs: &[PathBuf]) -> Option<String> {
    let mut texts = outs.iter().map(|out| quote::python_text(out.as_os_str()));
    match outs {
        [] => None,
        [_] if products.is_one_without_name() => Some(format!("out={}", texts.next().unwrap_or_default())),
        _ => {
            let names = products.names().map(|name| name.unwrap_or(OUT));
            let pairs: Vec<String> =
                names.zip(texts).map(|(name, text)| format!("'{name}': {text}")).collect();
            Some(format!("out={{{}}}", pairs.join(", ")))
        }
    }
}
