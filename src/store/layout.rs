//! The names of all files in a results directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The page that `report` writes by default.
pub const REPORT: &str = "report.html";

/// A results directory: one run's files.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The name of the frozen input list.
    pub const LIST: &str = "inputs.jsonl";

    /// The name of the folder of journals.
    pub const JOURNALS: &str = "journal";

    /// Of the directory at `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The frozen input list.
    pub fn inputs(&self) -> PathBuf {
        self.root.join(Self::LIST)
    }

    /// The lock of the process that lists, merges, or moves the run away.
    pub fn listing(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    /// The folder of journals.
    pub fn journals(&self) -> PathBuf {
        self.root.join(Self::JOURNALS)
    }

    /// One launch's journal.
    pub fn journal(&self, replica_id: u32, launch: u32) -> PathBuf {
        self.journals().join(format!("{replica_id}.{launch}.jsonl"))
    }

    /// The folder of kept output.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The kept output of a launch's tasks, packed.
    pub fn log(&self, replica_id: u32, launch: u32) -> PathBuf {
        self.logs().join(format!("{replica_id}.{launch}.log"))
    }

    /// canfar-run's own messages in a launch.
    pub fn own_log(&self, replica_id: u32, launch: u32) -> PathBuf {
        self.logs().join(format!("{replica_id}.{launch}.err"))
    }

    /// The folder of claims.
    pub fn claims(&self) -> PathBuf {
        self.root.join(CLAIMS)
    }

    /// The claims of a run: of another one than is here now only where a launch of that one came late.
    pub fn claims_of(&self, run: &str) -> PathBuf {
        self.claims().join(run)
    }

    /// Where runs that continue this one say where they are.
    pub fn children(&self) -> PathBuf {
        self.root.join(CHILDREN)
    }

    /// The name of a results directory beside this one where nothing is.
    pub fn free_beside(&self) -> PathBuf {
        let named = |number: u32| {
            let mut name = self.root.as_os_str().to_owned();
            name.push(format!("-{number}"));
            PathBuf::from(name)
        };
        (2..100).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(100))
    }

    /// A replica's results.
    pub fn results(&self, replica_id: u32) -> PathBuf {
        self.root.join(format!("container_{replica_id}_results.json"))
    }

    /// The journal that the next launch after `launch` begins with.
    pub fn successor(&self, replica_id: u32, launch: u32) -> PathBuf {
        self.journal(replica_id, launch.saturating_add(1))
    }

    /// Where `reset` puts earlier runs.
    pub fn previous(&self) -> PathBuf {
        self.root.join("previous")
    }

    /// What merging writes, by the name the contract gives.
    pub fn merged(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Whether a name in a results directory is that of its lock, or of a file that is about to become it.
    pub fn is_of_the_lock(name: &OsStr) -> bool {
        name.to_str().is_some_and(|name| name == LOCK || unfinished(name) == Some(LOCK))
    }

    /// Whether a name in a results directory is one that a run, or its merge, writes or reserves.
    pub fn is_of_a_run(name: &OsStr) -> bool {
        let Some(name) = name.to_str() else { return false };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_merged = |rest: &str| {
            let extension = rest.strip_prefix("partial.").unwrap_or(rest).to_ascii_lowercase();
            matches!(extension.as_str(), "json" | "jsonl" | "ndjson" | "csv" | "tsv")
        };
        let later_list = name.strip_prefix("inputs.").and_then(|rest| rest.strip_suffix(".jsonl"));
        matches!(name, Self::LIST | LOCK | Self::JOURNALS | "logs" | CLAIMS | CHILDREN)
            || matches!(name, "final_failed.json" | "final_summary.json" | REPORT)
            || name.strip_prefix("final_results.").is_some_and(is_merged)
            || later_list.is_some_and(is_number)
            || ResultsName::parse(OsStr::new(name)).is_some()
            || unfinished(name).is_some_and(|name| Self::is_of_a_run(OsStr::new(name)))
    }
}

/// The folder of claims.
const CLAIMS: &str = "claims";

/// The folder where runs that continue this one say where they are.
const CHILDREN: &str = "children";

/// The lock of a results directory.
const LOCK: &str = "inputs.listing";

/// The name that a file in the making was to have, which a process that was killed left behind.
pub(super) fn unfinished(name: &str) -> Option<&str> {
    Some(name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?.0)
}

/// The id in a results file's name. Python writes `None` where `REPLICA_ID` is unset; it sorts last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultsName {
    /// `container_7_results.json`, in the order of the numbers.
    Id(u64),
    /// Any other text between `container_` and `_results.json`.
    Other(String),
}

impl ResultsName {
    /// Parses a file name; `None` if it is not that of a results file.
    pub fn parse(name: &OsStr) -> Option<Self> {
        let id = name.to_str()?.strip_prefix("container_")?.strip_suffix("_results.json")?;
        Some(match id.parse() {
            // `container_007_results.json` is not the file that replica 7 writes.
            Ok(number) if format!("{number}") == id => Self::Id(number),
            _ => Self::Other(id.to_owned()),
        })
    }
}

/// Reads `<id>.<launch>.jsonl`.
pub fn parse_journal_name(name: &OsStr) -> Option<(u32, u32)> {
    let (id, launch) = name.to_str()?.strip_suffix(".jsonl")?.split_once('.')?;
    let number =
        |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0 && number.to_string() == text);
    Some((number(id)?, number(launch)?))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{Layout, ResultsName, parse_journal_name};

    #[test]
    fn results_files_sort_by_the_number_in_their_name_and_none_comes_last() {
        let mut ids: Vec<_> =
            ["container_None_results.json", "container_10_results.json", "container_9_results.json"]
                .into_iter()
                .filter_map(|name| ResultsName::parse(OsStr::new(name)))
                .collect();
        ids.sort();
        assert_eq!(ids, [ResultsName::Id(9), ResultsName::Id(10), ResultsName::Other("None".into())]);
        assert_eq!(ResultsName::parse(OsStr::new("container_1_results.json.tmp")), None);
    }

    #[test]
    fn journal_names_are_two_plain_numbers() {
        assert_eq!(parse_journal_name(OsStr::new("12.3.jsonl")), Some((12, 3)));
        for odd in ["012.3.jsonl", "0.1.jsonl", "1.jsonl", "1.2.3.jsonl", "1.2.json", ".1.2.jsonl"] {
            assert_eq!(parse_journal_name(OsStr::new(odd)), None, "{odd}");
        }
    }

    #[test]
    fn only_names_of_ours_belong_to_a_run() {
        for ours in [
            "container_1_results.json",
            "final_results.csv",
            "final_results.TSV",
            "final_results.partial.json",
            "final_summary.json",
            "report.html",
            "inputs.2.jsonl",
            "claims",
            ".container_1_results.json.aB3xYz.tmp",
        ] {
            assert!(Layout::is_of_a_run(OsStr::new(ours)), "{ours}");
        }
        for not_ours in [
            "notes.txt",
            "previous",
            "final_plot.png",
            "final_results.md",
            "final_results.notes.json",
            "inputs.mine.jsonl",
            ".notes.txt.aB3xYz.tmp",
            "..tmp",
        ] {
            assert!(!Layout::is_of_a_run(OsStr::new(not_ours)), "{not_ours}");
        }
    }
}
