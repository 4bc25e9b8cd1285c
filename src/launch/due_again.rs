//! Done tasks whose products are gone or were changed since: which of them a launch runs again, and what it says of others.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::config::RunConfig;
use crate::exit_code::CannotWrite;
use crate::journal::event::TasksDueAgain;
use crate::journal::record_reader::Records;
use crate::journal::state::JournalState;
use crate::launch::Launcher;
use crate::launch::pending::DueRule;
use crate::model::counts::TaskState;
use crate::model::index_ranges::IndexRanges;
use crate::model::outcome::Rerun;
use crate::model::product::ProductStamp;
use crate::process::shutdown::Shutdown;
use crate::products::declared::DeclaredProducts;
use crate::products::look::{AffectedTasks, ProductChanges, look_at_products};
use crate::products::places::check_places;
use crate::record::inputs::InputList;
use crate::record::task_record;
use crate::run::recorder::Recorder;
use crate::store::layout::Layout;
use crate::terminal::console::{Tone, Verbosity};
use crate::units;

/// Where products of so many tasks or more are all gone, something else is wrong than that somebody removed a few.
const TOO_MANY: u64 = 20;

/// Looks at the products of all tasks of a run that are done by these histories, as a launch with these options does, until it
/// is told to `stop`.
///
/// # Errors
/// When it is, when the list can't be read, and where all of many are gone: then nothing is to be run.
fn look_at_done<'h>(
    config: &RunConfig,
    rule: DueRule<'_>,
    list: &InputList,
    stop: &Shutdown,
    histories: impl IntoIterator<Item = &'h JournalState>,
) -> anyhow::Result<ProductChanges> {
    let header = list.header();
    let is_left_alone = matches!(rule, DueRule::Only(_) | DueRule::Rerun(Rerun::Never));
    if header.products.is_empty() || is_left_alone {
        return Ok(ProductChanges::default());
    }
    let histories: Vec<&JournalState> = histories.into_iter().collect();
    let made = histories.iter().flat_map(|history| history.tasks.with_products());
    let mut done: Vec<(u64, ProductStamp)> = made.map(|(index, made)| (index, made.stamp)).collect();
    done.sort_unstable_by_key(|(index, _)| *index);
    let mut records = Records::new(Layout::new(&config.results_dir));
    let mut recorded = |index| {
        let mut notes = histories.iter().map(|history| history.tasks.get(index));
        let note = notes.find(|note| note.state == TaskState::Ok).unwrap_or_default();
        Ok(records.read(note)?.map(task_record::products_in).unwrap_or_default())
    };
    let declared = declared_products(config, list)?;
    let keep_going = || stop.signal().is_none();
    let changes = look_at_products(&declared, list, &done, &mut recorded, &keep_going)?;
    let gone = changes.gone.count();
    if gone >= TOO_MANY && gone == changes.looked_at {
        bail!(
            "the products of all {gone} finished files of this replica are gone, such as {}. Nothing was run. If they were moved on purpose: --rerun never; if a file system is missing: mount it; to make all of them again: `canfar-run reset {}`, then the launch as before",
            changes.gone.examples.first().map(units::path).unwrap_or_default(),
            config.results_dir.display()
        );
    }
    Ok(changes)
}

/// What the tasks of a run make.
fn declared_products(config: &RunConfig, list: &InputList) -> anyhow::Result<DeclaredProducts> {
    let header = list.header();
    Ok(DeclaredProducts::new(&header.products, &header.source, header.begun_in().unwrap_or(&config.cwd))?)
}

/// The tasks that run again for what became of their products.
fn due_again(rerun: Rerun, changes: &ProductChanges) -> TasksDueAgain {
    let indices = |tasks: &AffectedTasks| IndexRanges::of(tasks.indices.iter().copied());
    let changed = (rerun == Rerun::Changed).then(|| indices(&changes.changed));
    TasksDueAgain { gone: indices(&changes.gone), changed: changed.unwrap_or_default() }
}

