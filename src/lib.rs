//! `canfar-run`: the command of a container that is one of N replicas. It finds a run's input files, takes this
//! replica's share, runs a command per file and leaves results that can be merged and trusted to be complete.

pub mod discover;
