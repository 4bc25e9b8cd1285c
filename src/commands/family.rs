//! What is said of runs that continue each other.

use crate::config::RunConfig;
use crate::listing::ListedInputs;
use crate::record::family::{self, ContinuingRun, ParentRun};
use crate::record::inputs::InputList;
use crate::store::layout::Layout;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// Tells how many of what matches now is new.
pub(super) fn say_new(console: &Console, listed: &ListedInputs, parent: &ParentRun) {
    let text = format!(
        "{} new since {}; {} in the lists so far left out",
        units::count(listed.entries.len() as u64, "file"),
        units::path(&parent.dir),
        units::count(listed.known, "file"),
    );
    console.say(Verbosity::Normal, Tone::Plain, &text);
}

/// Makes a run known in the directory of the one that it continues: what can't be written there is said, no more.
pub(super) fn make_known(list: &InputList, config: &RunConfig, console: &Console) {
    let Some(parent) = &list.header().parent_dir else { return };
    if let Err(error) = family::note_child(list.header(), &config.results_dir) {
        let parent = units::path(&parent.0);
        let text = format!(
            "{parent} can't be told of this run ({error}): `status` and `merge` there will not name it"
        );
        console.say(Verbosity::Normal, Tone::Plain, &text);
    }
}

/// Tells that nothing has come, and notes it so that a merge of both directories knows.
pub(super) fn say_nothing_new(parent: &ParentRun, known: u64, config: &RunConfig, console: &Console) {
    let dir = units::path(&parent.dir);
    let replica = config.identity.replica;
    let what = match known {
        0 => "no file matches now".to_owned(),
        1 => format!("the one file that matches now is in the lists of {dir}"),
        known => format!("all {known} files that match now are in the lists of {dir}"),
    };
    let text = format!("{replica}: {what}: nothing new, and no run was begun");
    console.say(Verbosity::Normal, Tone::Plain, &text);
    // Else a merge of both says that there is no run.
    let _ = family::note_nothing_new(&Layout::new(&parent.dir), &config.results_dir);
}

/// Warns of other runs that continue the same one: what they have is taken again.
pub(super) fn say_siblings(config: &RunConfig, console: &Console) {
    let Some(parent) = &config.parent else { return };
    let dir = units::path(&parent.dir);
    for child in family::descendants(&Layout::new(&parent.dir), &parent.run) {
        let ContinuingRun { results_dir, files, .. } = child.told();
        if child.dir != config.results_dir {
            console.warn(&format!(
                "{results_dir} already continues {dir}, with {}: as far as they match now, they are run again. --new-since {results_dir} leaves them out",
                units::count(files, "file")
            ));
        }
    }
}
