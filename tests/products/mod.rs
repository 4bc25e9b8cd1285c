//! What tasks make and was declared with `--product`: whole under its final name, or not there.

mod crash;
mod later;
mod options;
mod publish;
mod readers;
mod two_stage;
mod using;
