//! The files that a command names, such as `analyze.py`: digests of small ones show when results come from two versions,
//! and missing ones are reported before a task fails because of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use crate::journal::event::LaunchBegun;
use crate::journal::tail::{self, LaunchHead};
use crate::model::provenance::NamedFile;
use crate::store::layout::Layout;
use crate::store::regular;
use crate::text::OsText;
use crate::units;

/// Scripts are smaller; what is larger is a program or data, and not read for this.
const SMALL: u64 = 1024 * 1024;

/// Of the words of a command, those that name small regular files, with their digests. Each once.
pub fn digests(words: &[OsString], cwd: &Path) -> Vec<NamedFile> {
    let mut files: Vec<NamedFile> = Vec::new();
    for word in words {
        let name = OsText(word.clone());
        if files.iter().any(|file| file.name == name) {
            continue;
        }
        if let Some(blake3) = digest(&cwd.join(word)) {
            files.push(NamedFile { name, blake3 });
        }
    }
    files
}

/// Endings of what is read, not made: scripts and settings.
const READ: [&str; 25] = [
    "py", "sh", "bash", "r", "R", "jl", "pl", "rb", "js", "m", "pro", "jar", "toml", "yaml", "yml", "ini",
    "cfg", "conf", "config", "par", "param", "sex", "conv", "nnw", "psf",
];

/// Of the words of a command, those that name a script or a settings file which is not there. Relative ones are looked for
/// in `folder`; without one, none of them is there.
pub fn missing<'w>(words: &'w [OsString], folder: Option<&Path>) -> Vec<&'w OsString> {
    let is_there = |word: &OsString| match folder {
        Some(folder) => folder.join(word).exists(),
        None => Path::new(word).is_absolute() && Path::new(word).exists(),
    };
    // What comes after a change of folder is not here, and a name that is computed is none yet.
    let words = words.split(|word| word == "cd").next().unwrap_or_default();
    let mut missing: Vec<&OsString> = words
        .iter()
        .enumerate()
        .filter(|(place, word)| {
            is_read(word) && !place.checked_sub(1).is_some_and(|before| is_output(&words[before]))
        })
        .map(|(_, word)| word)
        .filter(|word| !is_there(word))
        .collect();
    missing.dedup();
    missing
}

/// A plain name with one of the endings.
fn is_read(word: &OsString) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(byte);
    let is_name = !word.as_bytes().starts_with(b"-")
        && !word.as_bytes().ends_with(b"/")
        && word.as_bytes().iter().all(is_plain);
    let ending = Path::new(word).extension().and_then(OsStr::to_str);
    is_name && ending.is_some_and(|ending| READ.contains(&ending))
}

/// Whether the word after this one is an output path.
fn is_output(word: &OsString) -> bool {
    let word = word.as_bytes();
    word.ends_with(b">") || word == b"-o" || word == b"-O" || word.starts_with(b"--out")
}

fn digest(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    let is_small_file = metadata.is_file() && metadata.len() <= SMALL;
    let content = is_small_file.then(|| std::fs::read(path).ok()).flatten()?;
    Some(blake3::hash(&content).to_hex().to_string())
}

/// How many ok records were made by which contents of each file, and by which command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordsByContent {
    files: BTreeMap<OsText, BTreeMap<String, u64>>,
    /// By commands as they are typed; `None` is the one that the list keeps.
    commands: BTreeMap<Option<String>, u64>,
}

/// A command and how many ok records it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandRecords {
    /// As it is typed.
    pub command: String,
    /// Ok records that it made.
    pub records: u64,
}

/// One file with the contents that records were made by, most records first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileVersions {
    /// As the command has it.
    pub name: String,
    /// More than one where it changed.
    pub versions: Vec<FileVersion>,
}

/// One content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileVersion {
    /// BLAKE3 of it, hexadecimal.
    pub blake3: String,
    /// Ok records that it made.
    pub records: u64,
}

impl RecordsByContent {
    /// Counts records that a launch made, with the files as it found them.
    pub fn add(&mut self, launch: &LaunchBegun, records: u64) {
        if records == 0 {
            return;
        }
        for file in &launch.command_files {
            let versions = self.files.entry(file.name.clone()).or_default();
            *versions.entry(file.blake3.clone()).or_default() += records;
        }
        *self.commands.entry(launch.command.clone()).or_default() += records;
    }

    /// Adds the counts of others.
    pub fn join(&mut self, others: Self) {
        for (name, versions) in others.files {
            let known = self.files.entry(name).or_default();
            versions.into_iter().for_each(|(blake3, records)| *known.entry(blake3).or_default() += records);
        }
        for (command, records) in others.commands {
            *self.commands.entry(command).or_default() += records;
        }
    }

