//! Measures canfar-run beside what people would take instead, and prints seconds, memory, ratios and goals.
//!
//! `cargo bench --bench peers -- [ROW...] [--quick] [--growth] [--against BINARY] [--list]`; `benches/run`
//! installs the peers first.
#![expect(clippy::unnecessary_wraps, reason = "rows are of one type, and most of them can fail")]

mod against;
mod bench;
mod data;
mod growth;
mod machine;
mod race;
mod report;
mod rows;
mod timed;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use bench::{Bench, Size};
use rows::ROWS;

/// What was asked for.
#[derive(Debug, Default)]
struct Asked {
    rows: Vec<String>,
    size: Size,
    list: bool,
    growth: bool,
    against: Option<PathBuf>,
}

fn main() -> ExitCode {
    match asked(std::env::args().skip(1)).and_then(|asked| run(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "peers: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked> {
    let mut asked = Asked::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own word.
            "--bench" => {}
            "--quick" => asked.size = Size::Tenth,
            "--list" => asked.list = true,
            "--growth" => asked.growth = true,
            "--against" => {
                let binary = arguments.next().context("--against takes a binary")?;
                asked.against = Some(binary.into());
            }
            row if ROWS.iter().any(|known| known.name == row) => asked.rows.push(argument),
            other => bail!("there is no row or option {other}: --list tells the rows"),
        }
    }
    Ok(asked)
}

fn run(asked: &Asked) -> Result<()> {
    if asked.list {
        return report::list(&mut io::stdout());
    }
    if asked.growth && asked.against.is_some() {
        bail!("--growth is about one binary: leave out --against");
    }
    let bench = Bench::new(asked.size)?;
    machine::describe(&bench, asked.against.as_deref(), &mut io::stdout())?;
    if asked.growth {
        return growth::print(&bench, &mut io::stdout());
    }
    let wanted = |name: &str| asked.rows.is_empty() || asked.rows.iter().any(|row| row == name);
    let rows = ROWS.iter().filter(|row| wanted(row.name));
    if let Some(before) = &asked.against {
        let both = bench.against(before)?;
        let mut compared = Vec::new();
        for row in rows {
            compared.extend(against::row(row, &both, &mut io::stdout())?);
        }
        return against::table(&compared, &mut io::stdout());
    }
    let mut verdicts = Vec::new();
    for row in rows {
        verdicts.extend(report::row(row, &bench, &mut io::stdout())?);
    }
    report::table(&verdicts, &mut io::stdout())
}
