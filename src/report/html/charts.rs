//! Charts as SVG: distributions, and time against size. Their colours stand for those that the page's style sheet gives.

use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;

/// Drawn at this size, in pixels; the page scales it.
const SIZE: (u32, u32) = (480, 270);

/// Bars of a distribution.
const BARS: usize = 40;

/// Points closer than this, in pixels, are one.
const CELL: f64 = 5.0;

/// The style sheet knows these by their numbers.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const OK: RGBColor = RGBColor(3, 3, 3);
const FAILED: RGBColor = RGBColor(4, 4, 4);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What an axis shows.
pub(super) struct Axis<'a> {
    /// Its name, with the unit.
    pub(super) name: &'a str,
    /// Powers of this have a mark.
    pub(super) base: f64,
    /// A value for people.
    pub(super) label: &'a dyn Fn(f64) -> String,
}

/// A value with whether it is that of a failure.
pub(super) type Value = (f64, bool);

/// How often values occur, failures apart; the axis is logarithmic. `None` where there are none, or they can't be drawn.
pub(super) fn histogram(values: &[Value], axis: &Axis<'_>) -> Option<String> {
    let range = range_of(values.iter().map(|value| value.0))?;
    let place = |value: f64| bar_of(value, range);
    let mut bars = [(0_u32, 0_u32); BARS];
    for (value, is_failure) in values {
        let bar = &mut bars[place(*value)];
        bar.0 += 1;
        bar.1 += u32::from(*is_failure);
    }
    let highest = bars.iter().map(|bar| bar.0).max().unwrap_or(0).max(1);
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d(log_scale(range, axis), 0..highest + highest / 20 + 1)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", 13).into_font().color(&INK))
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|value| (axis.label)(*value))
            .y_label_formatter(&|count| count.to_string())
            .x_desc(axis.name)
            .y_desc("attempts that made the record")
            .draw()?;
        let edge = |bar: usize| range.0 * (range.1 / range.0).powf(bar as f64 / BARS as f64);
        let rectangle = |bar: usize, from: u32, to: u32, color: RGBColor| {
            let mut rectangle = Rectangle::new([(edge(bar), from), (edge(bar + 1), to)], color.filled());
            rectangle.set_margin(0, 0, 0, 1);
            rectangle
        };
        for (bar, (all, failed)) in bars.iter().enumerate().filter(|(_, bar)| bar.0 > 0) {
            chart.draw_series([rectangle(bar, *failed, *all, OK)])?;
            if *failed > 0 {
                chart.draw_series([rectangle(bar, 0, *failed, FAILED)])?;
            }
        }
        Ok(())
    })
}

/// Points of two values, both axes logarithmic; points that would lie on each other are one, larger the more they are.
pub(super) fn scatter(points: &[(f64, Value)], x: &Axis<'_>, y: &Axis<'_>) -> Option<String> {
    let x_range = range_of(points.iter().map(|point| point.0))?;
    let y_range = range_of(points.iter().map(|point| point.1.0))?;
    let mut cells = std::collections::BTreeMap::<(u32, u32, bool), u32>::new();
    for (at, (value, is_failure)) in points {
        let cell = |value, range, pixels: u32| cell_of(value, range, f64::from(pixels) / CELL);
        *cells
            .entry((cell(*at, x_range, SIZE.0), cell(*value, y_range, SIZE.1), *is_failure))
            .or_default() += 1;
    }
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d(log_scale(x_range, x), log_scale(y_range, y))?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", 13).into_font().color(&INK))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|value| (x.label)(*value))
            .y_label_formatter(&|value| (y.label)(*value))
            .x_desc(x.name)
            .y_desc(y.name)
            .draw()?;
        let value = |cell: u32, range: (f64, f64), pixels: u32| {
            range.0 * (range.1 / range.0).powf((f64::from(cell) + 0.5) / (f64::from(pixels) / CELL))
        };
        chart.draw_series(cells.iter().map(|((at, height, is_failure), count)| {
            let color = if *is_failure { FAILED } else { OK };
            // Radii of 2 to 6 pixels, for one to some thousand.
            let radius = 2 + count.ilog(8).min(4);
            Circle::new(
                (value(*at, x_range, SIZE.0), value(*height, y_range, SIZE.1)),
                radius,
                color.filled(),
            )
        }))?;
        Ok(())
    })
}

fn log_scale(range: (f64, f64), axis: &Axis<'_>) -> LogCoord<f64> {
    (range.0..range.1).log_scale().base(axis.base).into()
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn drawn(draw: impl FnOnce(&Area<'_>) -> Drawn) -> Option<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let is_drawn = draw(&area).and_then(|()| area.present()).is_ok();
    drop(area);
    is_drawn.then_some(svg)
}

/// From the least to the greatest value and a little around them: a chart of equal values has a width, too.
fn range_of(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let least = values.clone().reduce(f64::min)?;
    let greatest = values.reduce(f64::max)?;
    (least > 0.0 && greatest.is_finite()).then(|| (least / 1.15, greatest * 1.15))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of cells"
)]
fn cell_of(value: f64, range: (f64, f64), cells: f64) -> u32 {
    let part = (value / range.0).ln() / (range.1 / range.0).ln();
    (part * cells).clamp(0.0, cells - 1.0) as u32
}

fn bar_of(value: f64, range: (f64, f64)) -> usize {
    cell_of(value, range, BARS as f64) as usize
}