/// Looks at the products of all tasks that are done by a history: those that are to be run again count in it as if they had
/// not been run.
///
/// # Errors
/// When it is told to `stop`, when the list can't be read, and where all of many are gone: then nothing is to be run.
pub fn take_back_what_is_gone(
    config: &RunConfig,
    rule: DueRule<'_>,
    list: &InputList,
    stop: &Shutdown,
    history: &mut JournalState,
) -> anyhow::Result<ProductChanges> {
    let changes = look_at_done(config, rule, list, stop, [&*history])?;
    let again = due_again(config.rerun, &changes);
    again.within(&list.header().run_ref().indices).for_each(|index| history.tasks.make_due_again(index));
    Ok(changes)
}

impl Launcher<'_> {
    /// Looks at the products of all tasks that are done by these histories.
    ///
    /// # Errors
    /// As [`take_back_what_is_gone`].
    pub(super) fn look_at_products<'h>(
        &self,
        histories: impl IntoIterator<Item = &'h JournalState>,
    ) -> anyhow::Result<ProductChanges> {
        look_at_done(self.config, self.due_rule(), self.list, self.stop, histories)
    }

    /// What the tasks of the run make.
    ///
    /// # Errors
    /// When a path that was declared can't be used.
    pub(super) fn declared_products(&self) -> anyhow::Result<DeclaredProducts> {
        declared_products(self.config, self.list)
    }

    /// Refuses to begin where products of tasks that are to be run can't be put in their places, and warns of files that are
    /// replaced there by those of tasks that `is_new`.
    ///
    /// # Errors
    /// With the first such place, or when the list can't be read.
    pub(super) fn check_places(
        &self,
        due: impl Iterator<Item = u64>,
        is_new: impl Fn(u64) -> bool,
    ) -> anyhow::Result<()> {
        if self.list.header().products.is_empty() {
            return Ok(());
        }
        let occupied = check_places(&self.declared_products()?, self.list, due, is_new)?;
        if let Some(example) = occupied.example {
            let (are, they) = if occupied.count == 1 { ("is", "it is") } else { ("are", "they are") };
            self.console.warn(&format!(
                "{} {are} there already and {} not made by this run, such as {}: {they} replaced as tasks end ok",
                units::count(occupied.count, "product"),
                if occupied.count == 1 { "was" } else { "were" },
                units::path(&example)
            ));
        }
        Ok(())
    }

    /// Writes into the journal which done tasks are to be run again: their records count no more.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub(super) fn note_due_again(&self, recorder: &Recorder, changes: &ProductChanges) -> anyhow::Result<()> {
        let again = self.due_again(changes);
        if again.is_empty() {
            return Ok(());
        }
        recorder.note_due_again(again).context("can't write the journal").context(CannotWrite)
    }

    /// The tasks of these that are to be run again.
    pub(super) fn due_again(&self, changes: &ProductChanges) -> TasksDueAgain {
        due_again(self.config.rerun, changes)
    }

    /// Tells what became of products.
    pub(super) fn say_changes(&self, changes: &ProductChanges) {
        let ProductChanges { gone, changed, unknown, why_unknown, .. } = changes;
        let warn = |text: &str| self.console.say(Verbosity::Normal, Tone::Warning, text);
        let files = |tasks: &AffectedTasks| units::count(tasks.count(), "file");
        if gone.count() > 0 {
            warn(&format!("products of {} are gone and are made again: {}", files(gone), named(gone)));
        }
        if changed.count() > 0 && self.config.rerun == Rerun::Changed {
            warn(&format!(
                "products of {} have changed and are made again: {}",
                files(changed),
                named(changed)
            ));
        } else if changed.count() > 0 {
            warn(&format!(
                "products of {} have changed since they were made and are left alone (--rerun changed makes them again): {}",
                files(changed),
                named(changed)
            ));
        }
        if let Some(why) = why_unknown {
            warn(&format!(
                "products of {} can't be looked at and are left alone: {}: {why}",
                files(unknown),
                named(unknown)
            ));
        }
    }
}

/// The first few.
fn named(tasks: &AffectedTasks) -> String {
    let paths: Vec<String> = tasks.examples.iter().map(|path: &PathBuf| units::path(path)).collect();
    let more = tasks.count().saturating_sub(paths.len() as u64);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    paths.join(", ") + &rest
}
