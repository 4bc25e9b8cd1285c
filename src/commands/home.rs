//! The folder where a run was begun: relative entries of its list are relative to it, wherever a launch is started.

use std::ffi::OsString;
use std::path::Path;

use anyhow::anyhow;

use crate::config::RunConfig;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::provenance::NamedFile;
use crate::record::inputs::{InputList, InputSpec};
use crate::run::execute::WorkFolder;
use crate::status::MonitoredRun;
use crate::store::layout::Layout;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// The launch as the run needs it: the file of a function is the one where the run was begun, and where its share has
/// relative entries, they, and with them the tasks and what is relative in the command, mean the folder where the run was
/// begun. The program is looked for from there.
///
/// # Errors
/// When that folder is not there, or has no such program.
pub(super) fn at_home(config: &RunConfig, list: &InputList, console: &Console) -> anyhow::Result<RunConfig> {
    let header = list.header();
    let config = &config.for_source(&header.source)?.calling_from(header.begun_in());
    let Some((folder, entry)) = home_elsewhere(config, list)? else {
        return config.clone().with_program();
    };
    let (entry, folder_shown) = (units::path(&entry), units::path(folder));
    anyhow::ensure!(
        folder.is_dir(),
        "the entries of this run's list are relative, such as {entry}, to the folder where the run was begun, {folder_shown}, and there is no such directory here. Launch where that folder is mounted; if its files are elsewhere now, give their folder with --chdir"
    );
    let here = units::path(&config.started_in);
    console.say(
        Verbosity::Normal,
        Tone::Plain,
        &format!(
            "tasks start in {folder_shown}, where this run was begun, and not in {here}: entries of its list are relative, such as {entry}"
        ),
    );
    config.at_home_in(folder).with_program()
}

/// The folder where the run was begun, if it is another one than this launch's and an entry of this share is relative to
/// it, with that entry.
fn home_elsewhere<'l>(
    config: &RunConfig,
    list: &'l InputList,
) -> anyhow::Result<Option<(&'l Path, OsString)>> {
    let header = list.header();
    let folder = header.begun_in().filter(|folder| {
        config.work_folder == WorkFolder::Inherited
            && *folder != config.started_in
            && matches!(header.source, InputSpec::List { .. })
    });
    let Some(folder) = folder else { return Ok(None) };
    let mut relative = None;
    list.read(list.share_of(config.identity.replica)?.iter(), |_, entry| {
        if relative.is_none() && Path::new(entry.path).is_relative() {
            relative = Some(entry.path.to_owned());
        }
        Ok(())
    })?;
    Ok(relative.map(|entry| (folder, entry)))
}

/// Tells of words in braces that are no placeholders.
pub(super) fn say_unknown_words(config: &RunConfig, console: &Console) {
    if let Some(note) = &config.unknown_words {
        console.warn(note);
    }
}

/// Warns about files that the command names but that don't exist where the tasks start: each task would fail because of them.
/// [`say_other_files`] warns about files that existed in the folder where the run was begun.
pub(super) fn say_missing_files(config: &RunConfig, list: &InputList, console: &Console) {
    let header = list.header();
    let is_told = |file: &OsString| {
        header.begun_in().is_some_and(|folder| folder != config.command_folder())
            && header.command_files.iter().any(|named| named.name.0 == *file)
    };
    let place = match &config.work_folder {
        WorkFolder::Inherited => format!("in {}, where tasks start", units::path(&config.started_in)),
        WorkFolder::Fixed(folder) => format!("in {}, where tasks start", units::path(folder)),
        WorkFolder::Task => "in the temporary folder where each task starts (--chdir task)".to_owned(),
    };
    for file in config.missing_files().into_iter().filter(|file| !is_told(file)) {
        let name = units::path(file);
        console.warn(&if Path::new(file).is_absolute() {
            format!("the command names {name}, which does not exist here")
        } else {
            format!("the command names {name}, which is not {place}: give its whole path")
        });
    }
}

/// Warns about relative paths in the command that mean a different file in this launch's folder than in the one
/// where the run was begun, or none.
pub(super) fn say_other_files(config: &RunConfig, list: &InputList, here: &[NamedFile], console: &Console) {
    let header = list.header();
    let Some(folder) = header.begun_in().filter(|folder| *folder != config.command_folder()) else { return };
    if config.work_folder != WorkFolder::Inherited {
        return;
    }
    let [here_shown, there] = [config.command_folder(), folder].map(units::path);
    for file in header.command_files.iter().filter(|file| Path::new(&file.name.0).is_relative()) {
        let is_there = here.iter().any(|other| other.name == file.name);
        if here.contains(file) {
            continue;
        }
        let how = if is_there { "another file" } else { "not there" };
        console.warn(&format!(
            "this launch was started in {here_shown}, the run was begun in {there}: {} is {how} here. Start in that folder, or give --chdir {there}, unless this is intended",
            units::path(&file.name.0)
        ));
    }
}

/// An error about the command of a launch, with what is quickest where no file of the run is ok yet.
pub(super) fn or_begin_anew(error: anyhow::Error, layout: &Layout, times: HeartbeatTimes) -> anyhow::Error {
    let count_ok = || anyhow::Ok(MonitoredRun::open(layout.root())?.monitor(times).look()?.totals.counts.ok);
    match count_ok() {
        Ok(0) => anyhow!(
            "{error:#}\nNo file of that run is ok yet, so nothing is lost by beginning anew: `canfar-run reset {}`, then this command again",
            layout.root().display()
        ),
        _ => error,
    }
}
