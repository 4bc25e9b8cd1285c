//! What is printed: the figures of a row, and at the end a table of all goals.

use std::io::Write;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::race::{Figures, Goal};
use crate::rows::{ROWS, Row, Work};

/// A goal, and how it went.
#[derive(Debug)]
pub(crate) struct Verdict {
    row: &'static str,
    what: String,
    figure: String,
    goal: String,
    met: &'static str,
}

pub(crate) fn list(out: &mut dyn Write) -> Result<()> {
    for Row { name, title, .. } in ROWS {
        writeln!(out, "{name:<16}{title}")?;
    }
    Ok(())
}

/// Measures a row and prints its figures.
pub(crate) fn row(row: &Row, bench: &Bench, out: &mut dyn Write) -> Result<Vec<Verdict>> {
    writeln!(out, "\n{}: {}", row.name, row.title)?;
    let measured: Result<Vec<Verdict>> = (|| match row.work {
        Work::Race(race) => {
            let race = race(bench)?;
            let figures = race.run(bench)?;
            for figures in &figures {
                line(figures, out)?;
            }
            Ok(race.goals.iter().map(|goal| verdict(row.name, *goal, &figures)).collect())
        }
        Work::Counted(count, of) => {
            for (name, count) in count(bench)? {
                writeln!(out, "  {name:<28}{count:>9.2} {of}")?;
            }
            Ok(Vec::new())
        }
    })();
    let verdicts = measured.with_context(|| format!("row {}", row.name))?;
    for Verdict { what, figure, goal, met, .. } in &verdicts {
        writeln!(out, "  {what}: {figure} (goal: {goal}): {met}")?;
    }
    out.flush()?;
    Ok(verdicts)
}

fn line(figures: &Figures, out: &mut dyn Write) -> Result<()> {
    let seconds = figures.seconds();
    let rate = figures.work as f64 / seconds;
    write!(out, "  {:<28}{seconds:>9.3} s", figures.name)?;
    let peak = figures.peak();
    if peak > 0 {
        write!(out, "{:>10}", mib(peak as f64))?;
    }
    if figures.work > 1 {
        write!(out, "{:>10} of {} a second", format!("{rate:.0}"), figures.work)?;
    }
    writeln!(out)?;
    Ok(())
}

fn verdict(row: &'static str, goal: Goal, figures: &[Figures]) -> Verdict {
    let judged = goal.judge(figures);
    let shown =
        |show: &dyn Fn(f64) -> String| judged.map_or_else(|| "-".to_owned(), |(figure, _)| show(figure));
    let times = |figure: f64| format!("{figure:.2} x");
    let seconds = |figure: f64| format!("{figure:.3} s");
    let rate = |figure: f64| format!("{figure:.0}/s");
    let (what, figure, goal) = match goal {
        Goal::AtMost(one, limit, other) => {
            (format!("{one} / {other}"), shown(&times), format!("at most {limit} x"))
        }
        Goal::Faster(one, limit, other) => {
            (format!("{other} / {one}"), shown(&times), format!("at least {limit} x"))
        }
        Goal::Seconds(one, limit) => (one.to_owned(), shown(&seconds), format!("at most {limit} s")),
        Goal::Rate(one, limit) => (one.to_owned(), shown(&rate), format!("at least {limit}/s")),
        Goal::Peak(one, limit) => (one.to_owned(), shown(&mib), format!("at most {}", mib(limit as f64))),
        Goal::PeakOver(one, limit, other) => {
            (format!("{one} over {other}"), shown(&mib), format!("at most {}", mib(limit as f64)))
        }
    };
    let met = judged.map_or("not there yet", |(_, met)| if met { "met" } else { "missed" });
    Verdict { row, what, figure, goal, met }
}

pub(crate) fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

/// All goals as a table in Markdown.
pub(crate) fn table(verdicts: &[Verdict], out: &mut dyn Write) -> Result<()> {
    cells(["row", "what", "figure", "goal", ""], out)?;
    cells(["---"; 5], out)?;
    for Verdict { row, what, figure, goal, met } in verdicts {
        cells([row, what, figure, goal, met], out)?;
    }
    Ok(())
}

/// A row of such a table.
pub(crate) fn cells<const N: usize>(cells: [&str; N], out: &mut dyn Write) -> Result<()> {
    writeln!(out, "| {} |", cells.join(" | "))?;
    Ok(())
}
