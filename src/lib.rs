//! `canfar-run`: the command of a container that is one of N replicas. It finds a run's input files, takes this
//! replica's share, runs a command per file and leaves results that can be merged and trusted to be complete.
//!
//! Data flows one way: `cli` → `config` → `discover`, `listing` → `select` → `run` → `record` → `merge` / `report`.
//! Only `commands` sees them all.

pub mod discover;
