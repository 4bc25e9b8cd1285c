//! How far a run is, from its list and the ends of its journals; nothing here writes. `ledger` counts what a journal's last
//! lines tell, `replica` looks at one replica, `watcher` at all of them again and again, `figures` is what comes of it.

mod figures;
mod ledger;
mod replica;
mod watcher;

pub use figures::{Figures, ReplicaFigures, State, Totals};
pub use watcher::Watcher;
