//! One launch of a replica, from its journal's first line to its last.

mod announcement;
mod balance;
mod begin;
mod concurrency_cap;
mod cpu_sharing;
mod due_again;
mod end;
mod nothing_to_do;
mod pending;
mod run_mismatch;
mod selected;
mod sequence;
mod share_status;

use crate::config::RunConfig;
use crate::journal::launches::{ListedLaunches, launches_of};
use crate::model::selection::TaskSelection;
use crate::process::descendants::Descendants;
use crate::process::shutdown::Shutdown;
use crate::record::inputs::InputList;
use crate::store::layout::Layout;
use crate::terminal::console::Console;

pub use balance::{Reach, Sharing};
pub use begin::PreparedLaunch;
pub use due_again::take_back_what_is_gone;
pub use end::{LaunchOutcome, print_json, told};
pub use nothing_to_do::{changed_since, how_run_stands, remarks};
pub use pending::{DueRule, Pending};
pub use run_mismatch::{agree, agree_on_balance, agree_on_command, agree_on_parent, agree_on_products};
pub use selected::SelectedTasks;
pub use share_status::ShareStatus;

/// The steps of one launch, with what they all need.
pub struct Launcher<'a> {
    /// What to do.
    pub config: &'a RunConfig,
    /// Where to say things.
    pub console: &'a Console,
    /// Where the run is.
    pub layout: &'a Layout,
    /// Its list.
    pub list: &'a InputList,
    /// Signals.
    pub stop: &'a Shutdown,
    /// What tasks may leave behind.
    pub descendants: &'a Descendants,
    /// The launches that were listed, where there are several shares to look at.
    pub listed: Option<&'a ListedLaunches>,
    /// What it runs and nothing else, where that was named (`--only`).
    pub selection: Option<&'a TaskSelection>,
    /// How the run shares its work while it is running; `None` if every replica keeps to its share.
    pub sharing: Option<Sharing<'a>>,
}

impl Launcher<'_> {
    fn id(&self) -> u32 {
        self.config.identity.replica.id()
    }

    /// The launches of the replica, oldest first.
    fn launches(&self) -> anyhow::Result<Vec<u32>> {
        match self.listed {
            Some(listed) => listed.of(self.layout, self.id()),
            None => launches_of(self.layout, self.id()),
        }
    }

    /// Which tasks it is to run of those that it has.
    fn due_rule(&self) -> DueRule<'_> {
        self.selection.map_or(DueRule::Rerun(self.config.rerun), DueRule::Only)
    }

    fn run_id(&self) -> &str {
        &self.list.header().run
    }
}
