//! Counts the stars of one FITS image and prints what it found as one JSON object: the demo's stand-in for an
//! astronomer's script. It knows nothing of canfar-run.
//!
//! `count_stars FILE`

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use support::detect::detect;
use support::fits_read;

mod support {
    pub(crate) mod detect;
    pub(crate) mod fits_read;
    pub(crate) mod image;
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        _ = writeln!(io::stderr(), "usage: count_stars FILE");
        return ExitCode::from(2);
    };
    let counted = count(path.as_ref()).and_then(|found| Ok(writeln!(io::stdout(), "{found}")?));
    match counted {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "count_stars: {}: {error:#}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn count(path: &std::path::Path) -> Result<Value> {
    let bytes = fs::read(path).context("can't be read")?;
    let image = fits_read::image(&bytes)?;
    let Some(found) = detect(&image) else { bail!("no pixel of it has a value") };
    Ok(json!({
        "stars_detected": found.stars,
        "background": rounded(found.background),
        "noise": rounded(found.noise),
        "width": image.width,
        "height": image.height,
    }))
}

/// To two decimals, which is more than the estimate knows.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}
