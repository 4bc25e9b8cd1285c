//! Charts as SVG: distributions, and time against size. The page's style sheet defines their colours.

use plotters::coord::Shift;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

/// Drawn at this size, in pixels; the page scales it.
const SIZE: (u32, u32) = (480, 270);

/// The height of text, of which plotters makes 13 px.
const TEXT: f64 = 16.12;

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
    /// Its marks are multiples of powers of this.
    pub(super) base: Base,
    /// A value for people.
    pub(super) label: &'a dyn Fn(f64) -> String,
}

/// What numbers are round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// Powers of 2, as of bytes.
    Two,
    /// 1, 2 and 5 times powers of 10.
    Ten,
}

impl Base {
    fn number(self) -> f64 {
        match self {
            Self::Two => 2.0,
            Self::Ten => 10.0,
        }
    }

    /// The round numbers between a power and the next one, as multiples of that.
    fn multiples(self) -> &'static [f64] {
        match self {
            Self::Two => &[1.0],
            Self::Ten => &[1.0, 2.0, 5.0],
        }
    }
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
            .x_label_area_size(46)
            .y_label_area_size(66)
            .build_cartesian_2d(scale(range, axis), 0..highest + highest / 20 + 1)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", TEXT).into_font().color(&INK))
            .x_labels(6)
            .y_labels(5)
            .x_label_formatter(&|value| (axis.label)(*value))
            .y_label_formatter(&|count| count.to_string())
            .x_desc(axis.name)
            .y_desc("files")
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
            .x_label_area_size(46)
            .y_label_area_size(66)
            .build_cartesian_2d(scale(x_range, x), scale(y_range, y))?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(("sans-serif", TEXT).into_font().color(&INK))
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

/// Logarithmic, with marks at round numbers.
fn scale(range: (f64, f64), axis: &Axis<'_>) -> impl Ranged<ValueType = f64> + ValueFormatter<f64> + use<> {
    (range.0..range.1).log_scale().base(axis.base.number()).with_key_points(marks(range, axis.base))
}

/// The smallest and largest number of marks of an axis.
const FEWEST_MARKS: usize = 3;
const MOST_MARKS: usize = 7;

/// Round numbers in a range: those of each power, or only powers where these are many, and of a narrow range multiples of one
/// step.
fn marks(range: (f64, f64), base: Base) -> Vec<f64> {
    let of_powers = |multiples: &[f64]| -> Vec<f64> {
        let powers = powers_around(range, base);
        let round = powers.flat_map(|power| multiples.iter().map(move |multiple| multiple * power));
        round.filter(|number| (range.0..=range.1).contains(number)).collect()
    };
    let all = of_powers(base.multiples());
    if all.len() < FEWEST_MARKS {
        return steps(range, base);
    }
    let fewer = if all.len() > MOST_MARKS { of_powers(&[1.0]) } else { all };
    let every = fewer.len().div_ceil(MOST_MARKS);
    fewer.into_iter().step_by(every).collect()
}

/// The powers from the last one below a range to the first one above, ascending.
#[expect(clippy::cast_possible_truncation, reason = "a logarithm of a double is small")]
fn powers_around((least, greatest): (f64, f64), base: Base) -> impl DoubleEndedIterator<Item = f64> {
    let below = |number: f64| number.log(base.number()).floor();
    let [first, last] = [below(least), below(greatest) + 1.0].map(|power| power as i32);
    (first..=last).map(move |power| base.number().powi(power))
}

/// The multiples in a range of the largest round step of which there are enough.
fn steps((least, greatest): (f64, f64), base: Base) -> Vec<f64> {
    let width = greatest - least;
    let smaller = powers_around((width / 1000.0, width), base).rev();
    let mut sizes =
        smaller.flat_map(|power| base.multiples().iter().rev().map(move |multiple| multiple * power));
    let step = sizes.find(|step| width >= FEWEST_MARKS as f64 * step).unwrap_or(width);
    let first = (least / step).ceil();
    let multiples = (0_u8..).map(|number| (first + f64::from(number)) * step);
    multiples.take_while(|mark| *mark <= greatest).collect()
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

#[cfg(test)]
mod tests {
    use super::{Axis, Base, FEWEST_MARKS, MOST_MARKS, histogram, marks, range_of};

    #[test]
    fn an_axis_is_marked_at_round_numbers_whatever_its_range_is() {
        let around = |least: f64, greatest: f64| range_of([least, greatest].into_iter()).unwrap();
        assert_eq!(marks(around(0.02, 3.0), Base::Ten), [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]);
        assert_eq!(marks(around(0.001, 4000.0), Base::Ten), [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(marks(around(100.0, 100.0), Base::Ten), [90.0, 95.0, 100.0, 105.0, 110.0]);
        assert_eq!(marks(around(70.0, 72.0), Base::Two), [64.0, 68.0, 72.0, 76.0, 80.0]);
        let widths = [1.0, 1.01, 1.5, 2.0, 7.0, 1e2, 1e5, 1e9];
        for (base, least) in
            [Base::Two, Base::Ten].into_iter().flat_map(|base| [0.001, 0.37, 9.0, 4.2e7].map(|at| (base, at)))
        {
            for range in widths.map(|width| around(least, least * width)) {
                let marks = marks(range, base);
                assert!(
                    (FEWEST_MARKS..=MOST_MARKS + 1).contains(&marks.len()),
                    "{range:?} {base:?}: {marks:?}"
                );
                assert!(marks.iter().all(|mark| (range.0..=range.1).contains(mark)), "{range:?}: {marks:?}");
            }
        }
    }

    #[test]
    fn every_mark_has_its_text() {
        let axis = Axis { name: "memory", base: Base::Two, label: &|value| format!("{value} bytes") };
        let drawn = histogram(&[(70.0, false), (71.0, true)], &axis).unwrap();
        assert_eq!(drawn.matches(" bytes").count(), 5, "{drawn}");
    }
}
