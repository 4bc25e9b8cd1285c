//! The tests of the program as people meet it, in one binary: a module for each feature.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stderr, reason = "a test that was skipped must be seen")]

mod bad_input;
mod cephfs;
mod command_files;
mod containers;
mod corruption;
mod crash;
mod discover;
mod engines;
mod examples;
mod exit_codes;
mod explicit;
mod fuzz;
mod glob_parity;
mod help;
mod json_parity;
mod last;
mod launch_path;
mod limits;
mod logs;
mod merge;
mod names;
mod nothing_to_do;
mod odd_tasks;
mod options;
mod plan;
mod printing;
mod processes;
mod relative;
mod report;
mod reset;
mod resume;
mod resuming;
mod screen;
mod shares;
mod shell_injection;
mod signals;
mod single;
mod slurm;
mod status;
mod storage;
mod support;
mod tasks;
mod together;
mod worker;
