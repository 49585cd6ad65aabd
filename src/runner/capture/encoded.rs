//! Pictures as bytes: what the browser gave, looked into; and what a window showed, encoded.

use std::io::Cursor;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{
    ExtendedColorType, ImageEncoder, ImageFormat, ImageReader,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
    },
};

use super::{CaptureError, Encoding, Unavailable};
use crate::desktop::Picture;

/// Most pixels of a side: what browsers and their graphics processors can draw at once.
pub(super) const SIDE_MAX: f64 = 16_384.0;
/// Longest picture: with what is around it, it stays below the 4 MiB that clients take in one message.
const IMAGE_BYTES_MAX: usize = 4 * 1024 * 1024 - 64 * 1024;

/// An encoded picture.
pub(in crate::runner) struct Image {
    pub(in crate::runner) bytes: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Decodes base64, and looks into the picture for what it is. Works for some milliseconds.
pub(in crate::runner) fn decode(data: &str, encoding: Encoding) -> Result<Image, CaptureError> {
    // Four characters are three bytes.
    fits(data.len() / 4 * 3)?;
    let no_picture = |_| Unavailable::Refused("what it gave is no picture".to_owned());
    let bytes = STANDARD.decode(data).map_err(|_| no_picture(()))?;
    let format = match encoding {
        Encoding::Png => ImageFormat::Png,
        Encoding::Jpeg { .. } => ImageFormat::Jpeg,
    };
    let reader = ImageReader::with_format(Cursor::new(&bytes), format);
    let (width, height) = reader.into_dimensions().map_err(|_| no_picture(()))?;
    if f64::from(width.max(height)) > SIDE_MAX {
        return Err(CaptureError::TooLarge(format!("{width} x {height} pixels; at most {SIDE_MAX} a side")));
    }
    Ok(Image { bytes, width, height })
}

/// Encodes what a window showed. Works for some milliseconds.
pub(super) fn encode(shown: Picture, encoding: Encoding) -> Result<Image, CaptureError> {
    let Picture { width, height, mut rgba } = shown;
    let mut bytes = Vec::new();
    opaque(&mut rgba);
    let encoded =
        match encoding {
            // One filter for all rows: to choose among five takes thrice as long, and saves little of a screen.
            Encoding::Png => PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub)
                .write_image(&rgba, width, height, ExtendedColorType::Rgb8),
            Encoding::Jpeg { quality } => JpegEncoder::new_with_quality(&mut bytes, quality).write_image(
                &rgba,
                width,
                height,
                ExtendedColorType::Rgb8,
            ),
        };
    encoded.map_err(|error| Unavailable::Refused(format!("its window's picture cannot be encoded: {error}")))?;
    fits(bytes.len())?;
    Ok(Image { bytes, width, height })
}

/// Leaves the fourth byte of each pixel out, which says nothing.
fn opaque(rgba: &mut Vec<u8>) {
    let pixels = rgba.len() / 4;
    for pixel in 1..pixels {
        rgba.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
    }
    rgba.truncate(pixels * 3);
}

/// Whether so many bytes fit an answer.
fn fits(length: usize) -> Result<(), CaptureError> {
    if length <= IMAGE_BYTES_MAX {
        return Ok(());
    }
    Err(CaptureError::TooLarge(format!("{length} bytes; at most {IMAGE_BYTES_MAX} fit an answer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let pixel = |number: u32| [u8::try_from(number % 200).unwrap(), 40, 30, 255];
        Picture { width: 30, height: 20, rgba: (0..600).flat_map(pixel).collect() }
    }

    #[test]
    fn what_is_encoded_says_of_itself_what_it_is() {
        for encoding in [Encoding::Png, Encoding::Jpeg { quality: 90 }] {
            let encoded = encode(picture(), encoding).unwrap();
            let image = decode(&STANDARD.encode(&encoded.bytes), encoding).unwrap();
            assert_eq!((image.width, image.height), (30, 20));
        }
    }

    #[test]
    fn a_pixel_keeps_its_colours() {
        let encoded = encode(picture(), Encoding::Png).unwrap();
        let pixels = image::load_from_memory(&encoded.bytes).unwrap().into_rgb8();
        assert_eq!(pixels.get_pixel(7, 1).0, [37, 40, 30]);
        let mut rgba = picture().rgba;
        opaque(&mut rgba);
        assert_eq!((&rgba[..6], rgba.len()), (&[0, 40, 30, 1, 40, 30][..], 1800));
    }

    #[test]
    fn what_is_no_picture_or_too_long_is_refused() {
        let refused = |data: &str| decode(data, Encoding::Png).err().map(|error| error.to_string()).unwrap();
        assert!(refused("%").contains("no picture") && refused("AAAA").contains("no picture"));
        let long = refused(&"A".repeat(IMAGE_BYTES_MAX / 3 * 4 + 64));
        assert!(long.contains("JPEG") && long.contains("region"), "{long}");
    }
}
