//! The second pass: writes the records that win, the failures, and the proof.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::exit_code::CannotWrite;
use crate::merge::earlier::joined_elsewhere;
use crate::merge::index::MergeIndex;
use crate::merge::input::MergeInput;
use crate::merge::output::{Format, TableOutput};
use crate::merge::reading::{MergeRecord, Take};
use crate::merge::steps::{Joined, MergeStep};
use crate::merge::summary::MergeSummary;
use crate::merge::targets::Targets;
use crate::model::failures::{FailureGroup, FailureGroups};
use crate::model::outcome::{Cause, Status, reason};
use crate::record::destination::{Destination, OutputFile};
use crate::record::results::ArrayWriter;
use crate::record::task_record;
use crate::threads::CpuPool;
use crate::units;

/// Writes the three files. Returns where the results are; the proof of the survey then also has the failures and
/// what became null.
///
/// # Errors
/// When something can't be read or written; no file is left half written.
pub fn write(
    survey: &mut MergeIndex,
    targets: &Targets,
    stdout: &mut dyn Write,
) -> anyhow::Result<Destination> {
    let destination = targets.results_of(&survey.proof);
    write_records(survey, targets, &destination, stdout)?;
    let partial = targets.partial();
    if let Some(partial) = partial.as_ref().filter(|_| targets.is_final(&survey.proof)) {
        // An earlier, incomplete merge is no longer worth a look.
        let _ = partial.remove();
    }
    // Before the summary that names them is replaced.
    survey.other_joined_results = joined_elsewhere(targets);
    write_summary(&MergeSummary::of(survey, &destination), &targets.summary)?;
    for target in [&targets.results, &targets.failed, &targets.summary].into_iter().chain(&partial) {
        target.remove_leftovers();
    }
    Ok(destination)
}

fn write_records(
    survey: &mut MergeIndex,
    targets: &Targets,
    destination: &Destination,
    stdout: &mut dyn Write,
) -> anyhow::Result<()> {
    let cannot = || format!("can't write the merged results to {destination}");
    // By the name that was given, not by that of incomplete results.
    let format = Format::of(&targets.results)?;
    let columns = survey.columns.take();
    let begun = destination.open(stdout).and_then(|file| TableOutput::begin(file, format, columns));
    let results = begun.with_context(cannot).context(CannotWrite)?;
    let mut nowhere = std::io::sink();
    let failures = Failures::begin(&targets.failed, &mut nowhere)?;
    let mut written = Written { destination, results, failures, non_finite: 0 };
    let crew = CpuPool::gather();
    for number in survey.in_order() {
        for step in survey.steps(number, &written.results) {
            written.take(survey, number, step, &crew)?;
        }
    }
    survey.proof.non_finite = written.non_finite;
    written.results.finish().with_context(cannot).context(CannotWrite)?;
    survey.proof.failures = written.failures.finish()?;
    Ok(())
}

/// What is being written.
struct Written<'a> {
    destination: &'a Destination,
    results: TableOutput<'a>,
    failures: Failures<'a>,
    /// NaN and Infinity that became null.
    non_finite: u64,
}

impl Written<'_> {
    fn take(
        &mut self,
        survey: &MergeIndex,
        number: usize,
        step: MergeStep,
        crew: &CpuPool,
    ) -> anyhow::Result<()> {
        match step {
            MergeStep::Copy { part, records, identity } => {
                let begun = self.results.begin_joined(records);
                self.or_cannot(begun)?;
                survey.directories[number].parts[part].body(identity, &mut |piece| {
                    let written = self.results.piece(piece);
                    self.or_cannot(written)
                })
            }
            MergeStep::SideBySide(parts) => {
                let joined = crew.map(parts, |part_number| survey.join(number, part_number));
                joined.into_iter().try_for_each(|joined| self.joined(&joined?))
            }
            MergeStep::Each(part_number) => survey.winners(number, part_number, &mut |item| self.item(item)),
        }
    }

    fn item(&mut self, item: &MergeRecord<'_>) -> anyhow::Result<()> {
        self.non_finite += item.non_finite;
        match item.status {
            Status::Ok => {
                let written = self.results.record(item.record);
                self.or_cannot(written)
            }
            Status::Failed => self.failures.record(item.record),
        }
    }

    fn joined(&mut self, joined: &Joined) -> anyhow::Result<()> {
        self.non_finite += joined.non_finite;
        let results = &mut self.results;
        let written = results.begin_joined(joined.records).and_then(|()| results.piece(&joined.text));
        self.or_cannot(written)?;
        joined.failures.iter().try_for_each(|record| self.failures.record(record))
    }

    fn or_cannot(&self, written: std::io::Result<()>) -> anyhow::Result<()> {
        written
            .with_context(|| format!("can't write the merged results to {}", self.destination))
            .context(CannotWrite)
    }
}

