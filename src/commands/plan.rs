//! stub
use std::io::Write;
/// x
pub fn run(_: &crate::cli::PlanArgs, _: &crate::environment::Environment, _: &crate::report::console::Console, _: &mut dyn Write) -> anyhow::Result<crate::exit_code::ExitCode> { anyhow::bail!("x") }
