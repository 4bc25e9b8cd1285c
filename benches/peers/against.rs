//! The program beside another build of it: the same work by both, in turns.

use std::io::Write;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::race::Figures;
use crate::report::{cells, mib};
use crate::rows::calls::PerTask;
use crate::rows::{Row, Work};

/// A figure of both, as text.
#[derive(Debug)]
pub(crate) struct Compared {
    row: &'static str,
    what: String,
    after: String,
    before: String,
    ratio: String,
    memory: String,
}

/// Measures a row with both binaries and prints its figures.
pub(crate) fn row(row: &Row, [after, before]: &[Bench; 2], out: &mut dyn Write) -> Result<Vec<Compared>> {
    writeln!(out, "\n{}: {}", row.name, row.title)?;
    let compared = match row.work {
        Work::Race(race) => race(after).and_then(|race_after| {
            let figures = race_after.run_beside(&race(before)?, after)?;
            Ok(figures.iter().map(|pair| timed(row.name, pair)).collect::<Vec<_>>())
        }),
        Work::Counted(count, of) => {
            count(after).and_then(|calls| Ok(counted(row.name, of, &calls, &count(before)?)))
        }
    };
    let mut compared = compared.with_context(|| format!("row {}", row.name))?;
    for Compared { what, after, before, ratio, memory, .. } in &compared {
        writeln!(out, "  {what:<28}{after:>12} after{before:>15} before{ratio:>10}  memory {memory}")?;
    }
    out.flush()?;
    if let Work::Counted(..) = row.work {
        // The table has no room for each kind of call.
        compared.truncate(1);
    }
    Ok(compared)
}

fn timed(row: &'static str, [after, before]: &[Figures; 2]) -> Compared {
    let seconds = |figures: &Figures| format!("{:.3} s", figures.seconds());
    let (peak, earlier) = (after.peak() as f64, before.peak() as f64);
    let memory = format!("{} / {} = {}", mib(peak), mib(earlier), times(peak / earlier));
    Compared {
        row,
        what: after.name.to_owned(),
        after: seconds(after),
        before: seconds(before),
        ratio: times(after.ratio(before)),
        memory: if earlier > 0.0 { memory } else { "-".to_owned() },
    }
}

/// What one of them never does counts as 0.
fn counted(row: &'static str, of_what: &str, after: &PerTask, before: &PerTask) -> Vec<Compared> {
    let of = |counts: &PerTask, name: &str| {
        counts.iter().find(|(other, _)| other == name).map_or(0.0, |(_, count)| *count)
    };
    let gone = before.iter().filter(|(name, _)| !after.iter().any(|(other, _)| other == name));
    let names: Vec<String> = after.iter().chain(gone).map(|(name, _)| name.clone()).collect();
    let compare = |what: String| {
        let (after, before) = (of(after, &what), of(before, &what));
        let [shown, earlier] = [after, before].map(|count| format!("{count:.2} {of_what}"));
        Compared {
            row,
            what,
            after: shown,
            before: earlier,
            ratio: times(after / before),
            memory: "-".to_owned(),
        }
    };
    names.into_iter().map(compare).collect()
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2} x")
}

/// All of it as a table in Markdown.
pub(crate) fn table(all: &[Compared], out: &mut dyn Write) -> Result<()> {
    writeln!(out)?;
    cells(["row", "what", "after", "before", "after / before", "memory"], out)?;
    cells(["---"; 6], out)?;
    for Compared { row, what, after, before, ratio, memory } in all {
        cells([row, what, after, before, ratio, memory], out)?;
    }
    Ok(())
}
