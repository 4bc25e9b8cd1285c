//! Counts the stars of an image: what stands out of the noise over more than a few touching pixels.

use super::image::Image;

/// How many times the noise a pixel must stand above the background.
const THRESHOLD: f32 = 5.0;
/// Touching pixels that make a star; fewer are a hot pixel or a cosmic ray.
const SMALLEST_STAR: usize = 5;
/// Standard deviation of a normal distribution over its median absolute deviation.
const SIGMA_PER_MAD: f32 = 1.4826;

/// What was found in an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Detection {
    pub(crate) stars: usize,
    /// The median pixel, in the image's own units.
    pub(crate) background: f32,
    /// The standard deviation of the background, estimated so that stars don't add to it.
    pub(crate) noise: f32,
}

/// `None` when no pixel has a value.
pub(crate) fn detect(image: &Image) -> Option<Detection> {
    let mut finite: Vec<f32> = image.pixels.iter().copied().filter(|pixel| pixel.is_finite()).collect();
    let background = median(&mut finite)?;
    for pixel in &mut finite {
        *pixel = (*pixel - background).abs();
    }
    let noise = SIGMA_PER_MAD * median(&mut finite)?;
    let limit = background + THRESHOLD * noise;
    let bright = image.pixels.iter().map(|&pixel| pixel > limit).collect();
    Some(Detection { stars: count_islands(bright, image.width), background, noise })
}

fn median(values: &mut [f32]) -> Option<f32> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    Some(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

/// The connected groups (diagonals count) of at least [`SMALLEST_STAR`] set pixels.
fn count_islands(mut bright: Vec<bool>, width: usize) -> usize {
    let mut stars = 0;
    for start in 0..bright.len() {
        if bright[start] && take_island(&mut bright, width, start) >= SMALLEST_STAR {
            stars += 1;
        }
    }
    stars
}

/// Clears the group that holds `start`; how many pixels it had.
fn take_island(bright: &mut [bool], width: usize, start: usize) -> usize {
    let mut size = 0;
    let mut to_visit = vec![start];
    bright[start] = false;
    while let Some(pixel) = to_visit.pop() {
        size += 1;
        let (column, row) = (pixel % width, pixel / width);
        for y in row.saturating_sub(1)..=row + 1 {
            for x in column.saturating_sub(1)..=(column + 1).min(width - 1) {
                if bright.get(y * width + x) == Some(&true) {
                    bright[y * width + x] = false;
                    to_visit.push(y * width + x);
                }
            }
        }
    }
    size
}