impl MergeIndex {
    /// Gives the records of a part that win to `take`.
    pub(super) fn winners(&self, number: usize, part_number: usize, take: Take<'_>) -> anyhow::Result<()> {
        let directory = &self.directories[number];
        let part: &MergeInput = &directory.parts[part_number];
        let mut record = 0;
        part.each(directory, &mut |item| {
            let place = (part_number, record);
            record += 1;
            // What the survey did not admit has no task there; what came after it is left to the next merge.
            let wins = match &item.task {
                Some(task) => {
                    self.tasks[number].get(&*task.run).is_some_and(|tasks| tasks.wins(task.index, place))
                }
                None => true,
            };
            if wins { take(item) } else { Ok(()) }
        })
    }
}

/// Records of failures, with their groups.
struct Failures<'a> {
    destination: &'a Destination,
    array: ArrayWriter<OutputFile<'a>>,
    groups: FailureGroups,
}

#[derive(Default, Deserialize)]
struct FailureMeta {
    path: Option<String>,
    index: Option<u64>,
    cause: Option<Cause>,
    message: Option<String>,
    stderr_tail: Option<String>,
}

impl<'a> Failures<'a> {
    fn begin(destination: &'a Destination, stdout: &'a mut dyn Write) -> anyhow::Result<Self> {
        let file = destination
            .open(stdout)
            .with_context(|| format!("can't write {destination}"))
            .context(CannotWrite)?;
        Ok(Self { destination, array: ArrayWriter::new(file), groups: FailureGroups::default() })
    }

    fn record(&mut self, record: &[u8]) -> anyhow::Result<()> {
        self.array
            .record(record)
            .with_context(|| format!("can't write {}", self.destination))
            .context(CannotWrite)?;
        let meta: FailureMeta = task_record::raw_meta(record)
            .and_then(|meta| serde_json::from_slice(meta).ok())
            .unwrap_or_default();
        let cause = meta.cause.unwrap_or(Cause::Exit);
        let message = meta.message.unwrap_or_else(|| cause.to_string());
        let path = meta.path.unwrap_or_default();
        self.groups.count(cause, reason(cause, &message, meta.stderr_tail.as_deref()), &path, meta.index);
        Ok(())
    }

    /// Puts the file at its place, or takes an older one away where there are no failures.
    fn finish(self) -> anyhow::Result<Vec<FailureGroup>> {
        let Self { destination, array, groups } = self;
        if !(groups.is_empty() && destination.remove().is_ok()) {
            let put = array.finish().and_then(|(file, _)| file.finish());
            put.with_context(|| format!("can't write {destination}")).context(CannotWrite)?;
        }
        Ok(groups.sorted())
    }
}

fn write_summary(summary: &MergeSummary<'_>, destination: &Destination) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let mut nowhere = std::io::sink();
        let mut file = destination.open(&mut nowhere)?;
        serde_json::to_writer_pretty(&mut file, summary)?;
        file.write_all(b"\n")?;
        Ok(file.finish()?)
    };
    write().with_context(|| format!("can't write the summary {destination}")).context(CannotWrite)
}

/// Writes the entries without an ok record to a list, to be given to `--files-from`.
///
/// # Errors
/// When there is no list, when a name needs `--null`, or the file can't be written.
pub fn write_missing(
    survey: &MergeIndex,
    destination: &Destination,
    null: bool,
    stdout: &mut dyn Write,
) -> anyhow::Result<u64> {
    if !survey.proof.proven {
        bail!("--missing needs a list of inputs (inputs.jsonl) in the results directory, and there is none");
    }
    let cannot = || format!("can't write {destination}");
    let mut file = destination.open(stdout).with_context(cannot).context(CannotWrite)?;
    let mut written = 0;
    for (number, directory) in survey.directories.iter().enumerate() {
        let Some(list) = &directory.list else { continue };
        let is_wanted = |index: &u64| survey.is_without_ok(number, *index);
        list.read(list.header().indices().filter(is_wanted), |_, entry| {
            let bytes = entry.path.as_bytes();
            if !null && (bytes.contains(&b'\n') || bytes.ends_with(b"\r")) {
                bail!("names with a line break can't be written to {destination} without --null (give it with --files-from, too): {}", units::path(entry.path));
            }
            written += 1;
            file.write_all(bytes)
                .and_then(|()| file.write_all(if null { b"\0" } else { b"\n" }))
                .with_context(cannot)
                .context(CannotWrite)
        })?;
    }
    file.finish().with_context(cannot).context(CannotWrite)?;
    Ok(written)
}
