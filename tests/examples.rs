//! What `examples/` promises: the demo's sky and detector agree, astropy reads our files as we do, the Python script
//! finds the same stars, and both ways of launching send the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fastrand::Rng;
use support::detect::detect;
use support::fits_read;
use support::fits_write::{Card, Storage, Value, file_bytes};
use support::sky::draw;

use crate::support::{Component, InTime, python, require};

#[path = "../examples/support"]
pub(crate) mod support {
    pub(crate) mod detect;
    pub(crate) mod fits_read;
    pub(crate) mod fits_write;
    pub(crate) mod image;
    pub(crate) mod sky;
}

#[test]
fn the_detector_counts_exactly_the_stars_that_were_drawn() {
    for seed in 0..60 {
        let mut random = Rng::with_seed(seed);
        let (width, height) = (random.usize(64..200), random.usize(64..200));
        let sky = draw(&mut random, width, height);
        for storage in [Storage::Unsigned16, Storage::Float32] {
            let image = fits_read::image(&file_bytes(&sky.image, storage, &[])).unwrap();
            assert_eq!(detect(&image).unwrap().stars, sky.stars, "seed {seed}, {storage:?}");
        }
    }
}

#[test]
fn every_type_of_pixel_is_read_as_the_same_numbers() {
    let files: [(&str, Vec<u8>); 6] = [
        ("8", vec![1, 2, 200]),
        ("16", [1_i16, 2, 200].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("32", [1_i32, 2, 200].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("64", [1_i64, 2, 200].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("-32", [1_f32, 2.0, 200.0].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("-64", [1_f64, 2.0, 200.0].iter().flat_map(|v| v.to_be_bytes()).collect()),
    ];
    for (bitpix, pixels) in files {
        let cards = [("BITPIX", bitpix), ("NAXIS", "2"), ("NAXIS1", "3"), ("NAXIS2", "1")];
        let scaling = [("BSCALE", "5.0D-1 / half"), ("BZERO", "10")];
        let image = fits_read::image(&file_of(&[&cards[..], &scaling].concat(), &pixels)).unwrap();
        assert_eq!(image.pixels, [10.5, 11.0, 110.0], "BITPIX {bitpix}");
    }
}

#[test]
fn a_blank_pixel_has_no_value_and_axes_of_length_one_do_not_count() {
    let cards = [("BITPIX", "8"), ("NAXIS", "4"), ("NAXIS1", "2"), ("NAXIS2", "1"), ("NAXIS3", "1")];
    let image =
        fits_read::image(&file_of(&[&cards[..], &[("NAXIS4", "1"), ("BLANK", "7")]].concat(), &[7, 8]));
    let pixels = image.unwrap().pixels;
    assert!(pixels[0].is_nan());
    assert_eq!(pixels[1].to_bits(), 8_f32.to_bits());
}

#[test]
fn broken_files_are_errors_that_say_what_is_wrong() {
    let table = file_of(&[("BITPIX", "8"), ("NAXIS", "0")], &[]);
    let cube = [("BITPIX", "8"), ("NAXIS", "3"), ("NAXIS1", "2"), ("NAXIS2", "2"), ("NAXIS3", "2")];
    let large = [("BITPIX", "64"), ("NAXIS", "2"), ("NAXIS1", "99999999999"), ("NAXIS2", "99999999999")];
    let cut = [("BITPIX", "16"), ("NAXIS", "2"), ("NAXIS1", "2000"), ("NAXIS2", "1")];
    let odd = [("BITPIX", "24"), ("NAXIS", "2"), ("NAXIS1", "1"), ("NAXIS2", "1")];
    let text = [("BITPIX", "8"), ("NAXIS", "two")];
    for (file, wanted) in [
        (b"root:x:0".to_vec(), "not a FITS file"),
        (b"SIMPLE  =                    T".to_vec(), "no END"),
        (table, "no image in its primary part"),
        (file_of(&cube, &[0; 8]), "a cube"),
        (file_of(&large, &[0; 8]), "more than a machine can count"),
        (file_of(&cut, &[0; 8]), "promises 4000 bytes of pixels, the file has 2880"),
        (file_of(&odd, &[0; 8]), "BITPIX is 24"),
        (file_of(&text, &[]), "NAXIS = two is not a usable number"),
        (file_of(&[("NAXIS", "2"), ("NAXIS1", "1"), ("NAXIS2", "1")], &[]), "no BITPIX"),
    ] {
        let error = fits_read::image(&file).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn astropy_accepts_our_files_without_a_word_and_reads_the_same_pixels() {
    if !require(Component::Python("astropy")) {
        return;
    }
    let python = python();
    let folder = tempfile::tempdir().unwrap();
    let read = "import sys, warnings; warnings.simplefilter('error'); from astropy.io import fits
for path in sys.argv[1:]:
    with fits.open(path, memmap=False) as hdus:
        hdus.verify('exception')
        data = hdus[0].data.astype('f8')
        print(*data.shape, float(data.sum()), repr(hdus[0].header['OBJECT']))";
    let mut command = Command::new(python);
    command.args(["-c", read]);
    let mut expected = Vec::new();
    for (number, storage) in [Storage::Unsigned16, Storage::Float32].into_iter().enumerate() {
        // Whole numbers, so that both files hold them exactly and sums have no rounding.
        let mut image = draw(&mut Rng::with_seed(1), 64, 70).image;
        image.pixels.iter_mut().for_each(|pixel| *pixel = pixel.round());
        let path = folder.path().join(format!("{number}.fits"));
        let object = Card("OBJECT", Value::Text("Barnard's star"), "a quote is doubled in FITS");
        let bytes = file_bytes(&image, storage, &[object]);
        let image = fits_read::image(&bytes).unwrap();
        fs::write(&path, bytes).unwrap();
        let sum: f64 = image.pixels.iter().map(|&pixel| f64::from(pixel)).sum();
        expected.push(format!("{} {} {sum:?} \"Barnard's star\"\n", image.height, image.width));
        command.arg(path);
    }
    assert_eq!(output(&mut command), (Some(0), expected.concat(), String::new()));
}

#[test]
fn the_python_script_finds_the_same_stars() {
    if !require(Component::Python("astropy, sep")) {
        return;
    }
    let python = python();
    let folder = tempfile::tempdir().unwrap();
    let sky = draw(&mut Rng::with_seed(3), 150, 130);
    for storage in [Storage::Unsigned16, Storage::Float32] {
        let path = folder.path().join("obs.fits");
        fs::write(&path, file_bytes(&sky.image, storage, &[])).unwrap();
        let (code, out, err) = output(Command::new(&python).arg(example("analyze_fits.py")).arg(path));
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let found: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&found["stars_detected"], &found["width"]), (&sky.stars.into(), &150.into()));
    }
}

#[test]
fn the_python_script_says_in_one_line_that_a_file_has_no_image() {
    if !require(Component::Python("astropy, sep")) {
        return;
    }
    let python = python();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.fits");
    fs::write(&path, file_of(&[("BITPIX", "8"), ("NAXIS", "0")], &[])).unwrap();
    let (code, out, err) = output(Command::new(python).arg(example("analyze_fits.py")).arg(path));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.ends_with("table.fits: ValueError: no two-dimensional image in it\n"), "{err}");
}

#[test]
fn the_launch_scripts_in_shell_and_python_send_the_same_command() {
    if !require(Component::Python("canfar")) {
        return;
    }
    let python = python();
    for (shell_mode, python_mode, cores) in
        [("flexible", None, None), ("fixed", Some("--fixed"), Some("cores = 4"))]
    {
        let script = example("canfar/launch.py");
        let sent = output(Command::new(&python).arg(script).args(python_mode).arg("--print")).1;
        let typed =
            output(Command::new("sh").arg(example("canfar/launch.sh")).args([shell_mode, "--print"])).1;
        let field = |name: &str| {
            let start = format!("{name} = ");
            sent.lines().find_map(|line| line.strip_prefix(&start)).expect(name).to_owned()
        };
        let (options, command) = typed.trim_end().split_once(" -- ").unwrap();
        assert_eq!(command.replace('\'', ""), format!("{} {}", field("cmd"), field("args")));
        assert!(options.ends_with(&field("image")), "{options}");
        assert_eq!(sent.lines().find(|line| line.starts_with("cores")), cores);
        assert_eq!(options.contains("--cpu 4 --memory 16"), cores.is_some());
    }
}

/// A FITS file made by hand: SIMPLE, these cards, END, and the data.
fn file_of(cards: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:<80}", "SIMPLE  =                    T").into_bytes();
    for (keyword, value) in cards {
        bytes.extend(format!("{:<80}", format!("{keyword:<8}= {value:>20}")).bytes());
    }
    bytes.extend(format!("{:<80}", "END").bytes());
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Exit code, standard output and standard error.
fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output_in_time().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}
