//! Compares what a run counted with the truth: every file once, every count right.
//!
//! `check_counts FINAL_RESULTS TRUTH_FILE` ends with 1 when a file is missing, there twice, unknown or wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What is needed of a record in `final_results.json`.
#[derive(Deserialize)]
struct Record {
    file: String,
    stars_detected: u64,
    canfar_run: Account,
}

#[derive(Deserialize)]
struct Account {
    replica_id: u64,
}

/// One line of the table: the work of a replica.
#[derive(Default)]
struct Share {
    files: usize,
    counted: u64,
    true_stars: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match check(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "check_counts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check(arguments: &[String]) -> Result<()> {
    let [results, truth] = arguments else { bail!("usage: check_counts FINAL_RESULTS TRUTH_FILE") };
    let records: Vec<Record> = load(results)?;
    let truth: BTreeMap<String, u64> = load(truth)?;
    let wrong = differences(&records, &truth);
    let mut out = io::stdout().lock();
    writeln!(out, "replica  files  stars counted  stars in truth")?;
    for (replica, share) in shares(&records, &truth) {
        let Share { files, counted, true_stars } = share;
        writeln!(out, "{replica:>7}  {files:>5}  {counted:>13}  {true_stars:>14}")?;
    }
    for line in &wrong {
        writeln!(out, "{line}")?;
    }
    if !wrong.is_empty() {
        bail!("{} of {} files are not as they should be", wrong.len(), truth.len());
    }
    writeln!(out, "all {} right", truth.len())?;
    Ok(())
}

fn load<T: DeserializeOwned>(path: &str) -> Result<T> {
    let text = fs::read(path).with_context(|| format!("reading {path}"))?;
    serde_json::from_slice(&text).with_context(|| format!("understanding {path}"))
}

/// A line for each file that is wrong, missing, there more than once, or not of the sky at all.
fn differences(records: &[Record], truth: &BTreeMap<String, u64>) -> Vec<String> {
    let mut counts: BTreeMap<&str, Vec<u64>> = truth.keys().map(|file| (file.as_str(), Vec::new())).collect();
    for record in records {
        counts.entry(&record.file).or_default().push(record.stars_detected);
    }
    let judge = |(file, counts): (&str, Vec<u64>)| match (truth.get(file), counts.as_slice()) {
        (None, _) => Some(format!("{file}: not in the truth")),
        (Some(_), []) => Some(format!("{file}: missing")),
        (Some(stars), [count]) if count == stars => None,
        (Some(stars), [count]) => Some(format!("{file}: counted {count}, but it has {stars}")),
        (Some(_), several) => Some(format!("{file}: there {} times", several.len())),
    };
    counts.into_iter().filter_map(judge).collect()
}

fn shares(records: &[Record], truth: &BTreeMap<String, u64>) -> BTreeMap<u64, Share> {
    let mut shares: BTreeMap<u64, Share> = BTreeMap::new();
    for record in records {
        let share = shares.entry(record.canfar_run.replica_id).or_default();
        share.files += 1;
        share.counted += record.stars_detected;
        share.true_stars += truth.get(&record.file).copied().unwrap_or(0);
    }
    shares
}
