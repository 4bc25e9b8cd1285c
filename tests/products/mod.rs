//! What tasks make and was declared with `--product`: whole under its final name, or not there.

mod crash;
mod publish;
mod two_stage;
mod using;
