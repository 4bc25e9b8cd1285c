//! The picture that the demo's programs hand to each other.

/// A two-dimensional image, row by row from the first pixel of the file on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    /// Pixels in a row (`NAXIS1`).
    pub(crate) width: usize,
    /// Rows (`NAXIS2`).
    pub(crate) height: usize,
    /// `width * height` physical values; NaN where the file says that there is none.
    pub(crate) pixels: Vec<f32>,
}
