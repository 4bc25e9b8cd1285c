//! The charts of the page, with a text version of each.

use maud::{Markup, PreEscaped, html};

use super::charts::{Axis, Base, Value, histogram, scatter};
use super::numbers::{grouped, seconds};
use crate::model::histogram::{Histogram, Quantiles};
use crate::report::html::model::{RunHistory, TaskHistory, TaskStanding};
use crate::units;

/// Shorter durations are shown as this: no clock here is more precise, and a logarithm needs a positive number.
const LEAST_S: f64 = 0.001;

pub(super) fn section(history: &RunHistory) -> Markup {
    let duration = Axis { name: "duration", base: Base::Ten, label: &seconds };
    let memory = Axis { name: "memory of the largest process", base: Base::Two, label: &bytes };
    let size = Axis { name: "size of the input", base: Base::Two, label: &bytes };
    let durations = values(history, |task| Some(task.usage?.duration_s.max(LEAST_S)));
    let memories = values(history, |task| task.usage?.max_rss_bytes.map(|bytes| bytes.max(1) as f64));
    let against: Vec<(f64, Value)> = history
        .tasks
        .iter()
        .filter_map(|task| {
            let value = task.usage?.duration_s.max(LEAST_S);
            Some((task.size.filter(|size| *size > 0)? as f64, (value, task.state == TaskStanding::Failed)))
        })
        .collect();
    html! {
        section aria-labelledby="charts-title" {
            h2 #charts-title { "Distributions" }
            p.legend { span.swatch.ok {} " ok " span.swatch.failed {} " failed; axes are logarithmic" }
            div.charts {
                (figure("Duration", histogram(&durations, &duration), &in_words(&durations, &seconds)))
                (figure("Memory", histogram(&memories, &memory), &in_words(&memories, &bytes)))
                (figure("Duration against input size", scatter(&against, &size, &duration), &pairs_in_words(&against)))
            }
        }
    }
}

fn figure(title: &str, svg: Option<String>, words: &str) -> Markup {
    html! {
        figure {
            h3 { (title) }
            @if let Some(svg) = svg {
                div.chart role="img" aria-label={ (title) ": " (words) } { (PreEscaped(svg)) }
            } @else {
                p.none { "There is nothing to draw." }
            }
            figcaption { (words) }
        }
    }
}

fn values(history: &RunHistory, of: impl Fn(&TaskHistory) -> Option<f64>) -> Vec<Value> {
    history.tasks.iter().filter_map(|task| Some((of(task)?, task.state == TaskStanding::Failed))).collect()
}

fn in_words(values: &[Value], label: &dyn Fn(f64) -> String) -> String {
    // Counted as everywhere else, so that all show the same numbers.
    let mut all = Histogram::default();
    values.iter().for_each(|value| all.count(value.0));
    let Some(Quantiles { median, p95, max }) = all.quantiles() else {
        return "Not known for any file.".to_owned();
    };
    format!(
        "{}: median {}, 95 % up to {}, at most {}",
        units::count(all.len(), "file"),
        label(median),
        label(p95),
        label(max)
    )
}

fn pairs_in_words(pairs: &[(f64, Value)]) -> String {
    if pairs.is_empty() {
        return "No input has a known size (they are not files, are gone, or storage did not respond in time)."
            .to_owned();
    }
    let logs: Vec<(f64, f64)> = pairs.iter().map(|(size, (time, _))| (size.ln(), time.ln())).collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>();
    let (xx, yy) = (sum(&|log| (log.0 - x).powi(2)), sum(&|log| (log.1 - y).powi(2)));
    let together = sum(&|log| (log.0 - x) * (log.1 - y)) / (xx * yy).sqrt();
    let files =
        format!("{} {}", grouped(pairs.len() as u64), if pairs.len() == 1 { "file" } else { "files" });
    if together.is_finite() {
        format!(
            "{files}; correlation of log time with log size: {together:.2} (1: time follows size, 0: it does not)"
        )
    } else {
        format!("{files}, all of one size or one duration")
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of an axis are positive and whole"
)]
fn bytes(value: f64) -> String {
    units::bytes(value.round() as u64)
}