    /// Records made by another content of a file than this one.
    pub fn by_others(&self, file: &NamedFile) -> u64 {
        let versions = self.files.get(&file.name).into_iter().flatten();
        versions.filter(|(blake3, _)| **blake3 != file.blake3).map(|(_, records)| records).sum()
    }

    /// Records made by this content of a file.
    pub fn by(&self, file: &OsText, blake3: &str) -> u64 {
        self.files.get(file).and_then(|versions| versions.get(blake3)).copied().unwrap_or(0)
    }

    /// All files.
    pub fn told(&self) -> Vec<FileVersions> {
        let told = |(name, versions): (&OsText, &BTreeMap<String, u64>)| {
            let version = |(blake3, records): (&String, &u64)| FileVersion {
                blake3: blake3.clone(),
                records: *records,
            };
            let mut versions: Vec<FileVersion> = versions.iter().map(version).collect();
            versions.sort_by_key(|version| Reverse(version.records));
            FileVersions { name: units::path(&name.0), versions }
        };
        self.files.iter().map(told).collect()
    }

    /// The commands, most records first, in a run that was begun with the command `of_run`.
    pub fn commands(self, of_run: &str) -> Vec<CommandRecords> {
        let command = |command: Option<String>| command.unwrap_or_else(|| of_run.to_owned());
        let told = self.commands.into_iter();
        let mut told: Vec<CommandRecords> =
            told.map(|(typed, records)| CommandRecords { command: command(typed), records }).collect();
        told.sort_by_key(|told| Reverse(told.records));
        told
    }
}

impl CommandRecords {
    /// How many records each of these commands made; `None` where there is only one.
    pub fn in_words(commands: &[Self]) -> Option<String> {
        let [first, others @ ..] = commands else { return None };
        let records = units::count(first.records, "record");
        let mut text = format!("{records} made by `{}`", first.shown());
        for other in others {
            text.push_str(&format!(", {} by `{}`", other.records, other.shown()));
        }
        (!others.is_empty()).then_some(text)
    }

    /// The command, of a long one its ends.
    fn shown(&self) -> String {
        const LONGEST: usize = 100;
        let command = units::printable(&self.command);
        let letters: Vec<char> = command.chars().collect();
        if letters.len() <= LONGEST {
            return command;
        }
        let (start, end) = (&letters[..LONGEST / 2], &letters[letters.len() - LONGEST / 2..]);
        format!("{} ... {}", String::from_iter(start).trim_end(), String::from_iter(end).trim_start())
    }
}

impl FileVersions {
    /// Of a file that changed, how many records each of its contents made; `None` for one that did not.
    pub fn change(&self) -> Option<String> {
        /// Enough to distinguish contents.
        const DIGITS: usize = 8;
        let ([_, _, ..], [first, others @ ..]) = (&*self.versions, &*self.versions) else { return None };
        let digest = |version: &FileVersion| version.blake3.chars().take(DIGITS).collect::<String>();
        let mut text = format!(
            "{} changed during the run: {} from one version ({})",
            self.name,
            units::count(first.records, "record"),
            digest(first)
        );
        for other in others {
            text.push_str(&format!(", {} from another ({})", other.records, digest(other)));
        }
        Some(text)
    }
}

/// How the launches of a replica began, oldest first: with which command and files, and with how many ok records of earlier ones.
#[derive(Debug, Clone, Default)]
pub struct LaunchHeads(Vec<(Box<LaunchBegun>, u64)>);

impl LaunchHeads {
    /// For these launches, from the first lines of their journals. Unreadable ones are skipped: they are reported elsewhere.
    pub fn read(layout: &Layout, replica_id: u32, launches: &[u32]) -> Self {
        let mut heads = Self::default();
        for launch in launches {
            let journal = regular::open(&layout.journal(replica_id, *launch));
            heads.push(journal.and_then(|journal| tail::head(&journal)).ok().flatten().as_ref());
        }
        heads
    }

    /// Adds the next launch. One that did not come to its first heartbeat made no record.
    pub fn push(&mut self, head: Option<&LaunchHead>) {
        let Some(head) = head else { return };
        let before = match &head.first_heartbeat {
            Some((_, progress)) => progress.counts.ok,
            None if self.0.is_empty() => 0,
            None => return,
        };
        self.0.push((head.begun.clone(), before));
    }

    /// Whether a launch may have run again what was ok: then only the journals tell who made which records.
    pub fn has_retries(&self) -> bool {
        self.0.iter().any(|(begun, _)| begun.only().is_some())
    }

