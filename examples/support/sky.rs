//! Draws a piece of sky with a known number of stars: far enough from each other and bright enough that a fair
//! detector must find each of them, once.

use std::f32::consts::TAU;

use fastrand::Rng;

use super::image::Image;

/// Pixels that two stars, or a star and a hot pixel, are apart at least.
const SEPARATION: f32 = 16.0;
/// Pixels between a star and the border.
const MARGIN: f32 = 8.0;
/// Radius within which a star adds light, in pixels; beyond it the brightest one is far below the noise.
const REACH: usize = 12;
/// Pixels of sky for each star, in the fullest images.
const AREA_PER_STAR: usize = 1500;

/// An image and the truth about it.
#[derive(Debug)]
pub(crate) struct Sky {
    pub(crate) image: Image,
    pub(crate) stars: usize,
}

/// A sky of that many pixels: flat background, normal noise, round stars, a few hot pixels.
/// The sides must be at least 64 pixels; the same state of `random` always draws the same sky.
pub(crate) fn draw(random: &mut Rng, width: usize, height: usize) -> Sky {
    let background = between(random, 100.0, 1000.0);
    let noise = between(random, 3.0, 8.0);
    let blur = between(random, 1.2, 1.6);
    let mut image = Image { width, height, pixels: Vec::with_capacity(width * height) };
    image.pixels.extend((0..width * height).map(|_| background + noise * normal(random)));
    let wanted = random.usize(1..=(width * height / AREA_PER_STAR).max(1));
    let mut places = Vec::with_capacity(wanted);
    scatter(random, &image, wanted, &mut places);
    let stars = places.len();
    for &place in &places {
        let peak = noise * log_between(random, 30.0, 1000.0);
        add_star(&mut image, place, peak, blur);
    }
    scatter(random, &image, width * height / 10_000, &mut places);
    for &(x, y) in &places[stars..] {
        let pixel = pixel_at(x, y, width);
        image.pixels[pixel] += 50.0 * noise;
    }
    Sky { image, stars }
}

/// A number between two positive ones, each factor as likely as any other.
pub(crate) fn log_between(random: &mut Rng, low: f32, high: f32) -> f32 {
    low * (high / low).powf(random.f32())
}

fn between(random: &mut Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * random.f32()
}

/// A draw from the standard normal distribution (Box and Muller 1958).
fn normal(random: &mut Rng) -> f32 {
    (-2.0 * (1.0 - random.f32()).ln()).sqrt() * (TAU * random.f32()).cos()
}

/// Adds up to `wanted` places, each away from the border and from all others.
fn scatter(random: &mut Rng, image: &Image, wanted: usize, places: &mut Vec<(f32, f32)>) {
    let (right, top) = (image.width as f32 - MARGIN, image.height as f32 - MARGIN);
    for _ in 0..wanted {
        let (x, y) = (between(random, MARGIN, right), between(random, MARGIN, top));
        if places.iter().all(|&(other_x, other_y)| (x - other_x).hypot(y - other_y) >= SEPARATION) {
            places.push((x, y));
        }
    }
}

fn add_star(image: &mut Image, (x, y): (f32, f32), peak: f32, blur: f32) {
    let centre = pixel_at(x, y, image.width);
    let (column, row) = (centre % image.width, centre / image.width);
    for j in row.saturating_sub(REACH)..(row + REACH).min(image.height) {
        for i in column.saturating_sub(REACH)..(column + REACH).min(image.width) {
            let squared = (i as f32 - x).powi(2) + (j as f32 - y).powi(2);
            image.pixels[j * image.width + i] += peak * (-squared / (2.0 * blur * blur)).exp();
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places lie within the image")]
fn pixel_at(x: f32, y: f32, width: usize) -> usize {
    y as usize * width + x as usize
}
