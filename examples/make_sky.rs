//! Writes a sky to count the stars of: FITS images of widely spread sizes in one folder, and the true numbers of
//! stars in a file of their own, so that no detector can read them off a header.
//!
//! `make_sky SKY_FOLDER TRUTH_FILE [FILES [SEED]]`: the same seed gives the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use support::fits_write::{Card, Storage, Value, file_bytes};
use support::sky::{Sky, draw, log_between};

mod support {
    pub(crate) mod fits_write;
    pub(crate) mod image;
    pub(crate) mod sky;
}

const FILES: usize = 40;
const SEED: u64 = 2026;
/// The sides of an image, in pixels: areas, and so times and bytes, differ by up to 256 times.
const SHORTEST: f32 = 64.0;
const LONGEST: f32 = 1024.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match make(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "make_sky: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make(arguments: &[String]) -> Result<()> {
    let (Some(folder), Some(truth_file)) = (arguments.first(), arguments.get(1)) else {
        bail!("usage: make_sky SKY_FOLDER TRUTH_FILE [FILES [SEED]]");
    };
    let files: usize = number(arguments.get(2), FILES)?;
    let seed: u64 = number(arguments.get(3), SEED)?;
    fs::create_dir_all(folder).with_context(|| format!("creating the folder {folder}"))?;
    let mut truth = BTreeMap::new();
    for number in 1..=files {
        let name = format!("obs_{number:04}.fits");
        // Each file has a seed of its own, so that asking for more files does not change the first ones.
        let mut random = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let stars = write_file(&Path::new(folder).join(&name), number, &mut random)?;
        truth.insert(name, stars);
    }
    let text = serde_json::to_string_pretty(&truth)? + "\n";
    fs::write(truth_file, text).with_context(|| format!("writing {truth_file}"))?;
    let stars: usize = truth.values().sum();
    writeln!(io::stdout(), "{files} FITS files with {stars} stars in {folder}, the truth in {truth_file}")?;
    Ok(())
}

fn number<T: FromStr>(argument: Option<&String>, default: T) -> Result<T> {
    let Some(text) = argument else { return Ok(default) };
    let Ok(number) = text.parse() else { bail!("{text} is not a whole number") };
    Ok(number)
}

/// Draws and writes one file; how many stars it shows.
fn write_file(path: &Path, number: usize, random: &mut Rng) -> Result<usize> {
    let typical = log_between(random, SHORTEST, LONGEST);
    let (width, height) = (side(random, typical), side(random, typical));
    let Sky { image, stars } = draw(random, width, height);
    let storage = if random.bool() { Storage::Unsigned16 } else { Storage::Float32 };
    let object = format!("FIELD {number}");
    let date =
        format!("2026-11-{:02}T{:02}:{:02}:00", 1 + number / 96 % 30, number / 4 % 24, number % 4 * 15);
    let cards = [
        Card("OBJECT", Value::Text(&object), "what was observed"),
        Card("DATE-OBS", Value::Text(&date), "UTC at the start"),
        Card("EXPTIME", Value::Real(60.0), "seconds"),
        Card("CTYPE1", Value::Text("RA---TAN"), "right ascension, gnomonic projection"),
        Card("CTYPE2", Value::Text("DEC--TAN"), "declination, gnomonic projection"),
        Card("CRVAL1", Value::Real(360.0 * random.f64()), "degrees at the reference pixel"),
        Card("CRVAL2", Value::Real(120.0 * random.f64() - 60.0), "degrees at the reference pixel"),
        Card("CRPIX1", Value::Real(0.5 * width as f64 + 0.5), "reference pixel, counted from 1"),
        Card("CRPIX2", Value::Real(0.5 * height as f64 + 0.5), "reference pixel, counted from 1"),
        Card("CDELT1", Value::Real(-1e-4), "degrees per pixel"),
        Card("CDELT2", Value::Real(1e-4), "degrees per pixel"),
        Card("CUNIT1", Value::Text("deg"), "unit of CRVAL1 and CDELT1"),
        Card("CUNIT2", Value::Text("deg"), "unit of CRVAL2 and CDELT2"),
        Card("RADESYS", Value::Text("ICRS"), "frame of the coordinates"),
    ];
    fs::write(path, file_bytes(&image, storage, &cards))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(stars)
}

/// A side of an image that is not quite square.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between SHORTEST and LONGEST")]
fn side(random: &mut Rng, typical: f32) -> usize {
    (typical * log_between(random, 0.8, 1.25)).clamp(SHORTEST, LONGEST) as usize
}
