//! QR codes of otpauth URIs, for terminals and as PNG files.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use qrcode::{Color, EcLevel, QrCode, render::unicode::Dense1x2, types::QrError};
use zeroize::Zeroizing;

use crate::{failure::Failure, text::Paint};

/// Light modules around a code (ISO/IEC 18004): scanners need them to find it.
const QUIET_ZONE: usize = 4;
/// Pixels of one module of a PNG.
const SCALE: usize = 8;

/// Why no QR code can be made: the URI is longer than any code can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URI does not fit a QR code ({0})")]
pub(crate) struct TooLong(QrError);

/// The QR code of `uri` for a terminal, two modules a character.
pub(crate) fn for_terminal(uri: &str, paint: Paint) -> Result<Zeroizing<String>, TooLong> {
    let code = QrCode::with_error_correction_level(uri, EcLevel::L).map_err(TooLong)?;
    let mut renderer = code.render::<Dense1x2>();
    // Blocks are drawn in the foreground colour. With colour, both are said, so the code is dark on light whatever the
    // terminal's own are; without, the light modules are drawn, as most terminals are dark.
    let (start, end) = if paint.is_enabled() {
        renderer.dark_color(Dense1x2::Dark).light_color(Dense1x2::Light);
        ("\u{1b}[38;5;16;48;5;231m", "\u{1b}[0m")
    } else {
        renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
        ("", "")
    };
    let blocks = Zeroizing::new(renderer.quiet_zone(true).build());
    let mut text = Zeroizing::new(String::with_capacity(blocks.len().saturating_mul(2)));
    for line in blocks.lines() {
        for part in [start, line, end, "\n"] {
            text.push_str(part);
        }
    }
    Ok(text)
}

/// A PNG file that is there, readable by its owner alone, before anything is stored; removed again unless it is kept.
#[derive(Debug)]
pub(crate) struct PngFile {
    path: PathBuf,
    kept: bool,
}

impl PngFile {
    /// Writes the code of `uri` to a new file; one that exists is never touched.
    pub(crate) fn create(path: &Path, uri: &str) -> Result<Self, Failure> {
        let image = Zeroizing::new(png(uri).map_err(Failure::data)?);
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::object(format!("{} exists and is not overwritten", path.display()))
                    .with_remedy("remove the file, or name another one")
            }
            _ => Failure::file("create", path, error),
        })?;
        let created = Self {
            path: path.to_owned(),
            kept: false,
        };
        file.write_all(&image)
            .and_then(|()| file.sync_all())
            .map_err(|error| Failure::file("write", path, error))?;
        Ok(created)
    }

    /// Leaves the file where it is: its token is stored.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for PngFile {
    fn drop(&mut self) {
        if !self.kept {
            // The code of a token that does not exist is of no use to anybody; neither is an error about it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The QR code of `uri` as a PNG image.
fn png(uri: &str) -> Result<Vec<u8>, PngError> {
    let code = QrCode::with_error_correction_level(uri, EcLevel::M).map_err(TooLong)?;
    let modules = code.width().saturating_add(QUIET_ZONE.saturating_mul(2));
    let side = modules.saturating_mul(SCALE);
    let width = code.width().max(1);
    let colors = code.into_colors();
    let light = vec![u8::MAX; side];
    let mut pixels = Zeroizing::new(Vec::with_capacity(side.saturating_mul(side)));
    let quiet_rows = QUIET_ZONE.saturating_mul(SCALE);
    pixels.extend((0..quiet_rows).flat_map(|_| light.iter().copied()));
    for row in colors.chunks(width) {
        let quiet = || std::iter::repeat_n(Color::Light, QUIET_ZONE);
        let line: Zeroizing<Vec<u8>> = Zeroizing::new(
            quiet()
                .chain(row.iter().copied())
                .chain(quiet())
                .flat_map(|color| std::iter::repeat_n(color.select(0, u8::MAX), SCALE))
                .collect(),
        );
        pixels.extend((0..SCALE).flat_map(|_| line.iter().copied()));
    }
    pixels.extend((0..quiet_rows).flat_map(|_| light.iter().copied()));

    let side = u32::try_from(side).map_err(|_| PngError::Size)?;
    let mut image = Vec::new();
    let mut encoder = png::Encoder::new(&mut image, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(image)
}

#[derive(Debug, thiserror::Error)]
enum PngError {
    #[error(transparent)]
    TooLong(#[from] TooLong),
    #[error("the image is too large")]
    Size,
    #[error("the image cannot be encoded")]
    Encoding(#[from] png::EncodingError),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const URI: &str = "otpauth://totp/alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn images_show_the_modules_within_a_quiet_zone() {
        let image = png(URI).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(image)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = info.width as usize;
        let code = QrCode::with_error_correction_level(URI, EcLevel::M).unwrap();
        assert_eq!((info.width, side), (info.height, (code.width() + 8) * SCALE));
        for (index, pixel) in pixels.iter().enumerate() {
            let (x, y) = (index % side / SCALE, index / side / SCALE);
            let inside = |at: usize| (QUIET_ZONE..QUIET_ZONE + code.width()).contains(&at);
            let dark = inside(x) && inside(y) && code[(x - QUIET_ZONE, y - QUIET_ZONE)] == Color::Dark;
            assert_eq!(*pixel == 0, dark, "pixel {index}");
        }
    }

    #[test]
    fn terminals_get_the_quiet_zone_too() {
        let text = for_terminal(URI, Paint::new(false)).unwrap();
        let modules = QrCode::with_error_correction_level(URI, EcLevel::L)
            .unwrap()
            .width()
            + 8;
        assert_eq!(text.lines().count(), modules.div_ceil(2));
        assert!(text.lines().all(|line| line.chars().count() == modules));
        assert!(text.starts_with(&"█".repeat(modules)));
        let coloured = for_terminal(URI, Paint::new(true)).unwrap();
        assert!(
            coloured
                .lines()
                .all(|line| line.starts_with("\u{1b}[38;5;16;48;5;231m"))
        );
    }

    #[test]
    fn what_is_not_kept_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.png");
        drop(PngFile::create(&path, URI).unwrap());
        assert!(!path.exists());
        PngFile::create(&path, URI).unwrap().keep();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(PngFile::create(&path, URI).unwrap_err().exit, crate::Exit::Object);
        assert!(path.exists());
    }
}
