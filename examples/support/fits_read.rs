//! Reads the image of a FITS file's primary part: `BITPIX` 8, 16, 32, 64, -32 and -64, with `BSCALE`, `BZERO` and
//! `BLANK` (FITS standard 4.0, sections 4.1, 4.4 and 5). Compressed files and images in extensions are left to
//! `analyze_fits.py`, which has astropy.

use std::collections::HashMap;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use super::image::Image;

const CARD: usize = 80;
const BLOCK: usize = 2880;

/// The image in `bytes`, which are a whole file.
///
/// # Errors
/// When it is no FITS file, has no two-dimensional image in its primary part, or ends before its last pixel.
pub(crate) fn image(bytes: &[u8]) -> Result<Image> {
    ensure!(bytes.starts_with(b"SIMPLE  ="), "not a FITS file: it does not begin with SIMPLE");
    let (header, header_bytes) = Header::read(bytes)?;
    let (width, height) = header.size()?;
    let bitpix: i64 = header.required("BITPIX")?;
    let pixels = width.checked_mul(height).context("NAXIS1 times NAXIS2 is more than a machine can count")?;
    let data = bytes.get(header_bytes..).unwrap_or_default();
    let needed = pixels.saturating_mul(usize::try_from(bitpix.unsigned_abs() / 8)?);
    let Some(data) = data.get(..needed) else {
        bail!(
            "the header promises {needed} bytes of pixels, the file has {}: cut off, copy it again?",
            data.len()
        );
    };
    Ok(Image { width, height, pixels: header.scaled(stored(data, bitpix)?)? })
}

/// The pixels as they are stored.
fn stored(data: &[u8], bitpix: i64) -> Result<Vec<f64>> {
    Ok(match bitpix {
        8 => data.iter().map(|&byte| byte.into()).collect(),
        16 => data.as_chunks().0.iter().map(|&c| i16::from_be_bytes(c).into()).collect(),
        32 => data.as_chunks().0.iter().map(|&c| i32::from_be_bytes(c).into()).collect(),
        64 => data.as_chunks().0.iter().map(|&c| i64::from_be_bytes(c) as f64).collect(),
        -32 => data.as_chunks().0.iter().map(|&c| f32::from_be_bytes(c).into()).collect(),
        -64 => data.as_chunks().0.iter().map(|&c| f64::from_be_bytes(c)).collect(),
        other => bail!("BITPIX is {other}, but FITS knows 8, 16, 32, 64, -32 and -64"),
    })
}

/// The values of a header as text, by keyword; of a repeated keyword the first.
struct Header(HashMap<String, String>);

impl Header {
    /// The header, and how many bytes it takes with its padding.
    fn read(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut values = HashMap::new();
        for (number, card) in bytes.chunks_exact(CARD).enumerate() {
            let (keyword, rest) = card.split_at(8);
            if keyword == b"END     " {
                return Ok((Self(values), ((number + 1) * CARD).next_multiple_of(BLOCK)));
            }
            if let Some(value) = rest.strip_prefix(b"= ") {
                let keyword = String::from_utf8_lossy(keyword).trim_end().to_owned();
                let value = String::from_utf8_lossy(value);
                let value = value.split('/').next().unwrap_or_default().trim().to_owned();
                values.entry(keyword).or_insert(value);
            }
        }
        bail!("the header has no END within the file: cut off, copy it again?")
    }

    /// Width and height; axes beyond the second, as radio images have, must have length 1.
    fn size(&self) -> Result<(usize, usize)> {
        let axes: usize = self.required("NAXIS")?;
        ensure!(axes >= 2, "no image in its primary part (NAXIS = {axes}); is it in an extension?");
        ensure!(axes <= 999, "NAXIS is {axes}, but FITS allows at most 999");
        for axis in 3..=axes {
            let length: usize = self.required(&format!("NAXIS{axis}"))?;
            ensure!(length == 1, "a cube, not an image: NAXIS{axis} = {length}");
        }
        Ok((self.required("NAXIS1")?, self.required("NAXIS2")?))
    }

    #[expect(clippy::cast_possible_truncation, reason = "32-bit floats are precise enough to count stars")]
    fn scaled(&self, stored: Vec<f64>) -> Result<Vec<f32>> {
        let scale = self.optional("BSCALE")?.unwrap_or(1.0);
        let zero = self.optional("BZERO")?.unwrap_or(0.0);
        let blank: Option<f64> = self.optional("BLANK")?;
        let physical = |value| if blank == Some(value) { f64::NAN } else { zero + scale * value };
        Ok(stored.into_iter().map(|value| physical(value) as f32).collect())
    }

    fn required<T: FromStr>(&self, keyword: &str) -> Result<T> {
        self.optional(keyword)?.with_context(|| format!("the header has no {keyword}"))
    }

    fn optional<T: FromStr>(&self, keyword: &str) -> Result<Option<T>> {
        let Some(text) = self.0.get(keyword) else { return Ok(None) };
        // FITS, like Fortran, may write an exponent with a D.
        let Ok(value) = text.replace('D', "E").parse() else {
            bail!("{keyword} = {text} is not a usable number")
        };
        Ok(Some(value))
    }
}
