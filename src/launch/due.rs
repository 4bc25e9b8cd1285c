//! Which tasks of a share a launch has to run.

use crate::cli::Rerun;
use crate::record::history::{History, Known};

/// What is left of a share, as positions in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// To be run in order, several at a time.
    pub positions: Vec<u32>,
    /// Last and alone: they were running when a container died.
    pub suspects: Vec<u32>,
}

impl Due {
    /// Of what the journals tell, under a rule for failed tasks.
    pub fn of(history: &History, rerun: Rerun) -> Self {
        let mut due = Self::default();
        for (position, (index, note)) in (0..).zip(history.tasks()) {
            let is_suspect = history.suspects.contains_key(&index);
            let is_due = match note.known {
                Known::Nothing => true,
                Known::Ok => false,
                Known::Failed => rerun != Rerun::Never || is_suspect,
                Known::Lost => rerun == Rerun::All,
            };
            if is_due && (is_suspect || note.known == Known::Lost) {
                due.suspects.push(position);
            } else if is_due {
                due.positions.push(position);
            }
        }
        due
    }

    /// How many tasks.
    pub fn len(&self) -> u64 {
        (self.positions.len() + self.suspects.len()) as u64
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