    /// Who made the `ok` records that the replica has now. Where no task that is ok was named to run again, what came between
    /// the beginnings of two launches was made by the first of them.
    pub fn records(&self, ok: u64) -> RecordsByContent {
        let mut records = RecordsByContent::default();
        let next = self.0.iter().skip(1).map(|(_, before)| *before).chain([ok]);
        for ((begun, before), next) in self.0.iter().zip(next) {
            records.add(begun, next.saturating_sub(*before));
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::{CommandRecords, LaunchHeads, RecordsByContent, missing};
    use crate::journal::event::LaunchBegun;
    use crate::model::provenance::NamedFile;

    #[test]
    fn scripts_and_settings_that_are_not_there_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("here.py"), "").unwrap();
        for (line, expected) in [
            ("python analyze.py", &["analyze.py"][..]),
            ("python here.py -c conf/x.sex", &["conf/x.sex"]),
            ("python ./here.py", &[]),
            ("python /nowhere/a.py /nowhere/a.py", &["/nowhere/a.py"]),
            ("sh run.sh > out.cfg", &["run.sh"]),
            ("tool -o made.toml --output=x.py --outfile made.par", &[]),
            ("sed s/a/b.py/ x y.fits http://a.b/c.py *.py", &[]),
            ("cd elsewhere && python analyze.py", &[]),
            ("python analyze", &[]),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(missing(&words, Some(folder.path())), expected, "{line}");
        }
        let words = ["python", "here.py"].map(OsString::from);
        assert_eq!(missing(&words, None), ["here.py"]);
        assert_eq!(missing(&["/etc/nothing.py".into()], Some(Path::new("/"))), ["/etc/nothing.py"]);
    }

    fn begun(files: &[NamedFile]) -> Box<LaunchBegun> {
        let head = r#"{"replica_id":1,"replica_count":1,"host":"h","boot_id":"","pid":3,"version":"0","locked":true,"options":{},"limits":{"cpus":1.0},"jobs":1,"command_files":[],"share":1}"#;
        let begun: LaunchBegun = serde_json::from_str(head).unwrap();
        Box::new(LaunchBegun { command_files: files.to_vec(), ..begun })
    }

    fn file(name: &str, blake3: &str) -> NamedFile {
        NamedFile { name: name.into(), blake3: blake3.to_owned() }
    }

    #[test]
    fn records_are_counted_by_the_content_that_made_them_whoever_counts_first() {
        let launches =
            [("0123456789", 950, 0), ("abc", 0, 950), ("0123456789", 30, 950), ("fedcba9876", 20, 980)];
        let mut counted = RecordsByContent::default();
        let mut heads = LaunchHeads::default();
        for (blake3, records, before) in launches {
            let launch = begun(&[file("analyze.py", blake3), file("same.toml", "1")]);
            counted.add(&launch, records);
            heads.0.push((launch, before));
        }
        assert_eq!(heads.records(1000), counted);
        let told = counted.told();
        assert_eq!(
            told[0].change().as_deref(),
            Some(
                "analyze.py changed during the run: 980 records from one version (01234567), 20 from another (fedcba98)"
            )
        );
        assert_eq!((told[1].change(), told[1].versions[0].records), (None, 1000));
        assert_eq!(counted.by_others(&file("analyze.py", "abc")), 1000);
        assert_eq!(counted.by_others(&file("analyze.py", "fedcba9876")), 980);
        let mut both = counted.clone();
        both.join(counted.clone());
        assert_eq!(both.by_others(&file("analyze.py", "fedcba9876")), 2 * 980);
        assert_eq!(CommandRecords::in_words(&both.commands("python analyze.py")), None);
    }

    #[test]
    fn records_are_counted_by_the_command_that_made_them() {
        let mut counted = RecordsByContent::default();
        let lenient = LaunchBegun { command: Some("python3 a.py --lenient".into()), ..*begun(&[]) };
        for (launch, records) in [(&*begun(&[]), 38), (&lenient, 5), (&lenient, 0)] {
            counted.add(launch, records);
        }
        let told = counted.commands("python3 a.py");
        assert_eq!(
            CommandRecords::in_words(&told).unwrap(),
            "38 records made by `python3 a.py`, 5 by `python3 a.py --lenient`"
        );
        let long = CommandRecords { command: format!("first {} last", "x".repeat(200)), records: 1 };
        let shown = CommandRecords::in_words(&[long.clone(), long]).unwrap();
        assert!(shown.len() < 260 && shown.contains("`first x") && shown.ends_with("x last`"), "{shown}");
    }
}
