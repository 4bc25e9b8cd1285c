//! What a run that is resumed fixes, and what of the way it was begun goes on.

use std::ffi::OsString;
use std::path::Path;

use anyhow::bail;

use crate::cli::{DEFINES_RUN, ResumeArgs, Typed};
use crate::config::option_item::{COMMAND, OptionItem, token};
use crate::config::origins::setting;
use crate::record::inputs::{CallCommand, Header, TaskCommand};
use crate::text::OsText;

/// Options about tasks and their results that stay as they were unless something else is said. What is about a container
/// (how many tasks at a time, its disks, its time) is its own.
pub(super) const LASTING: [&str; 15] = [
    "timeout",
    "grace",
    "retries",
    "retry-delay",
    "max-failures",
    "rerun",
    "worker",
    "worker-tasks",
    "chdir",
    "checksum",
    "ok-codes",
    "result",
    "max-result",
    "logs",
    "merge",
];

/// Options that give another command.
const COMMANDS: [&str; 4] = [COMMAND, "shell", "call", "python"];

/// Refuses what says what a run is. With `--only` another command may be given: these of its options were.
///
/// # Errors
/// Names the first such option that was typed.
pub fn refuse_fixed(typed: &Typed<ResumeArgs>) -> anyhow::Result<Vec<String>> {
    let why = "a run that is resumed has its own files, shares and command, which its list (inputs.jsonl) keeps. Leave it out; for other files begin a new run";
    let commands: Vec<&str> = COMMANDS.into_iter().filter(|name| typed.is_typed(name)).collect();
    let is_retry = typed.is_typed("only");
    if let Some(name) =
        DEFINES_RUN.into_iter().find(|name| typed.is_typed(name) && !(is_retry && commands.contains(name)))
    {
        bail!(
            "--{name} has no place after `resume`: {why}{}",
            if commands.contains(&name) { OTHER_COMMAND } else { "" }
        );
    }
    if commands.contains(&COMMAND) && !is_retry {
        bail!("a command has no place after `resume`: {why}{OTHER_COMMAND}");
    }
    if is_retry && typed.is_typed("rerun") {
        bail!("--rerun and --only both say what runs again: leave --rerun out");
    }
    Ok(commands.into_iter().map(str::to_owned).collect())
}

const OTHER_COMMAND: &str =
    "; to try some files with another command say which: --only failed, --only f0007.fits";

/// A run to go on with.
#[derive(Debug, Clone)]
pub struct Resumed<'a> {
    /// What its list says.
    pub header: &'a Header,
    /// Its results directory, absolute.
    pub dir: &'a Path,
    /// The options that give another command for this launch.
    pub commands: Vec<String>,
}

impl Resumed<'_> {
    /// The options it was begun with, as a layer.
    pub(super) fn items(&self) -> Vec<OptionItem> {
        let settings = &self.header.settings;
        let lasting = settings.options.iter().filter(|(name, _)| LASTING.contains(&name.as_str()));
        // A function always is in a worker, a command need not be.
        let is_for_call = matches!(self.header.command, TaskCommand::Call(_)) && self.has_other_command();
        lasting
            .filter(|(name, _)| !(is_for_call && *name == "worker-tasks"))
            .map(|(name, value)| OptionItem {
                tokens: vec![token(name, &self.as_seen_there(name, value))],
                name: name.clone(),
                origin: setting(name, &[value.0.to_string_lossy()], &self.dir.join("inputs.jsonl")),
            })
            .collect()
    }

    /// A value, with a folder as the run's beginner meant it.
    fn as_seen_there(&self, name: &str, value: &OsText) -> OsString {
        match self.header.begun_in() {
            Some(folder) if name == "chdir" && value.0 != "task" => folder.join(&value.0).into_os_string(),
            _ => value.0.clone(),
        }
    }

    /// Its results directory and command, as words before and after `--`.
    pub(super) fn fixed(&self) -> [Vec<OsString>; 2] {
        let mut options = vec![token("results-dir", self.dir.as_os_str())];
        let mut command = Vec::new();
        match &self.header.command {
            TaskCommand::Call(CallCommand { target, .. }) if self.commands == ["python"] => {
                options.push(token("call", &OsText::from(target.clone()).0));
            }
            _ if self.has_other_command() => {}
            TaskCommand::Shell(script) => options.push(token("shell", &script.0)),
            TaskCommand::Call(CallCommand { target, python }) => {
                options.push(token("call", &OsText::from(target.clone()).0));
                options.push(token("python", &python.0));
            }
            TaskCommand::Argv(words) => {
                command.push("--".into());
                command.extend(words.iter().map(|word| word.0.clone()));
            }
        }
        options.extend(self.header.products.iter().map(|product| token("product", &product.as_text())));
        [options, command]
    }

    /// Whether a command is given in place of its own.
    fn has_other_command(&self) -> bool {
        self.commands.iter().any(|name| name != "python")
    }

    /// Where its command was given.
    pub(super) fn cwd(&self) -> Option<OsText> {
        self.header.settings.cwd.clone()
    }
}
